"""What the processors of this package hand on: scores of frames and updates of events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vad.stream import Regions


@dataclass(frozen=True, eq=False)
class FrameScores:
    """The scores of a frame.

    Attributes:
        index: position t of the frame in the stream, from 0.
        score: of all branches, smoothed; compared with the threshold.
        unsmoothed: the same score before smoothing over time.
        alarmed: whether the score is above the threshold.
        branches: smoothed scores of each branch alone, and of all that learned as `learned`.
        errors: errors of the frame by branch, before standardisation.
        source: position of the frame whose regions these are; `index` if they are its own.
        regions: those regions, N of them.
        region_scores: scores of the regions, not smoothed: float64 [N].
        not_judged: regions of that frame that zones leave out; None without zones.
        cells: scores of the cells, float32 [rows, columns]; None unless they were asked for.
        contributions: of the cells to `score`, on its scale (`vad.scoring.contributions`); None as `cells`.
    """

    index: int
    score: float
    unsmoothed: float
    alarmed: bool
    branches: Mapping[str, float]
    errors: Mapping[str, float]
    source: int
    regions: Regions
    region_scores: np.ndarray
    not_judged: Regions | None = None
    cells: np.ndarray | None = None
    contributions: np.ndarray | None = None


@dataclass(frozen=True)
class Event:
    """An event: the frames [start, end) of a clip.

    Attributes:
        start, end: indices of extracted frames.
        peak: index of the first frame with the highest score.
        score: score of the frame `peak`.
        shares: positive share of each branch in that score, the largest first.
    """

    start: int
    end: int
    peak: int
    score: float
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EventUpdate:
    """An update of an event.

    Attributes:
        kind: `begin`, it has lasted long enough to be an event; `grow`, another frame of it is alarmed;
            `end`, no later frame can belong to it.
        event: the event as it is now.
    """

    kind: Literal["begin", "grow", "end"]
    event: Event


@dataclass(frozen=True, eq=False)
class FrameResult:
    """The result of a session for a frame.

    Attributes:
        index: of the frame in the session, from 0, after resampling.
        number: index of the frame in its source.
        seconds: time since the first frame of the source.
        score: smoothed score of all branches; higher is more anomalous.
        alarmed: whether the score is above the threshold.
        warming_up: whether the background is still being learned, so that there is no motion.
        source: index of the frame whose regions these are; with `resize.stride` 1 its own.
        regions: those regions, N of them.
        region_scores: float64 [N].
        cells: scores of the cells, float32 [rows, columns].
        branch_scores: smoothed score of each branch alone.
        branch_errors: error of the frame by branch, before standardisation.
        shares: share of each branch in the score, the largest first; empty if no branch is above 0.
        events: updates of events: they begin, grow and end. Their frames are counted as `index`.
        not_judged: further regions of the frame `source`, which zones leave out; None without zones.
        contributions: of the cells to `score`, on its scale: the cell that raised it most has that score.
    """

    index: int
    number: int
    seconds: float
    score: float
    alarmed: bool
    warming_up: bool
    source: int
    regions: Regions
    region_scores: np.ndarray
    cells: np.ndarray | None
    branch_scores: Mapping[str, float]
    branch_errors: Mapping[str, float]
    shares: Mapping[str, float]
    events: Sequence[EventUpdate]
    not_judged: Regions | None = None
    contributions: np.ndarray | None = None
