"""Shape: how unlike those of normal regions nearby the width and the height of a region are.

Sizes are in body heights. People who lie, bend or sit are wider and lower than those who stand; bicycles and
cars differ as well. `vad.branches.location` has the definition of the error.

Boxes that are cut off by the border of the frame are compared with boxes that are cut off alike. Their size
across the border is unknown until normal footage shows such boxes: where people enter at the side, boxes of
any width are normal; where people stand with their feet out of view, boxes are tall, and a low one is
anomalous.

Boxes of motion are compared with boxes of motion. Since they often show only a part of a person, only widths
and heights above the mean count.
"""

from collections.abc import Sequence

import numpy as np

from vad.boxes import cut_sides
from vad.branches.base import BRANCHES, BranchProcessor, ClipFormat, Log, NormalClip, Statistics
from vad.branches.location import LocationBranch, LocationParams, LocationProcessor
from vad.store.body_heights import BodyHeight
from vad.stream import WindowsOfFrame

MOTION = "motion"  # the source of boxes of motion


@BRANCHES.register
class Shape(LocationBranch):
    """A column of errors; none for whole frames."""

    class Params(LocationParams):
        """`branches.shape`: the distributions of widths and heights."""

    floors = (0.05, 0.05)  # logarithms: 5 % of a size, a pixel for people 20 pixels tall
    # boxes of the detector: whole; cut off at the left or right, so that the width is unknown; cut off at the
    # top or bottom, so that the height is unknown; both; then the same for boxes of motion
    unknown = ((False, False), (True, False), (False, True), (True, True)) * 2
    one_sided = (False,) * 4 + (True,) * 4

    def fit(self, clips: Sequence[NormalClip], log: Log) -> Statistics | None:
        """Fits the distributions of shapes (`LocationBranch.fit_locations`)."""
        return self.fit_locations(clips, log)

    def features(self, clip: NormalClip, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        return shapes(boxes, clip.body_height)

    def groups(self, boxes: np.ndarray, sources: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
        left, top, right, bottom = cut_sides(boxes, frame[1], frame[0]).T
        return (left | right) + 2 * (top | bottom) + 4 * (sources == MOTION).astype(np.int64)

    @property
    def single_frame(self) -> list[str]:
        return [self.name]

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        return None if self.statistics is None else _Shape(self, clip)


class _Shape(LocationProcessor):
    def features(self, frame: WindowsOfFrame) -> np.ndarray:
        return shapes(frame.regions.boxes, self.clip.body_height)


def shapes(boxes: np.ndarray, body_height: BodyHeight) -> np.ndarray:
    """Sizes of boxes relative to people at their location.

    Args:
        boxes: int [N, 4] in pixels of the frame, of positive area.
        body_height: how tall people are in the frame.

    Returns:
        Logarithms of width and height, both divided by the body height at the lower edge, float64 [N, 2].
    """
    heights = body_height.at_feet(boxes[:, 3])
    return np.log((boxes[:, 2:] - boxes[:, :2]) / heights[:, None])
