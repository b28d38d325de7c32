"""Norms: tail probabilities compared with counting, and with distributions that are known."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import genpareto

from vad.scoring.norms import KNOTS, TAIL, Line, TailProbability, fit_norm

RNG = np.random.default_rng(0)
VALUES = st.lists(st.floats(0, 1e4, width=32), min_size=2, max_size=200).map(np.array)


def fitted(values: np.ndarray) -> TailProbability:
    norm = fit_norm(np.asarray(values, float), "tail")
    assert isinstance(norm, TailProbability)
    return norm


def test_up_to_the_tail_a_level_is_that_of_the_share_of_normal_errors_above():
    values = RNG.gamma(2, 3, 3000)
    errors = np.linspace(np.median(values), np.quantile(values, 1 - TAIL), 400)
    counted = np.array([(values > error).mean() for error in errors])
    # a straight line between quantiles that are at most 5 % of the errors apart
    np.testing.assert_allclose(fitted(values).levels(errors), -np.log10(2 * counted), atol=0.02)


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_beyond_what_was_seen_a_level_is_that_of_the_distribution(shape):
    """The distribution is known: a generalised Pareto distribution has one as its tail."""
    norm = fitted(genpareto.rvs(shape, scale=2.0, size=50_000, random_state=0))
    shares = np.array([0.5, 0.2, 0.05, 1e-2, 1e-4, 1e-7])
    levels = norm.levels(genpareto.isf(shares, shape, scale=2.0))
    np.testing.assert_allclose(levels, -np.log10(2 * shares), rtol=0.1, atol=0.01)


def test_the_median_has_level_0_and_the_95th_percentile_1():
    values = np.random.default_rng(1).gamma(2, 1, 4000)
    low, middle, high = np.quantile(values, (0.2, 0.5, 0.95))
    np.testing.assert_allclose(fitted(values).levels(np.array([middle, high])), [0, 1], atol=0.02)
    # below the median as with quantiles
    line = fit_norm(values, "quantile")
    assert line == Line(middle, pytest.approx(high - middle))
    assert fitted(values).levels(np.array([low])) == pytest.approx(line.levels(low))


@given(VALUES, VALUES)
@settings(max_examples=200, deadline=None)
def test_levels_increase_strictly_and_without_bound(values, errors):
    norm = fit_norm(values, "tail")
    if norm is None:
        assert np.quantile(values, 0.5) == np.quantile(values, 0.95)
        return
    grid = np.unique([*errors, *values, *np.linspace(values.min(), 2 * values.max(), 50)])
    # differences within the precision of numbers
    grid = grid[np.r_[True, np.diff(grid) > 1e-6 * grid[-1]]]
    levels = norm.levels(grid)
    assert np.isfinite(levels).all()
    assert (np.diff(levels) > 0).all()
    assert norm.levels(np.array([1e30]))[0] > 20
    assert norm.levels(np.array([norm.centre]))[0] == 0


def test_where_many_errors_are_equal_the_level_rises_behind_them():
    """Also at the 90th percentile; the tail begins there."""
    values = np.r_[np.zeros(26), np.ones(70), 2 + RNG.random(4)]
    norm = fit_norm(values, "tail")
    assert norm is None  # the 95th percentile is the median
    norm = fitted(np.r_[np.zeros(45), np.ones(47), 2 + RNG.random(8)])
    assert (norm.centre, norm.errors, norm.shares) == (1.0, (1.0,), (0.5,))
    assert norm.levels(np.array([0.9, 1.0, 1.1]))[1] == 0
    # nothing is above the 90th percentile
    top = fitted(np.r_[np.zeros(60), np.ones(40)])
    levels = top.levels(np.array([0.0, 1.0, 2.0]))
    assert levels[2] - levels[1] == pytest.approx(1)


def test_a_norm_is_compact_and_a_picture_of_cells_takes_a_fraction_of_a_millisecond():
    norm = fitted(RNG.gamma(2, 1, 100_000))
    assert len(norm.errors) == len(norm.shares) == KNOTS
    cells = RNG.gamma(2, 1, (4, 30, 45)).astype(np.float32)
    took = []
    for _ in range(20):
        start = time.perf_counter()
        norm.levels(cells)
        took.append(time.perf_counter() - start)
    assert min(took) < 1e-3  # measured 0.15 ms for four branches
