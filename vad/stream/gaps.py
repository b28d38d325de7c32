"""Gaps in time: frames that a camera or a file did not deliver."""

import math

from vad.stream.items import Frame
from vad.stream.processor import Processor

ROUND_UP_FROM = 0.45  # of a frame interval


def steps(seconds: float, fps: float) -> int:
    """Number of frame intervals in the time between two neighbouring frames, at least 1.

    Rounded, so that a time between two frames that is up to 40 % off is no gap.

    Args:
        seconds: between the frames.
        fps: frames per second.
    """
    # not from 0.5 up: frames that resampling has chosen may be 0.75 and 1.5 intervals apart, from 20 to 15
    # frames per second, and the errors of their times must not decide which of them count double
    return max(1, math.floor(seconds * fps + 1 - ROUND_UP_FROM))


class Gaps(Processor[Frame, Frame]):
    """Sets `steps` of each frame from the times, so that motion over a gap is not taken for speed.

    Where resampling repeats a frame, the repeats stand for intervals, which the next frame does not count
    again.

    Args:
        fps: frames per second of the stream.
    """

    def __init__(self, fps: float):
        self.fps = fps
        self._before: Frame | None = None
        self._repeats = 0  # of the frame before

    def process(self, item: Frame) -> list[Frame]:
        before, self._before = self._before, item
        if before is None:
            return [item]
        if item.number == before.number:
            self._repeats += 1
            return [item._replace(steps=1)]
        intervals = steps(item.seconds - before.seconds, self.fps) - self._repeats
        self._repeats = 0
        return [item._replace(steps=max(1, intervals))]
