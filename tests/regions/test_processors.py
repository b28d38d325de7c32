"""The processors of all modes: what they give frame by frame, when, and with which options."""

import hashlib
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.detection.frames import FPS, items
from tests.detection.test_detector import export, raw
from tests.regions.clips import run
from vad import UserError
from vad.detection.foreground_params import ForegroundParams
from vad.regions import REGION_MODES, RegionMode
from vad.store.arrays import open_array
from vad.store.bitmasks import open_masks
from vad.store.cards import read_card
from vad.store.tables import read_table
from vad.stream import Frame, Regions, results

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH, LENGTH, HISTORY = 64, 96, 41, 15
MEDIAN = {"method": "median"}
# name -> mode, changes of its parameters, changes of `foreground`
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "none": ("none", {}, {}),
    "silhouette": ("silhouette", {}, {}),
    "silhouette of knn": ("silhouette", {"output": "frame+mask"}, {"method": "knn"}),
    "silhouette of median": ("silhouette", {}, MEDIAN),
    "foreground": ("person_crop", {}, {}),
    "foreground of median": ("person_crop", {}, MEDIAN),
    "difference": ("person_crop", {"motion": {"source": "difference"}}, {}),
    "flow": ("person_crop", {"motion": {"source": "flow"}}, {}),
    "detector": ("person_crop", {"detectors": ["onnx"]}, {}),
    "detector, every_n 3": ("person_crop", {"detectors": ["onnx"], "onnx": {"every_n": 3}}, {}),
    "both": ("person_crop", {"detectors": ["motion", "onnx"], "onnx": {"every_n": 2, "batch_size": 3}}, {}),
    "both, median": ("person_crop", {"detectors": ["motion", "onnx"], "onnx": {"every_n": 4}}, MEDIAN),
}
LIVE = [name for name in CASES if "median" not in name]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A detector whose boxes depend on what frames show."""
    return export(tmp_path_factory.mktemp("weights") / "tiny.onnx", raw())


@pytest.fixture
def mode(request, weights, tmp_path) -> RegionMode:
    """The mode of the case that the test is run with, prepared."""
    name, changes, foreground = CASES[request.param]
    mode_class = REGION_MODES.get(name)
    section = mode_class.Params(**changes).model_dump()
    if "onnx" in section.get("detectors", []):
        sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        section["onnx"] |= {"weights": str(weights), "sha256": sha256, "layout": "yolox"}
    background = ForegroundParams(history=HISTORY / FPS, initial_frames=8, **foreground)
    made = mode_class(mode_class.Params(**section), background)
    made.prepare(tmp_path / "cache")
    return made


def modes(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mode", names, indirect=True)


def film(length: int = LENGTH) -> np.ndarray:
    """Two striped things cross a plain frame."""
    stripes = np.tile([200, 200, 30, 30], 3)
    frames = np.full((length, HEIGHT, WIDTH), 90, np.uint8)
    for t in range(length):
        for x in (2 * t, WIDTH - 12 - 2 * t):
            if 0 <= x <= WIDTH - 12:
                frames[t, 10 + x // 4 : 40 + x // 4, x : x + 12] = stripes
    return frames


def moved(frames: np.ndarray) -> np.ndarray:
    """Flow in place of a real one: where something differs from the ground, it moves by 30 counts."""
    counts = np.zeros((*frames.shape, 2), np.int8)
    counts[frames != 90, 0] = 30
    return counts


def pairs(frames: np.ndarray) -> Iterator[tuple[Frame, np.ndarray]]:
    return zip(items(frames), moved(frames), strict=True)


def processor(mode: RegionMode, **options: Any):
    return mode.processor(HEIGHT, WIDTH, FPS, flow_scale=0.1, **options)


def plain(regions: Regions) -> dict[str, Any]:
    """Comparable by ==."""
    values = {item.name: getattr(regions, item.name) for item in fields(regions)}
    return {
        name: (value.dtype, value.tolist()) if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


def whole(mode: RegionMode, frames: np.ndarray) -> list[dict[str, Any]]:
    return [plain(regions) for regions in results(processor(mode), pairs(frames))]


@modes(*CASES)
def test_each_frame_has_regions_of_the_declared_types(mode):
    made = processor(mode)
    kept = list(results(made, pairs(film())))
    assert len(kept) == LENGTH
    assert sum(len(regions) for regions in kept) > LENGTH / 4
    for regions in kept:
        n = len(regions)
        assert (regions.boxes.dtype, regions.boxes.shape) == (np.int32, (n, 4))
        assert (regions.tracks.dtype, regions.tracks.shape) == (np.int32, (n,))
        assert (regions.confidence.dtype, regions.confidence.shape) == (np.float32, (n,))
        assert set(regions.sources) <= {"frame", "motion", "detector"}
        if made.classes:
            assert regions.class_scores.dtype == np.float16
            assert regions.class_scores.shape == (n, len(made.classes))
        else:
            assert regions.class_scores is None
        shown = set(mode.picture) != {"frame"}
        assert (regions.foreground is not None) == shown
        if shown:
            assert (regions.foreground.dtype, regions.foreground.shape) == (bool, (HEIGHT, WIDTH))


@modes(*CASES)
def test_results_come_with_the_stated_lookahead_and_depend_on_nothing_later(mode):
    want, made, got = whole(mode, film()), processor(mode), []
    for t, item in enumerate(pairs(film())):
        got += [plain(regions) for regions in made.process(item)]
        # with the source `difference`, frame 0 alone waits for frame 1
        if t + 1 >= max(mode.warm_up(FPS), 2):
            assert len(got) >= t + 1 - made.lookahead
        assert got == want[: len(got)]
    # the stream ends here; one that goes on gives the same
    longer, after = processor(mode), []
    for item in pairs(film(LENGTH + 8)):
        after += [plain(regions) for regions in longer.process(item)]
    assert after[: len(got)] == got
    assert got + [plain(regions) for regions in made.finish()] == want


@pytest.mark.parametrize(
    ("mode", "lookahead", "warm_up"),
    [
        ("none", 0, 0),
        ("silhouette", 0, HISTORY),
        ("silhouette of median", HISTORY - 1, HISTORY),
        ("foreground", 0, HISTORY),
        ("difference", 0, 0),
        ("flow", 0, 0),
        ("detector", 0, 0),
        ("detector, every_n 3", 2, 0),
        ("both", 1, HISTORY),
        ("both, median", HISTORY + 2, HISTORY),  # every_n is 4: the detector waits for masks,
    ],
    indirect=["mode"],
)
def test_lookahead_and_warm_up(mode, lookahead, warm_up, tmp_path):
    assert processor(mode).lookahead == mode.lookahead(FPS) == lookahead
    assert mode.warm_up(FPS) == warm_up
    if not mode.reads_flow:
        card = read_card(run(mode, tmp_path, film(3)))
        assert (card["lookahead"], card["warm_up"]) == (lookahead, warm_up)


@modes(*CASES)
@pytest.mark.parametrize(
    "options", [{"concurrent": True}, {"batches": True}, {"concurrent": True, "threads": 2}]
)
def test_options_change_when_results_come_but_not_the_results(mode, options):
    """Frames come as fast as they are taken, so the thread is always behind."""
    for length in (1, HISTORY - 1, LENGTH):
        got = [plain(regions) for regions in results(processor(mode, **options), pairs(film(length)))]
        assert got == whole(mode, film(length))


@modes(*CASES)
def test_two_cameras_at_once_do_not_influence_each_other(mode):
    first, second = processor(mode), mode.processor(HEIGHT, WIDTH // 2, FPS, flow_scale=0.1)
    half, got = film()[::-1, :, : WIDTH // 2], []
    for item, other in zip(pairs(film()), pairs(half), strict=True):
        got += [plain(regions) for regions in first.process(item)]
        second.process(other)
    assert got + [plain(regions) for regions in first.finish()] == whole(mode, film())


@modes("silhouette", "foreground of median", "both")
def test_memory_does_not_grow_with_the_stream(mode):
    """Of frames in new arrays, as a camera gives them."""
    peaks, frames = [], film()
    for length in (100, 400):
        stream = (Frame(t, t / 10, frames[t % LENGTH].copy()) for t in range(length))
        tracemalloc.start()
        for _ in results(processor(mode), ((frame, None) for frame in stream)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 30 * HEIGHT * WIDTH  # bytes of 30 of 300 more frames


@modes(*LIVE)
@pytest.mark.parametrize("concurrent", [False, True])
def test_a_skipped_warm_up_does_not_wait_and_has_no_motion(mode, concurrent):
    made, got = processor(mode, skip_warm_up=True, concurrent=concurrent), []
    for t, item in enumerate(pairs(film())):
        ready = made.process(item)
        got += ready
        if not concurrent and t:
            assert len(got) >= t + 1 - made.lookahead
            assert len(ready) <= 1 + made.lookahead + (t == 1)
    got += made.finish()
    assert len(got) == LENGTH
    for regions in got[: mode.warm_up(FPS)]:
        assert not regions.moving_share
        assert "motion" not in regions.sources
        assert regions.foreground is None or not regions.foreground.any()
    if made.classes:
        detected = [sum(regions.sources == "detector") for regions in got]
        want = [regions["sources"][1].count("detector") for regions in whole(mode, film())]
        assert detected == want, "the detector needs no warm-up"
        assert sum(detected[: mode.warm_up(FPS)]) or not mode.warm_up(FPS)
    if mode.foreground:
        assert any(regions.moving_share for regions in got[mode.warm_up(FPS) :])
    else:
        assert [plain(regions) for regions in got] == whole(mode, film())


@modes(*CASES)
def test_a_median_is_refused_for_live_use_by_name(mode):
    if mode.foreground and mode.foreground.method == "median":
        with pytest.raises(
            UserError, match=r"^preprocess\.foreground\.method: median .*1\.5 seconds ahead.* mog2"
        ):
            mode.refuse_live()
        with pytest.raises(UserError, match=r"^preprocess\.foreground\.method: median"):
            processor(mode, skip_warm_up=True)
    else:
        mode.refuse_live()


@modes("silhouette", "foreground", "difference", "detector, every_n 3", "both")
def test_the_stage_writes_what_the_processor_gives(mode, tmp_path):
    made = processor(mode, batches=True)
    want = list(results(made, pairs(film())))
    stem = run(mode, tmp_path, film())
    table, card = read_table(stem), read_card(stem)
    boxes = table[["x0", "y0", "x1", "y1"]].to_numpy()
    for t, regions in enumerate(want):
        rows = (table["frame"] == t).to_numpy()
        assert boxes[rows].tolist() == regions.boxes.tolist()
        assert table["track"][rows].tolist() == regions.tracks.tolist()
        assert table["source"][rows].tolist() == regions.sources.tolist()
        assert table["confidence"][rows].tolist() == regions.confidence.tolist()
        if regions.foreground is not None:
            assert np.array_equal(open_masks(Path(f"{stem}.silhouette"))[t], regions.foreground)
        if made.classes:
            scores, about = open_array(Path(f"{stem}.classes"))
            assert np.array_equal(scores[rows], regions.class_scores)
            assert about["classes"] == list(made.classes)
    moving = [regions.moving_share for regions in want]
    if moving[0] is None:
        assert "foreground" not in card
    else:
        assert card["foreground"] == pytest.approx(np.mean(moving), abs=5e-7)


def test_processors_import_nothing_that_a_deployed_model_lacks():
    detection = [path.stem for path in (ROOT / "vad/detection").glob("*.py") if path.stem != "__init__"]
    modules = [f"vad.regions.{name}" for name in REGION_MODES.names()]
    modules += [f"vad.detection.{name}" for name in detection]
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(modules) <= set(loaded)
    assert not {"pandas", "pyarrow", "scipy", "sklearn", "supervision", "trackers", "torch"} & set(loaded)
