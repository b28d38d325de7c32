"""Figures of a run as a whole: ROC, precision and recall, histogram of scores, losses."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from vad.figures import paper
from vad.figures.results import Results

MODEL = "model"
KINDS = [(0, (4, 1.5)), (0, (1, 1)), (0, (4, 1.5, 1, 1.5)), (0, (8, 2))]  # of lines, beside the solid one
WIDE = 20.0  # losses that differ by this factor are drawn on a logarithmic axis
DECADES = 500.0  # an axis that spans more than this factor has ticks at powers of ten alone
BASE = 0.5  # frames at the foot of a histogram with a logarithmic axis, so that a single frame can be seen


def roc(results: Results) -> Figure:
    """The ROC curve of the frames, beside those of scorers that learn nothing."""
    drawn = paper.figure(paper.ONE_COLUMN, 92)
    axes = drawn.subplots()
    table, kinds = results.plots["roc"], iter(KINDS * 3)
    aucs = {MODEL: results.figures["frame"]["auc_micro"]}
    aucs |= {name: figures["auc_micro"] for name, figures in results.figures["baseline"].items()}
    for scorer, of_scorer in table.groupby("scorer", sort=False):
        model = scorer == MODEL
        axes.plot(
            of_scorer["fpr"],
            of_scorer["tpr"],
            color=paper.SCORE if model else paper.GRAY,
            ls="-" if model else next(kinds),
            lw=1.3 if model else 0.8,
            label=f"{scorer}: AUC {aucs[str(scorer)]:.3f}",
        )
    _threshold(axes, table[table["point"] == 1], "fpr", "tpr")
    _square(axes, "false positive rate", "true positive rate")
    paper.legend(drawn, axes)
    return drawn


def precision_recall(results: Results) -> Figure:
    """Precision by recall of the frames, and the share of anomalous frames, which chance reaches."""
    drawn = paper.figure(paper.ONE_COLUMN, 92)
    axes = drawn.subplots()
    table, frame = results.plots["pr"], results.figures["frame"]
    name = f"model: average precision {frame['average_precision']:.3f}"
    axes.plot(table["recall"], table["precision"], color=paper.SCORE, lw=1.3, label=name)
    chance = frame["anomalous_frames"] / frame["frames"]
    axes.axhline(chance, color=paper.GRAY, lw=0.8, ls=KINDS[0], label=f"chance: {chance:.3f}")
    _threshold(axes, table[table["point"] == 1], "recall", "precision")
    _square(axes, "recall", "precision")
    paper.legend(drawn, axes)
    return drawn


def histogram(results: Results) -> Figure:
    """How often each score occurs, by label where there are labels; the axis of frames is logarithmic."""
    drawn = paper.figure(paper.ONE_COLUMN, 60)
    axes = drawn.subplots()
    table = results.plots["histogram"]
    labelled = any(clip.anomalous is not None for clip in results.clips)
    is_anomalous = table["cls"] == "anomalous"
    normal, anomalous = table[~is_anomalous], table[is_anomalous]
    edges = np.append(normal["bin_start"], normal["bin_end"].iloc[-1:])
    name = "labelled normal" if labelled else "frames"
    axes.stairs(
        np.maximum(normal["count"], BASE), edges, baseline=BASE, fill=True, color=paper.NORMAL, label=name
    )
    if anomalous["count"].any():
        axes.stairs(
            np.maximum(anomalous["count"], BASE),
            edges,
            baseline=BASE,
            fill=True,
            facecolor="none",
            edgecolor=paper.ALARM,
            hatch="/////",
            lw=0.8,
            label="labelled anomalous",
        )
    axes.axvline(results.threshold, color="black", lw=0.6, ls=(0, (4, 2)), label="threshold")
    _logarithmic(axes, BASE, table["count"].max())
    axes.set_ylim(bottom=BASE)
    axes.set_xlim(min(0.0, edges[0]), max(edges[-1], results.threshold * 1.05))
    axes.set_xlabel("anomaly score")
    axes.set_ylabel(f"frames per bin of {edges[1] - edges[0]:.2g}, log scale")
    paper.legend(drawn, axes)
    return drawn


def losses(results: Results) -> Figure:
    """The losses of training and validation by epoch; with folds, of each and their mean."""
    drawn = paper.figure(paper.ONE_COLUMN, 60)
    axes = drawn.subplots()
    table = results.history.assign(epoch=results.history["epoch"] + 1)
    folds = table["fold"].nunique()
    for column, name, color, kind in (
        ("train_loss", "training", paper.SCORE, "-"),
        ("val_loss", "validation", paper.ALARM, (0, (4, 1.5))),
    ):
        of_kind = table.dropna(subset=column)
        if not len(of_kind):
            continue
        if folds > 1:
            for _, fold in of_kind.groupby("fold"):
                axes.plot(fold["epoch"], fold[column], color=color, ls=kind, lw=0.4, alpha=0.5)
            name = f"{name} (mean)"
        mean = of_kind.groupby("epoch")[column].mean()
        marker = "o" if len(mean) == 1 else None
        axes.plot(mean.index, mean, color=color, ls=kind, lw=1.2, marker=marker, ms=3, label=name)
    if folds > 1:
        axes.plot([], [], color=paper.GRAY, lw=0.4, label=f"each of {folds} folds")
    values = table[["train_loss", "val_loss"]].to_numpy()
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > WIDE * values.min():
        _logarithmic(axes, values.min(), values.max())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss, log scale" if axes.get_yscale() == "log" else "loss")
    paper.legend(drawn, axes)
    return drawn


def _threshold(axes: Axes, point: pd.DataFrame, x: str, y: str) -> None:
    """Marks where the alarm threshold lies on a curve."""
    axes.plot(point[x], point[y], "o", color=paper.ALARM, mec="black", mew=0.5, ms=4, label="alarm threshold")


def _logarithmic(axes: Axes, low: float, high: float) -> None:
    """Makes the vertical axis logarithmic, with ticks at 1, 2, 5, 10, …; at 1, 10, … if there are many."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > DECADES * low else (1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y, aspect="equal")
