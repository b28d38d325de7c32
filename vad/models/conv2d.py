"""Convolutional autoencoder on single frames."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from vad.models.base import MODELS, Autoencoder, AutoencoderParams, Shape, divisible
from vad.models.layers import UpConv2d, channels_last
from vad.pipeline.params import Field


@MODELS.register
class Conv2d(Autoencoder):
    """Convolutional autoencoder on single frames (after Hasan et al., CVPR 2016, without their stacking).

    Encoder: per entry of `channels` a 3x3 convolution, ReLU, 2x2 max pooling. Decoder: the same in
    reverse order with 2x nearest upsampling, then a 3x3 convolution to the planes of the output and a
    sigmoid. The frames of a window are coded independently.

    Windows (C, T, h, w) -> the same shape, or that of their flow planes; h and w must be multiples of
    2 ** len(channels). 332,801 parameters at channels 32, 64, 128 and C = 1.
    """

    class Params(AutoencoderParams):
        """`model.conv2d`"""

        objective: Literal["reconstruct", "translate"] = Field(
            "reconstruct", description="reconstruct the window, or translate its appearance into its flow"
        )
        channels: list[Annotated[int, Field(ge=1)]] = Field(
            [32, 64, 128],
            min_length=1,
            max_length=6,
            description="channels of the 3x3 convolutions, each followed by 2x2 pooling",
        )

    params: Params

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        divisible("conv2d", shape, 2 ** len(params.channels))
        layers: list[nn.Module] = []
        for a, b in pairwise([self.input_shape[0], *params.channels]):
            # pooling before the ReLU gives the same values, and leaves a quarter of them to rectify
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(inplace=True)]
        mirrored = params.channels[::-1]
        layers += [nn.Conv2d(mirrored[0], mirrored[0], 3, padding=1), nn.ReLU(inplace=True)]
        for a, b in pairwise(mirrored):
            layers += [UpConv2d(a, b), nn.ReLU(inplace=True)]
        layers += [UpConv2d(mirrored[-1], self.output_shape[0]), nn.Sigmoid()]
        self.net = channels_last(nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        frames = self.inputs(x).transpose(1, 2).flatten(0, 1)  # (B * T, C, h, w)
        y = self.net(frames.contiguous(memory_format=torch.channels_last))
        return y.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)  # (B, C', T, h, w)
