"""Metrics of frame scores and of clip scores.

Protocol: the micro AUC is that of a single ROC curve over all labelled test frames concatenated, with raw
scores (no normalisation per clip); the macro AUC is the mean over the clips that have both classes. See
`docs/evaluation.md`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from vad.evaluation.oracle import oracle
from vad.evaluation.roc_metrics import auc, auc_macro_padded, aucs, both_classes, equal_error_rate, minmax
from vad.evaluation.scored_clip import ScoredClip, labelled, labels_of


def why_absent(clips: Sequence[ScoredClip]) -> str | None:
    """The reason why figures that need labels of both classes are undefined; None if they are defined."""
    if not (labels := labels_of(clips)):
        return "no test clip is labelled"
    anomalous = np.concatenate(labels)
    if both_classes(anomalous):
        return None
    return f"all labelled frames are {'anomalous' if anomalous.any() else 'normal'}"


def frame_level(clips: Sequence[ScoredClip], threshold: float) -> dict[str, Any]:
    """The headline: metrics over the frames of all labelled clips.

    Args:
        clips: all test clips.
        threshold: frames with a higher score are alarmed.

    Returns:
        `frames` and `anomalous_frames`; `false_positive_rate`, the share of normal frames that are alarmed,
        if there are normal frames; AUCs, `average_precision`, `eer`; `precision`, `recall` and `f1` of the
        alarms. If these are undefined, `absent` is the reason.
    """
    scored = labelled(clips)
    if not scored:
        return {"absent": why_absent(clips)}
    labels, scores = labels_of(scored), [clip.scores for clip in scored]
    y, s = np.concatenate(labels), np.concatenate(scores)
    counts: dict[str, Any] = {"frames": len(y), "anomalous_frames": int(y.sum())}
    if reason := why_absent(clips):
        return counts | {"absent": reason} | _false_positives(y, s, threshold)
    in_macro = sum(both_classes(anomalous) for anomalous in labels)
    precision, recall, f1, _ = precision_recall_fscore_support(
        y, s > threshold, average="binary", zero_division=0
    )
    best_f1, best_threshold = oracle(y, s)
    return counts | {
        **aucs(labels, scores),
        "clips_in_macro": in_macro,
        "clips_with_one_class": len(labels) - in_macro,
        "average_precision": float(average_precision_score(y, s)),
        "eer": equal_error_rate(y, s),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        **_false_positives(y, s, threshold),
        "auc_macro_padded": auc_macro_padded(labels, scores),
        "minmax_per_clip": aucs(labels, minmax(scores)),
        "oracle": {"f1": best_f1, "threshold": best_threshold},
    }


def _false_positives(y: np.ndarray, s: np.ndarray, threshold: float) -> dict[str, float]:
    """The share of normal frames that are alarmed; empty without normal frames."""
    return {} if y.all() else {"false_positive_rate": float((s[~y] > threshold).mean())}


def clip_level(clips: Sequence[ScoredClip]) -> dict[str, Any]:
    """How well the highest score of a clip separates clips with an anomaly from clips without.

    Args:
        clips: all test clips.

    Returns:
        `anomalous` and `normal`: number of clips with and without an anomaly; `auc`: AUC of the highest score
        before smoothing, since smoothing lowers the peaks of short events; `auc_smoothed`: AUC of the highest
        smoothed score. If these are undefined, `absent` is the reason.
    """
    scored = labelled(clips)
    with_anomaly = np.array([anomalous.any() for anomalous in labels_of(scored)], np.bool_)
    counts: dict[str, Any] = {"anomalous": int(with_anomaly.sum()), "normal": int((~with_anomaly).sum())}
    if not both_classes(with_anomaly):
        return counts | {"absent": "needs labelled clips with an anomaly and without"}
    return counts | {
        "auc": auc(with_anomaly, np.array([clip.unsmoothed.max() for clip in scored])),
        "auc_smoothed": auc(with_anomaly, np.array([clip.scores.max() for clip in scored])),
    }


def branch_level(clips: Sequence[ScoredClip]) -> dict[str, dict[str, float | None]]:
    """AUCs of each branch alone, and of all that learned together; empty without labels of both classes."""
    if why_absent(clips):
        return {}
    scored = labelled(clips)
    labels = labels_of(scored)
    return {name: aucs(labels, [clip.branches[name] for clip in scored]) for name in scored[0].branches}
