"""Region level: does the model detect each anomalous region, and each anomalous track?

RBDC and TBDC, the region-based and the track-based detection criterion of Ramachandra and Jones, "Street
Scene", WACV 2020, arXiv:1902.05872. Boxes around what the masks show are compared with boxes around what the
score maps show above a threshold. The threshold moves, and false positives per frame are weighed against
detections.
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

MIN_IOU = 0.1  # of a detection with a true region (beta in the paper)
MIN_TRACK_SHARE = Fraction(1, 10)  # of its regions that must be detected (alpha in the paper)
MAX_FALSE_POSITIVES = 1.0  # per frame: where the curves end


class RegionLevel:
    """Adds up clip by clip what RBDC and TBDC need, at thresholds given beforehand.

    Regions are boxes around connected pixels or cells, corners included. The true ones of a frame are those
    of its mask, however small. The detections are those of the cells whose score is above the threshold,
    scaled to pixels of the source. Two match if their IoU is at least MIN_IOU. A true region is detected if a
    detection matches it; a detection is a false positive if it matches no region. A box may match several.

    True regions become tracks by linking those of consecutive frames of a clip that share pixels, one to one:
    the pair that shares the most first, then of the remaining boxes the pair that shares the most, and so on;
    where pairs share equally many, the upper, then the left box of the earlier frame goes first, then that of
    the later. A track ends where a region is linked to nothing. It is detected if at least MIN_TRACK_SHARE of
    its regions are.

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
        # at each threshold
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
            clip: id, for messages.
            maps: float [rows, columns], a score per cell.
            masks: bool [H, W] of the same frames, in pixels of the source, which shows the same picture.
            frame: (height, width) of the extracted frame.
            cell: pixels of the extracted frame per cell, each way.

        Raises:
            UserError: if there are more maps than masks or more masks than maps, or if a map has another
                shape or NaN.
        """
        before = _Truth.empty()
        # of the open tracks: detected regions at each threshold, [K, N], and all of their regions, [N]
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
        """Counts tracks that ended.

        Args:
            hits: int [K, N], detected regions of each track at each threshold.
            lengths: int [N], all regions of each.
        """
        self._tracks += len(lengths)
        # hits / lengths >= MIN_TRACK_SHARE, in whole numbers
        enough = hits * MIN_TRACK_SHARE.denominator >= lengths * MIN_TRACK_SHARE.numerator
        self._detected_tracks += enough.sum(1)

    def result(self) -> dict[str, Any]:
        """The figures over all clips.

        RBDC is the area below a curve: x is false positives per frame, from 0 to MAX_FALSE_POSITIVES, y the
        share of true regions that are detected; for TBDC the share of tracks. Each threshold is a point, and
        so is (0, 0), where nothing is detected. Regions merge as the threshold falls, so x and y may fall
        again. Hence the points are sorted by x, then y, and y becomes the highest so far: what is detected at
        the best threshold with at most as many false positives. Straight lines join them, also across the
        end; beyond the last the curve is flat.

        Returns:
            `rbdc`, `tbdc` in [0, 1]; `frames`, `regions`, `tracks`, how many; `thresholds`, K. Where nothing
            is anomalous there are the counts alone, and `absent` says why.
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
        components: int32 [H, W], the connected component of each pixel; 0 where nothing is anomalous.
        numbers: int [N], the component of each box.
        boxes: int [N, 4], x0, y0, x1, y1, sorted from the top, then the left.
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
        order = np.lexsort(boxes.T[[2, 3, 0, 1]])  # no two are equal, or they would touch
        return cls(components, order + 1, boxes[order])


def _connected(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected components of a bool [H, W]: their numbers from 1 on, int32 [H, W], and boxes, int [N, 4]."""
    _, components, stats, _ = cv2.connectedComponentsWithStats(picture.view(np.uint8), connectivity=8)
    corner, size = stats[1:, :2], stats[1:, 2:4]
    return components, np.hstack([corner, corner + size]).astype(int)


def _links(before: _Truth, after: _Truth) -> tuple[np.ndarray, np.ndarray]:
    """Which boxes of two consecutive frames belong to the same track: their rows in either, int [n] each."""
    shape = len(before.boxes) + 1, len(after.boxes) + 1
    if 1 in shape:
        return np.zeros(0, int), np.zeros(0, int)
    both = (before.components > 0) & (after.components > 0)
    pair = before.components[both] * shape[1] + after.components[both]
    pixels = np.bincount(pair, minlength=shape[0] * shape[1]).reshape(shape)
    shared = pixels[np.ix_(before.numbers, after.numbers)]
    earlier, later = [], []
    while shared.any():
        row, column = np.unravel_index(shared.argmax(), shared.shape)  # the first of equals
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
        scores: float [rows, columns].
        thresholds: float64 [K], descending.
        truth: int [N, 4], boxes of the true regions in pixels of the source.
        source: (height, width) of the source.
        frame: (height, width) of the extracted frame.
        cell: pixels of the extracted frame per cell.

    Returns:
        False positives, int [K], and which true regions are detected, bool [K, N].
    """
    scores = scores.astype(np.float64)
    above = scores.size - np.searchsorted(np.sort(scores, axis=None), thresholds, side="right")
    # thresholds with equally many cells above them have the same cells above them
    _, first, level = np.unique(above, return_index=True, return_inverse=True)

    # all levels as a single picture, below each other with an empty row between: a single call finds all
    # boxes
    height = scores.shape[0] + 1
    pictures = np.zeros((len(first), height, scores.shape[1]), bool)
    np.greater(scores, thresholds[first, None, None], out=pictures[:, :-1])
    _, boxes = _connected(pictures.reshape(-1, scores.shape[1]))
    level_of = boxes[:, 1] // height
    boxes[:, 1::2] -= (level_of * height)[:, None]

    # a common scale of cells and source on which all sides are whole numbers, so that MIN_IOU is met exactly
    source_sides, frame_sides = np.array(source)[[1, 0, 1, 0]], np.array(frame)[[1, 0, 1, 0]]
    match = iou(np.minimum(boxes * cell, frame_sides) * source_sides, truth * frame_sides) >= MIN_IOU
    detected = np.zeros((len(first), len(truth)), bool)
    detection, region = match.nonzero()
    detected[level_of[detection], region] = True
    false_positives = np.bincount(level_of[~match.any(1)], minlength=len(first))
    return false_positives[level], detected[level]


def _area(x: np.ndarray, y: np.ndarray) -> float:
    """Area below the curve of `RegionLevel.result`, from the points [K] and [K]."""
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
    """Each map with the mask of the same frame.

    Raises:
        UserError: if they do not fit.
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
