"""The curves of the charts, from the plot data of other stages."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vad.report.contents import Curve

MODEL = "model"  # name of the scorer that matters
POINTS = 500


def roc(path: Path) -> list[Curve]:
    """ROC curves of the model and of the scorers that learn nothing.

    Args:
        path: roc.csv of the stage `evaluate`.
    """
    table = pd.read_csv(path)
    return [
        _curve(str(scorer), rows["fpr"], rows["tpr"], scorer == MODEL)
        for scorer, rows in table.groupby("scorer", sort=False)
    ]


def precision_recall(path: Path) -> list[Curve]:
    """The precision-recall curve of the model; empty without labels of both classes.

    Args:
        path: pr.csv of the stage `evaluate`.
    """
    table = pd.read_csv(path)
    return [_curve(MODEL, table["recall"], table["precision"], True)] if len(table) else []


def point(folder: Path) -> tuple[float, float, float, float] | None:
    """False positive rate, true positive rate, recall and precision at the threshold; None without labels.

    Args:
        folder: of the plot data of the stage `evaluate`.
    """
    tables = [pd.read_csv(folder / name) for name in ("roc.csv", "pr.csv")]
    rows = [table[table["point"] == 1] for table in tables]
    if not all(map(len, rows)):
        return None
    (fpr, tpr), (recall, precision) = (
        rows[0][["fpr", "tpr"]].iloc[0],
        rows[1][["recall", "precision"]].iloc[0],
    )
    return float(fpr), float(tpr), float(recall), float(precision)


def losses(path: Path) -> list[Curve]:
    """Losses of training and validation by epoch, the mean over the folds.

    A fold that stopped early counts with its last loss.

    Args:
        path: history.csv of the stage `train`.
    """
    history = pd.read_csv(path)
    names = {"train_loss": "training", "val_loss": "validation"}
    folds = history["fold"].nunique() if "fold" in history else 1
    suffix = f" (mean of {folds} folds)" if folds > 1 else ""
    out = []
    for column, name in names.items():
        if column not in history:
            continue
        of_fold = history.assign(fold=history.get("fold", 0)).pivot(
            index="epoch", columns="fold", values=column
        )
        mean = of_fold.ffill().mean(axis=1).dropna()
        if len(mean):
            out.append(_curve(name + suffix, mean.index + 1, mean, column == "val_loss"))
    return out


def histogram(path: Path) -> tuple[Sequence[float], Sequence[int], Sequence[int]]:
    """Edges of the bins, and numbers of normal (without labels: of all) and of anomalous frames.

    Args:
        path: histogram.csv of the stage `evaluate`.
    """
    table = pd.read_csv(path)
    labelled = table["cls"] == "anomalous"
    normal, anomalous = table[~labelled], table[labelled]
    edges = [*normal["bin_start"].tolist(), *normal["bin_end"].tolist()[-1:]]
    return edges, normal["count"].tolist(), anomalous["count"].tolist() or [0] * len(normal)


def _curve(
    name: str, x: "pd.Series[float] | pd.Index[float]", y: "pd.Series[float]", emphasis: bool
) -> Curve:
    step = -(-len(y) // POINTS) if len(y) else 1
    return Curve(name, x.tolist()[::step], y.tolist()[::step], emphasis)
