"""The interval of a count, compared with its definition."""

import pytest
from scipy.stats import poisson

from vad.scoring.poisson import poisson_interval


@pytest.mark.parametrize("count", [1, 2, 10, 500])
def test_the_interval_excludes_what_makes_the_count_unlikely(count):
    low, high = poisson_interval(count)
    assert poisson.sf(count - 1, low) == pytest.approx(0.025)
    assert poisson.cdf(count, high) == pytest.approx(0.025)


def test_the_interval_of_none_is_one_sided():
    low, high = poisson_interval(0)
    assert (low, poisson.cdf(0, high)) == (0, pytest.approx(0.05))
