"""The best threshold in hindsight, compared with trying all thresholds."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vad.evaluation.oracle import oracle


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels, some of them anomalous, and scores with many ties."""
    n = draw(st.integers(1, 30))
    y = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(y.any())
    return y, np.array(draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))) / 2


def f1_score(y: np.ndarray, alarmed: np.ndarray) -> float:
    return 2 * (y & alarmed).sum() / (y.sum() + alarmed.sum())


@given(labelled())
@settings(max_examples=50, deadline=None)
def test_the_oracle_is_the_best_of_all_thresholds(case):
    """A frame is alarmed above the threshold, not at it."""
    y, scores = case
    f1, at = oracle(y, scores)
    cuts = [-10.0, *np.unique(scores)]
    assert f1 == pytest.approx(max(f1_score(y, scores > cut) for cut in cuts))
    assert f1_score(y, scores > at) == pytest.approx(f1)


def test_the_oracle_by_hand():
    f1, at = oracle(np.array([0, 0, 1, 0, 1, 1], bool), np.array([0.0, 1, 2, 3, 4, 5]))
    assert f1 == pytest.approx(6 / 7)  # four alarms, three of them right
    assert 1 <= at < 2
