"""The contract between resize and train: which frames a window has, and how large its pictures are.

Imports neither torch nor any model, so that resizing depends on none.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import ConfigDict

from vad.pipeline.params import Field, Section
from vad.windows.planes import PLANES, Channel

Box = tuple[int, int, int, int]


class WindowSpec(Section):
    """`model.<name>.window`: the frames of a window."""

    frames: int = Field(
        ge=1,
        le=256,
        description="frames in a window; at a clip's edges the first or last frame is repeated",
    )
    step: int = Field(1, ge=1, le=64, description="frames from one frame of a window to the next")
    position: Literal["middle", "last"] = Field(
        "middle",
        description="which frame of a window it belongs to, and so its error; `last` needs no frame ahead, "
        "and a model that predicts needs it",
    )

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> "WindowSpec":
        """What `to_card` wrote into the card of a tensor."""
        return cls(frames=card["window"], step=card["step"], position=card["position"])

    def to_card(self) -> dict[str, Any]:
        """Its entries in the card of a tensor."""
        return {"window": self.frames, "step": self.step, "position": self.position}

    def offsets(self) -> np.ndarray:
        """The frames of a window relative to the frame it belongs to, ascending: int64 [frames]."""
        before = (self.frames - 1) // 2 if self.position == "middle" else self.frames - 1
        return self.step * (np.arange(self.frames) - before)


class ResizeParams(Section):
    """`resize`: the shape of a tensor. (Never a key called `size`: DVC's run cache drops it.)"""

    channels: list[Channel] = Field(
        ["gray", "flow"],
        min_length=1,
        description="what goes into a tensor, in this order: `picture` is what preprocessing makes of the "
        "frame (the frame itself, or `silhouette.output`); `flow` is two planes, `rgb` three",
    )
    height: int = Field(
        16,
        ge=8,
        le=1024,
        description="rows of a tensor; most models need a multiple of 2 to 16, and say which",
    )
    width: int = Field(16, ge=8, le=1024, description="columns of a tensor; likewise")
    stride: int = Field(
        1, ge=1, description="a window for every n-th frame; frames between take the nearest score"
    )
    fit: Literal["stretch", "letterbox"] = Field(
        "stretch",
        description="fill the tensor, or keep the aspect and fill the rest with black (flow: with "
        "stillness); the bars count in the error",
    )

    def planes(self, color: str) -> list[str]:
        """Names of the planes of a tensor, where preprocessing leaves frames as they are.

        Args:
            color: `extract.color`, gray or rgb.
        """
        frame = ("gray",) if color == "gray" else PLANES["rgb"]
        return [name for c in self.channels for name in (frame if c == "picture" else PLANES.get(c, (c,)))]


class ModelName(Section):
    """`model`: the name of the chosen autoencoder, without its sub-sections."""

    model_config = ConfigDict(extra="ignore")
    name: str = Field(description="the autoencoder")


class TensorSpec(ResizeParams):
    """All that decides the tensors of a clip: `resize`, and the window of the chosen model."""

    window: WindowSpec

    @classmethod
    def of(cls, resize: ResizeParams, window: WindowSpec) -> "TensorSpec":
        """Both in one section."""
        return cls(**resize.model_dump(), window=window)


class TensorSize(Protocol):
    """What `placement` reads of `ResizeParams`."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def fit(self) -> str: ...


def placement(width: int, height: int, tensor: TensorSize) -> Box:
    """Where a box lands in a tensor.

    Args:
        width: of the box, in pixels of the frame, from 1.
        height: likewise.
        tensor: size of the tensor, and whether boxes are stretched or letterboxed.

    Returns:
        left, top, width, height in pixels of the tensor.
    """
    if tensor.fit == "stretch":
        return 0, 0, tensor.width, tensor.height
    scale = min(tensor.width / width, tensor.height / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    return (tensor.width - w) // 2, (tensor.height - h) // 2, w, h
