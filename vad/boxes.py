"""Pure functions on boxes: arrays [N, 4] of x0, y0, x1, y1 in pixels, end exclusive."""

from typing import Literal

import numpy as np

Crop = Literal["box", "square"]
BORDER = 1  # pixels; a box as near as this to the border of the frame may be cut off by it


def area(boxes: np.ndarray) -> np.ndarray:
    """Area of each box.

    Args:
        boxes: [N, 4].

    Returns:
        Pixels, float64 [N]; 0 where a side is not positive.
    """
    sides = np.maximum(boxes[:, 2:].astype(float) - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Area of the intersection of each pair of boxes.

    Args:
        a: [N, 4].
        b: [M, 4].

    Returns:
        Pixels, float64 [N, M].
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2]).astype(float)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    # disjoint boxes give negative sides, whose product could be positive
    sides = np.maximum(high - low, 0)
    return sides[..., 0] * sides[..., 1]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (IoU) of each pair of boxes.

    Args:
        a: [N, 4].
        b: [M, 4].

    Returns:
        float64 [N, M] in [0, 1]; 0 for empty boxes.
    """
    shared = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def distinct(boxes: np.ndarray, limit: float) -> np.ndarray:
    """Greedy suppression of boxes that overlap an earlier box.

    Args:
        boxes: [N, 4], the best first.
        limit: largest IoU with a kept box, 0 to 1.

    Returns:
        bool [N], True for the boxes that are kept.
    """
    keep = np.ones(len(boxes), bool)
    overlaps = iou(boxes, boxes)
    for i in range(1, len(boxes)):
        # a suppressed box suppresses no other
        keep[i] = not (overlaps[i, :i][keep[:i]] > limit).any()
    return keep


def clip(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Clips boxes to a frame.

    Args:
        boxes: [N, 4].
        width: of the frame, in pixels.
        height: of the frame, in pixels.

    Returns:
        [N, 4] of the same dtype; boxes outside the frame become empty.
    """
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def cut_sides(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Tells which sides of boxes may be cut off by the border of the frame.

    Args:
        boxes: [N, 4] in pixels of the frame.
        width: of the frame, in pixels.
        height: of the frame, in pixels.

    Returns:
        bool [N, 4]: left, top, right, bottom.
    """
    inwards = (boxes - np.array([0, 0, width, height])) * np.array([1, 1, -1, -1])
    return np.asarray(inwards <= BORDER)


def crop_boxes(boxes: np.ndarray, margin: float, crop: Crop, width: int, height: int) -> np.ndarray:
    """Grows boxes by a margin and fits them into the frame, in whole pixels.

    Args:
        boxes: [N, 4], inside the frame or not.
        margin: share of the box's width and height that is added on every side, 0 or more.
        crop: `box` keeps the shape; `square` lengthens the shorter side to the longer, and moves the box
            inwards where it would leave the frame. A square larger than the frame is cut off.
        width: of the frame, in pixels.
        height: of the frame, in pixels.

    Returns:
        int32 [N, 4] with positive area; a box outside the frame becomes the nearest line of pixels.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    grow = margin * (boxes[:, 2:] - boxes[:, :2])
    low, high = np.floor(boxes[:, :2] - grow), np.ceil(boxes[:, 2:] + grow)
    limit = np.array([width, height])
    if crop == "square":
        sides = high - low
        side = sides.max(axis=1, keepdims=True)
        low = np.clip(low - (side - sides) // 2, 0, np.maximum(limit - side, 0))
        high = low + side
    # in this order: at least one pixel remains, also of a box outside the frame
    low = np.clip(low, 0, limit - 1)
    high = np.clip(high, low + 1, limit)
    return np.concatenate([low, high], axis=1).astype(np.int32)


def large_enough(boxes: np.ndarray, min_width: int, min_height: int) -> np.ndarray:
    """Tells which boxes have at least these sides and a positive area.

    Args:
        boxes: [N, 4].
        min_width: in pixels.
        min_height: in pixels.

    Returns:
        bool [N].
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides[:, 0] >= max(min_width, 1)) & (sides[:, 1] >= max(min_height, 1))
