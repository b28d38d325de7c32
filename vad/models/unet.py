"""A U-Net on stacked frames, made to predict the next."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from vad.models import Autoencoder, ModelParams, Shape, divisible, register
from vad.pipeline.params import Field


class Params(ModelParams):
    """`model.unet`"""

    objective: Literal["predict", "translate", "reconstruct"]
    channels: list[Annotated[int, Field(ge=1)]] = Field(min_length=2, max_length=6)


def _two(a: int, b: int) -> nn.Sequential:
    first, second = nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))


@register("unet")
class UNet(Autoencoder):
    """The generator of future frame prediction (Liu et al., CVPR 2018), without its adversary.

    The given frames are stacked as channels. Per entry of `channels` two 3x3 convolutions with ReLU, 2x2 max
    pooling between entries; on the way back 2x2 transposed convolutions with stride 2, each joined with
    what the way down had at that size (skip connection), and again two convolutions; at the end a 3x3
    convolution to the frames that are made, and a sigmoid. Published with channels 64, 128, 256, 512 and
    four frames that predict a fifth. No batch norm, as there: predictions need the level of brightness.

    Windows (C, T, h, w) -> (C, 1, h, w), the last frame; or the shape of their flow, or the same shape.
    Skip connections make reconstruction nearly a copy, so that objective is here for comparison only.
    Height and width must be multiples of 2 ** (len(channels) - 1).
    """

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        divisible("unet", shape, 2 ** (len(params.channels) - 1))
        c, t, _, _ = self.given_shape
        made = self.made_shape[0] * self.made_shape[1]
        sizes = params.channels
        self.down = nn.ModuleList(_two(a, b) for a, b in pairwise([c * t, *sizes]))
        self.pool = nn.MaxPool2d(2)
        back = [*pairwise(sizes[::-1])]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in back)
        self.join = nn.ModuleList(_two(2 * b, b) for _, b in back)
        self.end = nn.Sequential(nn.Conv2d(sizes[0], made, 3, padding=1), nn.Sigmoid())
        # channels last is the layout in which convolutions are fastest on CPUs
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        z = self.given(x).flatten(1, 2).contiguous(memory_format=torch.channels_last)  # (B, C * T, h, w)
        skips = []
        for i, down in enumerate(self.down):
            z = down(self.pool(z) if i else z)  # (B, channels[i], h / 2 ** i, w / 2 ** i)
            skips.append(z)
        skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            z = join(torch.cat([skips.pop(), up(z)], 1))
        return self.end(z).unflatten(1, self.made_shape[:2])  # (B, C', T', h, w)
