"""Plot data for `dvc plots`, and the picture of all error curves."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from vad.clips import intervals_of
from vad.metrics import Scored

matplotlib.use("agg")
from matplotlib import pyplot as plt


def name(clip: Scored) -> str:
    """The clip's name without its split, as plots show it."""
    return clip.clip.partition("/")[2]


def curves(clips: Sequence[Scored], threshold: float, points: int) -> pd.DataFrame:
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


def roc(anomalous: np.ndarray, scores: np.ndarray, points: int = 500) -> pd.DataFrame:
    """ROC curve of all frames: fpr, tpr; at most about `points` rows."""
    fpr, tpr, _ = roc_curve(anomalous, scores)
    keep = np.unique(np.linspace(0, len(fpr) - 1, points).round().astype(int))
    return pd.DataFrame({"fpr": fpr[keep], "tpr": tpr[keep]}).round(6)


def histogram(anomalous: np.ndarray, scores: np.ndarray, threshold: float, bins: int) -> pd.DataFrame:
    """Counts of normal and anomalous frames per bin of score, and the threshold."""
    edges = np.histogram_bin_edges(scores, bins)
    tables = []
    for cls, chosen in (("normal", scores[~anomalous]), ("anomalous", scores[anomalous])):
        count, _ = np.histogram(chosen, edges)
        tables.append(
            pd.DataFrame({"bin_start": edges[:-1], "bin_end": edges[1:], "count": count, "cls": cls})
        )
    return pd.concat(tables).assign(threshold=threshold).round({"bin_start": 5, "bin_end": 5})


def draw_curves(path: Path, clips: Sequence[Scored], threshold: float) -> None:
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
