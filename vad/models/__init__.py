"""The autoencoders: one file each, one registry, one way to store them.

    @register("conv2d")
    class Conv2d(Autoencoder): ...

A model lives in the module of its name, so that choosing one imports no other. Weights are stored as
safetensors beside a JSON card; no pickle is ever read.
"""

import hashlib
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vad import UserError
from vad.params import Choice, Section
from vad.params import load as load_params

Shape = tuple[int, int, int, int]  # channels, frames, height, width


class ModelChoice(Choice):
    """`model`: the name of the autoencoder, and a sub-section for each."""

    package = "vad.models"
    chooser = "name"
    name: str

    def verify(self, raw: dict[str, Any]) -> None:
        own = importlib.import_module(f"{__name__}.{self.name}").Params
        resize = raw["resize"]
        with torch.device("meta"):  # shapes without memory
            create(
                self.name,
                load_params(f"model.{self.name}", own, raw),
                (1, resize["window"], resize["height"], resize["width"]),
            )


class Autoencoder(nn.Module):
    """What all autoencoders have in common.

    `forward(x)` takes float32 (B, C, T, h, w) in [0, 1] and returns what it makes of it, in the same
    shape or the part that it predicts. A subclass calls `super().__init__(params, shape)` and raises
    UserError for a shape (C, T, h, w) that it cannot take. Its module's `Params` is its sub-section.
    """

    name: ClassVar[str]  # set by `register`

    def __init__(self, params: Section, shape: Shape):
        super().__init__()
        self.params, self.shape = params, tuple(shape)

    def describe(self) -> str:
        """`conv2d, 332,801 parameters, windows of 1x1x64x64`"""
        shape = "x".join(str(n) for n in self.shape)
        return f"{self.name}, {sum(p.numel() for p in self.parameters()):,} parameters, windows of {shape}"

    def target(self, x: Tensor) -> Tensor:
        """What `forward(x)` should have been; the input itself unless a subclass says otherwise."""
        return x

    def error(self, x: Tensor) -> Tensor:
        """Squared difference of output and target, averaged over channels: (B, T', h, w)."""
        return (self(x) - self.target(x)).square().mean(1)


_REGISTRY: dict[str, type[Autoencoder]] = {}


def register(name: str) -> Callable[[type[Autoencoder]], type[Autoencoder]]:
    """Class decorator: makes a model known under the name of its module."""

    def remember(model: type[Autoencoder]) -> type[Autoencoder]:
        if model.__module__ != f"{__name__}.{name}":
            raise ValueError(f"model {name!r} must live in {__name__}.{name}, not {model.__module__}")
        model.name = name
        _REGISTRY[name] = model
        return model

    return remember


def create(name: str, params: Section, shape: Shape) -> Autoencoder:
    """The autoencoder `name` for inputs of shape (channels, frames, height, width)."""
    importlib.import_module(f"{__name__}.{name}")
    return _REGISTRY[name](params, shape)


def save(model: Autoencoder, folder: Path, **card: Any) -> None:
    """Writes weights.safetensors and card.json, which say all that is needed to apply the model."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    card |= {
        "name": model.name,
        "params": model.params.model_dump(),
        "input_shape": list(model.shape),
        "input_axes": "channels, frames, height, width",
        "normalisation": "uint8 / 255",
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", "utf-8")


_UNUSABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, ImportError),  # the card
    *(SafetensorError, RuntimeError),  # the weights
)


def load(folder: Path) -> tuple[Autoencoder, dict[str, Any]]:
    """(the stored autoencoder in eval mode, its card).

    Raises UserError if a file is missing, corrupt, or of another architecture than the card says.
    """
    try:
        card = json.loads((folder / "card.json").read_text("utf-8"))
        module = importlib.import_module(f"{__name__}.{card['name']}")
        model = create(card["name"], module.Params(**card["params"]), card["input_shape"])
        model.load_state_dict(load_file(folder / "weights.safetensors"))
    except _UNUSABLE as e:
        reason = str(e).splitlines()[0]
        raise UserError(f"{folder}: no usable autoencoder ({reason}); run `dvc repro train`") from None
    return model.eval(), card


def fingerprint(folder: Path) -> str:
    """Content hash of a stored autoencoder, weights and card."""
    digest = hashlib.blake2b(digest_size=16)
    for name in ("card.json", "weights.safetensors"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def divisible(name: str, shape: Shape, by: int) -> None:
    """Raises UserError unless height and width are multiples of `by`; says which are near."""
    for side, length in zip(("height", "width"), shape[2:], strict=True):
        if length % by:
            low = length - length % by
            near = " or ".join(str(n) for n in (low, low + by) if n)
            raise UserError(f"{name} needs resize.{side} divisible by {by}, got {length}: try {near}")
