"""Building blocks that several autoencoders share."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2  # of LeakyReLU below 0, as in MemAE
# number of axes -> convolution, transposed convolution, batch norm
KINDS: dict[int, tuple[type[nn.Module], type[nn.Module], type[nn.Module]]] = {
    2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d),
    3: (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d),
}
Stride = tuple[int, ...]  # a number per axis: (height, width) or (frames, height, width)
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}
M = TypeVar("M", bound=nn.Module)


def channels_last(module: M, axes: int = 2) -> M:
    """Stores weights channels-last, the fastest memory layout for convolutions on CPUs.

    Inputs should have the same layout.

    Args:
        module: changed in place.
        axes: number of axes of its convolutions, 2 or 3.

    Returns:
        The module.
    """
    module.to(memory_format=LAYOUTS[axes])  # type: ignore[call-overload]  # torch's stubs lack this argument
    return module


def encoder(inputs: int, channels: Sequence[int], strides: Sequence[Stride]) -> nn.Sequential:
    """Strided convolutions of width 3, each with batch norm and LeakyReLU.

    (B, inputs, *sides) -> (B, channels[-1], *sides), each side divided by the product of its strides, which
    must divide it.

    Args:
        inputs: channels of the input.
        channels: output channels of each convolution.
        strides: stride of each convolution.
    """
    layers: list[nn.Module] = []
    for (a, b), stride in zip(pairwise([inputs, *channels]), strides, strict=True):
        convolution, _, norm = KINDS[len(stride)]
        # no bias: the batch norm that follows would subtract it
        layers += [convolution(a, b, 3, stride, 1, bias=False), norm(b), nn.LeakyReLU(SLOPE, inplace=True)]
    return nn.Sequential(*layers)


def decoder(outputs: int, channels: Sequence[int], strides: Sequence[Stride]) -> nn.Sequential:
    """The mirror image of `encoder`, with transposed convolutions; its last layer is linear.

    Args:
        outputs: channels of the output.
        channels: as for `encoder`.
        strides: as for `encoder`.
    """
    layers: list[nn.Module] = []
    steps = enumerate(zip(pairwise([outputs, *channels]), strides, strict=True))
    for i, ((b, a), stride) in reversed([*steps]):
        _, transposed, norm = KINDS[len(stride)]
        # output padding: without it n pixels would become n * s - s + 1, not n * s
        padding = tuple(s - 1 for s in stride)
        layers.append(transposed(a, b, 3, stride, 1, padding, bias=i == 0))
        if i:
            layers += [norm(b), nn.LeakyReLU(SLOPE, inplace=True)]
    return nn.Sequential(*layers)


def fully_connected(inputs: Sequence[int], hidden: Sequence[int], outputs: Sequence[int]) -> nn.Sequential:
    """Per entry of `hidden` a linear layer and ReLU, then a linear layer.

    (B, prod(inputs)) -> (B, prod(outputs)).

    Args:
        inputs: shape of the input before it is flattened.
        hidden: units of the hidden layers.
        outputs: shape of the output after it is unflattened.
    """
    layers: list[nn.Module] = []
    for a, b in pairwise([prod(inputs), *hidden]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], prod(outputs)))


class UpConv2d(nn.Conv2d):
    """Nearest upsampling by 2, then a 3x3 convolution with padding 1: (B, a, h, w) -> (B, b, 2 h, 2 w).

    Computed as a single transposed convolution with 4x4 weights, which needs fewer products: in place of
    multiplying each copy of a pixel by its weight, it multiplies the pixel by the sum of these weights. The
    parameters are those of the 3x3 convolution.

    Args:
        a: channels of the input.
        b: channels of the output.
        bias: whether the convolution has a bias.
    """

    def __init__(self, a: int, b: int, bias: bool = True):
        super().__init__(a, b, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self._transposed(), self.bias, stride=2, padding=1)

    def _transposed(self) -> Tensor:
        """The weights of the transposed convolution, (a, b, 4, 4)."""
        weight = F.pad(self.weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))  # (a, b, 5, 5)
        return F.avg_pool2d(weight, 2, 1, divisor_override=1)  # sums over 2x2

    @torch.no_grad()
    def folded(self) -> nn.ConvTranspose2d:
        """The same layer with the weights of the transposed convolution computed once and for all."""
        sizes = self.in_channels, self.out_channels, 4
        layer = nn.ConvTranspose2d(*sizes, stride=2, padding=1, bias=self.bias is not None)
        layer.weight.copy_(self._transposed())
        if self.bias is not None and layer.bias is not None:
            layer.bias.copy_(self.bias)
        return layer
