"""Plot data for `dvc plots`, and the picture of all error curves."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from vad.evaluation.frame_metrics import auc, both_classes, labelled
from vad.evaluation.groups import by_person
from vad.evaluation.scored_clip import ScoredClip
from vad.store.intervals import intervals_of

matplotlib.use("agg")
from matplotlib import pyplot as plt

CURVE_POINTS = 500  # of a clip or curve: more would make pages slow and show nothing more
BINS = 40  # of the histogram
MODEL = "model"  # the scorer that is drawn as a solid line
ROC, PR = ["scorer", "fpr", "tpr", "point"], ["recall", "precision", "point"]


def name(clip: ScoredClip) -> str:
    """The clip's name without its split, as plots show it."""
    return clip.clip.partition("/")[2]


def curves(clips: Sequence[ScoredClip], threshold: float, points: int = CURVE_POINTS) -> pd.DataFrame:
    """Score curves: clip, frame (of the source), score, label (0 or 1; empty without), threshold.

    A clip longer than `points` frames is thinned: of each run of neighbours the highest score is kept,
    and the run counts as anomalous if one of its frames is.
    """
    tables = []
    for clip in clips:
        table = pd.DataFrame({"frame": clip.source_frames, "score": clip.scores})
        table["label"] = np.nan if clip.anomalous is None else clip.anomalous.astype(float)
        run = np.arange(len(table)) // int(np.ceil(len(table) / points))
        thin = table.groupby(run).agg({"frame": "first", "score": "max", "label": "max"})
        tables.append(thin.assign(clip=name(clip), threshold=threshold))
    return pd.concat(tables)[["clip", "frame", "score", "label", "threshold"]].round({"score": 5})


def roc(
    anomalous: np.ndarray, scores: np.ndarray, points: int = CURVE_POINTS, threshold: float | None = None
) -> pd.DataFrame:
    """ROC curve of frames of both classes: fpr, tpr; at most `points` rows, from (0, 0) to (1, 1).

    With a `threshold` there is a column `point` too: 1 in the row for frames with a higher score being
    alarmed, the operating point, and 0 in the others.
    """
    fpr, tpr, _ = roc_curve(anomalous, scores)
    curve = _thin(pd.DataFrame({"fpr": fpr, "tpr": tpr}), points)
    if threshold is None:
        return curve.round(6)
    alarmed = scores > threshold
    return _with_point(curve, (alarmed[~anomalous].mean(), alarmed[anomalous].mean()), falling=False)


def rocs(
    anomalous: np.ndarray, scorers: Mapping[str, np.ndarray], threshold: float, points: int = CURVE_POINTS
) -> pd.DataFrame:
    """ROC curves of several scorers of the same frames: scorer, fpr, tpr, point.

    `scorers` holds scores [N] by name: those of the `model`, to which `threshold` belongs, and of the trivial
    scorers beside it.
    """
    tables = []
    for scorer, scores in scorers.items():
        curve = roc(anomalous, scores, points, threshold if scorer == MODEL else None)
        tables.append(curve.assign(scorer=scorer, point=curve.get("point", 0)))
    return pd.concat(tables)[ROC]


def pr(anomalous: np.ndarray, scores: np.ndarray, threshold: float, points: int = CURVE_POINTS) -> pd.DataFrame:
    """Precision-recall curve of frames of both classes: recall, precision, point; at most `points` rows.

    It begins at recall 0, where the precision is 1 by scikit-learn's convention, and ends at recall 1, where
    it is the share of anomalous frames. `point` is 1 in the row of the operating point, as in `roc`.
    """
    precision, recall, _ = precision_recall_curve(anomalous, scores, drop_intermediate=True)
    curve = _thin(pd.DataFrame({"recall": recall, "precision": precision})[::-1], points)
    alarmed = scores > threshold
    hits = anomalous[alarmed]
    return _with_point(curve, (alarmed[anomalous].mean(), hits.mean() if len(hits) else 1.0), falling=True)


def _thin(curve: pd.DataFrame, points: int) -> pd.DataFrame:
    """Every so many rows of a curve, less than `points` of them, the first and the last included."""
    return curve.iloc[np.unique(np.linspace(0, len(curve) - 1, points - 1).round().astype(int))]


def _with_point(curve: pd.DataFrame, point: tuple[float, float], falling: bool) -> pd.DataFrame:
    """A curve with a column `point`: 1 in the row of the operating point, put where it belongs, 0 elsewhere.

    The curve runs to the right, and where it is steep up or, if `falling`, down.
    """
    x, y = curve.columns
    rows = pd.concat([curve.assign(point=0), pd.DataFrame([(*point, 1)], columns=[x, y, "point"])])
    rows = rows.round(6).sort_values([x, y, "point"], ascending=[True, not falling, True])
    return rows.drop_duplicates([x, y], keep="last")


def bars(what: str, groups: Mapping[str, Sequence[ScoredClip]]) -> pd.DataFrame:
    """AUC of clips that belong together, such as those of a subject: the column `what`, and auc.

    A group without labels of both classes has no AUC and no row.
    """
    rows = []
    for group, clips in groups.items():
        known = labelled(clips)
        labels = np.concatenate([clip.anomalous for clip in known] or [np.zeros(0, bool)])
        if both_classes(labels):
            rows.append((group, auc(labels, np.concatenate([clip.scores for clip in known]))))
    return pd.DataFrame(rows, columns=[what, "auc"])


def histogram(anomalous: np.ndarray, scores: np.ndarray, threshold: float, bins: int = BINS) -> pd.DataFrame:
    """Counts of normal and anomalous frames per bin of score, and the threshold."""
    edges = np.histogram_bin_edges(scores, bins)
    tables = []
    for cls, chosen in (("normal", scores[~anomalous]), ("anomalous", scores[anomalous])):
        count, _ = np.histogram(chosen, edges)
        tables.append(
            pd.DataFrame({"bin_start": edges[:-1], "bin_end": edges[1:], "count": count, "cls": cls})
        )
    return pd.concat(tables).assign(threshold=threshold).round({"bin_start": 5, "bin_end": 5})


def figures(
    clips: Sequence[ScoredClip], trivial: Mapping[str, Sequence[np.ndarray]], threshold: float
) -> dict[str, pd.DataFrame]:
    """Plot data by name: roc, pr, histogram, clip_auc, subject_auc.

    `trivial` holds scores by scorer for each labelled clip. Without labels of both classes roc and pr have no
    rows; without any the histogram takes all frames for normal.
    """
    known = labelled(clips) or [replace(clip, anomalous=np.zeros(len(clip.scores), bool)) for clip in clips]
    anomalous = np.concatenate([clip.anomalous for clip in known])
    scores = np.concatenate([clip.scores for clip in known])
    people = defaultdict(list)
    for part in by_person(clips):
        people[part.subject or "(not given)"].append(part)
    if both_classes(anomalous):
        scorers = {MODEL: scores} | {scorer: np.concatenate(own) for scorer, own in trivial.items()}
        ranked = {"roc": rocs(anomalous, scorers, threshold), "pr": pr(anomalous, scores, threshold)}
    else:
        ranked = {"roc": pd.DataFrame(columns=ROC), "pr": pd.DataFrame(columns=PR)}
    return ranked | {
        "histogram": histogram(anomalous, scores, threshold),
        "clip_auc": bars("clip", {name(clip): [clip] for clip in clips}),
        "subject_auc": bars("subject", dict(sorted(people.items()))),
    }


def draw_curves(path: Path, clips: Sequence[ScoredClip], threshold: float) -> None:
    """A picture of every clip's score over time, ground truth shaded, threshold dashed."""
    columns = min(3, len(clips))
    rows = -(-len(clips) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(4.2 * columns, 1.9 * rows + 0.5),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for axis, clip in zip(axes.flat, clips, strict=False):
        if clip.anomalous is not None:
            for start, end in intervals_of(clip.anomalous):
                axis.axvspan(
                    clip.source_frames[start],
                    clip.source_frames[end - 1] + 1,
                    color="#e45756",
                    alpha=0.22,
                    lw=0,
                )
        axis.plot(clip.source_frames, clip.scores, lw=1.1, color="#4c78a8")
        axis.axhline(threshold, ls="--", lw=0.9, color="#666666")
        axis.set_title(name(clip), fontsize=9, fontweight="bold")
        axis.tick_params(labelsize=7)
        axis.margins(x=0)
    for axis in axes.flat[len(clips) :]:
        axis.remove()
    figure.supxlabel("frame", fontsize=9)
    figure.supylabel("anomaly score", fontsize=9)
    figure.suptitle("shaded: labelled anomalous; dashed: alarm threshold from normal footage", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
