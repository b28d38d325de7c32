"""Filters in seconds: their shares in `calibrate.lookahead`, and the same scores at any rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scoring.errors import params
from vad.scoring.filters import filtered
from vad.scoring.params import CalibrateParams
from vad.scoring.smoothing import Smoothing


def wanted(
    sigma: float = 0.2,
    median: float = 1.4,
    gaussian: float = 0.2,
    lookahead: float | None = None,
    fps: float = 10.0,
) -> Smoothing:
    smooth = {"median": median, "gaussian": gaussian}
    return Smoothing.of(params(error_sigma=sigma, smooth=smooth, lookahead=lookahead), fps)


def shares(smoothing: Smoothing) -> tuple[int, int, int]:
    return smoothing.errors_ahead, smoothing.median_ahead, smoothing.gaussian_ahead


@pytest.mark.parametrize(
    ("lookahead", "expected"),
    [
        (None, (5, 7, 5)),
        (100.0, (5, 7, 5)),
        (1.7, (5, 7, 5)),
        (1.6, (5, 7, 4)),
        (1.2, (3, 7, 2)),
        (0.8, (1, 7, 0)),
        (0.7, (0, 7, 0)),
        (0.3, (0, 3, 0)),
        (0.0, (0, 0, 0)),
    ],
)
def test_shares_by_hand(lookahead, expected):
    assert shares(wanted(lookahead=lookahead)) == expected


@given(
    st.integers(0, 60), st.sampled_from([0.0, 0.1, 0.4]), st.integers(0, 20), st.sampled_from([0.0, 0.1, 0.3])
)
def test_shares_are_dealt_frame_by_frame(lookahead, sigma, side, gaussian):
    most = shares(wanted(sigma, side / 5, gaussian))
    left, hands = lookahead, [0, 0, 0]
    for filter_ in [1] * side + [0, 2] * 60:
        if left and hands[filter_] < most[filter_]:
            hands[filter_], left = hands[filter_] + 1, left - 1
    assert shares(wanted(sigma, side / 5, gaussian, lookahead / 10)) == tuple(hands)


@pytest.mark.parametrize(
    ("fps", "median", "gaussian", "frames_ahead"),
    [
        (9.0, 11, 1.8, 4 + 5 + 4),
        (10.0, 13, 2.0, 5 + 6 + 5),
        (12.5, 15, 2.5, 6 + 7 + 6),  # 7.5 and 6.25
        (25.0, 31, 5.0, 12 + 15 + 12),  # 12.5
        (30.0, 37, 6.0, 15 + 18 + 15),
        (30000 / 1001, 37, 6.0, 15 + 18 + 15),
        (24.98, 31, 5.0, 12 + 15 + 12),  # as a file's rate is measured
        (1.0, 3, 0.2, 1),
    ],
)
def test_the_default_filters_at_common_rates(fps, median, gaussian, frames_ahead):
    """The median has an odd number of frames; errors of a measured rate do not change it."""
    smoothing = Smoothing.of(CalibrateParams(), fps)
    assert smoothing.median == median
    assert smoothing.gaussian == smoothing.error_sigma == pytest.approx(gaussian, abs=0.01)
    assert smoothing.lookahead == frames_ahead


@given(
    st.integers(0, 999),
    st.sampled_from([9.0, 10.0, 12.5, 15.0]),
    st.sampled_from([None, 0.8, 0.0]),
    st.integers(30, 90),
)
def test_at_twice_the_rate_repeated_frames_have_nearly_the_same_scores(seed, fps, lookahead, frames):
    """Scores of a random walk, and of an onset: a repeated frame is half an interval off its place."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(size=frames)) + 5.0 * (np.arange(frames) >= frames // 2)
    smooth = {"median": 1.2, "gaussian": 0.2}

    def smoothed(values: np.ndarray, rate: float) -> np.ndarray:
        chosen = params(smooth=smooth, lookahead=lookahead)
        return filtered(values, *Smoothing.of(chosen, rate).of_scores())

    once = smoothed(walk, fps)
    twice = smoothed(np.repeat(walk, 2), 2 * fps).reshape(-1, 2).mean(1)
    step = np.abs(np.diff(walk)).max()
    # the median passes an onset up to a frame earlier or later, as it has an odd number of frames
    assert np.abs(once - twice).mean() < 0.25 * step
    assert np.abs(once - twice).max() < 1.5 * step
