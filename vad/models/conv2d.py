"""Convolutional autoencoder on single frames."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from vad.models import Autoencoder, ModelParams, Shape, divisible, register
from vad.models.layers import UpConv2d
from vad.pipeline.params import Field


class Params(ModelParams):
    """`model.conv2d`"""

    objective: Literal["reconstruct", "translate"]
    channels: list[Annotated[int, Field(ge=1)]] = Field(min_length=1, max_length=6)


@register("conv2d")
class Conv2d(Autoencoder):
    """Convolutional autoencoder on single frames (after Hasan et al., CVPR 2016, without their stacking).

    Encoder: per entry of `channels` a 3x3 convolution, ReLU, 2x2 max pooling. Decoder: the same in
    reverse order with 2x nearest upsampling, then a 3x3 convolution to the input's channels and a
    sigmoid. Windows (C, T, h, w) -> the same shape, or that of their flow; the frames of a window are
    coded one by one; height and width must be multiples of 2 ** len(channels). 332,801 parameters at
    channels 32, 64, 128 and C = 1.
    """

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        divisible("conv2d", shape, 2 ** len(params.channels))
        layers: list[nn.Module] = []
        for a, b in pairwise([self.given_shape[0], *params.channels]):
            # the maximum before the ReLU is the same as after it, and leaves it less to do
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(inplace=True)]
        back = params.channels[::-1]
        layers += [nn.Conv2d(back[0], back[0], 3, padding=1), nn.ReLU(inplace=True)]
        for a, b in pairwise(back):
            layers += [UpConv2d(a, b), nn.ReLU(inplace=True)]
        layers += [UpConv2d(back[-1], self.made_shape[0]), nn.Sigmoid()]
        # channels last is the layout in which convolutions are fastest on CPUs
        self.net = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        frames = self.given(x).transpose(1, 2).flatten(0, 1)  # (B * T, C, h, w)
        y = self.net(frames.contiguous(memory_format=torch.channels_last))
        return y.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)
