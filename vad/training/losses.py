"""The training loss: terms of the difference between output and target of an autoencoder.

| term | definition | paper |
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
        output: output of the autoencoder, float (B, C, T, h, w).
        target: its target, of the same shape.
        params: weights of the terms.
        pixel_weight: weight of each pixel in mse and l1, broadcast to the shape of the target; with a mean of
            1 the loss keeps its scale.

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
    """Weights of pixels, higher where something moves: 1 + `strength` * speed, divided by its mean.

    Speed is the first of these that the windows have: the length of the flow (1 where a plane is at its
    limit), the plane `difference`, or the difference to the previous frame of the window (in the first frame,
    the difference of the second).

    Args:
        windows: float32 (B, C, T, h, w) in [0, 1].
        planes: names of the C planes.
        strength: `train.motion_weight`.

    Returns:
        float32 (B, 1, T, h, w), with mean 1 in each window.
    """
    if set(FLOW) <= set(planes):
        flow = windows[:, [planes.index(name) for name in FLOW]]
        # flow planes are STILL / WHITE where nothing moves
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

    # without autocast: differences of nearly equal squares need all digits of float32
    with torch.autocast(output.device.type, enabled=False):
        similarity = ssim(_frames(output), _frames(target), data_range=1.0)
    assert isinstance(similarity, Tensor)  # a tuple only with options that are not used here
    return similarity


def _gradient(output: Tensor, target: Tensor) -> Tensor:
    def along(axis: int) -> Tensor:
        return (output.diff(dim=axis).abs() - target.diff(dim=axis).abs()).abs().mean()

    return along(COLUMNS) + along(ROWS)
