"""Shape: how unlike those usual at its place the width and the height of a region are.

People who lie, bend or sit are lower and wider than those who stand; bicycles and cars differ as well. See
`vad.branches.place` for the density.

The edge of the picture cuts some boxes off. Across it, the size of a cut box may be anything, and normal
footage must tell: where people walk in at the side, boxes of any width are normal; where they stand with
their feet out of view, boxes are tall nevertheless, and a low one is odd.

Boxes of motion are compared with boxes of motion. They often show a part of a person, so of them only what is
larger than usual counts.
"""

from collections.abc import Sequence

import numpy as np

from vad.boxes import cut_sides
from vad.branches.base import BRANCHES, BranchProcessor, ClipFormat, Log, NormalClip, Statistics
from vad.branches.place import PlaceBranch, PlaceParams, PlaceProcessor
from vad.store.body_heights import BodyHeight
from vad.stream import WindowsOfFrame

MOTION = "motion"  # the source of boxes of motion


@BRANCHES.register
class Shape(PlaceBranch):
    """A column of errors; none for whole frames."""

    class Params(PlaceParams):
        """`branches.shape`: the density."""

    floors = (0.05, 0.05)  # 5 % of a size, about a pixel of people 20 pixels tall
    # whole; cut off at the left or right, so that the width is unknown; at the top or bottom; at both; then
    # the same for boxes of motion
    unknown = ((False, False), (True, False), (False, True), (True, True)) * 2
    parts = (False,) * 4 + (True,) * 4

    def fit(self, clips: Sequence[NormalClip], log: Log) -> Statistics | None:
        """Fits the density of shapes to all regions (`PlaceBranch.fit_places`)."""
        return self.fit_places(clips, log)

    def sample(self, clip: NormalClip, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        return shapes(boxes, clip.body_height)

    def groups(self, boxes: np.ndarray, sources: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
        left, top, right, bottom = cut_sides(boxes, frame[1], frame[0]).T
        return (left | right) + 2 * (top | bottom) + 4 * (sources == MOTION).astype(np.int64)

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        return None if self.statistics is None else _Shape(self, clip)


class _Shape(PlaceProcessor):
    def features(self, frame: WindowsOfFrame) -> np.ndarray:
        return shapes(frame.regions.boxes, self.clip.body_height)


def shapes(boxes: np.ndarray, body_height: BodyHeight) -> np.ndarray:
    """Sizes of boxes, relative to people at their place.

    Args:
        boxes: int [N, 4], of positive area.
        body_height: how tall people are in the picture.

    Returns:
        Logarithms of width and height, both divided by the body height at the lower edge, float64 [N, 2].
    """
    heights = body_height.at_feet(boxes[:, 3])
    return np.log((boxes[:, 2:] - boxes[:, :2]) / heights[:, None])
