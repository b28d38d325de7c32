"""Region level: does the model find each anomalous region, and each anomalous track?

RBDC and TBDC, the region-based and the track-based detection criterion of Ramachandra and Jones, Street
Scene, WACV 2020, arXiv:1902.05872. What counts is boxes: of what the masks show, and of what the maps show
above a threshold. The threshold is moved, and false positives per frame are weighed against what is found.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from vad import UserError
from vad.boxes import iou


class RegionLevel:
    """Adds up clip by clip what RBDC and TBDC need, at thresholds given beforehand.

    `thresholds`: float [K], descending, on the scale of the maps. Raises ValueError if they ascend.

    Regions are boxes around what is connected, corners included. The true ones of a frame are those of its
    mask, however small. The detected ones are those of the cells whose score is above the threshold, scaled
    to pixels of the source. Two match if their IoU is at least 0.1. A true region is found if a detected one
    matches it; a detected one is a false positive if it matches none. One box may match several.

    True regions become tracks by linking those of consecutive frames of a clip that share pixels, one to
    one: the pair that shares the most first, then of those still free the pair that shares the most, and so
    on; where pairs share as many, the upper, then the left box of the earlier frame goes first, then that
    of the later. What is linked to nothing ends there, or begins. A track is found if at least 10 % of its
    regions are.
    """

    def __init__(self, thresholds: ArrayLike):
        self.thresholds = np.asarray(thresholds, np.float64)
        if (np.diff(self.thresholds) > 0).any():
            raise ValueError("thresholds must descend")
        self._frames = self._regions = self._tracks = 0
        self._false_positives, self._found, self._found_tracks = np.zeros((3, len(self.thresholds)), int)

    def add(
        self,
        clip: str,
        maps: Iterable[np.ndarray],
        masks: Iterable[np.ndarray],
        frame: tuple[int, int],
        step: int,
    ) -> None:
        """Takes a clip, frame by frame: float maps [rows, columns] and the masks of the same frames.

        A map has a score per cell of `step` x `step` pixels of the extracted frame, whose (height, width) is
        `frame`; a mask is bool [H, W] in pixels of the source, which shows the same picture. Raises
        UserError if there are more of one than of the other, or if a map has another shape or a NaN.
        """
        before = _Truth.nothing()
        hits, lengths = np.zeros((len(self.thresholds), 0), int), np.zeros(0, int)  # of tracks that are open
        for scores, mask in _pairs(clip, maps, masks, frame, step):
            truth = _Truth.of(mask)
            false_positives, found = _detect(scores, self.thresholds, truth.boxes, mask.shape, frame, step)
            self._frames += 1
            self._false_positives += false_positives
            self._found += found.sum(1)
            self._regions += len(truth.boxes)

            earlier, later = _links(before, truth)
            self._close(np.delete(hits, earlier, 1), np.delete(lengths, earlier))
            onward, own = found.astype(int), np.ones(len(truth.boxes), int)
            onward[:, later] += hits[:, earlier]
            own[later] += lengths[earlier]
            before, hits, lengths = truth, onward, own
        self._close(hits, lengths)

    def _close(self, hits: np.ndarray, lengths: np.ndarray) -> None:
        """Tracks that ended: at each threshold how many regions of each were found, [K, N], of how many."""
        self._tracks += len(lengths)
        self._found_tracks += (10 * hits >= lengths).sum(1)

    def result(self) -> dict[str, Any]:
        """`rbdc`, `tbdc` in [0, 1]; `frames`, `regions`, `tracks`: how many; `thresholds`: K.

        RBDC is the area below a curve for x from 0 to 1: x is false positives per frame, y the share of true
        regions found; for TBDC the share of tracks. Each threshold is a point, and (0, 0) is one, where
        nothing is detected. Regions grow together when the threshold falls, so x and y may fall again.
        Hence the points are sorted by x, then y, and y becomes the highest so far: what is found at the best
        threshold with no more false positives. Straight lines join them, also across x = 1; beyond the last
        the curve is flat.

        Where nothing is anomalous there are counts alone, and `absent` says why.
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
            "rbdc": _area(x, self._found / self._regions),
            "tbdc": _area(x, self._found_tracks / self._tracks),
        }


@dataclass(frozen=True)
class _Truth:
    """What is anomalous in a frame. `boxes` int [N, 4]: x0, y0, x1, y1, sorted from the top, then the left.

    `labels` int32 [H, W] is 0 where nothing is; box i goes around the pixels with label `names[i]`.
    """

    labels: np.ndarray
    names: np.ndarray
    boxes: np.ndarray

    @classmethod
    def nothing(cls) -> "_Truth":
        return cls(np.zeros((0, 0), np.int32), np.zeros(0, int), np.zeros((0, 4), int))

    @classmethod
    def of(cls, mask: np.ndarray) -> "_Truth":
        if not mask.any():
            return cls.nothing()
        labels, boxes = _components(mask)
        order = np.lexsort(boxes.T[[2, 3, 0, 1]])  # no two are equal: they would touch
        return cls(labels, order + 1, boxes[order])


def _components(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is connected in a bool [H, W]: labels from 1 on, int32 [H, W], and boxes, int [N, 4]."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(picture.view(np.uint8), connectivity=8)
    corner, size = stats[1:, :2], stats[1:, 2:4]
    return labels, np.hstack([corner, corner + size]).astype(int)


def _links(before: _Truth, after: _Truth) -> tuple[np.ndarray, np.ndarray]:
    """Which boxes of two consecutive frames belong to one track: their numbers in either, int [n] twice."""
    shape = len(before.boxes) + 1, len(after.boxes) + 1
    if 1 in shape:
        return np.zeros(0, int), np.zeros(0, int)
    both = (before.labels > 0) & (after.labels > 0)
    pair = before.labels[both] * shape[1] + after.labels[both]
    pixels = np.bincount(pair, minlength=shape[0] * shape[1]).reshape(shape)
    shared = pixels[np.ix_(before.names, after.names)]
    links = []
    while shared.any():
        links.append(np.unravel_index(shared.argmax(), shared.shape))  # the first of equals
        shared[links[-1][0]] = shared[:, links[-1][1]] = 0
    return tuple(np.array(links, int).reshape(-1, 2).T)


def _detect(
    scores: np.ndarray,
    thresholds: np.ndarray,
    truth: np.ndarray,
    source: tuple[int, int],
    frame: tuple[int, int],
    step: int,
) -> tuple[np.ndarray, np.ndarray]:
    """False positives, int [K], and which boxes of the truth are found, bool [K, N], at each threshold."""
    scores = scores.astype(np.float64)
    above = scores.size - np.searchsorted(np.sort(scores, axis=None), thresholds, side="right")
    # thresholds with as many cells above them have the same ones above them
    _, first, level = np.unique(above, return_index=True, return_inverse=True)

    # one picture of all levels, one below the other with an empty row between: one call instead of many
    height = scores.shape[0] + 1
    pictures = np.zeros((len(first), height, scores.shape[1]), bool)
    np.greater(scores, thresholds[first, None, None], out=pictures[:, :-1])
    _, boxes = _components(pictures.reshape(-1, scores.shape[1]))
    at = boxes[:, 1] // height
    boxes[:, 1::2] -= (at * height)[:, None]

    # one scale for cells and source on which all are whole numbers, so that 0.1 is met exactly
    source_sides, frame_sides = np.array(source)[[1, 0, 1, 0]], np.array(frame)[[1, 0, 1, 0]]
    match = iou(np.minimum(boxes * step, frame_sides) * source_sides, truth * frame_sides) >= 0.1
    found = np.zeros((len(first), len(truth)), bool)
    detected, true = match.nonzero()
    found[at[detected], true] = True
    false_positives = np.bincount(at[~match.any(1)], minlength=len(first))
    return false_positives[level], found[level]


def _area(x: np.ndarray, y: np.ndarray) -> float:
    """Below the curve through (0, 0) and the points, for x from 0 to 1, as `RegionLevel.result` says."""
    x, y = np.r_[0, x], np.r_[0, y]
    order = np.lexsort((y, x))
    x, y = x[order], np.maximum.accumulate(y[order])
    inside = x <= 1
    return float(np.trapezoid(np.r_[y[inside], np.interp(1, x, y)], np.r_[x[inside], 1]))


def _pairs(
    clip: str,
    maps: Iterable[np.ndarray],
    masks: Iterable[np.ndarray],
    frame: tuple[int, int],
    step: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each map with the mask of the same frame; refuses what does not fit."""
    shape = tuple(-(-side // step) for side in frame)
    for number, (scores, mask) in enumerate(zip_longest(maps, masks)):
        if scores is None or mask is None:
            less, more = ("maps", "masks") if scores is None else ("masks", "maps")
            raise UserError(
                f"clip {clip!r}: {number} {less}, but more {more}; expected as many of both; run `dvc repro`"
            )
        if scores.shape != shape:
            found, expected = ("x".join(map(str, sides)) for sides in (scores.shape, shape))
            raise UserError(
                f"clip {clip!r}: the map of frame {number} has {found} cells (rows x columns); expected "
                f"{expected} for frames of {frame[1]}x{frame[0]} in cells of {step} pixels; run `dvc repro`"
            )
        if np.isnan(scores).any():
            raise UserError(
                f"clip {clip!r}: the map of frame {number} holds NaN; expected numbers; the autoencoder is "
                "broken, train it again with a lower train.learning_rate"
            )
        yield scores, mask
