"""Metrics of the ROC curve: AUC over all frames (micro), mean AUC of the clips (macro), equal error rate.

In all functions, labels are bool [T], True for anomalous frames, and scores are float [T], higher for more
anomalous frames.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_curve


def both_classes(anomalous: np.ndarray) -> bool:
    """Whether there are both normal and anomalous frames, so that the AUC is defined."""
    return bool(anomalous.any()) and not bool(anomalous.all())


def auc(anomalous: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve, ties counted half.

    Args:
        anomalous: labels of the frames, bool [T].
        scores: scores of the frames, float [T].

    Returns:
        The area, in [0, 1]; None if a class is missing.
    """
    if not both_classes(anomalous):
        return None
    # The share of pairs that are in the right order, counted in integers. scikit-learn's function gives the
    # same, but takes a millisecond or more even for a few frames, and there are many clips and scorers.
    higher, lower = np.sort(scores[anomalous]), np.sort(scores[~anomalous])
    doubled = sum(int(np.searchsorted(lower, higher, side).sum()) for side in ("left", "right"))
    return doubled / (2 * len(higher) * len(lower))


def auc_macro(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> float | None:
    """Mean AUC of the clips that have both classes.

    Args:
        labels: labels of each clip, bool [T].
        scores: scores of each clip, float [T].

    Returns:
        The mean, in [0, 1]; None if no clip has both classes.
    """
    by_clip = [auc(y, s) for y, s in zip(labels, scores, strict=True)]
    defined = [value for value in by_clip if value is not None]
    return float(np.mean(defined)) if defined else None


def aucs(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> dict[str, float | None]:
    """Micro and macro AUC of a scorer.

    Args:
        labels: labels of each clip, bool [T].
        scores: scores of each clip, float [T].

    Returns:
        `auc_micro`, over all frames concatenated, and `auc_macro`, the mean over clips; None if undefined.
    """
    micro = auc(np.concatenate(labels), np.concatenate(scores))
    return {"auc_micro": micro, "auc_macro": auc_macro(labels, scores)}


def equal_error_rate(anomalous: np.ndarray, scores: np.ndarray) -> float:
    """Equal error rate: the false positive rate where it equals the miss rate, interpolated on the ROC curve.

    Args:
        anomalous: labels of the frames, bool [T], of both classes.
        scores: scores of the frames, float [T].
    """
    false_positives, hits, _ = roc_curve(anomalous, scores, drop_intermediate=False)
    excess = false_positives - (1 - hits)  # rises from -1 to 1
    i = int(np.argmax(excess >= 0))
    share = -excess[i - 1] / (excess[i] - excess[i - 1])
    return float(false_positives[i - 1] + share * (false_positives[i] - false_positives[i - 1]))


def minmax(scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Scales the scores of each clip to [0, 1] by its lowest and highest score; 0 if all are equal."""
    return [(s - s.min()) / (np.ptp(s) or 1.0) for s in scores]


def auc_macro_padded(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> float | None:
    """Macro AUC with a normal frame of score 0 and an anomalous frame of score 1 added to every clip.

    Scores are first scaled to [0, 1] clip by clip. Some published figures are of this kind, and are listed
    for comparison only: a clip with only anomalous frames has an AUC near 1 with any scores (lower only if
    several frames have the lowest score).

    Args:
        labels: labels of each clip, bool [T].
        scores: scores of each clip, float [T].

    Returns:
        The mean, in [0, 1]; None without clips.
    """
    if not labels:
        return None
    pairs = zip(labels, minmax(scores), strict=True)
    return float(np.mean([auc(np.r_[False, y, True], np.r_[0.0, s, 1.0]) for y, s in pairs]))
