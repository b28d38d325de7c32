"""Metrics of regions: RBDC and TBDC, the region-based and the track-based detection criterion.

Defined by Ramachandra and Jones, "Street Scene", WACV 2020, arXiv:1902.05872. Boxes around the anomalous
regions of the masks are compared with boxes around the cells whose scores are above a threshold. The criteria
are areas under the curves of detections over false positives per frame, as the threshold varies.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from vad import UserError
from vad.boxes import iou

MIN_IOU = 0.1  # IoU of a detection with a true region, for a match (beta in the paper)
MIN_TRACK_SHARE = Fraction(1, 10)  # share of a track's regions that must be detected (alpha in the paper)
MAX_FALSE_POSITIVES = 1.0  # false positives per frame where the curves end


class RegionLevel:
    """Accumulates the counts for RBDC and TBDC at given thresholds, clip by clip.

    Regions are boxes around connected components (8-connectivity). The true regions of a frame are the
    components of its mask, however small. The detections are the components of the cells whose score is above
    the threshold, scaled to pixels of the source. A detection and a true region match if their IoU is at
    least MIN_IOU; a box may match several. A true region is detected if any detection matches it; a detection
    that matches no true region is a false positive.

    True regions of consecutive frames are linked to tracks by the pixels they share. Each region is linked at
    most once, greedily, the pair with the most shared pixels first; ties go to the upper, then the left box
    of the earlier frame, then of the later frame. A track ends at a region without a link. It is detected if
    at least the share MIN_TRACK_SHARE of its regions is.

    Args:
        thresholds: float [K], descending, on the scale of the maps.

    Raises:
        ValueError: if the thresholds ascend.
    """

    def __init__(self, thresholds: ArrayLike):
        self.thresholds = np.asarray(thresholds, np.float64)
        if (np.diff(self.thresholds) > 0).any():
            raise ValueError("thresholds must descend")
        self._frames = self._regions = self._tracks = 0
        # counts at each threshold
        self._false_positives, self._detected, self._detected_tracks = np.zeros(
            (3, len(self.thresholds)), int
        )

    def add(
        self,
        clip: str,
        maps: Iterable[np.ndarray],
        masks: Iterable[np.ndarray],
        frame: tuple[int, int],
        cell: int,
    ) -> None:
        """Adds a clip, frame by frame.

        Args:
            clip: id of the clip, for messages.
            maps: score maps of the frames, float [rows, columns] each.
            masks: masks of the same frames, bool [H, W] each, in pixels of the source.
            frame: (height, width) of the extracted frame.
            cell: pixels of the extracted frame per cell, in each direction.

        Raises:
            UserError: if maps and masks differ in number, or if a map has another shape or NaN.
        """
        before = _Truth.empty()
        # of the tracks that have not ended: detected regions at each threshold, [K, N], and all regions, [N]
        hits, lengths = np.zeros((len(self.thresholds), 0), int), np.zeros(0, int)
        for scores, mask in _pairs(clip, maps, masks, frame, cell):
            truth = _Truth.of(mask)
            false_positives, detected = _detect(scores, self.thresholds, truth.boxes, mask.shape, frame, cell)
            self._frames += 1
            self._false_positives += false_positives
            self._detected += detected.sum(1)
            self._regions += len(truth.boxes)

            earlier, later = _links(before, truth)
            self._close(np.delete(hits, earlier, 1), np.delete(lengths, earlier))
            new_hits, new_lengths = detected.astype(int), np.ones(len(truth.boxes), int)
            new_hits[:, later] += hits[:, earlier]
            new_lengths[later] += lengths[earlier]
            before, hits, lengths = truth, new_hits, new_lengths
        self._close(hits, lengths)

    def _close(self, hits: np.ndarray, lengths: np.ndarray) -> None:
        """Counts tracks that have ended.

        Args:
            hits: number of detected regions of each track at each threshold, int [K, N].
            lengths: number of regions of each track, int [N].
        """
        self._tracks += len(lengths)
        # hits / lengths >= MIN_TRACK_SHARE, in integer arithmetic, which is exact
        enough = hits * MIN_TRACK_SHARE.denominator >= lengths * MIN_TRACK_SHARE.numerator
        self._detected_tracks += enough.sum(1)

    def result(self) -> dict[str, Any]:
        """The figures over all clips.

        RBDC is the area under a curve: x is the number of false positives per frame, from 0 to
        MAX_FALSE_POSITIVES, y the share of true regions that are detected; for TBDC, y is the share of
        tracks. Each threshold gives a point; (0, 0) is added. As the threshold falls, detections merge, so x
        and y may decrease again. Hence the points are sorted by x, then y, and y is replaced by its running
        maximum, the detections at the best threshold with at most x false positives. Between points the curve
        is linear, also across MAX_FALSE_POSITIVES; after the last point it is constant.

        Returns:
            `rbdc` and `tbdc` in [0, 1]; the numbers of `frames`, `regions`, `tracks` and `thresholds`. If no
            pixel is anomalous, only the numbers, and `absent` with the reason.
        """
        if not self._frames:
            return {"absent": "no test frame has a mask"}
        counts = {
            "frames": self._frames,
            "regions": self._regions,
            "tracks": self._tracks,
            "thresholds": len(self.thresholds),
        }
        if not self._regions:
            return counts | {"absent": "no pixel of the frames with masks is anomalous"}
        x = self._false_positives / self._frames
        return counts | {
            "rbdc": _area(x, self._detected / self._regions),
            "tbdc": _area(x, self._detected_tracks / self._tracks),
        }


@dataclass(frozen=True)
class _Truth:
    """The true regions of a frame.

    Attributes:
        components: number of the connected component of each pixel, int32 [H, W]; 0 for normal pixels.
        numbers: number of the component of each box, int [N].
        boxes: x0, y0, x1, y1 of each region, int [N, 4], sorted from top to bottom, then from left to right.
    """

    components: np.ndarray
    numbers: np.ndarray
    boxes: np.ndarray

    @classmethod
    def empty(cls) -> "_Truth":
        return cls(np.zeros((0, 0), np.int32), np.zeros(0, int), np.zeros((0, 4), int))

    @classmethod
    def of(cls, mask: np.ndarray) -> "_Truth":
        if not mask.any():
            return cls.empty()
        components, boxes = _connected(mask)
        order = np.lexsort(boxes.T[[2, 3, 0, 1]])  # by y0, x0, y1, x1; boxes of components are never equal
        return cls(components, order + 1, boxes[order])


def _connected(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected components of a bool [H, W]: their numbers from 1 on, int32 [H, W], and boxes, int [N, 4]."""
    _, components, stats, _ = cv2.connectedComponentsWithStats(picture.view(np.uint8), connectivity=8)
    corner, size = stats[1:, :2], stats[1:, 2:4]
    return components, np.hstack([corner, corner + size]).astype(int)


def _links(before: _Truth, after: _Truth) -> tuple[np.ndarray, np.ndarray]:
    """Links the boxes of two consecutive frames: rows of the linked boxes in both frames, int [n] each."""
    shape = len(before.boxes) + 1, len(after.boxes) + 1
    if 1 in shape:
        return np.zeros(0, int), np.zeros(0, int)
    both = (before.components > 0) & (after.components > 0)
    # number of shared pixels of each pair of components
    pair = before.components[both] * shape[1] + after.components[both]
    pixels = np.bincount(pair, minlength=shape[0] * shape[1]).reshape(shape)
    shared = pixels[np.ix_(before.numbers, after.numbers)]
    earlier, later = [], []
    while shared.any():
        row, column = np.unravel_index(shared.argmax(), shared.shape)  # the first of tied pairs
        shared[row] = shared[:, column] = 0
        earlier.append(row)
        later.append(column)
    return np.array(earlier, int), np.array(later, int)


def _detect(
    scores: np.ndarray,
    thresholds: np.ndarray,
    truth: np.ndarray,
    source: tuple[int, ...],
    frame: tuple[int, int],
    cell: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Compares detections with true regions at each threshold.

    Args:
        scores: scores of the cells, float [rows, columns].
        thresholds: float64 [K], descending.
        truth: boxes of the true regions in pixels of the source, int [N, 4].
        source: (height, width) of the source.
        frame: (height, width) of the extracted frame.
        cell: pixels of the extracted frame per cell.

    Returns:
        Number of false positives, int [K], and whether each true region is detected, bool [K, N].
    """
    scores = scores.astype(np.float64)
    above = scores.size - np.searchsorted(np.sort(scores, axis=None), thresholds, side="right")
    # thresholds with the same number of cells above them have the same cells above them, so each such level
    # is computed only once
    _, first, level = np.unique(above, return_index=True, return_inverse=True)

    # all levels stacked into a picture with empty rows between them, so that a single call gives all boxes
    height = scores.shape[0] + 1
    pictures = np.zeros((len(first), height, scores.shape[1]), bool)
    np.greater(scores, thresholds[first, None, None], out=pictures[:, :-1])
    _, boxes = _connected(pictures.reshape(-1, scores.shape[1]))
    level_of = boxes[:, 1] // height
    boxes[:, 1::2] -= (level_of * height)[:, None]

    # scaled so that boxes of cells and of the source are integers, which makes the IoU exact
    source_sides, frame_sides = np.array(source)[[1, 0, 1, 0]], np.array(frame)[[1, 0, 1, 0]]
    match = iou(np.minimum(boxes * cell, frame_sides) * source_sides, truth * frame_sides) >= MIN_IOU
    detected = np.zeros((len(first), len(truth)), bool)
    detection, region = match.nonzero()
    detected[level_of[detection], region] = True
    false_positives = np.bincount(level_of[~match.any(1)], minlength=len(first))
    return false_positives[level], detected[level]


def _area(x: np.ndarray, y: np.ndarray) -> float:
    """Area under the curve that `RegionLevel.result` describes, from its points x [K] and y [K]."""
    x, y = np.r_[0, x], np.r_[0, y]
    order = np.lexsort((y, x))
    x, y = x[order], np.maximum.accumulate(y[order])
    inside = x <= MAX_FALSE_POSITIVES
    end = np.interp(MAX_FALSE_POSITIVES, x, y)
    return float(np.trapezoid(np.r_[y[inside], end], np.r_[x[inside], MAX_FALSE_POSITIVES]))


def _pairs(
    clip: str,
    maps: Iterable[np.ndarray],
    masks: Iterable[np.ndarray],
    frame: tuple[int, int],
    cell: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields each map with the mask of the same frame.

    Raises:
        UserError: if maps and masks differ in number, or if a map has another shape or NaN.
    """
    shape = tuple(-(-side // cell) for side in frame)
    for number, (scores, mask) in enumerate(zip_longest(maps, masks)):
        if scores is None or mask is None:
            less, more = ("maps", "masks") if scores is None else ("masks", "maps")
            raise UserError(
                f"clip {clip!r}: {number} {less}, but more {more}; expected as many of both; run `dvc repro`"
            )
        if scores.shape != shape:
            cells, expected = ("x".join(map(str, sides)) for sides in (scores.shape, shape))
            raise UserError(
                f"clip {clip!r}: the map of frame {number} has {cells} cells (rows x columns); expected "
                f"{expected} for frames of {frame[1]}x{frame[0]} in cells of {cell} pixels; run `dvc repro`"
            )
        if np.isnan(scores).any():
            raise UserError(
                f"clip {clip!r}: the map of frame {number} holds NaN; expected numbers; the autoencoder is "
                "broken, train it again with a lower train.learning_rate"
            )
        yield scores, mask
