"""Live: causal scores frame by frame."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.errors import clip_errors, params
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.params import CalibrateParams
from vad.scoring.streaming import Live


@st.composite
def cases(draw: st.DrawFn) -> tuple[ClipErrors, CalibrateParams, dict]:
    """A clip of boxes of some tracks, how to score it, and gains; with maps or without."""
    frames, rng = draw(st.integers(8, 16)), np.random.default_rng(draw(st.integers(0, 9999)))
    at = np.sort(rng.integers(0, frames, draw(st.integers(0, 2 * frames))))
    x, y = rng.integers(0, 7, len(at)), rng.integers(0, 5, len(at))
    maps = {"speed": rng.random((frames, 3, 4))} if draw(st.booleans()) else {}
    clip = clip_errors(rng.random(len(at)), frames, at, camera="b", move=rng.random(len(at)), **maps)
    boxes = {"track": rng.integers(-1, 3, len(at)), "x0": x, "y0": y, "x1": x + 2, "y1": y + 2}
    chosen = params(
        aggregate=draw(st.sampled_from(["region", "cell", "track"])),
        error_sigma=draw(st.sampled_from([0.0, 0.3, 1.0])),
        pool=draw(st.sampled_from(["max", "mean_top"])),
        top_k=2,
        fuse=draw(st.sampled_from(["sum", "max"])),
        smooth={"median": draw(st.integers(1, 4)), "gaussian": draw(st.sampled_from([0.0, 0.3, 0.8]))},
    )
    gains = {"move": [[0.5, 2.0]]} if draw(st.booleans()) else {}
    return replace(clip, table=clip.table.assign(**boxes)), chosen, gains


@given(cases())
@settings(max_examples=40, deadline=None)
def test_live_scores_are_the_causal_scores_of_the_whole_clip(case):
    clip, chosen, gains = case
    cameras = {
        camera: {branch: {"centre": 0.3, "spread": spread} for branch in clip.branches}
        for camera, spread in (("", 0.5), ("b", 0.2))
    }
    calibration = Calibration(chosen, cameras, cameras, {}, gains, 0.0, 0.0, 0.0, 1, 1.0)
    expected = calibration.frame_scores(clip, causal=True)
    live = Live(calibration, clip.size, clip.cell, camera="b")
    for t in range(clip.frames):
        table = clip.table[clip.table["frame"] == t].drop(columns="frame")
        score = live.add(table, {name: maps[t] for name, maps in clip.maps.items()})
        assert score == pytest.approx(expected[t], abs=1e-5)
