"""A flickering sign alarms normal frames; where a zone covers it, it does not, in the pipeline and live."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import project as tiny
from tests.live.configurations import CONFIGURATIONS, DETECTOR, choices
from tests.live.test_session import TOLERANCE, clips_of, watch
from tests.trained import run_stages
from vad import synthetic
from vad.footage.decode import decode
from vad.footage.encode import encode
from vad.live import TrainedModel
from vad.live.deployed_model import load_deployed
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import read_clip
from vad.scoring.scores import read_scores
from vad.store.tables import BOX, read_table
from vad.store.zones import Zones
from vad.synthetic import clips as scripts

WITHOUT = ("sheet", "export", "validate")  # which no other stage needs
STAGES = [name for name in tiny.STAGES[: tiny.STAGES.index("score") + 1] if name not in WITHOUT]
WIDTH, HEIGHT = 128, 96
SIGN = slice(0, 16), slice(88, 128)  # rows and columns
ZONE = """
all:
  - name: sign
    kind: ignore
    polygon: [[0.65, 0], [1, 0], [1, 0.22], [0.65, 0.22]]
"""
MOTION = {"preprocess.person_crop.motion": {"source": "difference", "close": 5, "min_area": 30}}
REGIONS: dict[str, tuple[str, Mapping[str, Any]]] = {  # configuration and changes
    "whole_frames": ("whole_frame", {"train.epochs": 3}),
    "boxes": ("areas", MOTION),
}


class Footage:
    """A project with a normal test clip, in which stages run."""

    def __init__(self, folder: Path, regions: str):
        self.project = tiny.copy(folder / "project")
        clips = (*scripts.TRAIN[:4], scripts.TEST[0])
        root = self.project / "data/tiny"
        synthetic.generate(root, clips=clips, frames=40, width=WIDTH, height=HEIGHT)
        name, changes = REGIONS[regions]
        chosen = choices(name, self.project / DETECTOR)
        self.project.set({**chosen, **tiny.TINY, **CONFIGURATIONS[name][1], **changes})

    def burn_in(self) -> None:
        """Draws a sign into the test clip that shows something else in every frame."""
        video = self.project / "data/tiny/test/hall/walk.mp4"
        fps, decoded = decode(video, "gray", 1, 0, None)
        frames = [item.frame.to_ndarray(format="gray") for item in decoded]
        rng = np.random.default_rng(0)
        for frame in frames:
            frame[SIGN] = np.kron(rng.integers(0, 2, (2, 5)), np.full((8, 8), 255))
        video.unlink()
        encode(video, frames, fps, crf=10)

    def alarmed(self, first: str, zones: str) -> float:
        """The share of alarmed frames of the test clip, after the stages from `first` on have run."""
        (self.project / "data/zones.yaml").write_text(zones, "utf-8")
        run_stages(self.project.folder, STAGES[STAGES.index(first) :])
        (clip,) = clips_of(self.project)
        scores = read_scores(self.project / "data/scores" / clip.clip).scores
        return float((scores > Calibration.load(self.project / "models/calibration.json").threshold).mean())


@pytest.fixture(scope="module", params=REGIONS)
def footage(request, tmp_path_factory) -> Footage:
    """With a sign in the test clip, scored with a zone there."""
    made = Footage(tmp_path_factory.mktemp(request.param), request.param)
    without_sign = made.alarmed("ingest", ZONE)
    made.burn_in()
    assert made.alarmed("ingest", "") > 0.95
    # the sign still changes what is around it, by the compression of the video and the networks' view
    assert made.alarmed("measure", ZONE) == pytest.approx(without_sign, abs=0.06)
    assert without_sign < 0.4
    return made


@pytest.fixture
def model(footage, monkeypatch) -> TrainedModel:
    monkeypatch.chdir(footage.project.folder)
    return TrainedModel.load()


def test_live_scores_with_zones_equal_those_of_the_pipeline(footage, model):
    (clip,) = clips_of(footage.project)
    results, _ = watch(footage.project, clip, model)
    scored = read_scores(Path("data/scores") / clip.clip)
    np.testing.assert_allclose([r.score for r in results], scored.scores, rtol=TOLERANCE, atol=TOLERANCE)
    regions = np.concatenate([result.region_scores for result in results])
    np.testing.assert_allclose(regions, scored.regions, rtol=TOLERANCE, atol=TOLERANCE)
    measured = read_clip(Path("data/errors") / clip.clip, clip.clip, clip.camera)
    assert np.array_equal(np.concatenate([r.regions.boxes for r in results]), measured.boxes)
    # regions that are not judged are known too, for whoever must not be shown
    every = read_table(Path("data/regions") / clip.clip)
    for result in results:
        boxes = np.concatenate([result.regions.boxes, result.not_judged.boxes]).tolist()
        assert sorted(boxes) == sorted(every.loc[every["frame"] == result.index, BOX].to_numpy().tolist())
    without, _ = watch(footage.project, clip, replace(model, zones=Zones()))
    assert np.mean([result.alarmed for result in without]) > 0.95
    assert {result.not_judged for result in without} == {None}


def test_zones_that_have_changed_since_are_said(footage, model):
    assert model.warnings == []  # without dvc.lock, nothing is known
    lock = "stages: {measure: {deps: [{path: data/zones.yaml, md5: 0}]}}\n"
    (footage.project / "dvc.lock").write_text(lock, "utf-8")
    (warning,) = TrainedModel.load().warnings
    assert warning.startswith("data/zones.yaml has changed since the threshold was fitted")
    (footage.project / "dvc.lock").unlink()


def test_a_deployed_model_has_the_zones_and_says_if_they_are_others(footage, model):
    run_stages(footage.project.folder, ["export"])
    deployed, (clip,) = load_deployed(Path("models/deployed")), clips_of(footage.project)
    results, _ = watch(footage.project, clip, deployed)
    scored = read_scores(Path("data/scores") / clip.clip)
    np.testing.assert_allclose([r.score for r in results], scored.scores, rtol=1e-4, atol=1e-4)
    assert list(deployed.warnings) == []
    zones = Path("models/deployed/zones.yaml")
    zones.write_text(f"# a remark\n{ZONE}", "utf-8")
    assert list(load_deployed(Path("models/deployed")).warnings) == []
    for change in (lambda: zones.write_text(ZONE.replace("0.22", "0.3"), "utf-8"), zones.unlink):
        change()
        deployed = load_deployed(Path("models/deployed"))
        (warning,) = deployed.warnings
        assert warning.startswith("models/deployed/zones.yaml has changed since the threshold was fitted")
    assert deployed.zones == Zones()


def test_a_camera_that_does_not_exist_is_refused(footage):
    path = footage.project / "data/zones.yaml"
    path.write_text(ZONE.replace("all:", "attic:"), "utf-8")
    output = footage.project.run("python", "-m", "stages.measure", fails=True)
    assert output.splitlines()[-1].endswith(
        "data/zones.yaml: no clip has the camera 'attic'; the cameras are hall, and `all` stands for "
        "every camera"
    )
