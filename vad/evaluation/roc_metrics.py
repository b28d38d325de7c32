"""Metrics of the ROC curve: area over all frames (micro), mean area over clips (macro), equal error rate.

Throughout, labels are bool [T], True where a frame is anomalous, and scores float [T], higher where it is
more so.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve


def both_classes(anomalous: np.ndarray) -> bool:
    """Whether there are normal and anomalous frames, so that an AUC is defined."""
    return bool(anomalous.any()) and not bool(anomalous.all())


def auc(anomalous: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve in [0, 1], ties counted half.

    Args:
        anomalous: bool [T].
        scores: float [T].

    Returns:
        None if a class is missing.
    """
    return float(roc_auc_score(anomalous, scores)) if both_classes(anomalous) else None


def auc_macro(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> float | None:
    """Mean AUC of the clips that have both classes; None if no clip has. Args as for `aucs`."""
    by_clip = [auc(y, s) for y, s in zip(labels, scores, strict=True)]
    defined = [value for value in by_clip if value is not None]
    return float(np.mean(defined)) if defined else None


def aucs(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> dict[str, float | None]:
    """AUCs of a scorer.

    Args:
        labels: bool [T] of each clip.
        scores: float [T] of each clip.

    Returns:
        `auc_micro`, of all frames concatenated, and `auc_macro`; None where undefined.
    """
    micro = auc(np.concatenate(labels), np.concatenate(scores))
    return {"auc_micro": micro, "auc_macro": auc_macro(labels, scores)}


def equal_error_rate(anomalous: np.ndarray, scores: np.ndarray) -> float:
    """The rate at which false positives and misses are equally frequent, interpolated on the ROC curve.

    Args:
        anomalous: bool [T] with both classes.
        scores: float [T].
    """
    false_positives, hits, _ = roc_curve(anomalous, scores, drop_intermediate=False)
    excess = false_positives - (1 - hits)  # rises from -1 to 1
    i = int(np.argmax(excess >= 0))
    share = -excess[i - 1] / (excess[i] - excess[i - 1])
    return float(false_positives[i - 1] + share * (false_positives[i] - false_positives[i - 1]))


def minmax(scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Scores of each clip scaled to [0, 1] by its lowest and highest score; 0 if they are all equal."""
    return [(s - s.min()) / (np.ptp(s) or 1.0) for s in scores]


def auc_macro_padded(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> float | None:
    """Macro AUC with a normal frame of score 0 and an anomalous frame of score 1 added to every clip.

    Scores are first scaled to [0, 1] clip by clip. Some published figures are of this kind. A clip that is
    anomalous throughout then has an AUC near 1 whatever the scorer does, less only where frames tie for its
    lowest score.

    Args:
        labels: bool [T] of each clip.
        scores: float [T] of each clip.

    Returns:
        None without clips.
    """
    if not labels:
        return None
    pairs = zip(labels, minmax(scores), strict=True)
    return float(np.mean([roc_auc_score(np.r_[False, y, True], np.r_[0.0, s, 1.0]) for y, s in pairs]))
