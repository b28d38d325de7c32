"""Boxes around the blobs of masks of moving pixels.

Groups that merge into a single blob are the weakness of such boxes. So blobs are split where they are thin
and where two heads rise above their outline, and people who were apart before they met are kept apart. A
person who is almost wholly hidden has no box: no mask shows them.
"""

from itertools import pairwise

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from vad.boxes import area, distinct, intersection, iou, large_enough
from vad.detection.motion import MotionParams

HEAD = 1 / 15  # of the height: half a head. Lower bumps of an outline are noise and shoulders
CORE = 0.5  # of a blob's greatest thickness: thinner parts are limbs, heads, bags
MIN_AGE = 3  # frames that a box was followed before its next position is predicted
SAME = 0.2  # IoU with a predicted box above which a box continues it
INSIDE = 0.6  # of a predicted box's area: with more of it in a part the box belongs to that part
DUPLICATE = 0.8  # IoU of two predicted boxes above which they show the same person
MAX_REST = 0.2  # of a part's pixels outside its predicted boxes: with more, there is something else in it
Bounds = tuple[int, int, int, int]
NO_BOXES = np.zeros((0, 4))


def boxes(mask: np.ndarray, params: MotionParams) -> np.ndarray:
    """Boxes around the blobs of a single mask.

    Args:
        mask: bool or uint8 [H, W].
        params: which blobs count, and whether they are split.

    Returns:
        int32 [N, 4]: x0, y0, x1, y1, end exclusive, from left to right. Boxes of a group may overlap.
    """
    return _boxes(mask, params, NO_BOXES)


class MotionBoxes:
    """Boxes of a clip's masks, frame by frame, which also keep apart people who meet.

    Every box is predicted from its motion in the frames before. A part of a blob that is a single box to
    `boxes`, but is covered by several predicted boxes, is split among them; so two people who cross have two
    boxes while they are a single blob.
    """

    def __init__(self, params: MotionParams):
        self.params = params
        self._last = NO_BOXES
        self._velocity = np.zeros((0, 2))  # [N, 2], pixels per frame
        self._age = np.zeros(0, int)  # [N], frames that each was followed

    def next(self, mask: np.ndarray) -> np.ndarray:
        """Boxes of the next frame's mask, in the form of `boxes`."""
        predicted = self._last + np.tile(self._velocity, 2)
        trusted = predicted[self._age >= MIN_AGE] if self.params.split else NO_BOXES
        now = _boxes(mask, self.params, trusted)
        overlap = iou(now, predicted)
        new, old = linear_sum_assignment(overlap, maximize=True)
        same = overlap[new, old] > SAME
        new, old = new[same], old[same]
        age, velocity = np.zeros(len(now), int), np.zeros((len(now), 2))
        age[new] = self._age[old] + 1
        moved = (now[new] - self._last[old]).reshape(-1, 2, 2).mean(axis=1)
        # a running mean over the first frames, then exponential
        velocity[new] = (
            self._velocity[old] + (moved - self._velocity[old]) / np.minimum(age[new], MIN_AGE)[:, None]
        )
        self._last, self._velocity, self._age = now.astype(float), velocity, age
        return now


def _boxes(mask: np.ndarray, params: MotionParams, predicted: np.ndarray) -> np.ndarray:
    filled = _fill(mask, params.close)
    # the fastest of OpenCV's algorithms; all give the same blobs, if in another order
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(filled, 8, cv2.CV_32S, cv2.CCL_GRANA)
    out = []
    for label, (x, y, width, height, pixels) in enumerate(stats[1:].tolist(), 1):
        if _is_large_enough(width, height, pixels, params):
            blob = labels[y : y + height, x : x + width] == label
            here = _inside(predicted, (x, y, x + width, y + height))
            for part in _parts(blob, params):
                for x0, y0, x1, y1 in _bounds_of_people(part, here - [x, y, x, y], params):
                    out.append((x + x0, y + y0, x + x1, y + y1))
    return np.array(sorted(out), np.int32).reshape(-1, 4)


def _inside(predicted: np.ndarray, bounds: Bounds) -> np.ndarray:
    """The predicted boxes [N, 4] that belong to a larger box; none if there is only a single one."""
    if len(predicted) < 2:
        return predicted[:0]
    inside = predicted[intersection(predicted, np.array([bounds]))[:, 0] > INSIDE * area(predicted)]
    return inside if len(inside) > 1 else predicted[:0]


def _fill(mask: np.ndarray, close: int) -> np.ndarray:
    """The mask with gaps of up to `close` pixels in a column filled, uint8 [H, W]."""
    mask = mask.astype(np.uint8)
    if not close:
        return mask
    # with a margin, else blobs near the upper border would grow to it; down again by as much as up
    mask = np.asarray(cv2.copyMakeBorder(mask, close, 0, 0, 0, cv2.BORDER_CONSTANT, value=0))
    column = np.ones((close + 1, 1), np.uint8)
    grown = cv2.dilate(mask, column, anchor=(0, 0))
    return cv2.erode(grown, column, anchor=(0, close))[close:]


def _is_large_enough(width: int, height: int, pixels: int, params: MotionParams) -> bool:
    return width >= params.min_width and height >= params.min_height and pixels >= params.min_area


def _is_part_large_enough(part: np.ndarray, params: MotionParams) -> bool:
    x0, y0, x1, y1 = _bounds(part)
    return _is_large_enough(x1 - x0, y1 - y0, int(np.count_nonzero(part)), params)


def _parts(blob: np.ndarray, params: MotionParams) -> list[np.ndarray]:
    """The parts of a blob, bool [h, w], as masks of its shape; together they cover it."""
    if not params.split:
        return [blob]
    return [part for group in _split_at_necks(blob, params) for part in _split_between_heads(group, params)]


def _bounds_of_people(part: np.ndarray, predicted: np.ndarray, params: MotionParams) -> list[Bounds]:
    """Bounds of a part, bool [h, w], or the several predicted boxes [N, 4] that it consists of."""
    whole = _bounds(part)
    people = _inside(predicted, whole)
    if not len(people):
        return [whole]
    people = np.clip(np.floor(people + 0.5).astype(int), whole[:2] * 2, whole[2:] * 2)
    people = people[large_enough(people, params.min_width, params.min_height)]
    people = people[distinct(people, DUPLICATE)]
    rest = part.copy()
    for x0, y0, x1, y1 in people:
        rest[y0:y1, x0:x1] = False
    if len(people) < 2 or np.count_nonzero(rest) > MAX_REST * np.count_nonzero(part):
        return [whole]
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in people.tolist()]


def _bounds(part: np.ndarray) -> Bounds:
    x, y, width, height = cv2.boundingRect(part.view(np.uint8))
    return x, y, x + width, y + height


def _split_between_heads(blob: np.ndarray, params: MotionParams) -> list[np.ndarray]:
    """Cuts a blob in columns where its upper outline dips between two heads.

    The idea is that of W4 (Haritaoglu, Harwood, Davis 2000), which separates the people of a group by the
    peaks of their silhouette. A cut that would leave a part wider than tall is not made: a person on the
    ground has bumps too.
    """

    def upright(start: int, end: int) -> bool:
        part = blob[:, start:end]
        x0, y0, x1, y1 = _bounds(part)
        return y1 - y0 >= x1 - x0 and _is_part_large_enough(part, params)

    end = blob.shape[1]
    cuts = [0]
    for cut in _dips(blob.shape[0] - blob.argmax(0)):
        if upright(cuts[-1], cut) and upright(cut, end):
            cuts.append(cut)
    if len(cuts) == 1:
        return [blob]
    columns = np.arange(end)
    return [blob & (columns >= a) & (columns < b) for a, b in pairwise([*cuts, end])]


def _dips(heights: np.ndarray) -> list[int]:
    """Columns where an outline [w] is lower than the tops on both sides, by more than `HEAD` of each."""
    row = heights[None].astype(np.float32)
    smooth = cv2.blur(row, (3, 1), borderType=cv2.BORDER_REPLICATE)[0].tolist()
    cuts, lower = [], 1 - HEAD
    top = low = smooth[0]
    lowest = 0
    for x, height in enumerate(smooth):
        if low < lower * top and low < lower * height:
            cuts.append(lowest)
            top = 0.0
        if height > top:
            top = low = height
        if height <= low:
            low, lowest = height, x
    return cuts


def _split_at_necks(blob: np.ndarray, params: MotionParams) -> list[np.ndarray]:
    """Cuts a blob at its necks; each pixel goes to the nearest of the cores that remain."""
    framed = cv2.copyMakeBorder(blob.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    core = CORE * depth.max()
    number, labels = cv2.connectedComponents((depth > params.split * core).view(np.uint8), connectivity=8)
    if number < 3:  # label 0 is the background
        return [blob]
    cores = [label for label in range(1, number) if depth[labels == label].max() >= core]
    if len(cores) < 2:
        return [blob]
    outside = np.isin(labels, cores, invert=True).view(np.uint8)
    nearest = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)[1]
    parts = [blob & (nearest == label) for label in np.unique(nearest[blob])]
    if not all(_is_part_large_enough(part, params) for part in parts):
        return [blob]
    return parts
