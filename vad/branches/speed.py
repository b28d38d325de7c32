"""Speed: the length of the optical flow, averaged over a box of the size of a person. Nothing is learned.

As a branch it complements the autoencoder. Alone it is the baseline that a model has to beat: on UCSD Ped2,
where most anomalies are fast, it reaches a frame AUC of 0.98.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from vad.branches.base import BRANCHES, Branch, BranchErrors, BranchProcessor, ClipFormat
from vad.pipeline.params import Field, Section
from vad.stream import WindowsOfFrame


@BRANCHES.register
class Speed(Branch):
    """Maps of speed, in pixels of the frame per frame; none if no flow was computed."""

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

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        return None if clip.flow_scale is None else _Speed(self.name, self.params, clip, clip.flow_scale)


class _Speed(BranchProcessor):
    """Gives a map of each frame: the averaged speed at the middle of each cell."""

    def __init__(self, name: str, params: Speed.Params, clip: ClipFormat, scale: float):
        self.maps, self._params, self._clip = (name,), params, clip
        # the length of each of the 256 x 256 displacements, in pixels of the frame; computed once, as a root
        # for each pixel would take most of the time
        counts = np.arange(1 << 16, dtype=np.uint16).view(np.int8).reshape(-1, 2).astype(np.float32)
        self._lengths = np.hypot(counts[:, 0], counts[:, 1]) * np.float32(scale)
        self._size = 0, 0  # of the flow, which is known from the first frame on
        self._box = 1, 1
        self._cells: tuple[np.ndarray, ...] = ()

    def process(self, item: Sequence[WindowsOfFrame]) -> list[BranchErrors]:
        return [BranchErrors(maps={self.maps[0]: self._map(frame.observation.flow)}) for frame in item]

    def _map(self, flow: np.ndarray | None) -> np.ndarray:
        """float16 [rows, columns] of flow, int8 [h, w, 2]."""
        if flow is None:
            raise ValueError("an observation without flow")
        if flow.shape[:2] != self._size:
            h, w = self._size = flow.shape[:2]
            sides = zip(self._clip.shape, self._clip.frame, (h, w), strict=True)
            self._cells = np.ix_(*(_middles(cells, self._clip.cell, side, n) for cells, side, n in sides))
            self._box = max(1, round(self._params.width * h)), max(1, round(self._params.height * h))
        # both bytes of a displacement, read as one number, are its index
        length = self._lengths.take(np.ascontiguousarray(flow).view(np.uint16)[..., 0])
        mean = cv2.blur(length, self._box, borderType=cv2.BORDER_REFLECT_101)
        return mean[self._cells].astype(np.float16)


def _middles(cells: int, cell: int, side: int, pixels: int) -> np.ndarray:
    """Index of the flow's pixel at the middle of each cell, along an axis: int [cells].

    Args:
        cells: number of cells.
        cell: pixels of the frame per cell.
        side: length of the axis in pixels of the frame.
        pixels: length of the axis in pixels of the flow, which may be smaller.
    """
    return np.minimum((np.arange(cells) + 0.5) * cell * pixels / side, pixels - 1).astype(int)
