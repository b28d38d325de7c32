"""Speed: the length of the optical flow, averaged over a box of the size of a person. Nothing is learned.

As a branch it complements the autoencoder. Alone it is the baseline that a model has to beat: on UCSD Ped2,
where most anomalies are fast, it reaches a frame AUC of 0.98.
"""

import cv2
import numpy as np

from vad.branches.base import BRANCHES, Branch, ClipData
from vad.branches.error_files import ErrorWriter
from vad.flow.base import open_flow
from vad.pipeline.params import Field, Section
from vad.store.cards import read_card


@BRANCHES.register
class Speed(Branch):
    """Maps of speed, in pixels of the frame per frame; no maps if no flow was computed."""

    learned = False

    class Params(Section):
        """`branches.speed`: the box over which flow is averaged."""

        width: float = Field(
            0.09, gt=0, le=1, description="width of the box, as a share of the frame's height"
        )
        height: float = Field(
            0.17, gt=0, le=1, description="height of the box, as a share of the frame's height"
        )

    params: Params

    def errors(self, clip: ClipData, out: ErrorWriter) -> None:
        """Writes maps, float16 [T, rows, columns]: the averaged speed at the middle of each cell."""
        if read_card(clip.flow)["method"] == "none":
            return
        counts, card = open_flow(clip.flow, "speed")
        _, h, w, _ = counts.shape
        sides = zip(out.shape, clip.card["frame"], (h, w), strict=True)
        rows, columns = (_middles(cells, clip.cell, side, n) for cells, side, n in sides)
        box = max(1, round(self.params.width * h)), max(1, round(self.params.height * h))
        scale = np.float32(card["scale"])  # pixels of the frame per count
        with out.add_map(self.name) as maps:
            for displacement in counts:
                length = np.hypot(*np.moveaxis(displacement.astype(np.float32), 2, 0)) * scale
                mean = cv2.blur(length, box, borderType=cv2.BORDER_REFLECT_101)
                maps.append(mean[np.ix_(rows, columns)].astype(np.float16))


def _middles(cells: int, cell: int, side: int, pixels: int) -> np.ndarray:
    """Index of the flow's pixel at the middle of each cell, along an axis: int [cells].

    Args:
        cells: number of cells.
        cell: pixels of the frame per cell.
        side: length of the axis in pixels of the frame.
        pixels: length of the axis in pixels of the flow, which may be smaller.
    """
    return np.minimum((np.arange(cells) + 0.5) * cell * pixels / side, pixels - 1).astype(int)
