"""Boxes of what moves, without weights: a mask of the moving pixels, and boxes around its blobs.

Groups that merge into one blob are the weakness of such boxes, so blobs are split where they are
thin and where two heads stand out of their outline. What hides somebody nearly whole, no mask tells.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from vad import UserError
from vad.boxes import area, distinct, intersection, iou, large_enough
from vad.pipeline.params import Field, Section
from vad.regions.background import ForegroundParams, foreground

BLUR = 5  # px: side of the smoothing before a threshold
NEAR = 21  # px: side of the neighbourhood in which speeds are compared
HEAD = 1 / 15  # of the height: half a head. Lower bumps of an outline are noise and shoulders
CORE = 0.5  # of a blob's greatest thickness: what is thinner is a limb, a head, a bag
STEADY = 3  # frames in which somebody is seen before he is expected
SAME = 0.2  # IoU above which a box is that of who is expected
INSIDE = 0.6  # of an expected box: what lies in a part belongs to it
ALIKE = 0.8  # IoU above which two expected boxes show the same
REST = 0.2  # of a part: more than that left over means that somebody else is in it
Bounds = tuple[int, int, int, int]


class MotionParams(Section):
    """`motion`: what counts as moving, and which of its blobs become boxes. Lengths are px of the frame.

    `source`: `foreground` (background subtraction), `difference` (temporal gradient) or `flow`. A pixel
    moves above `difference_threshold` gray levels between neighbouring frames, or above
    `flow_threshold` px per frame and half the speed around it. Gaps within a column of up to `close` px
    are filled, not those within a row: people are taller than wide, and those side by side should stay
    apart. Blobs below `min_area`, `min_width` or `min_height` are left out. `split`: 0 never; else blobs
    are cut between heads, and at necks thinner than this share of the thinner part.
    """

    source: Literal["foreground", "difference", "flow"]
    difference_threshold: float = Field(ge=0, le=255)
    flow_threshold: float = Field(ge=0)
    close: int = Field(ge=0)
    min_area: int = Field(ge=1)
    min_width: int = Field(ge=1)
    min_height: int = Field(ge=1)
    split: float = Field(ge=0, lt=1)


def masks(
    frames: np.ndarray,
    flow: tuple[np.ndarray, dict[str, Any]] | None,
    params: MotionParams,
    foreground_params: ForegroundParams,
) -> Iterator[np.ndarray]:
    """What moves in each frame, bool [H, W]; memory does not grow with the clip.

    `frames` is uint8 [T, H, W] or [T, H, W, 3]. `flow` is None or (int8 [T, h, w, 2], card): the
    displacement since the frame before, in counts of card["scale"] px of the frame. Raises UserError if
    `source` needs a flow that is not there.
    """
    if params.source == "foreground":
        return foreground(frames, foreground_params)
    if params.source == "difference":
        return _changing(frames, params.difference_threshold)
    if flow is None:
        raise UserError(
            "motion.source is flow, but flow.method is none; set flow.method: dis, or choose "
            "motion.source: foreground or difference"
        )
    counts, card = flow
    return _flowing(counts, card["scale"], frames.shape[1:3], params.flow_threshold)


def _changing(frames: np.ndarray, threshold: float) -> Iterator[np.ndarray]:
    """Where the smoothed frame differs from the one before, the first from the second.

    Temporal gradients as box source: HF2-VAD (Liu et al. 2021, arXiv:2108.06852). Of colours, the one
    that differs most counts.
    """
    before = _smooth(frames[min(1, len(frames) - 1)])
    for frame in frames:
        now = _smooth(frame)
        change = cv2.absdiff(now, before)
        yield (change if change.ndim == 2 else change.max(2)) > threshold
        before = now


def _smooth(frame: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(frame, (BLUR, BLUR), 0)


def _flowing(
    counts: np.ndarray, scale: float, shape: tuple[int, int], threshold: float
) -> Iterator[np.ndarray]:
    """Where the optical flow is faster than `threshold` px per frame, and half as fast as nearby.

    Dense flow is smooth: between somebody who moves and the still ground the speed falls gradually, the
    further out the faster it was. Half of it is where the border is.
    """
    near, brush = np.ones((NEAR, NEAR), np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BLUR, BLUR))
    for one in counts:
        u, v = one[..., 0].astype(np.float32), one[..., 1].astype(np.float32)
        speed = cv2.resize(scale * cv2.magnitude(u, v), shape[::-1], interpolation=cv2.INTER_LINEAR)
        speed = cv2.blur(speed, (BLUR, BLUR))
        fast = (speed > threshold) & (speed > cv2.dilate(speed, near) / 2)
        yield cv2.morphologyEx(fast.view(np.uint8), cv2.MORPH_OPEN, brush).view(bool)


def boxes(mask: np.ndarray, params: MotionParams) -> np.ndarray:
    """Boxes around the blobs of a mask, bool or uint8 [H, W], from left to right.

    Returns int32 [N, 4]: x0, y0, x1, y1, end exclusive. Boxes of a group may overlap.
    """
    return _boxes(mask, params, np.zeros((0, 4)))


class Boxes:
    """The boxes of a clip's masks, one after the other, which also keep apart who meets.

    Everybody is expected where the last frames lead. What is one part to `boxes`, but covered by several
    who are expected in it, is split among them; so two who cross have two boxes while they are one blob.
    """

    def __init__(self, params: MotionParams):
        self.params = params
        self._last, self._step = np.zeros((0, 4)), np.zeros((0, 2))  # [N, 4], and px per frame [N, 2]
        self._age = np.zeros(0, int)  # frames in which they were seen before

    def next(self, mask: np.ndarray) -> np.ndarray:
        """Boxes of the next frame's mask, as `boxes` gives them."""
        expected = self._last + np.tile(self._step, 2)
        known = expected[self._age >= STEADY] if self.params.split else expected[:0]
        found = _boxes(mask, self.params, known)
        overlap = iou(found, expected)
        new, old = linear_sum_assignment(overlap, maximize=True)
        same = overlap[new, old] > SAME
        new, old = new[same], old[same]
        age, step = np.zeros(len(found), int), np.zeros((len(found), 2))
        age[new] = self._age[old] + 1
        moved = (found[new] - self._last[old]).reshape(-1, 2, 2).mean(axis=1)
        step[new] = self._step[old] + (moved - self._step[old]) / np.minimum(age[new], STEADY)[:, None]
        self._last, self._step, self._age = found.astype(float), step, age
        return found


def _boxes(mask: np.ndarray, params: MotionParams, expected: np.ndarray) -> np.ndarray:
    filled = _fill(mask, params.close)
    # the quickest of OpenCV's algorithms; any gives the same blobs, if in another order
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(filled, 8, cv2.CV_32S, cv2.CCL_GRANA)
    found = []
    for label, (x, y, width, height, pixels) in enumerate(stats[1:].tolist(), 1):
        if _counts(width, height, pixels, params):
            blob = labels[y : y + height, x : x + width] == label
            here = _inside(expected, (x, y, x + width, y + height))
            for part in _parts(blob, params):
                for x0, y0, x1, y1 in _among(part, here - [x, y, x, y], params):
                    found.append((x + x0, y + y0, x + x1, y + y1))
    return np.array(sorted(found), np.int32).reshape(-1, 4)


def _inside(expected: np.ndarray, whole: Bounds) -> np.ndarray:
    """Those of the boxes [N, 4] that belong to a larger one; none if it is one alone."""
    if len(expected) < 2:
        return expected[:0]
    inside = expected[intersection(expected, np.array([whole]))[:, 0] > INSIDE * area(expected)]
    return inside if len(inside) > 1 else expected[:0]


def _fill(mask: np.ndarray, close: int) -> np.ndarray:
    """The mask with gaps of up to `close` px in a column filled, uint8 [H, W]."""
    mask = mask.astype(np.uint8)
    if not close:
        return mask
    # with a margin, else what is near the upper border would grow to it; down again by as much as up
    mask = cv2.copyMakeBorder(mask, close, 0, 0, 0, cv2.BORDER_CONSTANT, value=0)
    column = np.ones((close + 1, 1), np.uint8)
    grown = cv2.dilate(mask, column, anchor=(0, 0))
    return cv2.erode(grown, column, anchor=(0, close))[close:]


def _counts(width: int, height: int, pixels: int, params: MotionParams) -> bool:
    return width >= params.min_width and height >= params.min_height and pixels >= params.min_area


def _parts(blob: np.ndarray, params: MotionParams) -> list[np.ndarray]:
    """The parts of a blob, bool [h, w], as masks of its shape; together they cover it."""
    if not params.split:
        return [blob]
    return [part for group in _at_necks(blob, params) for part in _between_heads(group, params)]


def _among(part: np.ndarray, expected: np.ndarray, params: MotionParams) -> list[Bounds]:
    """Bounds of a part, bool [h, w]; or those of several expected boxes [N, 4] that it consists of."""
    whole = _bounds(part)
    several = _inside(expected, whole)
    if not len(several):
        return [whole]
    several = np.clip(np.floor(several + 0.5).astype(int), whole[:2] * 2, whole[2:] * 2)
    several = several[large_enough(several, params.min_width, params.min_height)]
    several = several[distinct(several, ALIKE)]
    rest = part.copy()
    for x0, y0, x1, y1 in several:
        rest[y0:y1, x0:x1] = False
    if len(several) < 2 or np.count_nonzero(rest) > REST * np.count_nonzero(part):
        return [whole]
    return [tuple(box) for box in several.tolist()]


def _bounds(part: np.ndarray) -> Bounds:
    x, y, width, height = cv2.boundingRect(part.view(np.uint8))
    return x, y, x + width, y + height


def _between_heads(blob: np.ndarray, params: MotionParams) -> list[np.ndarray]:
    """Cuts a blob in columns where its upper outline dips between two heads.

    The idea is that of W4 (Haritaoglu, Harwood, Davis 2000), which finds people in a group by the peaks
    of their silhouette. A cut that would leave a part wider than tall is none: who lies on the ground
    has bumps too.
    """

    def upright(start: int, end: int) -> bool:
        x0, y0, x1, y1 = _bounds(part := blob[:, start:end])
        width, height = x1 - x0, y1 - y0
        return height >= width and _counts(width, height, np.count_nonzero(part), params)

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
    """Where an outline [w] is lower than the tops on both sides, by more than `HEAD` of each."""
    row = heights[None].astype(np.float32)
    smooth = cv2.blur(row, (3, 1), borderType=cv2.BORDER_REPLICATE)[0].tolist()
    cuts, lower = [], 1 - HEAD
    top = low = smooth[0]
    where = 0
    for x, height in enumerate(smooth):
        if low < lower * top and low < lower * height:
            cuts.append(where)
            top = 0.0
        if height > top:
            top = low = height
        if height <= low:
            low, where = height, x
    return cuts


def _at_necks(blob: np.ndarray, params: MotionParams) -> list[np.ndarray]:
    """Cuts a blob at its necks; each pixel goes to the nearest of the cores that remain."""
    framed = cv2.copyMakeBorder(blob.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    core = CORE * depth.max()
    number, labels = cv2.connectedComponents((depth > params.split * core).view(np.uint8), connectivity=8)
    kept = [one for one in range(1, number) if depth[labels == one].max() >= core] if number > 2 else []
    if len(kept) < 2:
        return [blob]
    outside = np.isin(labels, kept, invert=True).view(np.uint8)
    nearest = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)[1]
    parts = [blob & (nearest == number) for number in np.unique(nearest[blob])]
    for part in parts:
        x0, y0, x1, y1 = _bounds(part)
        if not _counts(x1 - x0, y1 - y0, np.count_nonzero(part), params):
            return [blob]
    return parts
