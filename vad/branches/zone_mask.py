"""The effect of a camera's zones on regions and cells: which of them are judged."""

import cv2
import numpy as np

from vad.branches.base import TensorShape
from vad.branches.names import map_shape
from vad.store.zones import CameraZones
from vad.windows.spec import placement

LEAST_SHARE = 0.5  # of a box or a cell that must lie in the judged part of the picture


class ZoneMask:
    """The regions and cells of a camera that are judged.

    A region counts if at least half of its box does. So a person who passes in front of a TV is judged, but
    not what moves on its screen. A region that is the whole frame always counts, by its judged pixels alone.

    Args:
        zones: of the camera.
        frame: (height, width) of a frame in pixels.
        cell: pixels of the frame per cell of a map, in each direction.

    Attributes:
        pixels: bool [height, width], the part of the picture that is judged.
        cells: bool [rows, columns], the cells of which at least half is judged.
    """

    def __init__(self, zones: CameraZones, frame: tuple[int, int], cell: int):
        height, width = frame
        self.frame, self.pixels = frame, zones.mask(height, width)
        # [height + 1, width + 1]: each element is the number of judged pixels above and to the left of it
        self._sums = np.pad(self.pixels.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
        rows, columns = map_shape(frame, cell)
        y, x = cell * np.indices((rows, columns)).reshape(2, -1)
        boxes = np.stack([x, y, np.minimum(x + cell, width), np.minimum(y + cell, height)], 1)
        self.cells = (self._shares(boxes) >= LEAST_SHARE).reshape(rows, columns)

    def regions(self, boxes: np.ndarray) -> np.ndarray:
        """Tells which regions are judged.

        Args:
            boxes: int [N, 4], x0, y0, x1, y1 in pixels of the frame, end exclusive, inside the frame.

        Returns:
            bool [N].
        """
        return self.whole(boxes) | (self._shares(boxes) >= LEAST_SHARE)

    def whole(self, boxes: np.ndarray) -> np.ndarray:
        """Tells which regions are the whole frame.

        Args:
            boxes: int [N, 4], as of `regions`.

        Returns:
            bool [N].
        """
        height, width = self.frame
        return (boxes == (0, 0, width, height)).all(1)

    def window(self, tensor: TensorShape) -> np.ndarray:
        """The pixels of a window of the whole frame that are judged, at least one.

        Args:
            tensor: to which the frame was resized.

        Returns:
            bool [height, width] of the tensor; False in letterbox bars.
        """
        left, top, width, height = placement(self.frame[1], self.frame[0], tensor)
        shares = cv2.resize(self.pixels.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        out = np.zeros((tensor.height, tensor.width), bool)
        # of a small part of the picture, no pixel may have half
        out[top : top + height, left : left + width] = shares >= min(LEAST_SHARE, shares.max())
        return out

    def _shares(self, boxes: np.ndarray) -> np.ndarray:
        """The share of each box that is judged: float [N]."""
        x0, y0, x1, y1 = boxes.T
        sums = self._sums
        return (sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]) / ((y1 - y0) * (x1 - x0))
