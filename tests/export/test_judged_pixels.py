"""Pixels that are not judged are left out: in every reduction, and in a graph as in the networks."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.export.networks import networks
from vad.branches.graph import Graph
from vad.branches.network import Reduce, ReductionParams
from vad.branches.window_errors import reduce_errors
from vad.export.graph import write_graph

HOW = get_args(Reduce)
PARAMS = ReductionParams(top_share=0.25, patch=2)


def by_hand(residual: np.ndarray, judged: np.ndarray, how: str) -> float:
    """The error of a window from residuals (C, T, h, w), of judged pixels (h, w)."""
    counted = residual[:, :, judged].astype(float)
    if how == "mean_vector":
        return float(np.linalg.norm(counted.mean((1, 2))))
    squares = np.square(residual.astype(float)).mean(0)
    if how in ("mean", "psnr"):
        mean = squares[:, judged].mean()
        return float(mean if how == "mean" else 100 + 10 * np.log10(mean))
    squares[:, ~judged] = 0
    if how == "max":
        return float(squares.max())
    if how == "top_k":
        return float(np.sort(squares.ravel())[-int(np.ceil(0.25 * squares.size)) :].mean())
    patches = np.lib.stride_tricks.sliding_window_view(squares, (2, 2), (1, 2))
    return float(patches.mean((3, 4)).max())


@pytest.mark.parametrize("how", HOW)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_reductions_of_judged_pixels(how, seed, share):
    rng = np.random.default_rng(seed)
    residual = rng.normal(0, 0.3, (3, 2, 2, 4, 6)).astype(np.float32)
    judged = rng.random((3, 4, 6)) < share
    judged[:, 0, rng.integers(6)] = True
    got = reduce_errors(torch.from_numpy(residual), how, PARAMS, torch.from_numpy(judged)).numpy()
    expected = [by_hand(r, j, how) for r, j in zip(residual, judged, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    # whatever else the others show
    residual += rng.normal(0, 9, residual.shape).astype(np.float32) * ~judged[:, None, None]
    again = reduce_errors(torch.from_numpy(residual), how, PARAMS, torch.from_numpy(judged)).numpy()
    np.testing.assert_array_equal(again, got)


@pytest.mark.parametrize("how", HOW)
def test_all_pixels_judged_is_as_none_given(how):
    residual = torch.randn((2, 3, 2, 4, 6), generator=torch.Generator().manual_seed(0))
    everything = torch.ones((2, 4, 6), dtype=torch.bool)
    assert torch.equal(reduce_errors(residual, how, PARAMS), reduce_errors(residual, how, PARAMS, everything))


@pytest.mark.parametrize("how", HOW)
def test_a_graph_leaves_out_the_same_pixels(tmp_path, how):
    of_folds = networks("cube", {}, ReductionParams(reduce=how, reduce_flow=how, top_share=0.1, patch=5))
    write_graph(path := tmp_path / "errors.onnx", of_folds)
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 256, (3, *of_folds[0].shape), np.uint8)
    judged = rng.random((3, 32, 32)) < 0.05
    each = [network.measure(windows, False, judged).errors for network in of_folds]
    graph = Graph(path)
    got, without = graph.measure(windows, False, judged).errors, graph.measure(windows, False).errors
    for branch, values in got.items():
        np.testing.assert_allclose(values, np.mean([e[branch] for e in each], 0), rtol=1e-4, atol=1e-6)
        assert not np.isclose(values, without[branch], rtol=1e-4).any()
