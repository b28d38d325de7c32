"""Pixel level: how well the maps say which pixels of a frame are anomalous.

A map has one score per cell of `step` x `step` pixels of the extracted frame, a mask one bit per pixel of
the source. All figures count pixels of the source: each has the score of the cell that its centre falls
into, so a cell enters as two numbers, its anomalous pixels and all of them. Frames stream through; what is
kept is a histogram and one number per frame.
"""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from vad import UserError
from vad.evaluation import frame_metrics

# float16 has 2^16 patterns. Read as integers they rise with the number where it is positive and fall where
# it is negative, so turning the negative ones around, below the others, gives ranks in the order of numbers.
_SIGN = np.uint16(0x8000)
_RANKS = np.arange(2**16, dtype=np.uint16)
_VALUES = np.where(_RANKS & _SIGN, _RANKS ^ _SIGN, ~_RANKS).view(np.float16).astype(np.float64)


def cell_counts(mask: np.ndarray, frame: tuple[int, int], step: int) -> tuple[np.ndarray, np.ndarray]:
    """How many anomalous pixels, and how many at all, each cell has: int64 [rows, columns], twice.

    `mask` is bool [H, W] in pixels of the source, `frame` the (height, width) of the extracted frame, which
    shows the same picture at another size. A pixel of the source belongs to the cell that its centre falls
    into, to the right or lower one on a border. Every pixel counts once: the sums are those of the mask.
    """
    rows, columns = (_borders(*sides, step) for sides in zip(mask.shape, frame, strict=True))
    above_left = cv2.integral(mask.view(np.uint8))[np.ix_(rows, columns)].astype(np.int64)
    anomalous = np.diff(np.diff(above_left, axis=0), axis=1)
    return anomalous, np.outer(np.diff(rows), np.diff(columns))


@lru_cache(maxsize=64)
def _borders(source: int, frame: int, step: int) -> np.ndarray:
    """Along one axis the first source pixel of each cell, and the end of the last: int64 [cells + 1]."""
    cells = -(-frame // step)
    # the first i with (i + 1/2) * frame / source >= cell * step, in whole numbers
    first = -((frame - 2 * source * step * np.arange(cells + 1)) // (2 * frame))
    return np.minimum(first, source)


class PixelLevel:
    """Adds up frame by frame what the pixel-level figures need.

    `percentile`: of each frame's pixels, for `dynamic_f1`.
    """

    def __init__(self, percentile: float):
        self.percentile = percentile
        self._anomalous = np.zeros(2**16, np.int64)  # pixels by the rank of their score
        self._normal = np.zeros(2**16, np.int64)
        self._frame_anomalous: list[bool] = []
        self._frame_rank: list[int] = []  # the highest at which the frame is detected or a false positive
        self._dynamic_hits = self._dynamic_flagged = 0

    def add(self, scores: np.ndarray, anomalous: np.ndarray, total: np.ndarray) -> None:
        """Takes a labelled frame: a float map [rows, columns] and what `cell_counts` says of its mask.

        Scores are rounded to float16, which those of stored maps are already; what is above 65504 ties.
        Raises UserError if a score is NaN.
        """
        if unknown := int(np.isnan(scores).sum()):
            raise UserError(
                f"the map of labelled frame number {len(self._frame_rank)} is NaN in {unknown} of "
                f"{scores.size} cells; expected numbers; the autoencoder is broken, train it again with a "
                "lower train.learning_rate"
            )
        seen = total > 0  # a source smaller than the map leaves some without a pixel
        rank, anomalous, total = _ranks(scores[seen]), anomalous[seen], total[seen]
        np.add.at(self._anomalous, rank, anomalous)
        np.add.at(self._normal, rank, total - anomalous)

        order = np.argsort(rank)
        at_most = np.cumsum(total[order])
        cut = rank[order[np.searchsorted(at_most * 100, self.percentile * at_most[-1])]]
        self._dynamic_hits += int(anomalous[rank > cut].sum())
        self._dynamic_flagged += int(total[rank > cut].sum())

        falling = order[::-1]
        covered = np.cumsum(anomalous[falling])
        count = covered[-1]
        detected = rank[falling[np.searchsorted(covered * 5, count * 2)]]  # at 40 %; at 0 the maximum
        self._frame_anomalous.append(bool(count))
        self._frame_rank.append(int(detected))

    def result(self, threshold: float) -> dict[str, Any]:
        """The figures over all frames, as plain numbers; what is undefined is left out, `absent` says why.

        `auc`: area under one ROC over the pixels of all frames, ties half. It is exact for the scores rounded
        to float16: their bits, put in the order of the numbers, are the bins of a histogram.

        `mahadevan_auc`, `mahadevan_eer`: the criterion of Mahadevan et al., Anomaly Detection in Crowded
        Scenes, CVPR 2010. An anomalous frame is detected at a threshold if at least 40 % of its anomalous
        pixels have that score or more, a normal frame is a false positive if any pixel has. So a frame counts
        with the highest threshold at which that is so: for a normal one the maximum of its map. AUC and
        equal error rate are those of these numbers. Flags on normal pixels of anomalous frames cost nothing.

        `precision`, `recall`, `f1`: of pixels, over all frames, flagged where the score is above
        `threshold`. `dynamic_precision`, `dynamic_recall`, `dynamic_f1`: flagged where it is above the
        frame's own percentile, the lowest score that at least `percentile` % of the frame's pixels do not
        exceed. A precision of nothing flagged is left out, recall and F1 are then 0.

        `frames`, `pixels`, `anomalous_pixels`: how many there are.
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
        y, s = np.array(self._frame_anomalous), np.array(self._frame_rank)
        if not frame_metrics.both_classes(y):
            return figures | {"absent": "no mahadevan_*: all frames with masks are anomalous"}
        return figures | {
            "mahadevan_auc": frame_metrics.auc(y, s),
            "mahadevan_eer": frame_metrics.equal_error_rate(y, s),
        }

    def _auc(self) -> float:
        ranks = np.flatnonzero(self._anomalous + self._normal)
        pixels = np.concatenate([self._anomalous[ranks], self._normal[ranks]])
        y = np.repeat([True, False], len(ranks))
        return float(roc_auc_score(y, np.tile(ranks, 2), sample_weight=pixels))


def _ranks(scores: np.ndarray) -> np.ndarray:
    """uint16 ranks in the order of the scores, equal where these are equal as float16."""
    with np.errstate(over="ignore"):
        rounded = scores.astype(np.float16) + np.float16(0)  # -0 becomes 0, which it equals
    pattern = rounded.view(np.uint16)
    return np.where(pattern & _SIGN, ~pattern, pattern | _SIGN)


def _agreement(prefix: str, hits: int, flagged: int, anomalous: int) -> dict[str, float]:
    found = {"recall": hits / anomalous, "f1": 2 * hits / (flagged + anomalous)}
    if flagged:
        found["precision"] = hits / flagged
    return {prefix + name: value for name, value in found.items()}
