"""Shape: how unlike those usual at its place the height and the proportions of a region are.

People who lie, bend or sit are lower and wider than those who stand; bicycles and cars differ as well. See
`vad.branches.place` for the density.
"""

from collections.abc import Sequence

import numpy as np

from vad.branches.base import BRANCHES, BranchProcessor, ClipFormat, Log, NormalClip, Statistics
from vad.branches.place import PlaceBranch, PlaceParams, PlaceProcessor, cut_off
from vad.store.body_heights import BodyHeight
from vad.stream import WindowsOfFrame


@BRANCHES.register
class Shape(PlaceBranch):
    """A column of errors; 0 for regions that the edge of the picture cuts off, and none for whole frames."""

    class Params(PlaceParams):
        """`branches.shape`: the density."""

    floors = (0.05, 0.05)  # 5 % of a height or a proportion, about a pixel of people 20 pixels tall

    def fit(self, clips: Sequence[NormalClip], log: Log) -> Statistics | None:
        """Fits the density of shapes to all regions that are not cut off (`PlaceBranch.fit_places`)."""
        return self.fit_places(clips, log)

    def sample(self, clip: NormalClip, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        return shapes(boxes, clip.body_height)

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        return None if self.statistics is None else _Shape(self, clip)


class _Shape(PlaceProcessor):
    def features(self, frame: WindowsOfFrame) -> np.ndarray:
        return shapes(frame.regions.boxes, self.clip.body_height)

    def errors(self, boxes: np.ndarray, features: np.ndarray) -> np.ndarray:
        # what is left of a box says nothing of the shape of the whole
        return np.where(cut_off(boxes, self.clip.frame), np.float32(0), super().errors(boxes, features))


def shapes(boxes: np.ndarray, body_height: BodyHeight) -> np.ndarray:
    """Height and proportions of boxes.

    Args:
        boxes: int [N, 4], of positive area.
        body_height: how tall people are in the picture.

    Returns:
        log(width / height) and log(height / body height at the lower edge), float64 [N, 2].
    """
    out = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)  # width and height
    out[:, 0] /= out[:, 1]
    out[:, 1] /= body_height.at_feet(boxes[:, 3])
    return np.log(out, out=out)
