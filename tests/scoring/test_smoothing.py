"""Smoothing over time, compared with scipy, or with the definition frame by frame."""

from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from vad.scoring.params import SmoothParams
from vad.scoring.smoothing import gaussian, history, radius, smooth

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
SIGMAS = st.sampled_from([0.2, 0.5, 1.0, 1.7, 3.0])
scores = st.lists(st.integers(-8, 8).map(lambda n: n / 4), min_size=1, max_size=30).map(np.array)


def params(median=1, sigma=0.0, causal=False) -> SmoothParams:
    return SmoothParams(median=median, gaussian=float(sigma), causal=causal)


def values_at(values: np.ndarray, frames: range, causal: bool) -> list[float]:
    """Values of frames, also beyond the clip's ends, from its mirror image or absent."""
    there_and_back = [*range(len(values)), *reversed(range(len(values)))]
    if causal:
        return [values[t] for t in frames if t >= 0]
    return [values[there_and_back[t % len(there_and_back)]] for t in frames]


def slow_gaussian(values: np.ndarray, sigma: float, causal: bool) -> list[float]:
    reach = radius(sigma)
    steps = range(-reach, 1 if causal else reach + 1)
    weights = [exp(-(d**2) / (2 * sigma**2)) for d in steps]
    out = []
    for t in range(len(values)):
        near = values_at(values, range(t + steps[0], t + steps[-1] + 1), causal)
        out.append(np.dot(weights[-len(near) :], near) / sum(weights[-len(near) :]))
    return out


def slow_median(values: np.ndarray, size: int, causal: bool) -> list[float]:
    """The middle of `size` sorted values, the higher of two; an even window extends further back."""
    first = 1 - size if causal else -(size // 2)
    windows = (values_at(values, range(t + first, t + first + size), causal) for t in range(len(values)))
    return [sorted(window)[len(window) // 2] for window in windows]


@given(st.integers(1, 40), st.sampled_from([(), (2, 3)]), SIGMAS, st.sampled_from(["f4", "f8"]))
@few
def test_the_centred_gaussian_is_that_of_scipy(length, more, sigma, dtype):
    values = np.random.default_rng(length).random((length, *more)).astype(dtype)
    smoothed = gaussian(values, sigma, causal=False)
    assert smoothed.dtype == values.dtype
    np.testing.assert_allclose(smoothed, gaussian_filter1d(values, sigma, axis=0), rtol=2e-6)


@given(scores, SIGMAS, st.booleans())
@few
def test_gaussians_are_those_of_the_definition(values, sigma, causal):
    np.testing.assert_allclose(
        gaussian(values, sigma, causal), slow_gaussian(values, sigma, causal), atol=1e-12
    )


@given(scores, st.integers(2, 40), st.booleans())
@few
def test_medians_of_odd_and_even_length_follow_the_definition(values, size, causal):
    """Also where the window is longer than the clip."""
    assert smooth(values, params(size), causal).tolist() == slow_median(values, size, causal)


@given(scores, st.integers(1, 6), st.sampled_from([0.0, 0.5, 1.5]), st.booleans())
@few
def test_the_median_comes_before_the_gaussian(values, size, sigma, causal):
    expected = np.array(slow_median(values, size, causal))
    if sigma:
        expected = np.array(slow_gaussian(expected, sigma, causal))
    np.testing.assert_allclose(smooth(values, params(size, sigma), causal), expected, atol=1e-12)


@given(scores, scores, st.integers(1, 6), st.sampled_from([0.0, 0.5, 1.5]))
@few
def test_a_causal_score_does_not_depend_on_later_frames(values, later, size, sigma):
    chosen = params(size, sigma)
    alone = smooth(values, chosen, causal=True)
    np.testing.assert_allclose(smooth(np.r_[values, later], chosen, causal=True)[: len(values)], alone)


@pytest.mark.parametrize(("median", "sigma"), [(1, 0), (1, 2), (1, 0.4), (4, 0), (5, 0), (3, 1)])
def test_a_causal_score_depends_on_its_history_alone(median, sigma):
    """It does depend on the first frame of its history: with a gaussian always, with a median sometimes."""
    chosen = params(median, sigma)
    back = history(chosen)
    scores = np.zeros(2 * back + 10)
    scores[: -back - 1] = RNG.random(len(scores) - back - 1)
    assert smooth(scores, chosen, causal=True)[-1] == 0
    if median == 1:
        scores[-back - 1] = 1
        assert smooth(scores, chosen, causal=True)[-1] > 0


@pytest.mark.parametrize("causal", [False, True])
def test_smoothing_that_is_off_changes_nothing(causal):
    values = RNG.random(9).astype(np.float32)
    smoothed = smooth(values, params(), causal)
    assert smoothed.dtype == np.float64
    assert smoothed.tolist() == values.astype(float).tolist()
    assert gaussian(values, 0.0, causal) is values
    assert gaussian(values, 0.1, causal) is values  # reaches no neighbour
    assert radius(0.1) == 0


def test_a_median_keeps_an_onset_and_drops_a_flicker():
    onset = np.repeat([0.0, 1.0], 10)
    assert smooth(onset, params(5), causal=False).tolist() == onset.tolist()
    late = smooth(onset, params(5), causal=True)
    assert late.tolist() == np.repeat([0.0, 1.0], [12, 8]).tolist()  # two frames behind
    flicker = np.zeros(20)
    flicker[7:9] = 1
    for causal in (False, True):
        assert not smooth(flicker, params(5), causal).any()


def test_centred_filters_mirror_the_clip_at_its_ends():
    """So a constant clip stays constant, and an outlier at an end counts no more than elsewhere."""
    even = np.full(6, 3.0)
    for causal in (False, True):
        np.testing.assert_allclose(smooth(even, params(4, 2), causal), even)
    for outlier in (0, 1, -2, -1):
        scores = np.zeros(20)
        scores[outlier] = 1
        assert not smooth(scores, params(5), causal=False).any()
    first = smooth(np.r_[1.0, np.zeros(9)], params(5), causal=True)
    assert first.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]  # outvoted as soon as there are others
