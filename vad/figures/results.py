"""What a run wrote, as figures need it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad import UserError
from vad.store.cards import read_json

EVALUATION, TRAINING = Path("reports/evaluation"), Path("reports/training")
EVENTS = Path("data/scores/events.csv")


@dataclass(frozen=True)
class ClipCurve:
    """A test clip.

    Attributes:
        name: of the clip, without its split.
        seconds: time of each frame since the start of the clip, float [T].
        scores: of the frames, float [T].
        anomalous: labels of the frames, bool [T]; None if the clip is not labelled.
        events: start, end and highest score of each event, in seconds: float [N, 3].
    """

    name: str
    seconds: np.ndarray
    scores: np.ndarray
    anomalous: np.ndarray | None
    events: np.ndarray

    @property
    def title(self) -> str:
        """The name, `clip 12` for one that is a bare number."""
        return f"clip {self.name}" if self.name.isdecimal() else self.name

    @property
    def step(self) -> float:
        """Seconds from frame to frame."""
        return float(np.median(np.diff(self.seconds))) if len(self.seconds) > 1 else 0.0


@dataclass(frozen=True)
class Results:
    """What a run wrote.

    Attributes:
        clips: all test clips.
        threshold: of the scores.
        figures: of metrics.json.
        plots: the tables of reports/evaluation/plots by name.
        history: losses by fold and epoch.
    """

    clips: list[ClipCurve]
    threshold: float
    figures: Mapping[str, Any]
    plots: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)


def read(folder: Path) -> Results:
    """Reads the results of a run.

    Args:
        folder: of the project.

    Raises:
        UserError: if results are missing.
    """
    for path in (EVALUATION, TRAINING, EVENTS):
        if not (folder / path).exists():
            raise UserError(f"{path} is missing: `make repro` makes it, then run `make figures` again")
    figures = read_json(folder / EVALUATION / "metrics.json")
    names = {"clip": "str"}  # a clip may be called 007 or NA
    columns = ["clip", "seconds", "score", "anomalous"]
    frames = pd.read_csv(
        folder / EVALUATION / "frames.csv",
        usecols=columns,
        dtype=names,
        keep_default_na=False,
        na_values={"anomalous": [""]},
    )
    events = pd.read_csv(folder / EVENTS, dtype=names, keep_default_na=False)
    by_clip = dict(iter(events.groupby("clip")))
    clips = []
    for name, table in frames.groupby("clip", sort=False):
        of_clip = by_clip.get(name, events.iloc[:0])
        labels = None if table["anomalous"].isna().any() else table["anomalous"].to_numpy() > 0
        at = of_clip[["start_seconds", "end_seconds", "score"]].to_numpy(np.float64)
        clips.append(ClipCurve(str(name), table["seconds"].to_numpy(), table["score"].to_numpy(), labels, at))
    plots = {path.stem: pd.read_csv(path) for path in sorted((folder / EVALUATION / "plots").glob("*.csv"))}
    history = pd.read_csv(folder / TRAINING / "history.csv")
    return Results(clips, float(figures["threshold"]), figures, plots, history)
