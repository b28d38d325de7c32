"""The loss: how far the output of an autoencoder is from its target.

| term | what | paper |
|---|---|---|
| mse | mean squared difference | |
| l1 | mean absolute difference | |
| ssim | 1 - structural similarity, frame by frame, for values in [0, 1] | Wang et al., IEEE TIP 2004 |
| gradient | mean absolute difference of the absolute spatial gradients | Mathieu et al., ICLR 2016 |
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from vad.training.params import LossParams
from vad.windows.planes import FLOW, STILL, WHITE

ROWS, COLUMNS = -2, -1  # axes of a window


def loss(output: Tensor, target: Tensor, params: LossParams, pixel_weight: Tensor | None = None) -> Tensor:
    """The weighted sum of the terms.

    Args:
        output: of the autoencoder, floats (B, C, T, h, w).
        target: what it should have been, of the same shape.
        params: weights of the terms.
        pixel_weight: how much each pixel counts in mse and l1, broadcast to the shape of the target; a mean
            of 1 keeps the loss on its scale.

    Returns:
        A float32 scalar; 0 is perfect.
    """
    total = output.new_zeros((), dtype=torch.float32)
    output = output.float()  # bf16 has too few digits for sums over a batch
    difference = output - target
    if params.mse:
        total = total + params.mse * _mean(difference.square(), pixel_weight)
    if params.l1:
        total = total + params.l1 * _mean(difference.abs(), pixel_weight)
    if params.ssim:
        total = total + params.ssim * (1 - _ssim(output, target))
    if params.gradient:
        total = total + params.gradient * _gradient(output, target)
    return total


def motion_weight(windows: Tensor, planes: Sequence[str], strength: float) -> Tensor:
    """Weights of pixels, higher where something moves: 1 + `strength` * speed, brought to mean 1.

    Speed is taken from the first of these that the windows have: the length of the flow (1 where a plane
    is at its limit), the plane `difference`, or the difference to the frame before within the window,
    which the first frame takes from the second.

    Args:
        windows: float32 (B, C, T, h, w) in [0, 1].
        planes: names of the C planes.
        strength: `train.motion_weight`.

    Returns:
        float32 (B, 1, T, h, w), with mean 1 in each window.
    """
    if set(FLOW) <= set(planes):
        flow = windows[:, [planes.index(name) for name in FLOW]]
        speed = (flow * WHITE / STILL - 1).square().sum(1, keepdim=True).sqrt()
    elif "difference" in planes:
        speed = windows[:, [planes.index("difference")]]
    else:
        steps = windows.diff(dim=2).abs().mean(1, keepdim=True)  # (B, 1, T - 1, h, w)
        speed = torch.cat([steps[:, :, :1], steps], 2)
    weight = 1 + strength * speed
    return weight / weight.mean((1, 2, 3, 4), keepdim=True)


def _mean(values: Tensor, pixel_weight: Tensor | None) -> Tensor:
    return values.mean() if pixel_weight is None else (values * pixel_weight).mean()


def _frames(windows: Tensor) -> Tensor:
    return windows.transpose(1, 2).flatten(0, 1)  # (B * T, C, h, w)


def _ssim(output: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim  # slow to import

    # its differences of squares cancel: too few digits under autocast
    with torch.autocast(output.device.type, enabled=False):
        similarity = ssim(_frames(output), _frames(target), data_range=1.0)
    assert isinstance(similarity, Tensor)  # a tuple only where more is asked for
    return similarity


def _gradient(output: Tensor, target: Tensor) -> Tensor:
    def along(axis: int) -> Tensor:
        return (output.diff(dim=axis).abs() - target.diff(dim=axis).abs()).abs().mean()

    return along(COLUMNS) + along(ROWS)
