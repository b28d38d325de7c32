"""A U-Net on stacked frames, made to predict the next."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from vad.models.base import MODELS, Autoencoder, AutoencoderParams, Shape, divisible
from vad.models.layers import channels_last
from vad.pipeline.params import Field


@MODELS.register
class UNet(Autoencoder):
    """The generator of future frame prediction (Liu et al., CVPR 2018), without its adversary.

    The frames of the input are stacked as channels. Per entry of `channels` two 3x3 convolutions with ReLU,
    2x2 max pooling between entries; on the way back 2x2 transposed convolutions with stride 2, each joined
    with the code of that size from the way down (skip connection), and again two convolutions; at the end a
    3x3 convolution to the frames of the output, and a sigmoid. Published with channels 64, 128, 256, 512 and
    four frames that predict a fifth. No batch norm, as there: predictions need the level of brightness.

    Windows (C, T, h, w) -> (C, 1, h, w), the last frame; or the shape of their flow, or the same shape.
    Skip connections make reconstruction nearly a copy, so that objective is here for comparison only.
    Height and width must be multiples of 2 ** (len(channels) - 1).
    """

    class Params(AutoencoderParams):
        """`model.unet`"""

        objective: Literal["predict", "translate", "reconstruct"] = Field(
            "predict",
            description="predict the last frame of the window, make its flow of its appearance, or make the "
            "window again",
        )
        channels: list[Annotated[int, Field(ge=1)]] = Field(
            [32, 64, 128],
            min_length=2,
            max_length=6,
            description="channels per level; sides of a tensor must be multiples of 2 ** (entries - 1)",
        )

    params: Params

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        divisible("unet", shape, 2 ** (len(params.channels) - 1))
        planes, frames, _, _ = self.input_shape
        outputs = self.output_shape[0] * self.output_shape[1]
        widths = params.channels
        self.down = nn.ModuleList(_two_convolutions(a, b) for a, b in pairwise([planes * frames, *widths]))
        self.pool = nn.MaxPool2d(2)
        back = [*pairwise(widths[::-1])]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in back)
        self.join = nn.ModuleList(_two_convolutions(2 * b, b) for _, b in back)
        self.end = nn.Sequential(nn.Conv2d(widths[0], outputs, 3, padding=1), nn.Sigmoid())
        channels_last(self)

    def forward(self, x: Tensor) -> Tensor:
        z = self.inputs(x).flatten(1, 2).contiguous(memory_format=torch.channels_last)  # (B, C * T, h, w)
        skips = []
        for i, down in enumerate(self.down):
            z = down(self.pool(z) if i else z)  # (B, channels[i], h / 2 ** i, w / 2 ** i)
            skips.append(z)
        skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            z = join(torch.cat([skips.pop(), up(z)], 1))
        return self.end(z).unflatten(1, self.output_shape[:2])  # (B, C', T', h, w)


def _two_convolutions(a: int, b: int) -> nn.Sequential:
    first, second = nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))
