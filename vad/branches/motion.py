"""Motion: how unlike the velocities of normal regions nearby the velocity of a region is.

The velocity is the mean optical flow in the box, in body heights per second, so it does not depend on how far
away people are. `vad.branches.location` has the definition of the error.
"""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from vad.branches.base import BRANCHES, BranchProcessor, ClipFormat, Log, NormalClip, Statistics
from vad.branches.location import LocationBranch, LocationParams, LocationProcessor
from vad.store.arrays import open_array
from vad.store.body_heights import BodyHeight
from vad.store.cards import read_card
from vad.stream import WindowsOfFrame


@BRANCHES.register
class Motion(LocationBranch):
    """A column of errors; none if no flow was computed, or if regions are whole frames."""

    class Params(LocationParams):
        """`branches.motion`: the distributions of velocities."""

    reads_flow = True
    floors = (0.02, 0.02)  # body heights per second; the mean over the box of a walking person is 0.1 to 0.8
    unknown = ((False, False),)
    one_sided = (False,)
    lacking = "optical flow (flow.method: none)"

    def fit(self, clips: Sequence[NormalClip], log: Log) -> Statistics | None:
        """Fits the distributions of velocities (`LocationBranch.fit_locations`)."""
        return self.fit_locations(clips, log)

    def features(self, clip: NormalClip, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
        if read_card(clip.flow)["method"] == "none":
            return None
        flow, card = open_array(clip.flow)
        out = np.empty((len(boxes), 2))
        starts = np.flatnonzero(np.diff(frames, prepend=-1))  # of the regions of each frame that has any
        for start, end in pairwise([*starts, len(frames)]):
            out[start:end] = mean_flow(flow[frames[start]], boxes[start:end], clip.frame)
        return out * _unit(boxes, card["scale"], clip.fps, clip.body_height)

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        if self.statistics is None or clip.flow_scale is None:
            return None
        return _Motion(self, clip, clip.flow_scale)


class _Motion(LocationProcessor):
    def __init__(self, branch: Motion, clip: ClipFormat, scale: float):
        super().__init__(branch, clip)
        self._scale = scale

    def features(self, frame: WindowsOfFrame) -> np.ndarray:
        boxes = frame.regions.boxes
        # with resize.stride above 1, regions and their flow may be of another frame
        flow = frame.observation.flow if frame.index == frame.source else frame.source_flow
        if flow is None:
            raise ValueError("windows without the flow of their frame")
        counts = mean_flow(flow, boxes, self.clip.frame)
        return counts * _unit(boxes, self._scale, self.clip.fps, self.clip.body_height)


def mean_flow(flow: np.ndarray, boxes: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """The mean flow in boxes.

    Args:
        flow: int8 [h, w, 2], as large as the frame or smaller.
        boxes: int [N, 4] in pixels of the frame, of positive area.
        frame: (height, width) in pixels.

    Returns:
        Counts of the flow to the right and down, float64 [N, 2].
    """
    if not len(boxes):
        return np.empty((0, 2))
    (h, w), (height, width) = flow.shape[:2], frame
    x0, y0, x1, y1 = boxes.T.astype(np.int64)
    # to all pixels of the flow that a box touches
    x0, y0, x1, y1 = x0 * w // width, y0 * h // height, -(-x1 * w // width), -(-y1 * h // height)
    # of the integral image, the sum in a box of any size takes four look-ups; OpenCV needs uint8 for it
    sums = cv2.integral(np.ascontiguousarray(flow).view(np.uint8) ^ np.uint8(128))
    total = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return total / ((x1 - x0) * (y1 - y0))[:, None] - 128.0


def _unit(boxes: np.ndarray, scale: float, fps: float, body_height: BodyHeight) -> np.ndarray:
    """Body heights per second per count of the flow, at the lower edges of boxes: float64 [N, 1]."""
    return (scale * fps / body_height.at_feet(boxes[:, 3]))[:, None]
