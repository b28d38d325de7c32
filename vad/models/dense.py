"""Fully connected autoencoder, trained batch by batch."""

from collections.abc import Sequence
from typing import Annotated, Literal

from torch import Tensor

from vad.models.base import MODELS, Autoencoder, AutoencoderParams, Shape
from vad.models.layers import fully_connected
from vad.pipeline.params import Field


@MODELS.register
class Dense(Autoencoder):
    """Fully connected autoencoder (after Hinton & Salakhutdinov, Science 2006, without their pretraining).

    Per entry of `hidden` a linear layer and ReLU, then a linear layer to the pixels of the output, without
    sigmoid: the network of `mlp`, but for any number of windows and every objective. All pixels of a
    window are coded together, without further scaling.

    Windows (C, T, h, w) of any size -> `output_shape`. 8,952,384 parameters at hidden 1024, 256, 64, 256,
    1024 and windows of 1x1x64x64.
    """

    class Params(AutoencoderParams):
        """`model.dense`"""

        objective: Literal["reconstruct", "predict", "translate"] = Field(
            "reconstruct",
            description="reconstruct the window, predict its last frame, or translate its appearance into "
            "its flow",
        )
        hidden: list[Annotated[int, Field(ge=1)]] = Field(
            [1024, 256, 64, 256, 1024],
            min_length=1,
            max_length=16,
            description="units of the hidden layers",
        )

    params: Params

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        self.net = fully_connected(self.input_shape, params.hidden, self.output_shape)

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(self.inputs(x).flatten(1))  # (B, C' * T' * h * w)
        return y.unflatten(1, self.output_shape)
