"""Where people and moving things may be: regions, and those of tracks shortly before and after.

A detector misses a person now and then, and a track begins only when it is confirmed. So a track also counts
on the frames between its boxes, and for HOLD seconds before its first and after its last one.
"""

from bisect import bisect_left, bisect_right
from operator import itemgetter

import numpy as np

from vad.boxes import crop_boxes
from vad.overlay.scored_frame import ScoredFrame

HOLD = 1.0  # seconds
MARGIN = 0.3  # of its sides by which a box is grown, on each side
TREND = 0.3  # seconds of a track's ends by which its box is moved on
WITHOUT_TRACK = -1

_at = itemgetter(0)


class PrivacyBoxes:
    """The boxes of a source by time. Memory is bounded by HOLD."""

    def __init__(self) -> None:
        # by track: seconds and boxes in pixels of the picture, in order
        self._tracks: dict[int, list[tuple[float, np.ndarray]]] = {}

    def add(self, scored: ScoredFrame) -> None:
        """Takes the boxes of a scored frame, also those that zones leave out; times must not go back."""
        result = scored.result
        if result.source != result.index:
            return  # regions of another frame, which comes by itself
        for regions in (result.regions, result.not_judged):
            if regions is None:
                continue
            boxes = scored.info.on_picture(regions.boxes)
            for track, source, box in zip(regions.tracks.tolist(), regions.sources, boxes, strict=True):
                if source != "frame":
                    self._tracks.setdefault(track, []).append((result.seconds, box))

    def forget(self, seconds: float) -> None:
        """Forgets boxes from before a time that no later call of `at` needs."""
        for track, boxes in list(self._tracks.items()):
            del boxes[: bisect_left(boxes, seconds - HOLD, key=_at)]
            if not boxes:
                del self._tracks[track]

    def at(self, seconds: float, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """The boxes of a picture.

        Args:
            seconds: time of the picture.
            height, width: of the picture.

        Returns:
            All boxes, grown, int32 [N, 4] in pixels of the picture, the largest first; and those that are of
            this time, not only shortly before or after, and not grown: int32 [M, 4].
        """
        present: list[np.ndarray] = []
        held: list[np.ndarray] = []
        for track, boxes in self._tracks.items():
            first = bisect_left(boxes, seconds - HOLD, key=_at)
            near = boxes[first : bisect_right(boxes, seconds + HOLD, key=_at)]
            if track == WITHOUT_TRACK:
                present += [box for time, box in near if time == seconds]
                held += [box for time, box in near if time != seconds]
            elif near and near[0][0] <= seconds <= near[-1][0]:
                present.append(_between(near, seconds))
            elif near:
                held.append(_beyond(near, seconds))
        grown = crop_boxes(np.array(present + held), MARGIN, "box", width, height)
        sides = grown[:, 2:] - grown[:, :2]
        order = np.argsort(-sides.prod(axis=1), kind="stable")
        return grown[order], crop_boxes(np.array(present), 0, "box", width, height)


def _between(boxes: list[tuple[float, np.ndarray]], seconds: float) -> np.ndarray:
    """The box of a track at a time from its first to its last box."""
    after = bisect_left(boxes, seconds, key=_at)
    t1, b = boxes[after]
    if t1 == seconds:
        return b
    t0, a = boxes[after - 1]
    return a + (b - a) * ((seconds - t0) / (t1 - t0))


def _beyond(boxes: list[tuple[float, np.ndarray]], seconds: float) -> np.ndarray:
    """The box of a track before its first or after its last box: there, or moved on as before, or between."""
    inwards = boxes if seconds < boxes[0][0] else boxes[::-1]
    t0, end = inwards[0]
    t1, other = next((item for item in inwards if abs(item[0] - t0) >= TREND), inwards[-1])
    if t1 == t0:
        return end
    centre, longest = (end[:2] + end[2:]) / 2, (end[2:] - end[:2]).max()
    speed = (centre - (other[:2] + other[2:]) / 2) / abs(t1 - t0)
    # boxes that jump must not hide everything
    shift = np.clip(speed * abs(seconds - t0), -longest, longest)
    return _hull(end, end + np.tile(shift, 2))


def _hull(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.concatenate([np.minimum(a, b)[:2], np.maximum(a, b)[2:]])
