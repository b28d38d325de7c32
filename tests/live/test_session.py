"""Live scores equal those of the pipeline: frame by frame from the file, for every registered plug-in."""

import gc
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from tests.live.configurations import CONFIGURATIONS, RATE
from tests.project import Project
from tests.trained import trained
from vad import UserError, recipe
from vad.branches.base import BRANCHES
from vad.flow import FLOW_METHODS
from vad.footage.decode import Decoded, decode
from vad.footage.extract_params import ExtractParams
from vad.live import FrameResult, Session, TrainedModel, load_deployed
from vad.models.base import MODELS
from vad.pipeline import params
from vad.regions import REGION_MODES
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import read_clip
from vad.scoring.contributions import Contributions
from vad.scoring.items import Event
from vad.scoring.scores import read_scores
from vad.store import manifest
from vad.store.body_heights import BodyHeight, BodyHeights
from vad.store.cards import read_card
from vad.store.tables import read_table

Seen = tuple[list[FrameResult], list[Event]]  # results of the frames, and events that have ended
TOLERANCE = 1e-5  # of a calibrated score
DEPLOYED_TOLERANCE = 1e-4  # of that of a deployed model


def clips_of(project: Project) -> list[manifest.Clip]:
    """The test clips."""
    clips = manifest.available(project / "data/manifest.csv", project / "data/frames")
    return [clip for clip in clips if clip.split == "test"]


def frames_of(project: Project, clip: manifest.Clip) -> Iterator[Decoded]:
    """The frames of a clip, from its video file."""
    color = params.load("extract", ExtractParams, params.read(project / "params.yaml")).color
    return decode(project / "data/tiny" / clip.source, color, 1, clip.first, clip.end)[1]


def open_session(project: Project, clip: manifest.Clip, model: TrainedModel, **options: bool) -> Session:
    fps = read_card(project / "data/frames" / clip.clip)["fps"]
    return Session(model, fps=fps, camera=clip.camera, **options)


def watch(
    project: Project, clip: manifest.Clip, model: TrainedModel, pause: float = 0, **options: bool
) -> Seen:
    """Feeds a clip to a session; pauses after every fifth frame, so that threads can catch up."""
    session, out = open_session(project, clip, model, **options), []
    for i, decoded in enumerate(frames_of(project, clip)):
        out += session.process(decoded)
        if pause and i % 5 == 4:
            time.sleep(pause)
    return finished(session, out)


def finished(session: Session, out: list[FrameResult]) -> Seen:
    """The results of a session at its end, those before included, and its events."""
    out += session.finish()
    updates = [*(update for result in out for update in result.events), *session.final_updates]
    return out, [update.event for update in updates if update.kind == "end"]


def assert_equal(project: Project, clip: manifest.Clip, all_seen: Seen, tolerance: float = TOLERANCE) -> None:
    """Compares the results of a session with the files of the stage `score`."""
    seen, ended = all_seen
    scored = read_scores(project / "data/scores" / clip.clip)
    live = np.array([result.score for result in seen])
    np.testing.assert_allclose(live, scored.scores, rtol=tolerance, atol=tolerance)
    assert [result.index for result in seen] == list(range(len(seen)))
    assert [result.number for result in seen] == scored.source_frames.tolist()
    np.testing.assert_allclose([result.seconds for result in seen], scored.seconds)
    for name, values in scored.branches.items():
        alone = [result.branch_scores[name] for result in seen]
        np.testing.assert_allclose(alone, values, rtol=tolerance, atol=tolerance)
    # the regions of frames that have windows of their own, in the order of the table
    with_windows = [result for result in seen if result.source == result.index]
    regions = np.concatenate([result.region_scores for result in with_windows])
    np.testing.assert_allclose(regions, scored.regions, rtol=tolerance, atol=tolerance)
    table = read_table(project / "data/regions" / clip.clip)
    table = table[table["frame"].isin([result.index for result in with_windows])]
    columns = ["track", "x0", "y0", "x1", "y1"]
    rows = [np.column_stack([result.regions.tracks, result.regions.boxes]) for result in with_windows]
    np.testing.assert_array_equal(np.concatenate(rows), table[columns].to_numpy())
    errors = read_clip(project / "data/errors" / clip.clip, clip.clip, clip.camera)
    calibration = Calibration.load(project / "models/calibration.json")
    for frames, maps in calibration.cell_scores(errors):
        cells = np.stack([result.cells for result in seen[frames]])
        np.testing.assert_allclose(cells, maps, rtol=tolerance, atol=tolerance)
    contributions = Contributions(calibration, errors.region_branches, list(errors.maps), clip.camera)
    for frames, maps in calibration.cell_errors(errors, contributions.branches):
        for result, of_frame in zip(seen[frames], maps, strict=True):
            expected = contributions.of_frame(of_frame, result.score, result.branch_scores)
            np.testing.assert_allclose(result.contributions, expected, rtol=10 * tolerance, atol=tolerance)
    assert [result.alarmed for result in seen] == [result.score > calibration.threshold for result in seen]
    for result in seen:
        assert sum(result.shares.values()) == pytest.approx(1 if result.shares else 0)
    threshold = calibration.threshold
    if (np.abs(scored.scores - threshold) > tolerance * max(1, abs(threshold))).all():
        assert [(e.start, e.end, e.peak) for e in ended] == [(e.start, e.end, e.peak) for e in scored.events]
        for event, stored in zip(ended, scored.events, strict=True):
            assert dict(event.shares) == pytest.approx(dict(stored.shares), abs=1e-3)
            assert event.score == pytest.approx(stored.score, rel=tolerance)


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


def test_frame_by_frame_from_the_file_equals_the_pipeline(project, model):
    clips = clips_of(project)
    assert len(clips) > 1
    for clip in clips:
        assert_equal(project, clip, watch(project, clip, model))


def test_the_deployed_model_equals_the_pipeline(project, monkeypatch):
    """Without torch: its graph takes the place of the autoencoders."""
    monkeypatch.chdir(project.folder)
    deployed = load_deployed(project / "models/deployed")
    for clip in clips_of(project):
        assert_equal(project, clip, watch(project, clip, deployed), tolerance=DEPLOYED_TOLERANCE)


HEIGHTS = {  # of strong perspective; the cameras `larger` and `yard` have none of their own
    "hall": {"far": -6.0, "near": 24.0, "least": 2.0, "rows": 48, "origin": "fit", "regions": 99},
    "": {"far": 12.0, "near": 30.0, "least": 8.0, "rows": 48, "origin": "constant", "regions": 9},
}


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> Project:
    """With cameras whose frames differ in size, and perspective."""
    return trained(tmp_path_factory.mktemp("objects"), "objects", cameras=3, heights=HEIGHTS)


@pytest.fixture
def objects_model(objects, monkeypatch) -> TrainedModel:
    monkeypatch.chdir(objects.folder)
    return TrainedModel.load()


def test_all_branches_are_at_work_in_one_configuration(objects, objects_model):
    assert {branch.name for branch in objects_model.branches} == set(BRANCHES.names())
    seen, _ = watch(objects, clips_of(objects)[0], objects_model)
    assert set(seen[0].branch_scores) >= {"appearance", "flow", "classes", "speed"}


def test_an_unknown_camera_has_the_body_heights_and_statistics_of_all_cameras(objects, objects_model):
    """As in the pipeline for cameras without normal clips; this one has frames of another size."""
    hall, larger = (next(c for c in clips_of(objects) if c.camera == camera) for camera in ("hall", "larger"))
    assert_equal(objects, larger, watch(objects, replace(larger, camera="elsewhere"), objects_model))
    with pytest.raises(AssertionError):
        assert_equal(objects, hall, watch(objects, replace(hall, camera="elsewhere"), objects_model))


def test_speed_is_in_the_body_heights_of_the_camera(objects, objects_model):
    clip = next(c for c in clips_of(objects) if c.camera == "hall")
    taller = {**HEIGHTS, "hall": {**HEIGHTS["hall"], "far": 40.0, "near": 80.0}}
    heights = BodyHeights({camera: BodyHeight(**entry) for camera, entry in taller.items()})
    speeds = []
    for model in (objects_model, replace(objects_model, body_heights=heights)):
        seen, _ = watch(objects, clip, model)
        speeds.append(np.mean([result.branch_errors["speed"] for result in seen]))
    assert speeds[1] < 0.7 * speeds[0]


@pytest.mark.parametrize(("pause", "concurrent"), [(0, False), (0, True), (0.05, True)])
def test_bursts_and_threads_change_nothing(objects, objects_model, pause, concurrent):
    clip = clips_of(objects)[0]
    assert_equal(objects, clip, watch(objects, clip, objects_model, pause, concurrent=concurrent))


def test_two_cameras_of_different_size_at_once(objects, objects_model):
    small, large = (next(c for c in clips_of(objects) if c.width == width) for width in (64, 96))
    clips = small, large
    sessions = [open_session(objects, clip, objects_model) for clip in clips]
    seen: list[list[FrameResult]] = [[], []]
    for pair in zip(*(frames_of(objects, clip) for clip in clips), strict=True):
        for out, session, decoded in zip(seen, sessions, pair, strict=True):
            out += session.process(decoded)
    for clip, session, out in zip(clips, sessions, seen, strict=True):
        assert_equal(objects, clip, finished(session, out))


def test_results_come_as_late_as_the_calibration_says(objects, objects_model):
    """The longest path: boxes interpolated over 3 frames beside windows of 5, then cells and scores."""
    clip = clips_of(objects)[0]
    session, delays = open_session(objects, clip, objects_model, concurrent=False), []
    frames = [*frames_of(objects, clip)] * 3
    for t, decoded in enumerate(frames):
        delays += [t - result.index for result in session.process(decoded._replace(seconds=t / 25))]
    lookahead = objects_model.calibration.lookahead
    assert session.fps == RATE
    assert session.lookahead == lookahead == max(2, 2) + 5 + 7 + 5
    assert session.delay == lookahead / session.fps
    assert set(delays) == {lookahead}
    assert len(session.finish()) == lookahead


def test_a_faster_camera_has_the_same_windows_and_a_longer_warm_up(objects, objects_model):
    """Every frame twice at twice the rate: windows reach twice as many frames ahead."""
    clip = clips_of(objects)[0]
    session, delays = Session(objects_model, fps=2 * RATE, camera=clip.camera, concurrent=False), []
    assert session.warm_up == 2 * 8
    for t, decoded in enumerate([frame for frame in frames_of(objects, clip) for _ in range(2)] * 2):
        delays += [t - result.index for result in session.process(decoded._replace(seconds=t / session.fps))]
    assert session.lookahead == objects_model.calibration.smoothing(session.fps).lookahead + max(4, 2)
    assert set(delays) == {session.lookahead}


def test_a_live_session_gives_frames_of_the_warm_up_no_motion(objects, objects_model):
    clip = clips_of(objects)[0]
    session = open_session(objects, clip, objects_model, live=True)
    assert session.warm_up == 8
    seen, _ = watch(objects, clip, objects_model, live=True)
    assert [result.index for result in seen] == list(range(24))
    assert [result.warming_up for result in seen] == [t < 8 for t in range(24)]
    sources = [set(result.regions.sources.tolist()) for result in seen]
    assert "motion" not in set().union(*sources[:8])
    assert "motion" in set().union(*sources[8:])


def test_motion_over_a_gap_is_not_taken_for_speed(objects, objects_model):
    """A camera that drops two of three frames for a while: the speed does not rise."""
    clip = clips_of(objects)[1]
    frames = list(frames_of(objects, clip))
    kept = [decoded for t, decoded in enumerate(frames) if t < 9 or t % 3 == 0]
    speeds = []
    for timed in (True, False):
        session, out = open_session(objects, clip, objects_model, concurrent=False), []
        for t, decoded in enumerate(kept):
            # with times that hide the gap, the displacement of three frames counts as that of one
            out += session.process(decoded if timed else decoded._replace(seconds=t / session.fps))
        out += session.finish()
        speeds.append(np.array([result.branch_errors["speed"] for result in out])[10:].mean())
    whole, _ = watch(objects, clip, objects_model)
    normal = np.mean([result.branch_errors["speed"] for result in whole if result.index >= 12])
    assert speeds[0] < 1.5 * normal
    assert speeds[1] > 1.5 * speeds[0]


def test_a_long_gap_is_not_filled_with_repeated_frames(tmp_path, monkeypatch):
    """An hour without frames: at 9 frames per second, resampling would repeat a frame 32,400 times."""
    project = trained(tmp_path, "resampled")
    monkeypatch.chdir(project.folder)
    clip, model = clips_of(project)[0], TrainedModel.load()
    frames = list(frames_of(project, clip))
    session, whole = open_session(project, clip, model), watch(project, clip, model)[0]
    out = [result for decoded in frames for result in session.process(decoded)]
    for decoded in frames:
        out += session.process(decoded._replace(seconds=decoded.seconds + 3600))
    out += session.finish()
    assert len(out) == 2 * len(whole)
    assert out[-1].seconds == pytest.approx(3600 + whole[-1].seconds)


def test_frames_of_another_size_are_refused(objects, objects_model):
    small, large = (next(c for c in clips_of(objects) if c.width == width) for width in (64, 96))
    session = open_session(objects, small, objects_model)
    session.process(next(frames_of(objects, small)))
    with pytest.raises(UserError, match="frame 0 has 96x72 pixels, the first frame 64x48"):
        session.process(next(frames_of(objects, large)))


def test_a_background_without_bounded_lookahead_is_refused_by_name(objects, monkeypatch):
    monkeypatch.chdir(objects.folder)
    before = (objects / "params.yaml").read_bytes()
    objects.set({"preprocess.foreground": {"method": "median"}})
    try:
        with pytest.raises(UserError, match=r"preprocess\.foreground\.method: median.* set .* mog2 or knn"):
            TrainedModel.load()
    finally:
        (objects / "params.yaml").write_bytes(before)


LIVE = """
import sys
from pathlib import Path
from vad.footage.decode import decode
from vad.live import Session, TrainedModel
session, out = Session(TrainedModel.load(), fps=25.0), []
for decoded in decode(Path(sys.argv[1]), "gray", 1, 0, None)[1]:
    out += session.process(decoded)
out += session.finish()
assert len(out) == 24
heavy = {"pandas", "pyarrow", "scipy", "sklearn", "supervision", "trackers", "matplotlib", "lightning"}
print(*sorted(heavy & set(sys.modules)))
"""


def test_a_session_needs_no_tables(objects):
    """A deployed model is to run without these libraries."""
    clip = clips_of(objects)[0]
    assert objects.run("python", "-c", LIVE, objects / "data/tiny" / clip.source).strip() == ""


def locked(objects: Project, stages: dict[str, Any]) -> str:
    """What is wrong with the model, if dvc.lock has these stages."""
    lock = objects / "dvc.lock"
    YAML().dump({"stages": stages}, lock)
    try:
        TrainedModel.load()
    except UserError as e:
        return str(e)
    finally:
        lock.unlink()
    return ""


def test_parameters_that_were_changed_since_training_are_refused(objects, objects_model):
    """By dvc.lock, where DVC notes the parameters of each stage."""
    raw = params.read(objects / "params.yaml")

    def stage(**changes: Any) -> dict[str, Any]:
        return {"params": {"params.yaml": {**{key: raw[key] for key in ("resize", "branches")}, **changes}}}

    assert locked(objects, {"resize": stage()}) == ""
    other = {**raw["resize"], "height": 24}
    assert "resize.height is 16, but the stage resize ran with 24" in locked(
        objects, {"resize": stage(resize=other)}
    )
    # neither a path nor the size of batches changes a score, nor does how the autoencoder was trained
    batches = {**raw["branches"], "reconstruction": {**raw["branches"]["reconstruction"], "batch_size": 1}}
    assert locked(objects, {"resize": stage(branches=batches, train={"epochs": 99})}) == ""


def test_a_model_whose_stages_have_not_run_since_is_refused(objects, objects_model):
    """As after `dvc repro flow` with other parameters."""
    flow = {"outs": [{"path": "data/flow", "md5": "1.dir"}]}
    resize = {"deps": [{"path": "data/flow", "md5": "0.dir"}]}
    text = "data/flow is newer than what the stage resize read; run `dvc repro`"
    assert locked(objects, {"flow": flow, "resize": resize}) == text
    assert locked(objects, {"flow": flow, "resize": flow | {"deps": flow["outs"]}}) == ""


@pytest.mark.parametrize("stage", ["resize", "statistics", "measure"])
def test_body_heights_that_are_newer_than_the_model_are_refused(objects, objects_model, stage):
    preprocess = {"outs": [{"path": "data/body_height.json", "md5": "1"}]}
    text = f"data/body_height.json is newer than what the stage {stage} read; run `dvc repro`"
    later = {"deps": [{"path": "data/body_height.json", "md5": "0"}]}
    assert locked(objects, {"preprocess": preprocess, stage: later}) == text


@pytest.mark.parametrize("text", [None, "{", '{"hall": {"far": 1}}', "[]"])
def test_missing_or_broken_body_heights_are_refused(objects, monkeypatch, text):
    monkeypatch.chdir(objects.folder)
    file = objects / "data/body_height.json"
    before = file.read_bytes()
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    try:
        with pytest.raises(UserError, match=r"data/body_height\.json: .*`dvc repro"):
            TrainedModel.load()
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize("fps", [0.0, -25.0, float("nan"), float("inf")])
def test_rates_that_are_none_are_refused(objects_model, fps):
    with pytest.raises(UserError, match="a rate above 0 is expected"):
        Session(objects_model, fps=fps)


def test_a_camera_without_calibration_is_refused_by_name(objects_model):
    calibration = objects_model.calibration
    by_camera = {**calibration.standardisation, "hall": calibration.standardisation[""]}
    per_camera = calibration.params.model_copy(update={"per_camera": True})
    model = replace(
        objects_model, calibration=replace(calibration, params=per_camera, standardisation=by_camera)
    )
    Session(model, fps=25.0, camera="hall")
    Session(model, fps=25.0)
    with pytest.raises(UserError, match=r"camera 'hal' has no calibration .*known: hall"):
        Session(model, fps=25.0, camera="hal")


def test_an_ended_session_takes_no_more_frames(objects, objects_model):
    clip = clips_of(objects)[0]
    frames = list(frames_of(objects, clip))
    session = open_session(objects, clip, objects_model)
    with pytest.raises(UserError, match="frame 0: its time is nan"):
        session.process(frames[0]._replace(seconds=float("nan")))
    for decoded in frames:
        session.process(decoded)
    assert session.finish()
    assert session.finish() == []
    with pytest.raises(RuntimeError, match="has ended"):
        session.process(frames[0])


def test_windows_that_the_autoencoder_does_not_know_are_refused_at_the_first_frame(objects, objects_model):
    clip = clips_of(objects)[0]
    resize = objects_model.resize.model_copy(update={"channels": ["flow", "gray"]})
    session = Session(replace(objects_model, resize=resize), fps=25.0)
    with pytest.raises(
        UserError, match="for the planes gray, flow_x, flow_y, these are flow_x, flow_y, gray"
    ):
        session.process(next(frames_of(objects, clip)))
    resize = objects_model.resize.model_copy(update={"height": 24})
    session = Session(replace(objects_model, resize=resize), fps=25.0)
    with pytest.raises(UserError, match=r"made for windows of 3x3x16x16 .* these are 3x3x24x16"):
        session.process(next(frames_of(objects, clip)))


def test_memory_stays_flat(objects, objects_model):
    """2,000 frames: after the first 500 the process grows by less than a tenth of what the frames take."""
    clip = next(c for c in clips_of(objects) if c.width == 64)
    frames = list(frames_of(objects, clip))
    session = open_session(objects, clip, objects_model)
    given = 0
    grown = []
    for part in (500, 1500):
        gc.collect()
        before = resident()
        for _ in range(part):
            session.process(frames[given % len(frames)]._replace(seconds=given / session.fps))
            given += 1
        gc.collect()
        grown.append(resident() - before)
    # frames of 64x48 with flow, masks and windows would take some 20 kB each
    assert grown[1] < 1500 * 2000, grown
    assert len(session.finish()) < 60


def resident() -> int:
    """Bytes of memory that the process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
