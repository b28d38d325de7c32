"""Where people and moving things may be: regions, and those of tracks shortly before and after.

A detector misses a person now and then, and a track begins only when it is confirmed. So a track also counts
on the frames between its boxes, and for HOLD seconds before its first and after its last one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import itemgetter

import numpy as np

from vad.boxes import crop_boxes
from vad.detect.shot import Shot

HOLD = 1.0  # seconds
MARGIN = 0.3  # of its sides by which a box is grown, on each side
TREND = 0.3  # seconds of a track's ends by which its box is moved on
WITHOUT_TRACK = -1

_at = itemgetter(0)


class HiddenBoxes:
    """The boxes of a source by time. Memory is bounded by HOLD."""

    def __init__(self) -> None:
        # by track: seconds and boxes in pixels of the picture, in order
        self._tracks: dict[int, list[tuple[float, np.ndarray]]] = {}

    def add(self, shot: Shot) -> None:
        """Takes the boxes of a shot; times must not go back."""
        result = shot.result
        if result.source != result.index:
            return  # regions of another frame, which has a shot of its own
        regions = result.regions
        boxes = shot.origin.on_picture(regions.boxes)
        for track, source, box in zip(regions.tracks.tolist(), regions.sources, boxes, strict=True):
            if source != "frame":
                self._tracks.setdefault(track, []).append((result.seconds, box))

    def forget(self, seconds: float) -> None:
        """Forgets boxes from before a time that no later call of `at` needs."""
        for track, boxes in list(self._tracks.items()):
            del boxes[: bisect_left(boxes, seconds - HOLD, key=_at)]
            if not boxes:
                del self._tracks[track]

    def at(self, seconds: float, height: int, width: int) -> np.ndarray:
        """The grown boxes of a picture.

        Args:
            seconds: time of the picture.
            height, width: of the picture.

        Returns:
            int32 [N, 4] in pixels of the picture, the largest first.
        """
        found: list[np.ndarray] = []
        for track, boxes in self._tracks.items():
            first = bisect_left(boxes, seconds - HOLD, key=_at)
            near = boxes[first : bisect_right(boxes, seconds + HOLD, key=_at)]
            if track == WITHOUT_TRACK:
                found += [box for _, box in near]
            elif near:
                found.append(_of_track(near, seconds))
        grown = crop_boxes(np.array(found), MARGIN, "box", width, height)
        sides = grown[:, 2:] - grown[:, :2]
        return grown[np.argsort(-sides.prod(axis=1), kind="stable")]


def _of_track(boxes: list[tuple[float, np.ndarray]], seconds: float) -> np.ndarray:
    """The box of a track at a time: its own, or between, before or after its boxes."""
    after = bisect_left(boxes, seconds, key=_at)
    if after < len(boxes) and boxes[after][0] == seconds:
        return boxes[after][1]
    if 0 < after < len(boxes):
        (t0, a), (t1, b) = boxes[after - 1], boxes[after]
        return a + (b - a) * ((seconds - t0) / (t1 - t0))
    # it may have moved on as before, or not
    inwards = boxes if after == 0 else boxes[::-1]
    (t0, end), reach = inwards[0], abs(inwards[0][0] - seconds)
    t1, other = next((item for item in inwards if abs(item[0] - t0) >= TREND), inwards[-1])
    if t1 == t0:
        return end
    shift = (end - other) / abs(t1 - t0) * reach
    centre = np.tile((shift[:2] + shift[2:]) / 2, 2)  # of the box; its size stays
    return _hull([end, end + centre])


def _hull(boxes: Iterable[np.ndarray]) -> np.ndarray:
    every = np.array(list(boxes))
    return np.concatenate([every[:, :2].min(axis=0), every[:, 2:].max(axis=0)])
