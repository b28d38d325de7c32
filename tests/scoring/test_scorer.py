"""The scorer, frame by frame: compared with the parts it is made of, applied to the whole clip."""

import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.boxes import FPS, boxed_clip, boxed_clips
from tests.scoring.errors import params
from vad import UserError
from vad.scoring.calibration import Calibration
from vad.scoring.events import Events
from vad.scoring.filters import filtered
from vad.scoring.gains import Gains
from vad.scoring.norms import Line, fit_norm
from vad.scoring.params import CalibrateParams
from vad.scoring.pooling import frame_errors
from vad.scoring.scorer import LEARNED, Scorer
from vad.stream import results

RNG = np.random.default_rng(0)
CAMERAS = {
    camera: {branch: Line(0.3, spread) for branch in ("look", "move", "speed")}
    for camera, spread in (("", 0.5), ("b", 0.2))
}
CHOSEN = st.builds(
    lambda median, gaussian, **more: params(smooth={"median": median, "gaussian": gaussian}, **more),
    median=st.sampled_from([0.0, 0.2, 0.4]),
    gaussian=st.sampled_from([0.0, 0.03, 0.08]),
    aggregate=st.sampled_from(["region", "cell", "track"]),
    error_sigma=st.sampled_from([0.0, 0.03, 0.1]),
    pool=st.sampled_from(["max", "mean_top"]),
    top_k=st.just(2),
    fuse=st.sampled_from(["sum", "max"]),
    branches=st.sampled_from(["all", ["speed", "move"], ["look"]]),
    lookahead=st.sampled_from([None, 0.0, 0.1, 0.3, 0.5]),
)


def calibration_of(
    chosen: CalibrateParams, gains: dict | None = None, border: dict | None = None
) -> Calibration:
    calibration = Calibration(chosen, CAMERAS, CAMERAS[""], gains or {}, 0.4, 0.5, 1, 1.0, 0.0, 0, 0.0)
    return replace(calibration, border_gains=border or {})


@given(
    boxed_clips(),
    CHOSEN,
    st.sampled_from([{}, {"move": [[0.5, 2.0]]}]),
    st.sampled_from([{}, {"look": 1.3, "move": 2.7}]),
    st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_scores_frame_by_frame_are_those_of_the_whole_clip(clip, chosen, gains, border, chunk):
    calibration = calibration_of(chosen, gains, border)
    arrays = {branch: np.float32(gain) for branch, gain in gains.items()}
    errors = frame_errors(clip, clip.branches, chosen, Gains(arrays, border))

    def smoothed(branches: list[str]) -> np.ndarray:
        return filtered(calibration.fuse(errors, "b", branches), *calibration.smoothing(FPS).of_scores())

    whole = smoothed(calibration.branches)
    cells = np.concatenate([maps for _, maps in calibration.cell_scores(clip)])
    learned = [branch for branch in calibration.branches if branch != "speed"]
    for n in (1, chunk):
        scorer = Scorer(
            calibration, clip.size, clip.cell, FPS, "b", learned=["look", "move"], cells=True, chunk=n
        )
        frames = list(results(scorer, clip.each_frame()))
        assert [frame.index for frame in frames] == list(range(clip.frames))
        np.testing.assert_allclose([frame.score for frame in frames], whole, rtol=1e-6, atol=1e-7)
        assert [frame.alarmed for frame in frames] == [frame.score > 0.4 for frame in frames]
        unsmoothed = calibration.fuse(errors, "b")
        np.testing.assert_allclose([frame.unsmoothed for frame in frames], unsmoothed, rtol=1e-6, atol=1e-7)
        alone = {branch: smoothed([branch]) for branch in clip.branches}
        if 1 < len(learned) < len(calibration.branches):
            alone[LEARNED] = smoothed(learned)
        for frame, item, maps in zip(frames, clip.each_frame(), cells, strict=True):
            t = frame.index
            assert frame.branches == pytest.approx({b: v[t] for b, v in alone.items()}, rel=1e-6, abs=1e-7)
            assert frame.errors == pytest.approx({b: v[t] for b, v in errors.items()}, rel=1e-6)
            assert (frame.source, frame.regions.boxes.tolist()) == (item.source, item.regions.boxes.tolist())
            expected = calibration.region_scores(item, clip.size, "b")
            assert frame.region_scores.tolist() == expected.tolist()
            np.testing.assert_allclose(frame.cells, maps, rtol=1e-5, atol=1e-6)


@given(boxed_clips(), CHOSEN)
@settings(max_examples=30, deadline=None)
def test_a_score_comes_when_the_frames_ahead_have_come_and_depends_on_no_others(clip, chosen):
    calibration = calibration_of(chosen)
    scorer = Scorer(calibration, clip.size, clip.cell, FPS)
    items = list(clip.each_frame())
    ready = []
    for t, item in enumerate(items):
        ready += scorer.process(item)
        # without cells, nothing waits for the gaussian along cells
        assert len(ready) >= max(0, t + 1 - scorer.lookahead)
    assert scorer.lookahead == calibration.smoothing(FPS).lookahead
    if chosen.lookahead is not None:
        assert scorer.lookahead <= round(FPS * chosen.lookahead)
    whole = ready + scorer.finish()
    assert len(whole) == len(items)
    assert ready == whole[: len(ready)]


def test_a_stream_without_frames_has_no_scores():
    assert Scorer(calibration_of(params()), (12, 16), 4, FPS).finish() == []


def test_errors_that_lack_a_fused_branch_are_refused():
    clip = boxed_clip([(0, 0, 0, 0, 4, 4, 1.0, 1.0)], 1)
    with pytest.raises(UserError, match=r"errors lack the branches speed; there are look, move"):
        list(results(Scorer(calibration_of(params()), clip.size, clip.cell, FPS), clip.each_frame()))


def test_cells_are_scored_only_if_they_are_asked_for():
    clip = boxed_clip([(0, 0, 0, 0, 4, 4, 1.0, 1.0)], 1, maps={"speed": np.ones((1, 3, 4), np.float16)})
    (frame,) = results(Scorer(calibration_of(params()), clip.size, clip.cell, FPS), clip.each_frame())
    assert frame.cells is None


def test_scores_and_events_need_neither_pandas_nor_scipy():
    code = (
        "import sys, vad.scoring.calibration, vad.scoring.scorer, vad.scoring.events; "
        "print(sorted({'pandas', 'scipy', 'pyarrow', 'sklearn', 'torch'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("aggregate", ["cell", "track"])
def test_memory_does_not_grow_with_the_stream(aggregate):
    rows = [(0, n, n, 0, n + 8, 8, 1.0, 1.0) for n in range(8)]
    maps = {"speed": np.ones((1, 30, 40), np.float16)}
    (item,) = boxed_clip(rows, 1, size=(120, 160), cell=4, maps=maps).each_frame()
    chosen = CalibrateParams(aggregate=aggregate)

    def peak(frames: int) -> int:
        scorer = Scorer(calibration_of(chosen), (120, 160), 4, 25.0, cells=True)
        tracemalloc.start()
        for t in range(frames):
            scorer.process(replace(item, index=t, source=t))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(50)
    assert peak(2000) < peak(200) + 100_000  # 2000 maps are 5 MB


def test_a_frame_takes_a_fraction_of_a_frame_interval():
    """360x240 pixels, three branches, ten regions, tail probabilities: measured 0.4 ms."""
    frames, names = 150, ("look", "move", "speed")
    rows = []
    for t in range(frames):
        for n in range(10):
            x, y = 30 * n + t % 30, 15 * n
            rows.append((t, n, x, y, x + 30, y + 60, *RNG.random(2)))
    maps = {"speed": RNG.random((frames, 30, 45)).astype(np.float16)}
    clip = boxed_clip(rows, frames, size=(240, 360), cell=8, maps=maps)
    chosen = CalibrateParams(branches=list(names))
    norms = {name: fit_norm(RNG.random(500), "tail") for name in names}
    calibration = calibration_of(chosen, border={"look": 2.0, "move": 1.5})
    calibration = replace(calibration, standardisation={"": norms}, cell_standardisation=norms)
    scorer = Scorer(calibration, clip.size, clip.cell, 25.0, cells=True)
    events = Events(0.4, 25.0, chosen.events, names)
    items = list(clip.each_frame())
    start = time.perf_counter()
    for frame in results(scorer, items):
        events.process(frame)
    assert (time.perf_counter() - start) / frames < 0.01
