"""Boxes of a detector that runs on every n-th frame; in between, boxes are interpolated."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vad.boxes import distinct
from vad.detection.assignment import assign
from vad.detection.detector import Detections, Detector
from vad.detection.lazy import LazyProcessor
from vad.stream import Frame

MAX_STEP = 0.75  # diagonals of a box; the farthest that it moves between two frames given to the detector
DUPLICATE = 0.7  # IoU above which two boxes of a detector show the same object, detected as two classes
NO_BOXES = np.zeros((0, 5))  # x0, y0, x1, y1 and confidence


class Boxes(NamedTuple):
    """The boxes of a frame.

    Attributes:
        boxes: [N, 5], x0, y0, x1, y1 and confidence.
        latest: detections in the latest frame, this one or before, that the detector was run on.
    """

    boxes: np.ndarray
    latest: Detections


class InterpolatedBoxes(LazyProcessor[Frame, Boxes]):
    """Runs a detector on every n-th frame and the last, and interpolates the boxes in between.

    Args:
        detector: to run; nothing else may use it.
        every_n: n.
        batch: number of frames for which the detector waits, to run on them together; more than 1 is faster,
            but delays results beyond the lookahead.
    """

    def __init__(self, detector: Detector, every_n: int, batch: int = 1):
        self.detector, self.every_n, self.batch = detector, every_n, batch
        self.lookahead = every_n - 1
        self._received = 0  # frames
        self._due: list[np.ndarray] = []  # frames for the detector
        self._last: np.ndarray | None = None  # the latest frame, if it is not for the detector
        # of each frame since the latest detections: frame intervals since the frame before
        self._steps: list[int] = []
        self._previous: Boxes | None = None

    def stream(self, item: Frame) -> Iterator[Boxes]:
        """Yields the boxes that have become ready."""
        number = self._received
        self._received += 1
        self._steps.append(item.steps)
        if number % self.every_n:
            self._last = item.pixels
            return
        self._last = None
        self._due.append(item.pixels)
        if len(self._due) >= self.batch:
            yield from self._run()

    def rest(self) -> Iterator[Boxes]:
        """Runs the detector on the last frame, too."""
        if self._last is not None:
            self._due.append(self._last)
            self._last = None
        if self._due:
            yield from self._run()

    def _run(self) -> Iterator[Boxes]:
        frames, self._due = self._due, []
        for detections in self.detector.detect(frames):
            kept = distinct(detections.boxes, DUPLICATE)
            boxes = np.column_stack([detections.boxes, detections.confidence])[kept].astype(float)
            current = Boxes(boxes, detections)
            if self._previous is None:
                del self._steps[0]
            else:
                steps, self._steps = self._steps[: self.every_n], self._steps[self.every_n :]
                # a gap in time counts as the frames that are missing
                passed = np.cumsum(steps)
                for between in interpolate(self._previous.boxes, boxes, passed[:-1] / passed[-1]):
                    yield Boxes(between, self._previous.latest)
            yield current
            self._previous = current


def interpolate(first: np.ndarray, second: np.ndarray, shares: np.ndarray) -> list[np.ndarray]:
    """Interpolates the boxes of the frames between two frames with detected boxes.

    Boxes of the two frames are paired so that the distances of their centres are small; pairs further apart
    than MAX_STEP times their diagonal are not used. An unpaired box keeps its position in the half of the
    frames that is nearer to its frame, and is absent in the other half.

    Args:
        first: [N, 4 + K], boxes with K further values each, for example the confidence.
        second: [M, 4 + K].
        shares: of the time from the first frame to the second, for each frame in between, float [T].

    Returns:
        T arrays of the same form.
    """
    if not len(shares):
        return []
    distance = np.linalg.norm(_centres(first)[:, None] - _centres(second)[None], axis=2)
    diagonal = (_diagonals(first)[:, None] + _diagonals(second)[None]) / 2
    relative = np.divide(distance, diagonal, out=np.ones_like(distance), where=diagonal > 0)
    # capped, so that pairs too far apart to be used do not influence the others
    cost = np.minimum(relative, MAX_STEP)
    i, j = assign(cost)
    near = cost[i, j] < MAX_STEP
    i, j = i[near], j[near]
    ending, starting = np.delete(first, i, axis=0), np.delete(second, j, axis=0)
    return [
        np.concatenate([first[i] + share * (second[j] - first[i]), ending if share < 0.5 else starting])
        for share in shares
    ]


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:4]) / 2


def _diagonals(boxes: np.ndarray) -> np.ndarray:
    return np.linalg.norm(boxes[:, 2:4] - boxes[:, :2], axis=1)
