"""What training makes small: the difference between what an autoencoder makes and what it should have made.

| term | what | paper |
|---|---|---|
| mse | mean squared difference | |
| l1 | mean absolute difference | |
| ssim | 1 - structural similarity, frame by frame, for values in [0, 1] | Wang et al., IEEE TIP 2004 |
| gradient | mean absolute difference of the absolute gradients | Mathieu et al., ICLR 2016 |
"""

import torch
from pydantic import model_validator
from torch import Tensor

from vad import UserError
from vad.pipeline.params import Field, Section
from vad.windows.planes import FLOW, STILL


class LossParams(Section):
    """`train.loss`: the weight of each term; 0 leaves it out."""

    mse: float = Field(ge=0)
    l1: float = Field(ge=0)
    ssim: float = Field(ge=0)
    gradient: float = Field(ge=0)

    @model_validator(mode="after")
    def _something(self) -> "LossParams":
        if not any(self.model_dump().values()):
            raise ValueError("all weights are 0, so nothing would be learnt; set mse: 1.0")
        return self


def loss(made: Tensor, target: Tensor, params: LossParams, weight: Tensor | None = None) -> Tensor:
    """The weighted sum of the terms, a scalar; 0 is perfect.

    `made` and `target` are float (B, C, T, h, w); `weight`, which broadcasts to them, says how much a
    pixel counts in mse and l1 (mean 1 keeps the scale).
    """
    total = made.new_zeros((), dtype=torch.float32)
    made = made.float()  # under bf16 autocast sums need the digits
    difference = made - target
    if params.mse:
        total = total + params.mse * _mean(difference.square(), weight)
    if params.l1:
        total = total + params.l1 * _mean(difference.abs(), weight)
    if params.ssim:
        total = total + params.ssim * (1 - _ssim(made, target))
    if params.gradient:
        total = total + params.gradient * _gradient(made, target)
    return total


def motion_weight(x: Tensor, channels: list[str], strength: float) -> Tensor:
    """How much each pixel counts: (B, 1, T, h, w), 1 on average in each window, more where something moves.

    1 + `strength` times the speed before it is brought to mean 1. Speed is the length of the flow, 1 where a
    plane is at its limit, if its planes are there, else the plane `difference`, else the difference to the
    frame before within the window, of which the first repeats the second.
    """
    if set(FLOW) <= set(channels):
        planes = x[:, [channels.index(name) for name in FLOW]]
        speed = (planes * 255 / STILL - 1).square().sum(1, keepdim=True).sqrt()
    elif "difference" in channels:
        speed = x[:, [channels.index("difference")]]
    else:
        steps = x.diff(dim=2).abs().mean(1, keepdim=True)  # (B, 1, T - 1, h, w)
        speed = torch.cat([steps[:, :, :1], steps], 2)
    weight = 1 + strength * speed
    return weight / weight.mean((1, 2, 3, 4), keepdim=True)


def need_motion(channels: list[str], window: int) -> None:
    """Raises UserError unless a window of these channels or planes tells what moves."""
    if window < 2 and not {"flow", "difference", *FLOW} & set(channels):
        raise UserError(
            "train.motion_weight needs windows that tell what moves: a model with a window of 2 frames or "
            "more, or flow or difference in resize.channels"
        )


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    return values.mean() if weight is None else (values * weight).mean()


def _frames(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)  # (B * T, C, h, w)


def _ssim(made: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim  # slow to import

    with torch.autocast(made.device.type, enabled=False):
        return ssim(_frames(made), _frames(target), data_range=1.0)


def _gradient(made: Tensor, target: Tensor) -> Tensor:
    return sum((made.diff(dim=d).abs() - target.diff(dim=d).abs()).abs().mean() for d in (-1, -2))
