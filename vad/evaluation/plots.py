"""Plot data for `dvc plots`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from vad.evaluation.groups import by_person
from vad.evaluation.roc_metrics import auc, both_classes
from vad.evaluation.scored_clip import ScoredClip, labelled, labels_of

CURVE_POINTS = 500  # maximum points of a clip or curve; more would slow down pages without a visible gain
BINS = 40  # of the histogram
MODEL = "model"  # name of the scorer that is drawn as a solid line
NOT_GIVEN = "(not given)"  # stands for an empty name
ROC, PRECISION_RECALL = ["scorer", "fpr", "tpr", "point"], ["recall", "precision", "point"]


def score_curves(clips: Sequence[ScoredClip], threshold: float, points: int = CURVE_POINTS) -> pd.DataFrame:
    """Scores over time.

    Args:
        clips: the clips to draw.
        threshold: written into the table.
        points: maximum number of rows of a clip. In a longer clip, each run of neighbouring frames becomes a
            row with its highest score, labelled anomalous if any of its frames is.

    Returns:
        Columns: `clip`, `frame` (of the source), `score`, `label` (0 or 1; empty if not labelled),
        `threshold`.
    """
    tables = []
    for clip in clips:
        table = pd.DataFrame({"frame": clip.source_frames, "score": clip.scores})
        table["label"] = np.nan if clip.anomalous is None else clip.anomalous.astype(float)
        run = np.arange(len(table)) // int(np.ceil(len(table) / points))
        thin = table.groupby(run).agg({"frame": "first", "score": "max", "label": "max"})
        tables.append(thin.assign(clip=clip.name, threshold=threshold))
    return pd.concat(tables)[["clip", "frame", "score", "label", "threshold"]].round({"score": 5})


def roc(
    anomalous: np.ndarray, scores: np.ndarray, points: int = CURVE_POINTS, threshold: float | None = None
) -> pd.DataFrame:
    """ROC curve of frames.

    Args:
        anomalous: labels of the frames, bool [T], of both classes.
        scores: scores of the frames, float [T].
        points: maximum number of rows, from (0, 0) to (1, 1).
        threshold: threshold whose operating point is added; None for no operating point.

    Returns:
        Columns: `fpr`, `tpr`; with a threshold also `point`, 1 in the row of the operating point, 0 in the
        others.
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
    """ROC curves of several scorers of the same frames.

    Args:
        anomalous: labels of the frames, bool [T], of both classes.
        scorers: scores of the frames, float [T], by scorer: MODEL and the trivial scorers.
        threshold: threshold of the model.
        points: maximum number of rows of each curve.

    Returns:
        Columns: `scorer`, `fpr`, `tpr`, `point`.
    """
    tables = []
    for scorer, scores in scorers.items():
        curve = roc(anomalous, scores, points, threshold if scorer == MODEL else None)
        tables.append(curve.assign(scorer=scorer, point=curve.get("point", 0)))
    return pd.concat(tables)[ROC]


def precision_recall(
    anomalous: np.ndarray, scores: np.ndarray, threshold: float, points: int = CURVE_POINTS
) -> pd.DataFrame:
    """Precision-recall curve of frames.

    The curve begins at recall 0, where the precision is 1 by scikit-learn's convention, and ends at recall 1,
    where the precision is the share of anomalous frames.

    Args:
        anomalous: labels of the frames, bool [T], of both classes.
        scores: scores of the frames, float [T].
        threshold: threshold of the operating point.
        points: maximum number of rows.

    Returns:
        Columns: `recall`, `precision`, `point` as in `roc`.
    """
    precision, recall, _ = precision_recall_curve(anomalous, scores, drop_intermediate=True)
    curve = _thin(pd.DataFrame({"recall": recall, "precision": precision})[::-1], points)
    alarmed = scores > threshold
    hits = anomalous[alarmed]
    return _with_point(curve, (alarmed[anomalous].mean(), hits.mean() if len(hits) else 1.0), falling=True)


def _thin(curve: pd.DataFrame, points: int) -> pd.DataFrame:
    """Fewer than `points` equally spaced rows of a curve, with the first and the last."""
    return curve.iloc[np.unique(np.linspace(0, len(curve) - 1, points - 1).round().astype(int))]


def _with_point(curve: pd.DataFrame, point: tuple[float, float], falling: bool) -> pd.DataFrame:
    """Inserts the operating point into a curve, and adds the column `point`: 1 in its row, 0 elsewhere.

    Args:
        curve: two columns, x ascending.
        point: x and y of the operating point.
        falling: whether y descends where the curve is vertical.
    """
    x, y = curve.columns
    rows = pd.concat([curve.assign(point=0), pd.DataFrame([(*point, 1)], columns=[x, y, "point"])])
    rows = rows.round(6).sort_values([x, y, "point"], ascending=[True, not falling, True])
    return rows.drop_duplicates([x, y], keep="last")


def auc_by_group(column: str, groups: Mapping[str, Sequence[ScoredClip]]) -> pd.DataFrame:
    """AUC of the frames of each group of clips; groups without labels of both classes are omitted.

    Args:
        column: name of the first column, for example `subject`.
        groups: clips by name of the group.

    Returns:
        Columns: `column`, with the name of the group, and `auc`.
    """
    rows = []
    for group, clips in groups.items():
        scored = labelled(clips)
        anomalous = np.concatenate(labels_of(scored) or [np.zeros(0, bool)])
        if both_classes(anomalous):
            rows.append((group, auc(anomalous, np.concatenate([clip.scores for clip in scored]))))
    return pd.DataFrame(rows, columns=[column, "auc"])


def histogram(
    anomalous: np.ndarray | None, scores: np.ndarray, threshold: float, bins: int = BINS
) -> pd.DataFrame:
    """Histograms of the scores of normal and of anomalous frames, or of all frames without labels.

    Args:
        anomalous: labels of the frames, bool [T]; None without labels.
        scores: scores of the frames, float [T].
        threshold: written into the table.
        bins: number of bins.

    Returns:
        Columns: `bin_start`, `bin_end`, `count`, `cls` (`normal` or `anomalous`; without labels
        `unlabelled`), `threshold`.
    """
    edges = np.histogram_bin_edges(scores, bins)
    tables = []
    classes = {"unlabelled": scores}
    if anomalous is not None:
        classes = {"normal": scores[~anomalous], "anomalous": scores[anomalous]}
    for cls, chosen in classes.items():
        count, _ = np.histogram(chosen, edges)
        tables.append(
            pd.DataFrame({"bin_start": edges[:-1], "bin_end": edges[1:], "count": count, "cls": cls})
        )
    return pd.concat(tables).assign(threshold=threshold).round({"bin_start": 5, "bin_end": 5})


def plot_data(
    clips: Sequence[ScoredClip], trivial: Mapping[str, Sequence[np.ndarray]], threshold: float
) -> dict[str, pd.DataFrame]:
    """The tables that `dvc plots` draws, besides the score curves.

    Args:
        clips: all test clips.
        trivial: scores of each labelled clip, float [T], by trivial scorer.
        threshold: frames with a higher score are alarmed.

    Returns:
        The tables `roc`, `pr`, `histogram`, `clip_auc` and `subject_auc` by name. Without labels of both
        classes, `roc` and `pr` have no rows.
    """
    scored = labelled(clips)
    labels = labels_of(scored) or [np.zeros(len(clip.scores), bool) for clip in clips]
    anomalous, scores = np.concatenate(labels), np.concatenate([clip.scores for clip in scored or clips])
    persons = defaultdict(list)
    for part in by_person(clips):
        persons[part.subject or NOT_GIVEN].append(part)
    if both_classes(anomalous):
        scorers = {MODEL: scores} | {scorer: np.concatenate(values) for scorer, values in trivial.items()}
        curves = {
            "roc": rocs(anomalous, scorers, threshold),
            "pr": precision_recall(anomalous, scores, threshold),
        }
    else:
        curves = {"roc": pd.DataFrame(columns=ROC), "pr": pd.DataFrame(columns=PRECISION_RECALL)}
    return curves | {
        "histogram": histogram(anomalous if scored else None, scores, threshold),
        "clip_auc": auc_by_group("clip", {clip.name: [clip] for clip in clips}),
        "subject_auc": auc_by_group("subject", dict(sorted(persons.items()))),
    }
