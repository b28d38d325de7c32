"""U-Net that predicts the next frame from stacked frames."""

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

    The frames of the input are stacked as channels. Encoder: per entry of `channels` two 3x3 convolutions
    with ReLU, with 2x2 max pooling between entries. Decoder: 2x2 transposed convolutions with stride 2, each
    concatenated with the encoder's output of the same size (skip connection) and followed by two 3x3
    convolutions; at the end a 3x3 convolution to the frames of the output, and a sigmoid. The published
    network has channels 64, 128, 256, 512, and predicts a frame from the four before it. Like that network it
    has no batch norm, since a prediction must keep the brightness.

    Windows (C, T, h, w) -> (C, 1, h, w), the last frame; or the shape of their flow planes, or the same
    shape. Skip connections reduce reconstruction to copying, so that objective exists for comparison only.
    Height and width must be multiples of 2 ** (len(channels) - 1).
    """

    class Params(AutoencoderParams):
        """`model.unet`"""

        objective: Literal["predict", "translate", "reconstruct"] = Field(
            "predict",
            description="predict the last frame of the window, translate its appearance into its flow, or "
            "reconstruct it",
        )
        channels: list[Annotated[int, Field(ge=1)]] = Field(
            [32, 64, 128],
            min_length=2,
            max_length=6,
            description="channels of the levels; height and width of a tensor must be multiples of "
            "2 ** (entries - 1)",
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
        upwards = [*pairwise(widths[::-1])]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in upwards)
        self.join = nn.ModuleList(_two_convolutions(2 * b, b) for _, b in upwards)
        self.end = nn.Sequential(nn.Conv2d(widths[0], outputs, 3, padding=1), nn.Sigmoid())
        channels_last(self)

    def forward(self, x: Tensor) -> Tensor:
        z = self.inputs(x).flatten(1, 2).contiguous(memory_format=torch.channels_last)  # (B, C * T, h, w)
        skips = []
        for i, down in enumerate(self.down):
            z = down(self.pool(z) if i else z)  # (B, channels[i], h / 2 ** i, w / 2 ** i)
            skips.append(z)
        skips.pop()  # the deepest level is the input of the decoder, not a skip connection
        for up, join in zip(self.up, self.join, strict=True):
            z = join(torch.cat([skips.pop(), up(z)], 1))
        return self.end(z).unflatten(1, self.output_shape[:2])  # (B, C', T', h, w)


def _two_convolutions(a: int, b: int) -> nn.Sequential:
    first, second = nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))
