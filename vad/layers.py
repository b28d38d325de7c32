"""Building blocks that several autoencoders share."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

SLOPE = 0.2  # of LeakyReLU, as in MemAE
KINDS = {  # axes -> convolution, the transposed one, normalisation
    2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d),
    3: (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d),
}
Stride = tuple[int, ...]  # one number per axis: (height, width) or (frames, height, width)


def encoder(inputs: int, channels: Sequence[int], strides: Sequence[Stride]) -> nn.Sequential:
    """Per entry of `channels` a convolution of width 3 with its stride, batch norm and LeakyReLU.

    Divides every axis by the product of its strides, which must divide it.
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
        edge = tuple(s - 1 for s in stride)  # without it n * s - s + 1 would be made of n, not n * s
        layers.append(transposed(a, b, 3, stride, 1, edge, bias=i == 0))
        if i:
            layers += [norm(b), nn.LeakyReLU(SLOPE, inplace=True)]
    return nn.Sequential(*layers)
