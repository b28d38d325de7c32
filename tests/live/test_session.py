"""Live scores equal those of the pipeline: frame by frame from the file, for every registered plug-in."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import project as tiny
from tests.live.configurations import CONFIGURATIONS, DETECTOR, choices
from tests.project import Project
from vad import UserError, recipe
from vad.branches.base import BRANCHES
from vad.flow import FLOW_METHODS
from vad.footage.decode import Decoded, decode
from vad.live import FrameResult, Session, TrainedModel
from vad.models.base import MODELS
from vad.regions import REGION_MODES
from vad.scoring.calibration import Calibration
from vad.scoring.scores import read_scores
from vad.store import manifest
from vad.store.cards import read_card

UP_TO_SCORE = tiny.STAGES[: tiny.STAGES.index("score") + 1]
RUN = """
import importlib, sys
from vad.pipeline import stage
for name in sys.argv[1:]:
    run = stage.Run(name)
    importlib.import_module(f"stages.{name}").main(run)
    run.succeed()
"""
TOLERANCE = 1e-5  # of a calibrated score
BIG = "data/tiny/test/big"  # clips of a second camera, with larger frames


def trained(folder: Path, name: str) -> Project:
    """A tiny project with a configuration, in which all stages up to `score` have run."""
    project = tiny.make(folder, commit=False, choices={})
    chosen = choices(name, project / DETECTOR)
    changes = CONFIGURATIONS[name][1]
    project.set({**chosen, **tiny.TINY, "resize.height": 16, "data.root": "data/tiny", **changes})
    project.run("python", "-c", RUN, *UP_TO_SCORE)
    return project


def clips_of(project: Project) -> list[manifest.Clip]:
    """The test clips."""
    clips = manifest.available(project / "data/manifest.csv", project / "data/frames")
    return [clip for clip in clips if clip.split == "test"]


def frames_of(project: Project, clip: manifest.Clip) -> Iterator[Decoded]:
    """The frames of a clip, from its video file."""
    color = TrainedModel.load().extract.color
    return decode(project / "data/tiny" / clip.source, color, 1, clip.first, clip.end)[1]


def open_session(project: Project, clip: manifest.Clip, model: TrainedModel, **options: bool) -> Session:
    fps = read_card(project / "data/frames" / clip.clip)["fps"]
    return Session(model, fps=fps, camera=clip.camera, **options)


def watch(
    project: Project, clip: manifest.Clip, model: TrainedModel, pause: float = 0, **options: bool
) -> list[FrameResult]:
    """Feeds a clip to a session; pauses after every fifth frame, so that threads can catch up."""
    session, out = open_session(project, clip, model, **options), []
    for i, decoded in enumerate(frames_of(project, clip)):
        out += session.process(decoded)
        if pause and i % 5 == 4:
            time.sleep(pause)
    return out + session.finish()


def assert_equal(project: Project, clip: manifest.Clip, seen: list[FrameResult]) -> None:
    """Compares the results of a session with the files of the stage `score`."""
    scored = read_scores(project / "data/scores" / clip.clip)
    threshold = Calibration.load(project / "models/calibration.json").threshold
    live = np.array([result.score for result in seen])
    np.testing.assert_allclose(live, scored.scores, rtol=TOLERANCE, atol=TOLERANCE)
    assert [result.index for result in seen] == list(range(len(seen)))
    assert [result.number for result in seen] == scored.source_frames.tolist()
    np.testing.assert_allclose([result.seconds for result in seen], scored.seconds)
    for name, values in scored.branches.items():
        alone = [result.scores.branches[name] for result in seen]
        np.testing.assert_allclose(alone, values, rtol=TOLERANCE, atol=TOLERANCE)
    # the regions of frames that have windows of their own, in the order of the table
    regions = [result.region_scores for result in seen if result.scores.source == result.index]
    np.testing.assert_allclose(np.concatenate(regions), scored.regions, rtol=TOLERANCE, atol=TOLERANCE)
    if (np.abs(scored.scores - threshold) > TOLERANCE * max(1, abs(threshold))).all():
        ended = [u.event for result in seen for u in result.events if u.kind == "end"]
        assert [(e.start, e.end, e.peak) for e in ended] == [(e.start, e.end, e.peak) for e in scored.events]
        for event, stored in zip(ended, scored.events, strict=True):
            assert event.shares.keys() == stored.shares.keys()
            assert event.score == pytest.approx(stored.score, rel=TOLERANCE)


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def project(request, tmp_path_factory) -> Project:
    """A tiny project of each configuration, scored by its stages."""
    return trained(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def model(project, monkeypatch) -> TrainedModel:
    monkeypatch.chdir(project.folder)  # paths in params.yaml are relative
    return TrainedModel.load()


def test_every_plug_in_and_recipe_is_in_a_configuration():
    used: dict[str, set[str]] = {"flow.method": set(), "preprocess.mode": set(), "model.name": set()}
    recipes: set[str] = set()
    for names, changes in CONFIGURATIONS.values():
        chosen = recipe.overrides(["sample", *names], detector=__file__) | changes
        for key, values in used.items():
            values.add(chosen[key])
        recipes |= set(names)
    assert used["flow.method"] == set(FLOW_METHODS.names())
    assert used["preprocess.mode"] == set(REGION_MODES.names())
    assert used["model.name"] == set(MODELS.names())
    kinds = {name: text.partition(":")[0] for name, text in recipe.names().items()}
    assert recipes == {name for name, kind in kinds.items() if kind != "footage"}


def test_all_branches_are_at_work_in_one_configuration(tmp_path, monkeypatch):
    project = trained(tmp_path, "objects")
    monkeypatch.chdir(project.folder)
    model = TrainedModel.load()
    assert {branch.name for branch in model.branches} == set(BRANCHES.names())
    seen = watch(project, clips_of(project)[0], model)
    assert set(seen[0].scores.branches) >= {"appearance", "flow", "classes", "speed"}


def test_frame_by_frame_from_the_file_equals_the_pipeline(project, model):
    clips = clips_of(project)
    assert len(clips) > 1
    for clip in clips:
        assert_equal(project, clip, watch(project, clip, model))
