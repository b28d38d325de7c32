"""The shares of the filters in `calibrate.lookahead`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scoring.errors import params
from vad.scoring.lookahead import divide_lookahead


def wanted(sigma: float = 2.0, median: int = 15, gaussian: float = 2.0, lookahead: int | None = None):
    smooth = {"median": median, "gaussian": gaussian}
    return divide_lookahead(params(error_sigma=sigma, smooth=smooth, lookahead=lookahead))


@pytest.mark.parametrize(
    ("lookahead", "expected"),
    [
        (None, (5, 7, 5)),
        (1000, (5, 7, 5)),
        (17, (5, 7, 5)),
        (16, (5, 7, 4)),
        (12, (3, 7, 2)),
        (8, (1, 7, 0)),
        (7, (0, 7, 0)),
        (3, (0, 3, 0)),
        (0, (0, 0, 0)),
    ],
)
def test_shares_by_hand(lookahead, expected):
    assert wanted(lookahead=lookahead) == expected


@given(
    st.integers(0, 60), st.sampled_from([0.0, 1.0, 4.0]), st.integers(1, 20), st.sampled_from([0.0, 1.0, 3.0])
)
def test_shares_are_dealt_frame_by_frame(lookahead, sigma, median, gaussian):
    most = wanted(sigma, median, gaussian)
    left, hands = lookahead, {"errors": 0, "median": 0, "gaussian": 0}
    for name in ["median"] * median + ["errors", "gaussian"] * 60:
        if left and hands[name] < getattr(most, name):
            hands[name], left = hands[name] + 1, left - 1
    assert wanted(sigma, median, gaussian, lookahead)._asdict() == hands
