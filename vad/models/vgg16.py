"""Frozen VGG16 features and a trained decoder, on single frames."""

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import model_validator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vad import UserError
from vad.models import Autoencoder, ModelParams, Shape, divisible, register
from vad.models.layers import UpConv2d
from vad.pipeline.params import Field
from vad.store import downloads

KEY = "model.vgg16"
WHAT = "torchvision's weights of VGG16 without batch normalisation (.pth or .safetensors)"
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue


class Params(ModelParams):
    """`model.vgg16`"""

    pretrained: bool
    weights: str
    sha256: str | None
    depth: int = Field(ge=3, le=5)
    decoder: list[Annotated[int, Field(ge=1)]]

    @model_validator(mode="after")
    def _one_per_block(self) -> "Params":
        if len(self.decoder) != self.depth:
            raise ValueError(
                f"decoder has {len(self.decoder)} entries and depth is {self.depth}: give one entry per block"
            )
        return self


@register("vgg16")
class Vgg16(Autoencoder):
    """Autoencoder whose encoder is VGG16 (Simonyan & Zisserman, ICLR 2015), as learned on ImageNet.

    Encoder: the first `depth` blocks of VGG16, each of two or three 3x3 convolutions with ReLU and one 2x2
    max pooling; frozen. Decoder: per entry of `decoder` a 3x3 convolution, ReLU and 2x nearest
    upsampling, then a 3x3 convolution to the input's planes and a sigmoid. Planes are normalised as for
    ImageNet; a single one is shown three times.

    Windows (C, T, h, w) with C 1 or 3 -> the same shape; frames of a window are coded one by one; height
    and width must be multiples of 2 ** depth. At depth 4, decoder 256, 128, 64, 32 and C = 1 it has
    7,635,264 frozen parameters and 1,567,489 that are trained.
    """

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        if self.given_shape[0] not in (1, 3):
            raise UserError(
                f"model vgg16 takes frames of 1 or 3 planes, got {self.given_shape[0]} "
                f"({', '.join(self.channels) or 'without names'}); set resize.channels: [gray], or [rgb] and "
                "extract.color: rgb"
            )
        divisible("vgg16", shape, 2**params.depth)
        self.features = features(params.depth)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):  # what is random must not fade from layer to layer
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.features.requires_grad_(False)
        first = BLOCKS[params.depth - 1][0], params.decoder[0]
        layers: list[nn.Module] = [nn.Conv2d(*first, 3, padding=1), nn.ReLU(inplace=True)]
        for a, b in pairwise(params.decoder):
            layers += [UpConv2d(a, b), nn.ReLU(inplace=True)]
        layers += [UpConv2d(params.decoder[-1], self.made_shape[0]), nn.Sigmoid()]
        self.decoder = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        # channels last is the layout in which convolutions are fastest on CPUs
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> "Vgg16":
        """The features stay in eval mode, as everything about them does."""
        super().train(mode)
        self.features.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        frames = self.given(x).transpose(1, 2).flatten(0, 1)  # (B * T, C, h, w)
        frames = (frames.expand(-1, 3, -1, -1) - self.mean) / self.std  # (B * T, 3, h, w)
        with torch.no_grad():
            code = self.features(frames.contiguous(memory_format=torch.channels_last))
        y = self.decoder(code)  # (B * T, C, h, w)
        return y.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)

    def prepare(self, cache: Path, log: Callable[[str], None]) -> None:
        """Loads ImageNet's features, or warns that there are none.

        The file is converted once, to <cache>/weights/vgg16-<sha256>.safetensors. Raises UserError if it
        cannot be had, is not the one that sha256 says, or holds another architecture.
        """
        wanted = self.params.sha256
        if not self.params.pretrained:
            log(
                "WARNING: VGG16 starts from random features, not ImageNet's: set model.vgg16.pretrained: "
                "true to use those in model.vgg16.weights"
            )
            return
        folder = cache / "weights"
        path = downloads.fetch(self.params.weights, wanted, folder, key=KEY, what=WHAT)
        if wanted is None:
            raise UserError(
                f"{KEY}.sha256 is not set, so DVC could not tell these weights from others; set "
                f"{KEY}.sha256: {downloads.hash_file(path)} if you trust {path}"
            )
        kept = folder / f"vgg16-{wanted.lower()}.safetensors"
        if not kept.is_file():
            convert(path, kept)
        found = read(kept)
        own = self.features.state_dict()  # of deeper blocks nothing
        self.features.load_state_dict({name: found[f"features.{name}"] for name in own})
        log(f"VGG16 starts from the features in {path}")


def features(depth: int) -> nn.Sequential:
    """The first blocks of VGG16, with torchvision's names: `0.weight`, `0.bias`, `2.weight`, …"""
    layers: list[nn.Module] = []
    planes = 3
    for channels, convolutions in BLOCKS[:depth]:
        for _ in range(convolutions):
            layers += [nn.Conv2d(planes, channels, 3, padding=1), nn.ReLU(inplace=True)]
            planes = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def convert(path: Path, kept: Path) -> None:
    """Writes the weights of all 13 convolutions as safetensors; those of the classifier are left out."""
    found = read(path)
    with torch.device("meta"):
        whole = features(len(BLOCKS)).state_dict(prefix="features.")
    for name, like in whole.items():
        value = found.get(name) if isinstance(found, dict) else None
        if not isinstance(value, Tensor) or value.shape != like.shape:
            shape = "x".join(str(n) for n in value.shape) if isinstance(value, Tensor) else "missing"
            raise UserError(
                f"{path}: not VGG16, as {name} is {shape} instead of "
                f"{'x'.join(str(n) for n in like.shape)}; {KEY}.weights must name {WHAT}"
            )
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(f".{os.getpid()}")  # so that no half of it is ever taken for the whole
    save_file({name: found[name].float().contiguous() for name in whole}, part)
    part.replace(kept)


def read(path: Path) -> Any:
    """What a file of weights holds; nothing in it is run. Raises UserError if it cannot be read."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as e:  # the readers raise whatever they stumble over
        raise UserError(
            f"{path}: cannot be read as weights ({type(e).__name__}); expected {WHAT}: copy it again, or "
            "remove it if it lies in the cache"
        ) from None
