"""Speed: the length of the optical flow, averaged over the box of a person. Nothing is learned.

As a branch it complements the autoencoder. Alone it is the baseline that a model has to beat: on UCSD Ped2,
where most anomalies are fast, it reaches a frame AUC of 0.98.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from vad.branches.base import BRANCHES, Branch, BranchErrors, BranchProcessor, ClipFormat
from vad.pipeline.params import Field, Section
from vad.stream import WindowsOfFrame

FRACTION = 256  # lengths are in whole 1/256 of a count, so that sums are exact; they fit into uint16


@BRANCHES.register
class Speed(Branch):
    """Maps of speed, in body heights per second; none if no flow was computed.

    A cell has the mean speed in the box of a person whose centre is there. The part of the box beyond the
    border of the frame counts as still, so people who are cut off have a lower speed; so do pixels that zones
    leave out, as what moves there would raise the speed of cells around them.
    """

    learned = False
    reads_flow = True

    class Params(Section):
        """`branches.speed`: the box over which flow is averaged."""

        width: float = Field(0.5, gt=0, le=10, description="width of the box in body heights")
        height: float = Field(1.0, gt=0, le=10, description="height of the box in body heights")

    params: Params

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        return None if clip.flow_scale is None else _Speed(self.name, self.params, clip, clip.flow_scale)


class _Speed(BranchProcessor):
    """Gives a map of each frame: the averaged speed around the middle of each cell."""

    def __init__(self, name: str, params: Speed.Params, clip: ClipFormat, scale: float):
        self.maps, self._params, self._clip, self._scale = (name,), params, clip, scale
        # the length of each of the 256 x 256 displacements; computed once, as a root for each pixel would
        # take most of the time
        counts = np.arange(1 << 16, dtype=np.uint16).view(np.int8).reshape(-1, 2).astype(np.float64)
        self._lengths = np.rint(np.hypot(counts[:, 0], counts[:, 1]) * FRACTION).astype(np.uint16)
        self._size = 0, 0  # of the flow, which is known from the first frame on
        self._corners: tuple[np.ndarray, ...] = ()
        self._factor = np.empty(0)
        self._still = np.zeros((0, 0), bool)  # pixels of the flow that are not judged

    def process(self, item: Sequence[WindowsOfFrame]) -> list[BranchErrors]:
        return [BranchErrors(maps={self.maps[0]: self._map(frame.observation.flow)}) for frame in item]

    def _map(self, flow: np.ndarray | None) -> np.ndarray:
        """float16 [rows, columns] of flow, int8 [h, w, 2]."""
        if flow is None:
            raise ValueError("an observation without flow")
        if flow.shape[:2] != self._size:
            self._size = flow.shape[0], flow.shape[1]
            self._place_boxes()
            self._still = ~self._clip.zones.mask(*self._size)
        # both bytes of a displacement, read as one number, are its index
        lengths = self._lengths.take(np.ascontiguousarray(flow).view(np.uint16)[..., 0])
        lengths[self._still] = 0
        # integral image, [h + 1, w + 1]: each element is the sum of all pixels above and to the left of it
        sums = cv2.integral(lengths, sdepth=cv2.CV_64F).ravel()
        first, above, left, last = (sums.take(corner) for corner in self._corners)
        return ((last - above - left + first) * self._factor).astype(np.float16)

    def _place_boxes(self) -> None:
        """Computes the corners of all cells' boxes in the integral image, and what turns sums into speeds."""
        (rows, columns), (height, width), (h, w) = self._clip.shape, self._clip.frame, self._size
        y, x = _middles(rows, self._clip.cell, height), _middles(columns, self._clip.cell, width)
        body = self._clip.body_height.at_centre(y)
        top, bottom, down = _edges(y, self._params.height * body, h / height, h)
        left, right, across = _edges(x[None], self._params.width * body[:, None], w / width, w)
        pixels = down[:, None] * across
        self._factor = self._scale / FRACTION * self._clip.fps / (pixels * body[:, None])
        first, last = top[:, None] * (w + 1), bottom[:, None] * (w + 1)  # of the rows
        self._corners = first + left, first + right, last + left, last + right


def _middles(cells: int, cell: int, side: int) -> np.ndarray:
    """Centres of cells along an axis in pixels of the frame, float [cells], at most at its last pixel.

    Args:
        cells: number of cells.
        cell: pixels of the frame per cell.
        side: length of the axis in pixels of the frame.
    """
    return np.minimum((np.arange(cells) + 0.5) * cell, side - 0.5)


def _edges(
    middles: np.ndarray, sides: np.ndarray, scale: float, pixels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where boxes lie along an axis; each has at least a pixel.

    Args:
        middles: centres of the boxes in pixels of the frame.
        sides: lengths of the boxes in pixels of the frame.
        scale: pixels of the flow per pixel of the frame.
        pixels: length of the axis in pixels of the flow.

    Returns:
        First pixels of the boxes and ends, exclusive, both within the flow; and lengths of the boxes in
        pixels, including the part beyond the flow.
    """
    centre = np.minimum((middles * scale).astype(np.int64), pixels - 1)
    # halves are rounded up at both ends, so that boxes of the same size have the same number of pixels
    start = np.floor((middles - sides / 2) * scale + 0.5).astype(np.int64)
    end = np.floor((middles + sides / 2) * scale + 0.5).astype(np.int64)
    start, end = np.minimum(start, centre), np.maximum(end, centre + 1)
    return np.maximum(start, 0), np.minimum(end, pixels), end - start
