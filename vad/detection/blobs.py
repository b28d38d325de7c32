"""Boxes around the blobs of motion masks.

People who overlap in the frame merge into a single blob. Therefore blobs are split at thin places and between
the heads in their outline, and people who had separate boxes before they met keep them. A person who is
almost completely hidden gets no box, since no pixel of the mask shows them.
"""

from itertools import pairwise

import cv2
import numpy as np

from vad.boxes import area, distinct, intersection, iou, large_enough
from vad.detection.assignment import assign
from vad.detection.motion import MotionParams

HEAD = 1 / 15  # share of the height, half a head; smaller bumps of an outline are noise or shoulders
CORE = 0.5  # share of the greatest thickness of a blob; thinner parts are limbs, heads or bags
MIN_AGE = 3  # frames for which a box must have been followed before its prediction is used
SAME = 0.2  # IoU with a predicted box above which a box continues it
INSIDE = 0.6  # share of the area of a predicted box that must lie in a part for the box to belong to it
DUPLICATE = 0.8  # IoU above which two predicted boxes show the same person
MAX_REST = 0.2  # share of the pixels of a part outside its predicted boxes; above it, something else is in it
Bounds = tuple[int, int, int, int]
NO_BOXES = np.zeros((0, 4))


def boxes(mask: np.ndarray, params: MotionParams) -> np.ndarray:
    """Finds boxes in a single mask, without regard to other frames.

    Args:
        mask: bool or uint8 [H, W].
        params: smallest blob, and whether blobs are split.

    Returns:
        int32 [N, 4]: x0, y0, x1, y1, end exclusive, from left to right. Boxes of a group may overlap.
    """
    return _boxes(mask, params, NO_BOXES)


class MotionBoxes:
    """Finds boxes in the masks of a clip, frame by frame; people who meet keep separate boxes.

    The position of every box is predicted from its motion in earlier frames. A blob that contains several
    predicted boxes is divided among them, so that two people who cross have two boxes even while they are a
    single blob.

    Args:
        params: smallest blob, and whether blobs are split.
    """

    def __init__(self, params: MotionParams):
        self.params = params
        self._last = NO_BOXES
        self._velocity = np.zeros((0, 2))  # [N, 2], pixels per frame
        self._age = np.zeros(0, int)  # [N], frames for which each box was followed

    def next(self, mask: np.ndarray, steps: int = 1) -> np.ndarray:
        """Finds the boxes of the next frame.

        Args:
            mask: bool or uint8 [H, W].
            steps: frame intervals since the frame before.

        Returns:
            int32 [N, 4], as for `boxes`.
        """
        predicted = self._last + np.tile(self._velocity, 2) * steps
        reliable = predicted[self._age >= MIN_AGE] if self.params.split else NO_BOXES
        current = _boxes(mask, self.params, reliable)
        overlap = iou(current, predicted)
        new, old = assign(overlap, maximize=True)
        same = overlap[new, old] > SAME
        new, old = new[same], old[same]
        age, velocity = np.zeros(len(current), int), np.zeros((len(current), 2))
        age[new] = self._age[old] + 1
        # the mean of both corners moves like the centre
        moved = (current[new] - self._last[old]).reshape(-1, 2, 2).mean(axis=1) / steps
        # a running mean over the first MIN_AGE frames, then exponential smoothing
        velocity[new] = (
            self._velocity[old] + (moved - self._velocity[old]) / np.minimum(age[new], MIN_AGE)[:, None]
        )
        self._last, self._velocity, self._age = current.astype(float), velocity, age
        return current


def _boxes(mask: np.ndarray, params: MotionParams, predicted: np.ndarray) -> np.ndarray:
    """Boxes of a mask, with blobs divided among the predicted boxes [N, 4]."""
    filled = _fill(mask, params.close)
    # GRANA is OpenCV's fastest algorithm; the others give the same blobs in a different order
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(filled, 8, cv2.CV_32S, cv2.CCL_GRANA)
    all_boxes = []
    for label, (x, y, width, height, pixels) in enumerate(stats[1:].tolist(), 1):
        if _is_large_enough(width, height, pixels, params):
            blob = labels[y : y + height, x : x + width] == label
            people = _inside(predicted, (x, y, x + width, y + height))
            for part in _parts(blob, params):
                for x0, y0, x1, y1 in _bounds_of_people(part, people - [x, y, x, y], params):
                    all_boxes.append((x + x0, y + y0, x + x1, y + y1))
    return np.array(sorted(all_boxes), np.int32).reshape(-1, 4)


def _inside(predicted: np.ndarray, bounds: Bounds) -> np.ndarray:
    """The predicted boxes [N, 4] that lie mostly within bounds; none if there are fewer than two."""
    if len(predicted) < 2:
        return predicted[:0]
    inside = predicted[intersection(predicted, np.array([bounds]))[:, 0] > INSIDE * area(predicted)]
    return inside if len(inside) > 1 else predicted[:0]


def _fill(mask: np.ndarray, close: int) -> np.ndarray:
    """Fills gaps of up to `close` pixels within each column; returns uint8 [H, W]."""
    mask = mask.astype(np.uint8)
    if not close:
        return mask
    # a closing that dilates upwards and then erodes by as much; without a margin at the top, blobs near it
    # would grow to the border
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
    """Splits a blob, bool [h, w], into masks of the same shape; together they are the blob."""
    if not params.split:
        return [blob]
    return [part for group in _split_at_necks(blob, params) for part in _split_between_heads(group, params)]


def _bounds_of_people(part: np.ndarray, predicted: np.ndarray, params: MotionParams) -> list[Bounds]:
    """Bounds of a part, bool [h, w], or of the people in it if several predicted boxes [N, 4] cover it."""
    whole = _bounds(part)
    people = _inside(predicted, whole)
    if not len(people):
        return [whole]
    # rounded (floor, since np.round rounds halves to even), and clipped to the part
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
    """Cuts a blob vertically where its upper outline dips between two heads.

    After W4 (Haritaoglu, Harwood and Davis 2000), which separates the people of a group by the peaks of their
    silhouette. No cut is made that would leave a part wider than tall, since the outline of a person on the
    ground has dips too.
    """

    def is_upright(start: int, end: int) -> bool:
        part = blob[:, start:end]
        x0, y0, x1, y1 = _bounds(part)
        return y1 - y0 >= x1 - x0 and _is_part_large_enough(part, params)

    end = blob.shape[1]
    cuts = [0]
    for cut in _dips(blob.shape[0] - blob.argmax(0)):  # argmax is the first row of each column
        if is_upright(cuts[-1], cut) and is_upright(cut, end):
            cuts.append(cut)
    if len(cuts) == 1:
        return [blob]
    columns = np.arange(end)
    return [blob & (columns >= a) & (columns < b) for a, b in pairwise([*cuts, end])]


def _dips(heights: np.ndarray) -> list[int]:
    """Columns where an outline dips by more than HEAD below the peaks on both sides.

    Args:
        heights: of the outline in each column, int [w].
    """
    row = heights[None].astype(np.float32)
    smooth = cv2.blur(row, (3, 1), borderType=cv2.BORDER_REPLICATE)[0].tolist()
    cuts, limit = [], 1 - HEAD
    # from left to right: the latest peak, and the lowest point since then
    peak = dip = smooth[0]
    dip_column = 0
    for x, height in enumerate(smooth):
        if dip < limit * peak and dip < limit * height:
            cuts.append(dip_column)
            peak = 0.0  # the next peak begins here
        if height > peak:
            peak = dip = height
        if height <= dip:
            dip, dip_column = height, x
    return cuts


def _split_at_necks(blob: np.ndarray, params: MotionParams) -> list[np.ndarray]:
    """Cuts a blob at its necks: its thick cores are separated, and each pixel goes to the nearest core."""
    # the border makes the edge of the array count as outline
    framed = cv2.copyMakeBorder(blob.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    core_depth = CORE * depth.max()
    number, labels = cv2.connectedComponents(
        (depth > params.split * core_depth).view(np.uint8), connectivity=8
    )
    if number < 3:  # label 0 is the rest, so there are fewer than two candidates
        return [blob]
    cores = [label for label in range(1, number) if depth[labels == label].max() >= core_depth]
    if len(cores) < 2:
        return [blob]
    outside = np.isin(labels, cores, invert=True).view(np.uint8)
    # the labels of the transform say which core is nearest to each pixel
    nearest = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)[1]
    parts = [blob & (nearest == label) for label in np.unique(nearest[blob])]
    if not all(_is_part_large_enough(part, params) for part in parts):
        return [blob]
    return parts
