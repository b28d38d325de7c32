"""Metrics of pixels: how well score maps separate anomalous from normal pixels.

A map has a score per cell of `cell` x `cell` pixels of the extracted frame, a mask has a bit per pixel of the
source. All figures count pixels of the source, and a pixel has the score of the cell that contains its
centre. So for each cell only two numbers matter: its anomalous pixels and all its pixels. Frames are added in
turn; only a histogram and a number per frame are kept.
"""

from fractions import Fraction
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from vad import UserError
from vad.evaluation.roc_metrics import auc, both_classes, equal_error_rate

MIN_COVERED = Fraction(40, 100)  # share of a frame's anomalous pixels that must be flagged (Mahadevan et al.)

# As uint16, the bit patterns of float16 ascend with positive numbers and descend with negative numbers.
# Inverting the patterns of negative numbers and setting the sign bit of the others gives ranks in the order
# of the numbers.
PATTERNS = 2**16
SIGN = np.uint16(0x8000)
_RANKS = np.arange(PATTERNS, dtype=np.uint16)
_VALUES = np.where(_RANKS & SIGN, _RANKS ^ SIGN, ~_RANKS).view(np.float16).astype(np.float64)


def cell_counts(mask: np.ndarray, frame: tuple[int, int], cell: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts the pixels of each cell.

    A pixel of the source belongs to the cell that contains its centre; on a border, to the right or lower
    cell. Every pixel counts once.

    Args:
        mask: mask of anomalous pixels, bool [H, W] in pixels of the source.
        frame: (height, width) of the extracted frame, which may have another size than the source.
        cell: pixels of the extracted frame per cell, in each direction.

    Returns:
        Anomalous pixels and all pixels of each cell: int64 [rows, columns] each.
    """
    rows, columns = (_borders(*sides, cell) for sides in zip(mask.shape, frame, strict=True))
    # the integral image at the borders of cells, whose differences are the sums over cells
    above_left = cv2.integral(mask.view(np.uint8))[np.ix_(rows, columns)].astype(np.int64)
    anomalous = np.diff(np.diff(above_left, axis=0), axis=1)
    return anomalous, np.outer(np.diff(rows), np.diff(columns))


@lru_cache(maxsize=64)
def _borders(source: int, frame: int, cell: int) -> np.ndarray:
    """Along an axis, the first source pixel of each cell, and the end of the last cell: int64 [cells + 1].

    Args:
        source: length of the axis in pixels of the source.
        frame: length of the axis in pixels of the extracted frame.
        cell: pixels of the extracted frame per cell.
    """
    cells = -(-frame // cell)
    # the first i with (i + 1/2) * frame / source >= index * cell, in integer arithmetic, which is exact
    first = -((frame - 2 * source * cell * np.arange(cells + 1)) // (2 * frame))
    return np.minimum(first, source)


class PixelLevel:
    """Accumulates the counts for pixel-level figures, frame by frame.

    Args:
        percentile: percentile of each frame's pixels, for the threshold of `dynamic_f1`.
    """

    def __init__(self, percentile: float):
        self.percentile = percentile
        # numbers of pixels by the rank of their score
        self._anomalous = np.zeros(PATTERNS, np.int64)
        self._normal = np.zeros(PATTERNS, np.int64)
        self._frame_anomalous: list[bool] = []
        self._frame_rank: list[int] = []  # the highest rank at which a frame is detected, or a false positive
        self._dynamic_hits = self._dynamic_flagged = 0

    def add(self, scores: np.ndarray, anomalous: np.ndarray, total: np.ndarray) -> None:
        """Adds a labelled frame.

        Args:
            scores: scores of the cells, float [rows, columns]; rounded to float16, so scores above 65504 tie.
            anomalous: number of anomalous pixels of each cell, int [rows, columns].
            total: number of pixels of each cell, int [rows, columns].

        Raises:
            UserError: if a score is NaN.
        """
        if undefined := int(np.isnan(scores).sum()):
            raise UserError(
                f"the map of labelled frame number {len(self._frame_rank)} is NaN in {undefined} of "
                f"{scores.size} cells; expected numbers; the autoencoder is broken, train it again with a "
                "lower train.learning_rate"
            )
        with_pixels = total > 0  # if the source is smaller than the map, some cells have no pixels
        rank, anomalous, total = _ranks(scores[with_pixels]), anomalous[with_pixels], total[with_pixels]
        np.add.at(self._anomalous, rank, anomalous)
        np.add.at(self._normal, rank, total - anomalous)

        ascending = np.argsort(rank)
        at_most = np.cumsum(total[ascending])  # pixels whose score is at most that of the cell
        cut = rank[ascending[np.searchsorted(at_most * 100, self.percentile * at_most[-1])]]
        self._dynamic_hits += int(anomalous[rank > cut].sum())
        self._dynamic_flagged += int(total[rank > cut].sum())

        descending = ascending[::-1]
        covered = np.cumsum(anomalous[descending])
        count = covered[-1]
        # the first cell with covered / count >= MIN_COVERED, in integer arithmetic, which is exact; in a
        # normal frame, where count is 0, the highest cell
        reached = np.searchsorted(covered * MIN_COVERED.denominator, count * MIN_COVERED.numerator)
        self._frame_anomalous.append(bool(count))
        self._frame_rank.append(int(rank[descending[reached]]))

    def result(self, threshold: float) -> dict[str, Any]:
        """The figures over all frames.

        Args:
            threshold: threshold of cell scores; a pixel is flagged if its score is higher.

        Returns:
            Undefined figures are omitted, and `absent` states the reason.

            - `frames`, `pixels`, `anomalous_pixels`: their numbers.
            - `auc`: area under the ROC curve over the pixels of all frames, ties counted half; exact for
              scores rounded to float16, whose ranks are the bins of a histogram.
            - `mahadevan_auc`, `mahadevan_eer`: the criterion of Mahadevan et al., "Anomaly detection in
              crowded scenes", CVPR 2010. At a threshold, an anomalous frame is detected if at least 40 % of
              its anomalous pixels reach the threshold, and a normal frame is a false positive if any pixel
              does. AUC and equal error rate are computed from the highest threshold of each frame at which
              this holds; for a normal frame this is the maximum of its map. Flagged normal pixels of
              anomalous frames cost nothing.
            - `precision`, `recall`, `f1`: of the flagged pixels of all frames. If no pixel is flagged, the
              precision is undefined, and recall and F1 are 0.
            - `dynamic_precision`, `dynamic_recall`, `dynamic_f1`: the same with a threshold for each frame:
              the lowest score that at least `percentile` % of its pixels do not exceed.
        """
        if not self._frame_rank:
            return {"absent": "no test frame has a mask"}
        anomalous, normal = int(self._anomalous.sum()), int(self._normal.sum())
        counts = {
            "frames": len(self._frame_rank),
            "pixels": anomalous + normal,
            "anomalous_pixels": anomalous,
        }
        if not anomalous or not normal:
            only = "anomalous" if anomalous else "normal"
            return counts | {"absent": f"all pixels of the frames with masks are {only}"}
        above = np.greater(_VALUES, threshold)
        hits = int(self._anomalous[above].sum())
        figures = (
            counts
            | {"auc": self._auc()}
            | _agreement("", hits, hits + int(self._normal[above].sum()), anomalous)
            | _agreement("dynamic_", self._dynamic_hits, self._dynamic_flagged, anomalous)
        )
        frame_anomalous, frame_rank = np.array(self._frame_anomalous), np.array(self._frame_rank)
        if not both_classes(frame_anomalous):
            return figures | {"absent": "no mahadevan_*: all frames with masks are anomalous"}
        return figures | {
            "mahadevan_auc": auc(frame_anomalous, frame_rank),
            "mahadevan_eer": equal_error_rate(frame_anomalous, frame_rank),
        }

    def _auc(self) -> float:
        ranks = np.flatnonzero(self._anomalous + self._normal)
        pixels = np.concatenate([self._anomalous[ranks], self._normal[ranks]])
        anomalous = np.repeat([True, False], len(ranks))
        return float(roc_auc_score(anomalous, np.tile(ranks, 2), sample_weight=pixels))


def _ranks(scores: np.ndarray) -> np.ndarray:
    """uint16 ranks in the order of the scores; ties are scores that are equal as float16."""
    with np.errstate(over="ignore"):
        rounded = scores.astype(np.float16) + np.float16(0)  # adding 0 turns -0 into 0
    pattern = rounded.view(np.uint16)
    return np.where(pattern & SIGN, ~pattern, pattern | SIGN)


def _agreement(prefix: str, hits: int, flagged: int, anomalous: int) -> dict[str, float]:
    """Precision, recall and F1 from numbers of pixels; `prefix` is that of their keys."""
    figures = {"recall": hits / anomalous, "f1": 2 * hits / (flagged + anomalous)}
    if flagged:
        figures["precision"] = hits / flagged
    return {prefix + name: value for name, value in figures.items()}
