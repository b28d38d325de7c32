"""How good the scores are: frame-level metrics, the trivial scorers beside them, rows per person and track.

Protocol: micro AUC is one ROC over all labelled test frames concatenated, with the scores as they are
(no normalisation per clip); macro AUC is the mean over the clips that have both classes. See
`docs/evaluation.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from vad import UserError
from vad.params import Field, Section
from vad.scoring import ClipErrors


class EvaluateParams(Section):
    """`evaluate`; `identity` is a CSV file that says who is who (`vad.identity`)."""

    identity: str = Field(min_length=1)
    seed: int = Field(ge=0, lt=2**32)
    histogram_bins: int = Field(ge=2, le=1000)
    plot_points: int = Field(ge=50)

    def verify(self, raw: dict[str, Any]) -> None:
        if not Path(self.identity).is_file():
            raise UserError(
                f"evaluate.identity = {self.identity!r}: no such file (seen from {Path.cwd()}); expected a "
                "CSV with the columns clip, track, person; the header alone where nobody is to be told apart"
            )


@dataclass(frozen=True)
class Scored:
    """A test clip: its scores, and its labels where somebody labelled it.

    `scores` float64 [T]; `errors` float64 [T], before calibration; `seconds` float64 [T] since the clip's
    start; `source_frames` int [T]; `anomalous` bool [T] or None. The table of `regions` has columns `score`,
    `error` (of the region, over all branches) and `person` ("" where nobody said) beside those of the
    errors; `subject` is the person of the whole clip.
    """

    clip: str
    camera: str
    subject: str
    scores: np.ndarray
    errors: np.ndarray
    seconds: np.ndarray
    source_frames: np.ndarray
    anomalous: np.ndarray | None
    regions: ClipErrors


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


def by_person(clips: Sequence[Scored]) -> list[Scored]:
    """The parts of clips that belong to one person each (`subject`), in the order of clips.

    A clip whose regions all belong to its own person counts as a whole, with every frame of it. Where some
    are another's, each person has the frames in which a region of his is, and the highest of these counts.
    """
    parts = []
    for clip in clips:
        owners = clip.regions.table["person"]
        if (owners == clip.subject).all():
            parts.append(clip)
            continue
        for person in sorted(set(owners)):
            own = clip.regions.only(owners == person)
            seen = own.counts() > 0
            parts.append(
                replace(
                    clip,
                    subject=person,
                    scores=own.per_frame(own.table["score"])[seen],
                    errors=own.per_frame(own.table["error"])[seen],
                    seconds=clip.seconds[seen],
                    source_frames=clip.source_frames[seen],
                    anomalous=None if clip.anomalous is None else clip.anomalous[seen],
                    regions=own,
                )
            )
    return parts


def tracks(clip: Scored, threshold: float) -> pd.DataFrame:
    """A row per track of a clip; none for a track that never was anything but the whole frame.

    Columns: `track`, `person`, `first_frame`, `last_frame` and `frames` (of those with windows, in which it
    has a region), `score_mean`, `score_max`, `anomaly_rate` (share of its regions above the threshold),
    `error_mean`, `error_std` (the population's).
    """
    table = clip.regions.table
    followed = table["track"][~clip.regions.whole() & (table["track"] >= 0)].unique()
    table = table[table["track"].isin(followed)]
    groups = table.assign(above=table["score"] > threshold).groupby("track")
    rows = groups.agg(
        person=("person", "first"),
        first_frame=("frame", "min"),
        last_frame=("frame", "max"),
        frames=("frame", "nunique"),
        score_mean=("score", "mean"),
        score_max=("score", "max"),
        anomaly_rate=("above", "mean"),
        error_mean=("error", "mean"),
    )
    return rows.assign(error_std=groups["error"].std(ddof=0)).reset_index()


def regions(clips: Sequence[Scored]) -> dict[str, Any]:
    """How many regions there are: per frame, frames without any, tracks. Empty for whole frames.

    A frame that no window was made for counts like the nearest that has.
    """
    counts = np.concatenate([clip.regions.counts() for clip in clips])
    if counts.all() and all(clip.regions.whole().all() for clip in clips):
        return {}
    return {
        "per_frame": float(counts.mean()),
        "frames_without": int((counts == 0).sum()),
        "tracks": sum(len(tracks(clip, 0.0)) for clip in clips),
    }
