"""Filters over time, frame by frame: compared with scipy over the whole clip, and with the definition."""

import tracemalloc
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d, median_filter

from vad.scoring.filters import Filter, Gaussian, Median, filtered, radius
from vad.stream import results

RNG = np.random.default_rng(0)
few = settings(max_examples=60, deadline=None)
SIGMAS = st.sampled_from([0.2, 0.5, 1.0, 1.7, 3.0])
SHAPES = st.sampled_from([(), (2,), (2, 3)])
CHUNKS = st.lists(st.sampled_from([1, 1, 2, 5, 20, 150]), min_size=1, max_size=4)


def clip(seed: int, length: int, shape: tuple = (), dtype: str = "f8") -> np.ndarray:
    """Multiples of a quarter, some of them equal."""
    return (np.random.default_rng(seed).integers(-8, 9, (length, *shape)) / 4).astype(dtype)


def in_chunks(values: np.ndarray, by: Filter, lengths: list[int]) -> np.ndarray:
    out, at, n = [], 0, 0
    while at < len(values):
        out.append(by.extend(values[at : at + lengths[n % len(lengths)]]))
        at, n = at + lengths[n % len(lengths)], n + 1
        assert sum(map(len, out)) == max(0, min(at, len(values)) - by.lookahead)
    rest = by.rest()
    return np.concatenate([*out, rest])


@given(st.integers(1, 150), SHAPES, SIGMAS, st.sampled_from(["f4", "f8"]), CHUNKS)
@few
def test_the_centred_gaussian_is_that_of_scipy_between_the_ends(length, shape, sigma, dtype, chunks):
    values, r = clip(length, length, shape, dtype), radius(sigma)
    weights = np.exp(-0.5 * (np.arange(-r, r + 1) / sigma) ** 2)
    expected = correlate1d(values.astype(float), weights / weights.sum(), axis=0)[r : length - r]
    smoothed = in_chunks(values, Gaussian(sigma), chunks)
    assert (smoothed.dtype, smoothed.shape) == (values.dtype, values.shape)
    between = smoothed[r : length - r]
    np.testing.assert_allclose(between, expected, rtol=2e-6, atol=1e-6 if dtype == "f4" else 1e-13)


@given(st.integers(1, 150), st.integers(1, 41), SHAPES, CHUNKS)
@few
def test_the_centred_median_is_that_of_scipy_between_the_ends(length, size, shape, chunks):
    values = clip(length, length, shape)
    expected = median_filter(values, (size, *[1] * len(shape)))[size // 2 : length - size // 2]
    assert (
        in_chunks(values, Median(size), chunks)[size // 2 : length - size // 2].tolist() == expected.tolist()
    )


def existing(values: np.ndarray, t: int, before: int, ahead: int) -> list[int]:
    return [i for i in range(t - before, t + ahead + 1) if 0 <= i < len(values)]


@given(st.integers(1, 100), st.integers(2, 25), st.data(), CHUNKS)
@few
def test_a_median_is_that_of_the_frames_that_exist_times_the_root_of_their_share(length, size, data, chunks):
    ahead, values = data.draw(st.integers(0, size - size // 2 - 1)), clip(length, length)
    expected = []
    for t in range(length):
        near = sorted(values[existing(values, t, size // 2, ahead)].tolist())
        expected.append(near[len(near) // 2] * (len(near) / (size // 2 + 1 + ahead)) ** 0.5)
    np.testing.assert_allclose(in_chunks(values, Median(size, ahead), chunks), expected, atol=1e-12)


@given(st.integers(1, 100), st.sampled_from([0.5, 1.0, 1.7, 3.0]), st.data(), SHAPES, CHUNKS)
@few
def test_a_gaussian_is_the_mean_of_the_frames_that_exist_with_the_spread_of_all(
    length, sigma, data, shape, chunks
):
    r = radius(sigma)
    ahead, values = data.draw(st.integers(0, r)), clip(length, length, shape)
    weight = {d: exp(-(d**2) / (2 * sigma**2)) for d in range(-r, ahead + 1)}
    expected = []
    for t in range(length):
        near = existing(values, t, r, ahead)
        squares = [weight[i - t] ** 2 for i in near]
        share = sum(squares) / sum(w**2 for w in weight.values())
        expected.append(sum(weight[i - t] * values[i] for i in near) / sum(weight.values()) / share**0.5)
    np.testing.assert_allclose(in_chunks(values, Gaussian(sigma, ahead), chunks), expected, atol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda: Gaussian(1.7), lambda: Gaussian(1.7, 2), lambda: Median(6), lambda: Median(7, 1)]
)
def test_frame_by_frame_is_the_whole_clip(make):
    values = RNG.random((200, 3)).astype(np.float32)
    one_by_one = list(results(make(), values))
    np.testing.assert_allclose(one_by_one, filtered(values, make()), rtol=1e-5)
    by = make()
    ready = [len(by.process(value)) for value in values]
    assert ready == [0] * by.lookahead + [1] * (200 - by.lookahead)
    assert len(by.finish()) == by.lookahead


def test_a_filter_uses_no_more_frames_ahead_than_it_wants():
    assert (Median(15).lookahead, Median(14).lookahead, Gaussian(2.0).lookahead) == (7, 6, 5)
    assert (Median(15, 99).lookahead, Median(15, 3).lookahead, Gaussian(2.0, 0).lookahead) == (7, 3, 0)


@pytest.mark.parametrize("off", [Median(1), Gaussian(0.0), Gaussian(0.19)])
def test_a_filter_that_is_off_changes_nothing(off):
    values = RNG.random(9).astype(np.float32)
    assert filtered(values, off).tolist() == values.tolist()
    assert off.lookahead == 0
    out = off.extend(values)
    out[:] = 0
    assert values.all()  # results are arrays of their own


def test_a_median_keeps_an_onset_and_drops_a_flicker():
    onset = np.repeat([0.0, 1.0], 10)
    assert filtered(onset, Median(5))[:-2].tolist() == onset[:-2].tolist()
    late = filtered(onset, Median(5, 0))
    assert late.tolist() == np.repeat([0.0, 1.0], [11, 9]).tolist()  # of three frames, two must show it
    flicker = np.zeros(20)
    flicker[7:9] = 1
    assert not filtered(flicker, Median(5)).any()


@pytest.mark.parametrize("ahead", [None, 1, 0])
@pytest.mark.parametrize("make", [lambda ahead: Gaussian(2.0, ahead), lambda ahead: Median(9, ahead)])
def test_noise_has_about_the_same_spread_near_the_ends_as_in_between(make, ahead):
    noise = RNG.normal(size=(40, 20_000))
    spread = filtered(noise, make(ahead)).std(1)
    assert spread.max() < 1.03 * spread[20]
    assert spread.min() > 0.8 * spread[20]  # of a median of few, the variance falls more slowly


def test_an_outlier_at_an_end_counts_no_more_than_elsewhere():
    for outlier in (0, 1, -2, -1):
        scores = np.zeros(20)
        scores[outlier] = 1
        assert not filtered(scores, Median(5)).any()
    first = filtered(np.r_[1.0, np.zeros(9)], Median(5, 0))
    # alone, it is the median; then it is outvoted as soon as there are others
    np.testing.assert_allclose(first, [(1 / 3) ** 0.5, (2 / 3) ** 0.5, *[0] * 8])


def test_memory_does_not_grow_with_the_clip():
    def peak(frames: int) -> int:
        by, values = Gaussian(2.0), np.zeros((7, 100))
        tracemalloc.start()
        for _ in range(frames // 7):
            by.extend(values)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(200)
    assert peak(7000) < peak(700) + 10_000  # 7000 frames are 5.6 MB
