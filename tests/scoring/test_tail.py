"""Tails: compared with scipy and with distributions that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import genpareto

from vad.scoring.tail import Tail, fit_tail

EXCESSES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60).map(np.array)


@pytest.mark.parametrize("shape", [0.0, 0.2, 0.4])
def test_the_tail_of_many_excesses_is_that_which_they_come_from(shape):
    tail = fit_tail(genpareto.rvs(shape, scale=3.0, size=20_000, random_state=1))
    assert tail.shape == pytest.approx(shape, abs=0.05)
    assert tail.scale == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_about_as_likely_as_the_most_likely_tail(seed):
    excesses = genpareto.rvs(0.25, scale=2.0, size=200, random_state=seed)
    tail = fit_tail(excesses)
    shapes, scales = np.meshgrid(np.linspace(0, 0.5, 51), np.linspace(1, 4, 61))
    likelihood = genpareto.logpdf(excesses[:, None, None], shapes, scale=scales).sum(0)
    # a likelihood ratio that chance exceeds half of the time is 1.4, of which this is half
    assert genpareto.logpdf(excesses, tail.shape, scale=tail.scale).sum() > likelihood.max() - 0.7


def test_no_tail_ends_or_is_heavier_than_one_with_a_variance():
    ends = fit_tail(np.random.default_rng(0).uniform(0, 2, 500))
    assert (ends.shape, ends.scale) == (0, pytest.approx(1, rel=0.1))
    heavy = fit_tail(genpareto.rvs(0.9, scale=3.0, size=5000, random_state=0))
    assert heavy.shape == 0.5
    # the mean, with little weight of the highest
    expected = genpareto.expect(lambda x: x * genpareto.sf(x, 0.9, scale=3), (0.9,), scale=3)
    assert genpareto.expect(
        lambda x: x * genpareto.sf(x, 0.5, scale=heavy.scale), (0.5,), scale=heavy.scale
    ) == pytest.approx(expected, rel=0.1)


def test_a_few_excesses_have_an_exponential_tail():
    heavy = genpareto.rvs(2.0, size=19, random_state=0)
    assert fit_tail(heavy) == Tail(0.0, heavy.mean())


@given(st.sampled_from([0.0, 0.1, 0.5]), st.floats(1e-3, 1e3), st.floats(0, 1e3))
def test_the_rarity_of_an_excess_is_that_of_its_share(shape, scale, excess):
    expected = -genpareto.logsf(excess, shape, scale=scale) / np.log(10)
    assert Tail(shape, scale).rarity(np.array([excess]))[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(EXCESSES)
@settings(max_examples=80, deadline=None)
def test_whatever_the_excesses_the_tail_is_finite(excesses):
    tail = fit_tail(excesses)
    assert 0 <= tail.shape <= 0.5
    assert 0 < tail.scale < np.inf
    assert np.isfinite(tail.rarity(excesses)).all()
    same = fit_tail(np.full(30, excesses[0]))
    assert same == Tail(0.0, pytest.approx(excesses[0]))
