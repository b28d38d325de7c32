"""The terms of the loss against independent references, and the weight of motion."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from vad.training import losses
from vad.training.params import LossParams


def only(**weights: float) -> LossParams:
    return LossParams(**({"mse": 0.0, "l1": 0.0, "ssim": 0.0, "gradient": 0.0} | weights))


def pair(shape=(2, 2, 3, 16, 20), seed=0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


def naive_gradient(output: np.ndarray, target: np.ndarray) -> float:
    total = 0.0
    for axis in (-1, -2):
        total += np.abs(np.abs(np.diff(output, axis=axis)) - np.abs(np.diff(target, axis=axis))).mean()
    return total


def naive_ssim(output: torch.Tensor, target: torch.Tensor) -> float:
    """Wang et al. 2004: gaussian window of 11 pixels, sigma 1.5; at the edges the picture is mirrored."""
    at = torch.arange(11.0) - 5
    line = torch.exp(-(at**2) / 4.5)
    window = torch.outer(line, line) / line.sum() ** 2
    a = output.double().transpose(1, 2).flatten(0, 2)[:, None]
    b = target.double().transpose(1, 2).flatten(0, 2)[:, None]

    def mean(x):
        return F.conv2d(F.pad(x, (5, 5, 5, 5), mode="reflect"), window[None, None].double())

    va, vb, ab = mean(a * a) - mean(a) ** 2, mean(b * b) - mean(b) ** 2, mean(a * b) - mean(a) * mean(b)
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean(a) * mean(b) + c1) * (2 * ab + c2)
    return (top / ((mean(a) ** 2 + mean(b) ** 2 + c1) * (va + vb + c2))).mean().item()


def test_each_term_equals_an_independent_computation():
    output, target = pair()
    a, b = output.numpy(), target.numpy()
    assert losses.loss(output, target, only(mse=1.0)).item() == pytest.approx(((a - b) ** 2).mean(), rel=1e-5)
    assert losses.loss(output, target, only(l1=1.0)).item() == pytest.approx(np.abs(a - b).mean(), rel=1e-5)
    assert losses.loss(output, target, only(gradient=1.0)).item() == pytest.approx(
        naive_gradient(a, b), rel=1e-5
    )
    ssim = 1 - naive_ssim(output, target)
    assert losses.loss(output, target, only(ssim=1.0)).item() == pytest.approx(ssim, abs=1e-4)


@given(st.lists(st.floats(0.1, 5), min_size=4, max_size=4))
def test_terms_are_weighted_and_added(weights):
    output, target = pair((1, 1, 2, 12, 12))
    names = ["mse", "l1", "ssim", "gradient"]
    apart = sum(
        w * losses.loss(output, target, only(**{n: 1.0})) for n, w in zip(names, weights, strict=True)
    )
    together = losses.loss(output, target, only(**dict(zip(names, weights, strict=True))))
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("side", [8, 9, 11, 12])
@pytest.mark.parametrize("term", ["mse", "l1", "ssim", "gradient"])
def test_a_perfect_output_has_loss_0_and_other_outputs_have_gradients(term, side):
    output, target = pair((2, 1, 1, side, side))
    assert losses.loss(target, target, only(**{term: 1.0})).item() == pytest.approx(0, abs=1e-5)
    output.requires_grad_()
    losses.loss(output, target, only(**{term: 1.0})).backward()
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().sum() > 0


def test_moving_pixels_count_more():
    """A white column moves to the right in a gray window; only this column differs between frames."""
    x = torch.full((1, 1, 3, 8, 8), 0.5)
    for t in range(3):
        x[0, 0, t, :, t] = 1.0
    weight = losses.motion_weight(x, ["gray"], 10.0)
    assert weight.shape == (1, 1, 3, 8, 8)
    assert weight.mean().item() == pytest.approx(1)
    ratio = weight[0, 0, 2] / weight[0, 0, 2, 0, 7]
    torch.testing.assert_close(ratio[0], torch.tensor([1.0, 6, 6, 1, 1, 1, 1, 1]))  # 1 + 10 * 0.5
    torch.testing.assert_close(weight[0, 0, 0], weight[0, 0, 1])
    output = x.clone()
    output[0, 0, 2, 0, 2] += 0.1
    far = x.clone()
    far[0, 0, 2, 0, 7] += 0.1
    near_loss, far_loss = (losses.loss(y, x, only(mse=1.0), weight) for y in (output, far))
    assert near_loss / far_loss == pytest.approx(6, rel=1e-4)
    torch.testing.assert_close(losses.motion_weight(x, ["gray"], 0.0), torch.ones_like(weight))


def test_motion_weight_of_a_single_frame_comes_from_flow_or_difference():
    x = torch.full((1, 3, 1, 8, 8), 128 / 255)
    x[0, 1, 0, 2, 3] = 1.0
    weight = losses.motion_weight(x, ["gray", "flow_x", "flow_y"], 1.0)
    assert weight[0, 0, 0, 2, 3] / weight[0, 0, 0, 0, 0] == pytest.approx(1 + 127 / 128)
    x = torch.zeros((1, 2, 1, 8, 8))
    x[0, 1, 0, 2, 3] = 0.5
    weight = losses.motion_weight(x, ["gray", "difference"], 2.0)
    assert weight[0, 0, 0, 2, 3] / weight[0, 0, 0, 0, 0] == pytest.approx(2)
