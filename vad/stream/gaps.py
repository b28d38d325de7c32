"""Gaps in time: frames that a camera or a file did not deliver."""

from vad.stream.items import Frame
from vad.stream.processor import Processor


def steps(seconds: float, fps: float) -> int:
    """Number of frame intervals in the time between two neighbouring frames, at least 1.

    Rounded, so that the jitter of time stamps is no gap.

    Args:
        seconds: between the frames.
        fps: frames per second.
    """
    return max(1, round(seconds * fps))


class Gaps(Processor[Frame, Frame]):
    """Sets `steps` of each frame from the times, so that motion over a gap is not taken for speed.

    Args:
        fps: frames per second of the stream.
    """

    def __init__(self, fps: float):
        self.fps = fps
        self._before: float | None = None

    def process(self, item: Frame) -> list[Frame]:
        before, self._before = self._before, item.seconds
        return [item if before is None else item._replace(steps=steps(item.seconds - before, self.fps))]
