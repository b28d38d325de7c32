"""Fully connected autoencoder, trained step by step."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Annotated, Literal

from torch import Tensor, nn

from vad.models import Autoencoder, ModelParams, Shape, register
from vad.pipeline.params import Field


class Params(ModelParams):
    """`model.dense`"""

    objective: Literal["reconstruct", "predict", "translate"]
    hidden: list[Annotated[int, Field(ge=1)]] = Field(min_length=1, max_length=16)


@register("dense")
class Dense(Autoencoder):
    """Fully connected autoencoder (after Hinton & Salakhutdinov, Science 2006, without their pretraining).

    Per entry of `hidden` a linear layer and ReLU, then a linear layer to the pixels wanted, without
    sigmoid: the network of `mlp`, but for any amount of windows and every objective. All pixels of a
    window are coded together, as they are in [0, 1]. Windows (C, T, h, w) of any size -> `made_shape`.
    8,952,384 parameters at hidden 1024, 256, 64, 256, 1024 and windows of 1x1x64x64.
    """

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        layers: list[nn.Module] = []
        for a, b in pairwise([prod(self.given_shape), *params.hidden]):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(params.hidden[-1], prod(self.made_shape)))

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(self.given(x).flatten(1))  # (B, C' * T' * h * w)
        return y.unflatten(1, self.made_shape)
