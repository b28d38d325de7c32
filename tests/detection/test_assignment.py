"""The linear assignment problem: the result of scipy, also where several are best."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.optimize import linear_sum_assignment

from vad.detection.assignment import assign

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9)
COSTS = st.one_of(
    arrays(float, SHAPES, elements=st.sampled_from([0.0, 1.0, 2.0])),  # many ties
    arrays(float, SHAPES, elements=st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.75])),  # sums of them are inexact
    arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)),
    arrays(float, SHAPES, elements=st.floats(-1e6, 1e6)),
)


@given(COSTS, st.booleans())
def test_the_result_is_that_of_scipy(cost, maximize):
    rows, columns = assign(cost, maximize)
    assert rows.dtype == columns.dtype == np.int64
    want = linear_sum_assignment(cost, maximize=maximize)
    assert (rows.tolist(), columns.tolist()) == (want[0].tolist(), want[1].tolist())


@pytest.mark.parametrize("shape", [(30, 30), (20, 35), (35, 20)])
def test_large_problems(shape):
    rng = np.random.default_rng(0)
    for overlap in (rng.random(shape), rng.integers(0, 4, shape), np.maximum(rng.normal(-1, 1, shape), 0)):
        for got, want in zip(assign(overlap, True), linear_sum_assignment(overlap, True), strict=True):
            assert got.tolist() == want.tolist()
