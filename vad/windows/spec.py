"""The contract between resize and train: the frames of a window and the size of its pictures.

Imports neither torch nor any model, so that resize does not depend on them.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import ConfigDict

from vad.durations import count_frames
from vad.pipeline.params import Field, Section
from vad.windows.planes import FLOW_STEPS, PLANES, Channel

Box = tuple[int, int, int, int]


class WindowParams(Section):
    """`model.<name>.window`: the frames of a window, at any frame rate."""

    frames: int = Field(
        ge=1,
        le=256,
        description="frames in a window; at the ends of a clip the first or last frame is repeated",
    )
    frame_interval: float = Field(
        0.0,
        ge=0,
        le=60,
        description="seconds from each frame of a window to the next, rounded to whole frames of the clip "
        "(halves up), at least 1; 0: consecutive frames",
    )
    position: Literal["middle", "last"] = Field(
        "middle",
        description="frame of the window to which the window and its error belong; `last` uses no future "
        "frames, and models that predict a frame require it",
    )

    def at(self, fps: float) -> "WindowSpec":
        """The window at a frame rate.

        Args:
            fps: frames per second of the clip or camera, above 0.
        """
        step = count_frames(self.frame_interval, fps, least=1)
        return WindowSpec(frames=self.frames, step=step, position=self.position)


class WindowSpec(Section):
    """The frames of a window in a clip.

    Attributes:
        frames: number of frames, at least 1.
        step: frames from one frame of the window to the next, at least 1.
        position: frame of the window to which it belongs.
    """

    frames: int = Field(ge=1)
    step: int = Field(1, ge=1)
    position: Literal["middle", "last"] = "middle"

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> "WindowSpec":
        """Reads the entries of `to_card` from the card of a tensor."""
        return cls(frames=card["window"], step=card["step"], position=card["position"])

    def to_card(self) -> dict[str, Any]:
        """The entries for the card of a tensor."""
        return {"window": self.frames, "step": self.step, "position": self.position}

    def offsets(self) -> np.ndarray:
        """Frame numbers relative to the frame to which the window belongs, ascending, int64 [frames]."""
        before = (self.frames - 1) // 2 if self.position == "middle" else self.frames - 1
        return self.step * (np.arange(self.frames) - before)

    @property
    def lookahead(self) -> int:
        """Number of frames that a window needs after the frame to which it belongs."""
        return int(self.offsets()[-1])


class ResizeParams(Section):
    """`resize`: the shape of a tensor. No key may be called `size`, which DVC's run cache would drop."""

    channels: list[Channel] = Field(
        ["gray", "flow"],
        min_length=1,
        description="content of a tensor, in this order: `picture` is the result of preprocessing (the frame "
        "itself, or `silhouette.output`); `flow` has two planes, `rgb` three",
    )
    height: int = Field(
        16,
        ge=8,
        le=1024,
        description="rows of a tensor; most models require a multiple of a number from 2 to 16, which the "
        "error message names",
    )
    width: int = Field(16, ge=8, le=1024, description="columns of a tensor; as `height`")
    stride: int = Field(
        1,
        ge=1,
        description="windows are made for every n-th frame; frames in between take the score of the nearest",
    )
    fit: Literal["stretch", "letterbox"] = Field(
        "stretch",
        description="`stretch` fills the tensor; `letterbox` keeps the aspect ratio and adds black bars (for "
        "flow, bars without motion), which count in the error",
    )
    flow_range: float = Field(
        4.0,
        gt=0,
        le=100,
        description="for the channel `flow`, the highest velocity in each direction, in body heights per "
        "second (walking is about 0.8, running 3); faster flow is clipped. It has 127 steps in a tensor",
    )

    @property
    def flow_step(self) -> float:
        """Body heights per second per step of a flow plane."""
        return self.flow_range / FLOW_STEPS

    def active(self) -> dict[str, Any]:
        off = set() if "flow" in self.channels else {"flow_range"}
        return self.model_dump(mode="json", exclude=off)

    def planes(self, color: str) -> list[str]:
        """Names of the planes of a tensor, if preprocessing leaves frames unchanged.

        Args:
            color: `extract.color`, gray or rgb.
        """
        frame = ("gray",) if color == "gray" else PLANES["rgb"]
        return [name for c in self.channels for name in (frame if c == "picture" else PLANES.get(c, (c,)))]


class ModelName(Section):
    """`model`: the name of the chosen autoencoder, without the sub-sections."""

    model_config = ConfigDict(extra="ignore")
    name: str = Field(description="the autoencoder")


class TensorSpec(ResizeParams):
    """All parameters of the tensors of a clip: `resize`, and the window of the chosen model at its rate."""

    window: WindowSpec

    @classmethod
    def of(cls, resize: ResizeParams, window: WindowSpec) -> "TensorSpec":
        """Combines both sections."""
        return cls(**resize.model_dump(), window=window)


class TensorSize(Protocol):
    """The part of `ResizeParams` that `placement` uses."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def fit(self) -> str: ...


def placement(width: int, height: int, tensor: TensorSize) -> Box:
    """Position of a resized box in a tensor.

    Args:
        width: of the box, in pixels of the frame, at least 1.
        height: of the box, in pixels of the frame, at least 1.
        tensor: size of the tensor, and whether boxes are stretched or letterboxed.

    Returns:
        left, top, width, height in pixels of the tensor.
    """
    if tensor.fit == "stretch":
        return 0, 0, tensor.width, tensor.height
    scale = min(tensor.width / width, tensor.height / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    return (tensor.width - w) // 2, (tensor.height - h) // 2, w, h
