"""What all methods of optical flow have in common, and the files that they write."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vad import UserError
from vad.pipeline.params import Choice, Field, Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.arrays import open_array
from vad.store.cards import read_card


class FlowMethod(Plugin):
    """A method of dense optical flow between neighbouring frames."""

    def __init__(self, params: Section):
        self.params = params

    def flow(self, stem: Path, frames: Path, *, threads: int) -> None:
        """Work function: writes the flow of one clip.

        Always a card <stem>.json with the key `method`; and, unless there is no flow, <stem>.npy, int8
        [T, h, w, 2]: how far what is seen at a pixel of frame t has moved since frame t - 1, right and down.
        Frame 0 repeats frame 1. A count stands for card["scale"] pixels of the extracted frame; h x w may be
        smaller than the frame. (On the grid of the later frame, so that a box in frame t cuts out its own
        motion, and live use needs no frame ahead.)

        Args:
            stem: of the files to be written.
            frames: stem of the clip's frames, uint8 [T, H, W] or [T, H, W, 3].
            threads: at most so many.
        """
        raise NotImplementedError


FLOW_METHODS = Registry("vad.flow", FlowMethod)


class FlowParams(Choice):
    """`flow`: the method, and a sub-section for each."""

    registry: ClassVar[Registry[FlowMethod]] = FLOW_METHODS
    chooser: ClassVar[str] = "method"
    method: str = Field("dis", description="optical flow, for channels, boxes and branches that need it")


def require_flow(method: str, wanted_by: str) -> None:
    """Raises UserError if no flow is computed.

    Args:
        method: `flow.method`.
        wanted_by: the parameter that asks for flow, for the message.
    """
    if method == "none":
        raise UserError(f"{wanted_by} needs optical flow, but flow.method is none; set flow.method: dis")


def open_flow(stem: Path, wanted_by: str) -> tuple[np.ndarray, dict[str, Any]]:
    """(the array as a read-only memory map, its card). Raises UserError as `require_flow` does."""
    require_flow(read_card(stem)["method"], wanted_by)
    return open_array(stem)
