"""The base class of optical flow methods, the section `flow` of params.yaml, and access to stored flow."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vad import UserError
from vad.pipeline.params import Choice, Field, Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.arrays import open_array
from vad.store.cards import read_card


class FlowMethod(Plugin):
    """A method of dense optical flow between neighbouring frames.

    Args:
        params: the sub-section of `flow` with the name of the method.
    """

    def __init__(self, params: Section):
        self.params = params

    def flow(self, stem: Path, frames: Path, *, threads: int) -> None:
        """Work function: writes the flow of a clip.

        The card <stem>.json has the key `method`. The array <stem>.npy, int8 [T, h, w, 2], which the method
        `none` does not write, holds the displacement since frame t - 1 of the point shown at each pixel of
        frame t, to the right and down. Frame 0 repeats frame 1. A displacement is a number of steps of
        card["scale"] pixels of the extracted frame; h x w may be smaller than the frame.

        The flow refers to the pixels of the later frame, so that a box in frame t cuts out the motion of its
        content, and live use needs no future frame.

        Args:
            stem: path of the output files, without suffix.
            frames: stem of the clip's frames, uint8 [T, H, W] or [T, H, W, 3].
            threads: maximum number of threads.
        """
        raise NotImplementedError


FLOW_METHODS = Registry("vad.flow", FlowMethod)


class FlowParams(Choice):
    """`flow`: the method, and a sub-section for each method."""

    registry: ClassVar[Registry[FlowMethod]] = FLOW_METHODS
    chooser: ClassVar[str] = "method"
    method: str = Field(
        "dis", description="method of optical flow, for channels, boxes and branches that use it"
    )


def require_flow(method: str, wanted_by: str) -> None:
    """Refuses the method `none`.

    Args:
        method: `flow.method`.
        wanted_by: the parameter that needs flow, for the message.

    Raises:
        UserError: if the method is `none`.
    """
    if method == "none":
        raise UserError(f"{wanted_by} needs optical flow, but flow.method is none; set flow.method: dis")


def open_flow(stem: Path, wanted_by: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Opens the flow of a clip.

    Args:
        stem: path of the files, without suffix.
        wanted_by: the parameter that needs flow, for the message.

    Returns:
        (int8 [T, h, w, 2] as a read-only memory map, its card); see `FlowMethod.flow`.

    Raises:
        UserError: if no flow was computed (flow.method: none), or the files are missing or broken.
    """
    require_flow(read_card(stem)["method"], wanted_by)
    return open_array(stem)
