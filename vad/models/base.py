"""The autoencoders: one file each, one registry, one way to store them.

    @register("conv2d")
    class Conv2d(Autoencoder): ...

A model lives in the module of its name, so that choosing one imports no other. Weights are stored as
safetensors beside a JSON card; no pickle is ever read.
"""

import hashlib
import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vad import UserError
from vad.pipeline.params import Choice, Field, Section
from vad.windows.planes import FLOW

Shape = tuple[int, int, int, int]  # channels, frames, height, width
BRANCHES = {"reconstruct": "reconstruction", "predict": "prediction", "translate": "translation"}


class ModelParams(Section):
    """What the sub-section of every model has.

    `window`: frames in a window, each `step` frames after the one before. `position`: which of them a window
    belongs to; a model that predicts must have `last`. Models that can do more than reconstruct declare
    `objective` as a field.
    """

    window: int = Field(ge=1, le=256)
    step: int = Field(ge=1, le=64)
    position: Literal["middle", "last"]


class ModelChoice(Choice):
    """`model`: the name of the autoencoder, and a sub-section for each."""

    package = "vad.models"
    chooser = "name"
    name: str


class Autoencoder(nn.Module):
    """What all autoencoders have in common.

    `forward(x)` takes float32 windows (B, C, T, h, w) in [0, 1] and returns what it makes of them,
    (B, C', T', h, w), to be compared with `target(x)`. The objective decides what is shown and wanted:

    | objective | `given(x)` | `target(x)` |
    |---|---|---|
    | reconstruct | the window | the window |
    | predict | all frames but the last | the last frame (Liu et al., CVPR 2018) |
    | translate | the planes of appearance | the planes of flow (Nguyen & Meunier, ICCV 2019) |

    A subclass calls `super().__init__(params, shape, channels)` with the shape (C, T, h, w) of a window
    and the names of its C planes, builds a network from `given_shape` to `made_shape`, and raises
    UserError for a shape that it cannot take. Its module's `Params` is its sub-section.
    """

    name: ClassVar[str]  # set by `register`

    def __init__(self, params: ModelParams, shape: Shape, channels: Sequence[str]):
        super().__init__()
        self.params, self.shape, self.channels = params, tuple(shape), list(channels)
        self.objective: str = getattr(params, "objective", "reconstruct")
        self._given, self._made = slice(None), slice(None)  # planes
        c, t, h, w = self.shape
        self.given_shape, self.made_shape = self.shape, self.shape
        self.own_frame = (t - 1) // 2 if params.position == "middle" else t - 1  # of what is made
        if self.objective == "predict":
            if t < 2 or params.position != "last":
                raise UserError(
                    f"model.{self.name}: objective predict needs window at least 2 and position last, "
                    f"got {t} and {params.position}"
                )
            self.given_shape, self.made_shape, self.own_frame = (c, t - 1, h, w), (c, 1, h, w), 0
        elif self.objective == "translate":
            self._made = [i for i, name in enumerate(self.channels) if name in FLOW]
            self._given = [i for i in range(c) if i not in self._made]
            if not self._made or not self._given:
                raise UserError(
                    f"model.{self.name}: objective translate needs planes of appearance and of flow, got "
                    f"{', '.join(self.channels) or 'planes without names'}; set resize.channels: [gray, flow]"
                )
            self.given_shape, self.made_shape = (len(self._given), t, h, w), (len(self._made), t, h, w)

    def describe(self) -> str:
        """`conv2d, 332,801 parameters, windows of 1x1x64x64`"""
        shape = "x".join(str(n) for n in self.shape)
        return f"{self.name}, {sum(p.numel() for p in self.parameters()):,} parameters, windows of {shape}"

    def given(self, x: Tensor) -> Tensor:
        """What of the windows the network is shown: (B, *given_shape)."""
        return x[:, self._given, : self.given_shape[1]]

    def target(self, x: Tensor) -> Tensor:
        """What `forward(x)` should have been: (B, *made_shape)."""
        return x[:, self._made, self.shape[1] - self.made_shape[1] :]

    @property
    def branches(self) -> list[str]:
        """The sources of error, each calibrated by itself; one unless a subclass says otherwise."""
        return [BRANCHES[self.objective]]

    def residuals(self, x: Tensor) -> dict[str, Tensor]:
        """Per branch target minus output: (B, C', T', h, w). The keys are `branches`."""
        return {self.branches[0]: self.target(x) - self(x)}

    def penalty(self) -> Tensor | float:
        """What the loss of the last `forward` has beside the difference to the target."""
        return 0.0

    def prepare(self, cache: Path, log: Callable[[str], None]) -> None:
        """Is called once before training, for weights that come from elsewhere; `cache` keeps downloads."""

    def adapt(self, sample: Tensor) -> None:
        """Is called once before training with some of its windows, float32 (B, C, T, h, w) in [0, 1]."""

    # A model that is not trained step by step: gets what holds all windows (`len`, and uint8 (B, C, T, h, w)
    # by indices) and the section `train`; returns the mean squared error of each epoch, and the best epoch.
    fit_at_once: Callable[[Any, Section], tuple[list[float], int]] | None = None


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


def create(name: str, params: ModelParams, shape: Shape, channels: Sequence[str] = ()) -> Autoencoder:
    """The autoencoder `name` for windows of shape (channels, frames, height, width).

    `channels` names the planes; objectives and branches that tell flow from appearance need it.
    Raises UserError if the model cannot take this shape.
    """
    importlib.import_module(f"{__name__}.{name}")
    if shape[1] != params.window:
        raise UserError(
            f"the tensors hold windows of {shape[1]} frames, but model.{name}.window = {params.window}; "
            "run `dvc repro resize`"
        )
    try:
        return _REGISTRY[name](params, shape, channels)
    except (MemoryError, RuntimeError) as e:
        if isinstance(e, RuntimeError) and "memory" not in str(e):
            raise
        raise UserError(f"model.{name} does not fit into memory; lower the numbers in its section") from None


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
        "channels": model.channels,
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
        model = create(card["name"], module.Params(**card["params"]), card["input_shape"], card["channels"])
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
