"""Building blocks that several autoencoders share."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2  # of LeakyReLU, as in MemAE
# strides' axes -> convolution, transposed convolution, normalisation
KINDS: dict[int, tuple[type[nn.Module], type[nn.Module], type[nn.Module]]] = {
    2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d),
    3: (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d),
}
Stride = tuple[int, ...]  # a number per axis: (height, width) or (frames, height, width)
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}
M = TypeVar("M", bound=nn.Module)


def channels_last(module: M, axes: int = 2) -> M:
    """Gives the weights the layout in which convolutions are fastest on CPUs; inputs should have it too.

    Args:
        module: changed in place.
        axes: of its convolutions, 2 or 3.
    """
    module.to(memory_format=LAYOUTS[axes])  # type: ignore[call-overload]  # torch's stubs lack this argument
    return module


def encoder(inputs: int, channels: Sequence[int], strides: Sequence[Stride]) -> nn.Sequential:
    """Per entry of `channels` a convolution of width 3 with its stride, batch norm and LeakyReLU.

    (B, inputs, *sides) -> (B, channels[-1], *sides), each side divided by the product of its strides, which
    must divide it.
    """
    layers: list[nn.Module] = []
    for (a, b), stride in zip(pairwise([inputs, *channels]), strides, strict=True):
        convolution, _, norm = KINDS[len(stride)]
        # the norm that follows takes any bias out again
        layers += [convolution(a, b, 3, stride, 1, bias=False), norm(b), nn.LeakyReLU(SLOPE, inplace=True)]
    return nn.Sequential(*layers)


def decoder(outputs: int, channels: Sequence[int], strides: Sequence[Stride]) -> nn.Sequential:
    """The mirror of `encoder`, with transposed convolutions; gets the same lists. Its end is linear."""
    layers: list[nn.Module] = []
    steps = enumerate(zip(pairwise([outputs, *channels]), strides, strict=True))
    for i, ((b, a), stride) in reversed([*steps]):
        _, transposed, norm = KINDS[len(stride)]
        edge = tuple(s - 1 for s in stride)  # without it n pixels would become n * s - s + 1, not n * s
        layers.append(transposed(a, b, 3, stride, 1, edge, bias=i == 0))
        if i:
            layers += [norm(b), nn.LeakyReLU(SLOPE, inplace=True)]
    return nn.Sequential(*layers)


def fully_connected(inputs: Sequence[int], hidden: Sequence[int], outputs: Sequence[int]) -> nn.Sequential:
    """Per entry of `hidden` a linear layer and ReLU, then a linear layer.

    (B, prod(inputs)) -> (B, prod(outputs)).

    Args:
        inputs: shape of what is flattened into it.
        hidden: units of the hidden layers.
        outputs: shape that its output can be unflattened to.
    """
    layers: list[nn.Module] = []
    for a, b in pairwise([prod(inputs), *hidden]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], prod(outputs)))


class UpConv2d(nn.Conv2d):
    """Nearest upsampling by 2, then a 3x3 convolution with padding 1: (B, a, h, w) -> (B, b, 2 h, 2 w).

    Computed as a single transposed convolution, with fewer products: a pixel that upsampling repeats is
    multiplied by the sum of the weights that meet its copies. The parameters are those of the 3x3
    convolution.
    """

    def __init__(self, a: int, b: int, bias: bool = True):
        super().__init__(a, b, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = F.pad(self.weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))  # (a, b, 5, 5)
        weight = F.avg_pool2d(weight, 2, 1, divisor_override=1)  # (a, b, 4, 4), sums over 2x2
        return F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)
