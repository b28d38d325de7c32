"""The contract between resize and train: which frames a window has, and how large its pictures are."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict

from vad import UserError
from vad.flow import need_flow
from vad.pipeline.params import Field, Section
from vad.windows.planes import PLANES, Channel

Box = tuple[int, int, int, int]


class ResizeParams(Section):
    """`resize`: the shape of a tensor. (Never a key called `size`: DVC's run cache drops it.)

    `channels`: see `vad.resize.channels`.
    """

    channels: Annotated[list[Channel], Field(min_length=1)]
    height: int = Field(ge=8, le=1024)
    width: int = Field(ge=8, le=1024)
    stride: int = Field(ge=1)
    fit: Literal["stretch", "letterbox"]

    def planes(self, color: str) -> list[str]:
        """Names of the planes of a tensor, where `picture` is the frame as filmed: `color` gray or rgb."""
        frame = ["gray"] if color == "gray" else PLANES["rgb"]
        return [name for c in self.channels for name in (frame if c == "picture" else PLANES.get(c, [c]))]

    def verify(self, raw: dict[str, Any]) -> None:
        if "flow" in self.channels:
            need_flow(raw["flow"]["method"], "resize.channels: flow")
        if "rgb" in self.channels and raw["extract"]["color"] != "rgb":
            raise UserError("resize.channels asks for rgb, but frames are gray; set extract.color: rgb")


class ModelName(Section):
    """`model`: which is chosen, and no more."""

    model_config = ConfigDict(extra="ignore")
    name: str


class ModelWindow(Section):
    """Of the chosen model's section, which frames a window has (`vad.models.ModelParams`)."""

    model_config = ConfigDict(extra="ignore")
    window: int = Field(ge=1, le=256)
    step: int = Field(ge=1, le=64)
    position: Literal["middle", "last"]


class WindowParams(ResizeParams, ModelWindow):
    """`resize` together with the window of the chosen model."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def of(cls, resize: ResizeParams, model: ModelWindow) -> "WindowParams":
        """Both in one."""
        return cls(**resize.model_dump(), **model.model_dump())


def _offsets(window: int, step: int, position: str) -> np.ndarray:
    """Which frames a window has, relative to the one that it belongs to."""
    return step * (np.arange(window) - ((window - 1) // 2 if position == "middle" else window - 1))


def placement(width: int, height: int, params: ResizeParams) -> Box:
    """Where a box of this width and height lies in the tensor: left, top, width, height."""
    if params.fit == "stretch":
        return 0, 0, params.width, params.height
    scale = min(params.width / width, params.height / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    return (params.width - w) // 2, (params.height - h) // 2, w, h
