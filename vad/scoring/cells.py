"""Errors of cells: maps of branches, and errors of regions painted into maps, smoothed over time.

A cell is a square of pixels. If a branch has no maps, the error of a cell is the highest error of the regions
that touch it, or 0. Smoothing lets lasting errors count more than flickering errors.
"""

from collections.abc import Sequence

import numpy as np

from vad.branches.names import map_shape
from vad.scoring.filters import Gaussian
from vad.scoring.gains import Gains, at_cells, cells_of, errors_of_regions
from vad.stream import FrameErrors, Processor


class CellErrors(Processor[FrameErrors, np.ndarray]):
    """Maps of errors. A result is a chunk of frames, float32 [n, branches, rows, columns].

    Results come up to `chunk` - 1 frames later than the lookahead demands.

    Args:
        branches: names of branches that the frames have; a branch with maps uses these, not its regions.
        size: (height, width) of a frame in pixels.
        cell: pixels of the frame per cell, in each direction.
        smoothing: the gaussian over time.
        gains: by which errors are divided.
        chunk: number of frames that are smoothed at once, which is faster.
    """

    def __init__(
        self,
        branches: Sequence[str],
        size: tuple[int, int],
        cell: int,
        smoothing: Gaussian,
        gains: Gains | None = None,
        chunk: int = 1,
    ):
        self.branches, self.size, self.cell, self.gains = branches, size, cell, gains or Gains()
        self.lookahead = smoothing.lookahead
        self._smoothing = smoothing
        shape = map_shape(size, cell)
        self._gains_of_cells = {branch: at_cells(gain, shape) for branch, gain in self.gains.areas.items()}
        self._chunk = np.zeros((chunk, len(branches), *shape), np.float32)
        self._filled = 0
        self._painted: list[int] | None = None  # positions of the branches without maps
        self._canvas = np.zeros((0, *shape), np.float32)
        self._source = -1  # the frame whose regions are on the canvas

    def process(self, item: FrameErrors) -> list[np.ndarray]:
        if self._painted is None:
            self._painted = [i for i, branch in enumerate(self.branches) if branch not in item.maps]
            self._canvas = np.zeros((len(self._painted), *self._chunk.shape[2:]), np.float32)
        out = self._chunk[self._filled]
        for i, branch in enumerate(self.branches):
            if branch in item.maps:
                out[i] = item.maps[branch]
                if branch in self._gains_of_cells:
                    out[i] /= self._gains_of_cells[branch]
        if self._painted:
            if item.source != self._source:
                self._paint(item, [self.branches[i] for i in self._painted])
                self._source = item.source
            for canvas, i in zip(self._canvas, self._painted, strict=True):
                out[i] = canvas
        self._filled += 1
        return self._smoothed() if self._filled == len(self._chunk) else []

    def finish(self) -> list[np.ndarray]:
        return [*self._smoothed(), *self._nonempty(self._smoothing.rest())]

    def _smoothed(self) -> list[np.ndarray]:
        ready = self._smoothing.extend(self._chunk[: self._filled])
        self._filled = 0
        return self._nonempty(ready)

    @staticmethod
    def _nonempty(maps: np.ndarray) -> list[np.ndarray]:
        return [maps] if len(maps) else []

    def _paint(self, item: FrameErrors, branches: Sequence[str]) -> None:
        self._canvas[:] = 0
        boxes = item.regions.boxes
        if not len(boxes):
            return
        errors = errors_of_regions(item, branches, self.size, self.gains)
        touched = cells_of(boxes, self.cell).tolist()
        for (x0, y0, x1, y1), error in zip(touched, errors.T[:, :, None, None], strict=True):
            part = self._canvas[:, y0:y1, x0:x1]
            np.maximum(part, error, out=part)
