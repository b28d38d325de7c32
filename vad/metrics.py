"""How good the scores are: frame-level metrics, and the trivial scorers beside them.

Protocol: micro AUC is one ROC over all labelled test frames concatenated, with the scores as they are
(no normalisation per clip); macro AUC is the mean over the clips that have both classes. See
`docs/evaluation.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from vad.params import Field, Section


class EvaluateParams(Section):
    """`evaluate`"""

    seed: int = Field(ge=0, lt=2**32)
    histogram_bins: int = Field(ge=2, le=1000)
    plot_points: int = Field(ge=50)


@dataclass(frozen=True)
class Scored:
    """A test clip: its scores, and its labels where somebody labelled it.

    `scores` float64 [T]; `errors` float64 [T], before calibration; `seconds` float64 [T] since the clip's
    start; `source_frames` int [T]; `anomalous` bool [T] or None.
    """

    clip: str
    camera: str
    subject: str
    scores: np.ndarray
    errors: np.ndarray
    seconds: np.ndarray
    source_frames: np.ndarray
    anomalous: np.ndarray | None


def both_classes(anomalous: np.ndarray | None) -> bool:
    """Whether there are normal and anomalous frames, so that an AUC is defined."""
    return anomalous is not None and bool(anomalous.any()) and not bool(anomalous.all())


def auc(anomalous: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve, ties counted half; None where it is undefined (one class alone)."""
    return float(roc_auc_score(anomalous, scores)) if both_classes(anomalous) else None


def auc_macro(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> float | None:
    """Mean AUC of the clips that have both classes; None if no clip has."""
    each = [auc(y, s) for y, s in zip(labels, scores, strict=True)]
    defined = [a for a in each if a is not None]
    return float(np.mean(defined)) if defined else None


def equal_error_rate(anomalous: np.ndarray, scores: np.ndarray) -> float:
    """The rate at which false positives and misses are equally frequent, on the ROC's line segments.

    Both classes must be present.
    """
    fpr, tpr, _ = roc_curve(anomalous, scores, drop_intermediate=False)
    gap = fpr - (1 - tpr)  # rises from -1 to 1
    i = int(np.argmax(gap >= 0))
    share = -gap[i - 1] / (gap[i] - gap[i - 1])
    return float(fpr[i - 1] + share * (fpr[i] - fpr[i - 1]))


def frame_level(clips: Sequence[Scored], threshold: float) -> dict[str, Any]:
    """The headline: metrics over the frames of all labelled clips, and why they are absent if so."""
    labelled = [clip for clip in clips if clip.anomalous is not None]
    if not labelled:
        return {"absent": "no test clip is labelled"}
    y = np.concatenate([clip.anomalous for clip in labelled])
    s = np.concatenate([clip.scores for clip in labelled])
    counts = {"frames": len(y), "anomalous_frames": int(y.sum())}
    if not both_classes(y):
        return counts | {"absent": f"all labelled frames are {'anomalous' if y.any() else 'normal'}"}
    usable = sum(both_classes(clip.anomalous) for clip in labelled)
    return counts | {
        "auc_micro": auc(y, s),
        "auc_macro": auc_macro([c.anomalous for c in labelled], [c.scores for c in labelled]),
        "clips_in_macro": usable,
        "clips_with_one_class": len(labelled) - usable,
        "average_precision": float(average_precision_score(y, s)),
        "eer": equal_error_rate(y, s),
        "f1": float(f1_score(y, s > threshold)),
    }


def trivial_scorers(clips: Sequence[Scored], seed: int) -> dict[str, dict[str, float | None]]:
    """AUC of scorers that know nothing: random numbers, and the time since the clip's start.

    A model is worth what it adds to the best of them. Empty without labels of both classes.
    """
    labelled = [clip for clip in clips if clip.anomalous is not None]
    labels = [clip.anomalous for clip in labelled]
    if not labels or not both_classes(np.concatenate(labels)):
        return {}
    generator = np.random.default_rng(seed)
    scorers = {
        "random": [generator.random(len(y)) for y in labels],
        "time": [clip.seconds - clip.seconds[0] for clip in labelled],
    }
    return {
        name: {
            "auc_micro": auc(np.concatenate(labels), np.concatenate(scores)),
            "auc_macro": auc_macro(labels, scores),
        }
        for name, scores in scorers.items()
    }


def row(clips: Sequence[Scored], threshold: float) -> dict[str, Any]:
    """A line of a table about some clips together: frames, AUC, anomaly rate, error mean and deviation.

    `anomaly_rate` is the share of frames above the threshold; `error_std` the population's deviation;
    `auc` None where it is undefined.
    """
    scores = np.concatenate([clip.scores for clip in clips])
    errors = np.concatenate([clip.errors for clip in clips])
    labelled = [clip for clip in clips if clip.anomalous is not None]
    y = np.concatenate([clip.anomalous for clip in labelled]) if labelled else None
    return {
        "frames": len(scores),
        "anomalous_frames": None if y is None else int(y.sum()),
        "auc": auc(y, np.concatenate([c.scores for c in labelled])) if both_classes(y) else None,
        "anomaly_rate": float((scores > threshold).mean()),
        "error_mean": float(errors.mean()),
        "error_std": float(errors.std()),
    }
