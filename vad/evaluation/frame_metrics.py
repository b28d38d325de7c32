"""How good the scores of frames and clips are, and what a scorer reaches that learns nothing.

Protocol: micro AUC is one ROC over all labelled test frames concatenated, with the scores as they are
(no normalisation per clip); macro AUC is the mean over the clips that have both classes. See
`docs/evaluation.md`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from vad.evaluation import bootstrap, oracle
from vad.evaluation.params import EvaluateParams
from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.scores import LEARNED


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


def auc_macro_padded(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> float | None:
    """Macro AUC with a normal frame of score 0 and an anomalous one of score 1 added to every clip.

    Scores are first brought to [0, 1] clip by clip. Some published figures are of this kind: a clip that is
    anomalous throughout then has an AUC near 1 whatever the scorer does, less only where frames tie for its
    lowest score.
    """
    if not labels:
        return None
    pairs = zip(labels, minmax(scores), strict=True)
    return float(np.mean([auc(np.r_[False, y, True], np.r_[0.0, s, 1.0]) for y, s in pairs]))


def minmax(scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Scores of each clip brought to [0, 1] by its own lowest and highest; 0 where they are all equal."""
    return [(s - s.min()) / (np.ptp(s) or 1.0) for s in scores]


def aucs(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> dict[str, float | None]:
    """`auc_micro` and `auc_macro` of a scorer."""
    micro = auc(np.concatenate(labels), np.concatenate(scores))
    return {"auc_micro": micro, "auc_macro": auc_macro(labels, scores)}


def labelled(clips: Sequence[ScoredClip]) -> list[ScoredClip]:
    """The clips that somebody labelled."""
    return [clip for clip in clips if clip.anomalous is not None]


def absent(clips: Sequence[ScoredClip]) -> str | None:
    """Why there are no figures that need labels of both classes; None if there are."""
    if not (labels := [clip.anomalous for clip in labelled(clips)]):
        return "no test clip is labelled"
    y = np.concatenate(labels)
    return None if both_classes(y) else f"all labelled frames are {'anomalous' if y.any() else 'normal'}"


def frame_level(clips: Sequence[ScoredClip], threshold: float) -> dict[str, Any]:
    """The headline: metrics over the frames of all labelled clips, and why they are absent if so."""
    known = labelled(clips)
    if not known:
        return {"absent": absent(clips)}
    labels, scores = [clip.anomalous for clip in known], [clip.scores for clip in known]
    y, s = np.concatenate(labels), np.concatenate(scores)
    counts = {"frames": len(y), "anomalous_frames": int(y.sum())}
    if reason := absent(clips):
        return counts | {"absent": reason}
    usable = sum(both_classes(one) for one in labels)
    precision, recall, f1, _ = precision_recall_fscore_support(
        y, s > threshold, average="binary", zero_division=0
    )
    best, best_threshold = oracle.oracle(y, s)
    return counts | {
        **aucs(labels, scores),
        "clips_in_macro": usable,
        "clips_with_one_class": len(labels) - usable,
        "average_precision": float(average_precision_score(y, s)),
        "eer": equal_error_rate(y, s),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "auc_macro_padded": auc_macro_padded(labels, scores),
        "minmax_per_clip": aucs(labels, minmax(scores)),
        "causal": aucs(labels, [clip.causal for clip in known]),
        "oracle": {"f1": best, "threshold": best_threshold},
    }


def clip_level(clips: Sequence[ScoredClip]) -> dict[str, Any]:
    """Do clips with an anomaly have a higher maximum than clips without? AUCs, or why they are absent.

    `auc`: of the scores before smoothing, which is made for runs of frames and would take short events away
    from the maximum; `auc_smoothed`: of the headline's scores.
    """
    known = labelled(clips)
    y = np.array([bool(clip.anomalous.any()) for clip in known], bool)
    counts = {"anomalous": int(y.sum()), "normal": int((~y).sum())}
    if not both_classes(y):
        return counts | {"absent": "needs labelled clips with an anomaly and without"}
    highest = {"auc": [clip.unsmoothed.max() for clip in known]}
    highest["auc_smoothed"] = [clip.scores.max() for clip in known]
    return counts | {name: auc(y, np.array(values)) for name, values in highest.items()}


def trivial_scorers(clips: Sequence[ScoredClip], seed: int) -> dict[str, list[np.ndarray]]:
    """Scores of scorers that learn nothing, for each labelled clip: random, time since its start, and the branches
    that learned nothing (speed, where there is flow). A model is worth what it adds to the best of them.
    """
    generator, scored = np.random.default_rng(seed), labelled(clips)
    scorers = {
        "random": [generator.random(len(clip.scores)) for clip in scored],
        "time": [clip.seconds - clip.seconds[0] for clip in scored],
    }
    if scored:
        every = set.intersection(*(set(clip.branches) for clip in scored))
        trivial = [b for b in scored[0].branches if b in every - {LEARNED, *scored[0].regions.learned}]
        scorers |= {branch: [clip.branches[branch] for clip in scored] for branch in trivial}
    return scorers


def against_trivial(clips: Sequence[ScoredClip], params: EvaluateParams) -> dict[str, Any]:
    """`baseline`: AUCs of the trivial scorers; `gain`: what the model adds to the best of them, by micro AUC.

    `interval`: of the headline. Both over clips (`vad.evaluation.bootstrap`). Empty without labels of both classes.
    """
    if absent(clips):
        return {}
    known = labelled(clips)
    labels, scores = [clip.anomalous for clip in known], [clip.scores for clip in known]
    trivial = trivial_scorers(clips, params.seed)
    baseline = {name: aucs(labels, own) for name, own in trivial.items()}
    best = max(baseline, key=lambda name: baseline[name]["auc_micro"])
    draws = (params.resamples, params.seed)
    return {
        "baseline": baseline,
        "interval": bootstrap.headline(labels, scores, *draws),
        "gain": {"over": best, **bootstrap.gain(labels, scores, trivial[best], *draws)},
    }


def branch_level(clips: Sequence[ScoredClip]) -> dict[str, dict[str, float | None]]:
    """AUCs of each branch by itself, and of all but speed together; empty without labels of both classes."""
    if absent(clips):
        return {}
    known = labelled(clips)
    labels = [clip.anomalous for clip in known]
    return {name: aucs(labels, [clip.branches[name] for clip in known]) for name in known[0].branches}
