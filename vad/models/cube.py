"""Small autoencoders for cubes around objects: one for appearance, one for flow."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vad.layers import UpConv2d
from vad.models import FLOW, Autoencoder, ModelParams, Shape, divisible, register
from vad.params import Field

STILL = 128 / 255  # what a flow plane holds where nothing moves
CONTRAST = 0.05  # is added to a crop's standard deviation, so that flat crops do not become noise
LEVEL = 1 / 255  # the step of the tensors: the least standard deviation of flow


class Params(ModelParams):
    """`model.cube`"""

    latent_appearance: int = Field(ge=1)
    latent_flow: int = Field(ge=1)


@register("cube")
class Cube(Autoencoder):
    """Convolutional autoencoders for object cubes, one per branch; errors of the branches stay apart.

    The planes flow_x and flow_y are the branch `flow`, all others the branch `appearance`; a branch without
    planes is not there. Per branch, on its frames stacked as channels: 3x3 convolutions to 32, 64 and 64
    channels, the latter two with stride 2, and a linear layer to the latent vector; mirrored with nearest
    upsampling. Batch norm and LeakyReLU 0.1 after every convolution but the last, whose output is taken as
    it is. After the object-centric autoencoders of Ionescu et al. (CVPR 2019); the layers are those that
    our measurements on Ped2 favoured.

    Works in standardised units, in which its output, target and errors are too: a plane of appearance minus
    its mean over the window, over its standard deviation + 0.05, which takes lighting out; a plane of
    flow about standing still (so that faster is a multiple), over its root mean square in the training
    windows, which `adapt` sets. The branches share no weights, so that their shares of the loss do not
    matter to Adam. Windows (C, T, h, w) -> the same shape; height and width must be multiples of 4.
    """

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        divisible("cube", shape, 4)
        flow = [i for i, name in enumerate(self.channels) if name in FLOW]
        appearance = [i for i in range(shape[0]) if i not in flow]
        planes = {"appearance": appearance, "flow": flow}
        self.planes = {name: own for name, own in planes.items() if own}
        _, t, h, w = shape
        latent = {"appearance": params.latent_appearance, "flow": params.latent_flow}
        # channels last is the layout in which convolutions are fastest on CPUs
        self.coders = nn.ModuleDict(
            {name: _coder(len(own) * t, h, w, latent[name]) for name, own in self.planes.items()}
        ).to(memory_format=torch.channels_last)
        self.register_buffer("speed", torch.ones(len(flow)))  # per plane of flow, until `adapt`

    @property
    def branches(self) -> list[str]:
        return list(self.planes)

    def adapt(self, sample: Tensor) -> None:
        if "flow" in self.planes:
            moved = sample[:, self.planes["flow"]] - STILL
            self.speed.copy_(moved.square().mean((0, 2, 3, 4)).sqrt().clamp(min=LEVEL))

    def target(self, x: Tensor) -> Tensor:
        """The windows in standardised units."""
        x = x.clone()
        if own := self.planes.get("flow"):
            x[:, own] = (x[:, own] - STILL) / self.speed.view(-1, 1, 1, 1)
        if own := self.planes.get("appearance"):
            crop = x[:, own]  # (B, planes, T, h, w)
            deviation, mean = torch.std_mean(crop, (2, 3, 4), correction=0, keepdim=True)
            x[:, own] = (crop - mean) / (deviation + CONTRAST)
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = self.target(x)
        y = torch.empty_like(x)
        for name, coder in self.coders.items():
            own = self.planes[name]
            stacked = x[:, own].flatten(1, 2)  # (B, planes * T, h, w)
            made = coder(stacked.contiguous(memory_format=torch.channels_last))
            y[:, own] = made.unflatten(1, (len(own), -1))
        return y

    def errors(self, x: Tensor) -> dict[str, Tensor]:
        error = (self(x) - self.target(x)).square()  # (B, C, T, h, w)
        return {name: error[:, own].mean(1) for name, own in self.planes.items()}


def _coder(inputs: int, h: int, w: int, latent: int) -> nn.Sequential:
    code = (64, h // 4, w // 4)
    size = 64 * code[1] * code[2]
    return nn.Sequential(
        *_block(inputs, 32),
        *_block(32, 64, stride=2),
        *_block(64, 64, stride=2),
        nn.Flatten(),
        nn.Linear(size, latent),
        nn.Linear(latent, size),
        nn.Unflatten(1, code),
        *_up(64, 64),
        *_up(64, 32),
        nn.Conv2d(32, inputs, 3, padding=1),
    )


def _block(a: int, b: int, stride: int = 1) -> list[nn.Module]:
    # the norm that follows takes any bias out again
    return [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.1, inplace=True)]


def _up(a: int, b: int) -> list[nn.Module]:
    return [UpConv2d(a, b, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.1, inplace=True)]
