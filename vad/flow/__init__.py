"""Dense optical flow between neighbouring frames, one module per method.

A method's module has `Params`, its sub-section of params.yaml, and the work function
`flow(stem, frames, params, *, threads)`, which writes one clip: always a card <stem>.json with the key
`method`, and the array where there is any.

The array is int8 [T, h, w, 2]: how far what is seen at a pixel of frame t has moved since frame t - 1, to
the right and down, in pixels of the extracted frame; `scale` in the card is the pixels that one count
stands for. Frame 0 repeats frame 1. Its picture may be smaller than the frame. (On the grid of the later
frame, so that a box found in frame t cuts out the motion of what is in it, and live use knows it at once.)
"""

from pathlib import Path
from typing import Any

import numpy as np

from vad import UserError
from vad.pipeline.params import Choice
from vad.store import arrays


class FlowParams(Choice):
    """`flow`: the method, and a sub-section for each."""

    package = "vad.flow"
    chooser = "method"
    method: str


def need_flow(method: str, wanted_by: str) -> None:
    """Raises UserError if no flow is computed; `wanted_by` names the parameter that asks for it."""
    if method == "none":
        raise UserError(f"{wanted_by} needs optical flow, but flow.method is none; set flow.method: dis")


def open_flow(stem: Path, wanted_by: str) -> tuple[np.ndarray, dict[str, Any]]:
    """(the array as a read-only memory map, its card). Raises UserError as `need_flow` does."""
    need_flow(arrays.read_card(stem)["method"], wanted_by)
    return arrays.open_array(stem)
