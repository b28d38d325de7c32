"""Autoencoder of single frames with frozen VGG16 features and a trained decoder."""

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import model_validator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vad import UserError
from vad.models.base import MODELS, Autoencoder, AutoencoderParams, Shape, divisible
from vad.models.layers import UpConv2d, channels_last
from vad.pipeline.params import Field
from vad.store import downloads

KEY = "model.vgg16"
WHAT = "torchvision's weights of VGG16 without batch normalisation (.pth or .safetensors)"
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, number of convolutions
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue


@MODELS.register
class Vgg16(Autoencoder):
    """Autoencoder whose encoder is VGG16 (Simonyan & Zisserman, ICLR 2015), trained on ImageNet.

    Encoder: the first `depth` blocks of VGG16, each of two or three 3x3 convolutions with ReLU and one 2x2
    max pooling; frozen. Decoder: per entry of `decoder` a 3x3 convolution, ReLU and 2x nearest
    upsampling, then a 3x3 convolution to the input's planes and a sigmoid. Planes are normalised as for
    ImageNet; a single plane is repeated three times. The frames of a window are coded independently.

    Windows (C, T, h, w) with C 1 or 3 -> the same shape; height and width must be multiples of 2 ** depth. At
    depth 4, decoder 256, 128, 64, 32 and C = 1 it has 7,635,264 frozen and 1,567,489 trained parameters.
    """

    class Params(AutoencoderParams):
        """`model.vgg16`"""

        pretrained: bool = Field(
            False,
            description="whether the frozen features were trained on ImageNet (read from `weights`); if not, "
            "they are random, and the log warns",
        )
        weights: str = Field(
            "https://download.pytorch.org/models/vgg16-397923af.pth",
            description="path or URL of torchvision's weights of VGG16 without batch norm, .pth or "
            ".safetensors; a URL is downloaded once",
        )
        sha256: str | None = Field(
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            description="SHA-256 of the weights, 64 digits; required with `pretrained: true` (if it is null, "
            "the error message states that of the file)",
        )
        depth: int = Field(
            4,
            ge=3,
            le=5,
            description="blocks of VGG16; height and width of a tensor must be multiples of 2 ** depth",
        )
        decoder: list[Annotated[int, Field(ge=1)]] = Field(
            [256, 128, 64, 32],
            description="channels of the decoder, deepest first; as many entries as `depth`",
        )

        @model_validator(mode="after")
        def _one_per_block(self) -> Self:
            if len(self.decoder) != self.depth:
                raise ValueError(
                    f"decoder has {len(self.decoder)} entries and depth is {self.depth}: give one entry per "
                    "block"
                )
            return self

    params: Params
    mean: Tensor
    std: Tensor

    def __init__(self, params: Params, shape: Shape, channels: Sequence[str]):
        super().__init__(params, shape, channels)
        if self.input_shape[0] not in (1, 3):
            raise UserError(
                f"model vgg16 takes frames of 1 or 3 planes, got {self.input_shape[0]} "
                f"({', '.join(self.channels) or 'without names'}); set resize.channels: [gray], or [rgb] and "
                "extract.color: rgb"
            )
        divisible("vgg16", shape, 2**params.depth)
        self.features = features(params.depth)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):  # keeps the variance of random features from layer to layer
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.features.requires_grad_(False)
        first = BLOCKS[params.depth - 1][0], params.decoder[0]
        layers: list[nn.Module] = [nn.Conv2d(*first, 3, padding=1), nn.ReLU(inplace=True)]
        for a, b in pairwise(params.decoder):
            layers += [UpConv2d(a, b), nn.ReLU(inplace=True)]
        layers += [UpConv2d(params.decoder[-1], self.output_shape[0]), nn.Sigmoid()]
        self.decoder = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        channels_last(self)

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of the decoder; the frozen features stay in eval mode."""
        super().train(mode)
        self.features.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        frames = self.inputs(x).transpose(1, 2).flatten(0, 1)  # (B * T, C, h, w)
        frames = (frames.expand(-1, 3, -1, -1) - self.mean) / self.std  # (B * T, 3, h, w)
        with torch.no_grad():
            code = self.features(frames.contiguous(memory_format=torch.channels_last))
        y = self.decoder(code)  # (B * T, C, h, w)
        return y.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)

    def prepare(self, cache: Path, log: Callable[[str], None]) -> None:
        """Loads the features trained on ImageNet, or warns that they are random.

        The file is converted once, to <cache>/weights/vgg16-<sha256>.safetensors.

        Raises:
            UserError: if the file cannot be obtained, has another SHA-256, or holds another architecture.
        """
        sha256 = self.params.sha256
        if not self.params.pretrained:
            log(
                "WARNING: VGG16 starts from random features, not ImageNet's: set model.vgg16.pretrained: "
                "true to use those in model.vgg16.weights"
            )
            return
        folder = cache / "weights"
        path = downloads.fetch(self.params.weights, sha256, folder, key=KEY, what=WHAT)
        if sha256 is None:
            raise UserError(
                f"{KEY}.sha256 is not set, so DVC could not tell these weights from others; set "
                f"{KEY}.sha256: {downloads.hash_file(path)} if you trust {path}"
            )
        converted = folder / f"vgg16-{sha256.lower()}.safetensors"
        if not converted.is_file():
            convert(path, converted)
        weights = read(converted)  # of all blocks, also of those deeper than `depth`
        self.features.load_state_dict(
            {name: weights[f"features.{name}"] for name in self.features.state_dict()}
        )
        log(f"VGG16 starts from the features in {path}")


def features(depth: int) -> nn.Sequential:
    """The first `depth` blocks of VGG16: (B, 3, h, w) -> (B, N, h / 2 ** depth, w / 2 ** depth).

    Parameters have torchvision's names: `0.weight`, `0.bias`, `2.weight`, …
    """
    layers: list[nn.Module] = []
    planes = 3
    for channels, convolutions in BLOCKS[:depth]:
        for _ in range(convolutions):
            layers += [nn.Conv2d(planes, channels, 3, padding=1), nn.ReLU(inplace=True)]
            planes = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def convert(source: Path, target: Path) -> None:
    """Writes the weights of all 13 convolutions as safetensors, without the classifier.

    Args:
        source: torchvision's weights, .pth or .safetensors.
        target: the .safetensors file to write.

    Raises:
        UserError: if `source` holds another architecture.
    """
    stored = read(source)
    with torch.device("meta"):
        whole = features(len(BLOCKS)).state_dict(prefix="features.")
    weights = {}
    for name, like in whole.items():
        value = stored.get(name) if isinstance(stored, dict) else None
        if not isinstance(value, Tensor) or value.shape != like.shape:
            shape = "x".join(str(n) for n in value.shape) if isinstance(value, Tensor) else "missing"
            raise UserError(
                f"{source}: not VGG16, as {name} is {shape} instead of "
                f"{'x'.join(str(n) for n in like.shape)}; {KEY}.weights must name {WHAT}"
            )
        weights[name] = value.float().contiguous()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}")  # renamed when complete, so that no reader sees half a file
    save_file(weights, part)
    part.replace(target)


def read(path: Path) -> Any:
    """Reads a file of weights. Code in it is never run.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as e:  # neither reader documents what it raises for a broken file
        raise UserError(
            f"{path}: cannot be read as weights ({type(e).__name__}); expected {WHAT}: copy it again, or "
            "remove it if it lies in the cache"
        ) from None
