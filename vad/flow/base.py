"""The base class of optical flow methods, the section `flow` of params.yaml, and access to stored flow."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vad import UserError
from vad.pipeline.params import Choice, Field, Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.arrays import open_array
from vad.store.cards import read_card
from vad.stream import Frame, Processor


class FlowProcessor(Processor[Frame, np.ndarray | None]):
    """Computes the flow of a stream, frame by frame.

    Results are int8 [height, width, 2], or None if the method computes no flow: the displacement since the
    frame before of the point shown at each pixel, to the right and down, per frame interval. The displacement
    is a number of counts, of `FlowMethod.scale` pixels of the frame each; height x width may be smaller than
    the frame.

    The flow refers to the pixels of the later frame, so that a box in a frame cuts out the motion of its
    content, and no future frame is needed. Frame 0 alone waits for frame 1, whose flow it repeats; the flow
    of a single frame is 0. After a gap (`Frame.steps` above 1), the displacement is divided by the steps.

    Attributes:
        height: rows of the flow.
        width: columns of the flow.
        clipped: number of displacements so far that were beyond the counts of int8, and were clipped.
    """

    height: int = 0
    width: int = 0
    clipped: int = 0


class FlowMethod(Plugin):
    """A method of dense optical flow between neighbouring frames.

    Args:
        params: the sub-section of `flow` with the name of the method.
    """

    def __init__(self, params: Section):
        self.params = params

    @property
    def scale(self) -> float | None:
        """Pixels of the frame per count; None if the method computes no flow."""
        raise NotImplementedError

    def processor(self, height: int, width: int, *, threads: int = 1) -> FlowProcessor:
        """Makes the processor of a stream.

        Args:
            height: rows of the frames, uint8 [height, width] or [height, width, 3] RGB.
            width: columns of the frames.
            threads: maximum number of threads; for OpenCV it holds in the whole process.

        Raises:
            UserError: if the method cannot handle frames of this size.
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
        (int8 [T, h, w, 2] as a read-only memory map, its card); see `flow.compute`.

    Raises:
        UserError: if no flow was computed (flow.method: none), or the files are missing or broken.
    """
    require_flow(read_card(stem)["method"], wanted_by)
    return open_array(stem)
