"""The base class of all autoencoders, and how they are stored.

Weights are stored as safetensors beside a JSON card; no pickle is ever loaded.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vad import UserError
from vad.pipeline.params import Choice, Field, Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.cards import write_json
from vad.store.digests import digest_files
from vad.windows.planes import FLOW, SINGLE_FRAME, WHITE
from vad.windows.spec import WindowParams

Shape = tuple[int, int, int, int]  # planes, frames, height, width
BRANCHES = {"reconstruct": "reconstruction", "predict": "prediction", "translate": "translation"}


class AutoencoderParams(Section):
    """The keys that the sub-section of every model has.

    Models with further objectives than reconstruction declare the field `objective`.
    """

    window: WindowParams = Field(description="the frames of a window")


class TrainingSettings(Protocol):
    """The keys of the section `train` that `Autoencoder.fit_at_once` may read."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def early_stopping(self) -> int: ...
    @property
    def seed(self) -> int: ...


class WindowArray(Protocol):
    """All windows of a split (`vad.windows.dataset.Windows`); indexing by [N] gives uint8 (N, C, T, h, w)."""

    def __len__(self) -> int: ...
    def __getitem__(self, indices: np.ndarray, /) -> np.ndarray: ...


class Autoencoder(nn.Module, Plugin):
    """Base of all autoencoders.

    `forward(x)` takes float32 windows (B, C, T, h, w) in [0, 1] and returns (B, *output_shape), which is
    compared with `target(x)`. The objective decides the input of the network and its target:

    | objective | `inputs(x)` | `target(x)` |
    |---|---|---|
    | reconstruct | the window | the window |
    | predict | all frames but the last | the last frame (Liu et al., CVPR 2018) |
    | translate | the appearance planes | the flow planes (Nguyen & Meunier, ICCV 2019) |

    A subclass calls `super().__init__`, builds a network from `input_shape` to `output_shape`, and raises
    UserError for a shape that it does not accept.

    Args:
        params: the sub-section of the model.
        shape: planes, frames, height and width of a window.
        channels: names of the planes; needed to tell flow planes from appearance planes.

    Attributes:
        input_shape: shape of the network's input for a window, (C', T', h, w).
        output_shape: shape of its output.
        scored_frame: index of the output frame that shows the frame the window belongs to.

    Raises:
        UserError: if the objective is not possible with these windows.
    """

    Params: ClassVar[type[AutoencoderParams]]
    params: AutoencoderParams

    def __init__(self, params: AutoencoderParams, shape: Shape, channels: Sequence[str]):
        super().__init__()
        self.params, self.channels = params, list(channels)
        planes, frames, height, width = self.shape = _shape(shape)
        self.objective: str = getattr(params, "objective", "reconstruct")
        self._input_planes: slice | list[int] = slice(None)
        self._output_planes: slice | list[int] = slice(None)
        self.input_shape, self.output_shape = self.shape, self.shape
        # as in `WindowSpec.offsets`: the earlier of two middle frames
        self.scored_frame = (frames - 1) // 2 if params.window.position == "middle" else frames - 1
        if self.objective == "predict":
            if frames < 2 or params.window.position != "last":
                raise UserError(
                    f"model.{self.name}: objective predict needs window.frames at least 2 and "
                    f"window.position last, got {frames} and {params.window.position}"
                )
            self.input_shape, self.output_shape = (
                (planes, frames - 1, height, width),
                (planes, 1, height, width),
            )
            self.scored_frame = 0  # the output has only this frame
        elif self.objective == "translate":
            flow = [i for i, name in enumerate(self.channels) if name in FLOW]
            appearance = [i for i in range(planes) if i not in flow]
            if not flow or not appearance:
                raise UserError(
                    f"model.{self.name}: objective translate needs planes of appearance and of flow, got "
                    f"{', '.join(self.channels) or 'planes without names'}; set resize.channels: [gray, flow]"
                )
            self._input_planes, self._output_planes = appearance, flow
            self.input_shape = len(appearance), frames, height, width
            self.output_shape = len(flow), frames, height, width

    def describe(self) -> str:
        """A short description for logs: `conv2d, 332,801 parameters, windows of 1x1x64x64`."""
        shape = "x".join(str(n) for n in self.shape)
        return f"{self.name}, {sum(p.numel() for p in self.parameters()):,} parameters, windows of {shape}"

    def inputs(self, x: Tensor) -> Tensor:
        """The network's input for windows (B, C, T, h, w): (B, *input_shape)."""
        return x[:, self._input_planes, : self.input_shape[1]]

    def target(self, x: Tensor) -> Tensor:
        """The target of `forward(x)`: (B, *output_shape)."""
        return x[:, self._output_planes, self.shape[1] - self.output_shape[1] :]

    @property
    def branches(self) -> list[str]:
        """The error branches, each calibrated separately; by default only that of the objective."""
        return [BRANCHES[self.objective]]

    @property
    def single_frame(self) -> list[str]:
        """The error branches that depend only on the frame that a window belongs to, and on its pixels.

        A picture that fills all frames of a window has the same error there as in a video.
        """
        return self.branches if self.shape[1] == 1 and set(self.channels) <= set(SINGLE_FRAME) else []

    def residuals(self, x: Tensor) -> dict[str, Tensor]:
        """Target minus output of each branch.

        Args:
            x: windows, float32 (B, C, T, h, w) in [0, 1].

        Returns:
            By branch, in the order of `branches`: (B, planes of the branch, T', h, w). T' is 1 where only
            `scored_frame` is coded, else all frames of the output.
        """
        return {self.branches[0]: self.target(x) - self(x)}

    def penalty(self) -> Tensor | float:
        """A term of the loss from the last `forward`, added to the difference between output and target."""
        return 0.0

    def prepare(self, cache: Path, log: Callable[[str], None]) -> None:
        """Loads pretrained weights, if the model has any. Called once, before training.

        Args:
            cache: folder for downloads.
            log: writes a line of text.
        """

    def adapt(self, sample: Tensor) -> None:
        """Fits the model's normalisation to training data. Called once, before training.

        Args:
            sample: training windows, float32 (B, C, T, h, w) in [0, 1].
        """

    # Defined by models that another library fits, in place of the training loop: takes all windows and the
    # section `train`; returns the mean squared error of each epoch, and the index of the best epoch.
    fit_at_once: Callable[[WindowArray, TrainingSettings], tuple[list[float], int]] | None = None


MODELS = Registry("vad.models", Autoencoder)


class ModelParams(Choice):
    """`model`: the name of the autoencoder, and a sub-section for each."""

    registry: ClassVar[Registry[Autoencoder]] = MODELS
    chooser: ClassVar[str] = "name"
    name: str = Field(
        "cube", description="the autoencoder; docs/models.md describes each and the sizes it accepts"
    )


def create(name: str, params: AutoencoderParams, shape: Shape, channels: Sequence[str] = ()) -> Autoencoder:
    """Makes a new autoencoder, with random weights from torch's default generator.

    Args:
        name: name of a model in `MODELS`.
        params: its sub-section of `model`.
        shape: planes, frames, height and width of a window.
        channels: names of the planes; needed to tell flow planes from appearance planes.

    Raises:
        UserError: if the model does not accept this shape, or does not fit into memory.
        KeyError: if there is no model of this name.
    """
    if shape[1] != params.window.frames:
        raise UserError(
            f"the tensors hold windows of {shape[1]} frames, but model.{name}.window.frames = "
            f"{params.window.frames}; run `dvc repro resize`"
        )
    try:
        return MODELS.get(name)(params, shape, channels)
    except (MemoryError, RuntimeError) as e:
        # torch raises a plain RuntimeError when memory runs out
        if isinstance(e, RuntimeError) and "memory" not in str(e):
            raise
        raise UserError(f"model.{name} does not fit into memory; lower the numbers in its section") from None


def to_input(windows: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """Converts stored windows to the input of a model.

    Args:
        windows: uint8 (B, C, T, h, w).
        device: of the result.

    Returns:
        float32 (B, C, T, h, w) in [0, 1].
    """
    return torch.from_numpy(windows).to(device).float().div_(WHITE)


def save(model: Autoencoder, folder: Path, **card: Any) -> None:
    """Writes weights.safetensors and card.json, which suffice to load and apply the model.

    Args:
        model: on any device.
        folder: created if it does not exist.
        **card: further entries of the card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    card |= {
        "name": model.name,
        "params": model.params.model_dump(),
        "window_shape": list(model.shape),
        "window_axes": "planes, frames, height, width",
        "channels": model.channels,
        "normalisation": f"uint8 / {WHITE}",
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    write_json(folder / "card.json", card)


class UnusableModel(UserError):
    """A folder holds no autoencoder that can be loaded.

    Attributes:
        reason: what is wrong with it, for messages that name the folder themselves.
    """

    def __init__(self, folder: Path, reason: str):
        super().__init__(f"{folder}: no usable autoencoder ({reason}); run `dvc repro train`")
        self.reason = reason


_FAULTS = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, UserError),  # the card
    *(SafetensorError, RuntimeError),  # the weights
)


def load(folder: Path) -> tuple[Autoencoder, dict[str, Any]]:
    """Loads an autoencoder that `save` stored.

    Returns:
        The model, in eval mode, and its card.

    Raises:
        UnusableModel: if a file is missing or corrupt, or weights and card are of different architectures.
    """
    try:
        card = json.loads((folder / "card.json").read_text("utf-8"))
        params = MODELS.get(card["name"]).Params(**card["params"])
        model = create(card["name"], params, card["window_shape"], card["channels"])
        model.load_state_dict(load_file(folder / "weights.safetensors"))
    except _FAULTS as e:
        reason = (str(e) or type(e).__name__).splitlines()[0]
        # the text of a KeyError is the missing key alone
        raise UnusableModel(folder, f"no {reason}" if isinstance(e, KeyError) else reason) from None
    return model.eval(), card


def fingerprint(folder: Path) -> str:
    """Content hash of a stored autoencoder: its card and its weights."""
    return digest_files([folder / "card.json", folder / "weights.safetensors"])


def divisible(name: str, shape: Shape, by: int) -> None:
    """Refuses windows whose height or width is not a multiple of `by`, and suggests the nearest multiples.

    Args:
        name: of the model, for the message.
        shape: planes, frames, height and width of a window.
        by: the divisor.

    Raises:
        UserError: if height or width is not a multiple of `by`.
    """
    for side, length in zip(("height", "width"), shape[2:], strict=True):
        if length % by:
            low = length - length % by
            near = " or ".join(str(n) for n in (low, low + by) if n)
            raise UserError(f"{name} needs resize.{side} divisible by {by}, got {length}: try {near}")


def _shape(sides: Sequence[int]) -> Shape:
    """The shape as a tuple (JSON has lists). Raises ValueError unless it has four sides."""
    planes, frames, height, width = sides
    return planes, frames, height, width
