"""Building blocks that several autoencoders share."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

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


class UpConv2d(nn.Conv2d):
    """Nearest upsampling by 2, then a 3x3 convolution with padding 1: (B, a, h, w) -> (B, b, 2 h, 2 w).

    Computed as the one transposed convolution that does the same with fewer products: a pixel that upsampling
    repeats is multiplied by the sum of the weights that meet its copies. The parameters are those of the
    3x3 convolution.
    """

    def __init__(self, a: int, b: int, bias: bool = True):
        super().__init__(a, b, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = F.pad(self.weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))  # (a, b, 5, 5)
        weight = F.avg_pool2d(weight, 2, 1, divisor_override=1)  # (a, b, 4, 4), sums over 2x2
        return F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)
