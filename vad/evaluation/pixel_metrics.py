"""Pixel level: how well score maps say which pixels of a frame are anomalous.

A map has a score per cell of `cell` x `cell` pixels of the extracted frame, a mask a bit per pixel of the
source. All figures count pixels of the source: each has the score of the cell that its centre falls into, so
a cell enters as two numbers, its anomalous pixels and all of them. Frames stream through; only a histogram
and a number per frame are kept.
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

# Read as integers, the 2^16 bit patterns of float16 rise with the number where it is positive and fall where
# it is negative. Turning the negative ones around, below the others, gives ranks in the order of the numbers.
PATTERNS = 2**16
SIGN = np.uint16(0x8000)
_RANKS = np.arange(PATTERNS, dtype=np.uint16)
_VALUES = np.where(_RANKS & SIGN, _RANKS ^ SIGN, ~_RANKS).view(np.float16).astype(np.float64)


def cell_counts(mask: np.ndarray, frame: tuple[int, int], cell: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts the pixels of each cell.

    A pixel of the source belongs to the cell that its centre falls into, to the right or lower cell on a
    border. Every pixel counts once.

    Args:
        mask: bool [H, W] in pixels of the source.
        frame: (height, width) of the extracted frame, which shows the same picture, perhaps in another size.
        cell: pixels of the extracted frame per cell, each way.

    Returns:
        (anomalous pixels, all pixels) of each cell: int64 [rows, columns] each.
    """
    rows, columns = (_borders(*sides, cell) for sides in zip(mask.shape, frame, strict=True))
    # sums of all pixels above and left of each border, so that differences are sums of cells
    above_left = cv2.integral(mask.view(np.uint8))[np.ix_(rows, columns)].astype(np.int64)
    anomalous = np.diff(np.diff(above_left, axis=0), axis=1)
    return anomalous, np.outer(np.diff(rows), np.diff(columns))


@lru_cache(maxsize=64)
def _borders(source: int, frame: int, cell: int) -> np.ndarray:
    """Along an axis the first source pixel of each cell, and the end of the last: int64 [cells + 1].

    Args:
        source: length of the axis in pixels of the source.
        frame: length of the axis in pixels of the extracted frame.
        cell: pixels of the extracted frame per cell.
    """
    cells = -(-frame // cell)
    # the first i with (i + 1/2) * frame / source >= number * cell, in whole numbers
    first = -((frame - 2 * source * cell * np.arange(cells + 1)) // (2 * frame))
    return np.minimum(first, source)


class PixelLevel:
    """Adds up frame by frame what the pixel-level figures need.

    Args:
        percentile: of each frame's pixels, for `dynamic_f1`.
    """

    def __init__(self, percentile: float):
        self.percentile = percentile
        self._anomalous = np.zeros(PATTERNS, np.int64)  # pixels by the rank of their score
        self._normal = np.zeros(PATTERNS, np.int64)
        self._frame_anomalous: list[bool] = []
        self._frame_rank: list[int] = []  # the highest at which the frame is detected or a false positive
        self._dynamic_hits = self._dynamic_flagged = 0

    def add(self, scores: np.ndarray, anomalous: np.ndarray, total: np.ndarray) -> None:
        """Adds a labelled frame.

        Args:
            scores: float [rows, columns], of each cell; rounded to float16, so that scores above 65504 tie.
            anomalous: int [rows, columns], anomalous pixels of each cell.
            total: int [rows, columns], all pixels of each cell.

        Raises:
            UserError: if a score is NaN.
        """
        if undefined := int(np.isnan(scores).sum()):
            raise UserError(
                f"the map of labelled frame number {len(self._frame_rank)} is NaN in {undefined} of "
                f"{scores.size} cells; expected numbers; the autoencoder is broken, train it again with a "
                "lower train.learning_rate"
            )
        with_pixels = total > 0  # a source smaller than the map leaves some cells without a pixel
        rank, anomalous, total = _ranks(scores[with_pixels]), anomalous[with_pixels], total[with_pixels]
        np.add.at(self._anomalous, rank, anomalous)
        np.add.at(self._normal, rank, total - anomalous)

        rising = np.argsort(rank)
        at_most = np.cumsum(total[rising])  # pixels with no higher score than the cell
        cut = rank[rising[np.searchsorted(at_most * 100, self.percentile * at_most[-1])]]
        self._dynamic_hits += int(anomalous[rank > cut].sum())
        self._dynamic_flagged += int(total[rank > cut].sum())

        falling = rising[::-1]
        covered = np.cumsum(anomalous[falling])
        count = covered[-1]
        # the first cell with covered / count >= MIN_COVERED, in whole numbers; of a normal frame the highest
        reached = np.searchsorted(covered * MIN_COVERED.denominator, count * MIN_COVERED.numerator)
        self._frame_anomalous.append(bool(count))
        self._frame_rank.append(int(rank[falling[reached]]))

    def result(self, threshold: float) -> dict[str, Any]:
        """The figures over all frames.

        Args:
            threshold: of cells; a pixel is flagged if its score is above it.

        Returns:
            What is undefined is left out; `absent` says why.

            - `frames`, `pixels`, `anomalous_pixels`: how many there are.
            - `auc`: area under one ROC over the pixels of all frames, ties counted half. It is exact for
              scores rounded to float16, whose ranks are the bins of a histogram.
            - `mahadevan_auc`, `mahadevan_eer`: the criterion of Mahadevan et al., "Anomaly detection in
              crowded scenes", CVPR 2010. An anomalous frame is detected at a threshold if at least 40 % of
              its anomalous pixels have that score or more, a normal frame is a false positive if any pixel
              has. So a frame counts with the highest threshold at which that is so: for a normal frame the
              maximum of its map. AUC and equal error rate are those of these numbers. Flags on normal pixels
              of anomalous frames cost nothing.
            - `precision`, `recall`, `f1`: of the flagged pixels of all frames. If nothing is flagged, there
              is no precision, and recall and F1 are 0.
            - `dynamic_precision`, `dynamic_recall`, `dynamic_f1`: the same, flagged above a percentile of the
              frame: the lowest score that at least `percentile` % of its pixels do not exceed.
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
    """uint16 ranks in the order of the scores, equal where these are equal as float16."""
    with np.errstate(over="ignore"):
        rounded = scores.astype(np.float16) + np.float16(0)  # -0 becomes 0, which it equals
    pattern = rounded.view(np.uint16)
    return np.where(pattern & SIGN, ~pattern, pattern | SIGN)


def _agreement(prefix: str, hits: int, flagged: int, anomalous: int) -> dict[str, float]:
    """Precision, recall and F1 from numbers of pixels, under keys that begin with `prefix`."""
    figures = {"recall": hits / anomalous, "f1": 2 * hits / (flagged + anomalous)}
    if flagged:
        figures["precision"] = hits / flagged
    return {prefix + name: value for name, value in figures.items()}
