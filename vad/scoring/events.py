"""Alarms become events. A frame is alarmed if its score is above the threshold; runs of alarmed frames that
are near to each other are one event, and what is then too short is dropped. So an event is what somebody is
called to look at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np
import pandas as pd

from vad import UserError
from vad.scoring.params import EventParams
from vad.store.intervals import intervals_of

COLUMNS = ["clip", "from", "to", "start", "end", "start_seconds", "end_seconds", "peak", "score", "branches"]
MAX_LINES = 20  # of a log
TOLERANCE = 1e-6  # 0.28 s at 25 frames per second are 7 frames, not the 7.000000000000001 of the product


@dataclass(frozen=True)
class Event:
    """Frames [start, end) of a clip.

    Attributes:
        start, end: extracted frames.
        peak: the first frame with the highest score.
        score: of that frame.
        shares: of each branch in that score, positive, the largest first.
    """

    start: int
    end: int
    peak: int
    score: float
    shares: Mapping[str, float] = field(default_factory=dict)


def find(
    scores: np.ndarray,
    threshold: float,
    fps: float,
    params: EventParams,
    branches: Mapping[str, np.ndarray] | None = None,
) -> list[Event]:
    """The events of a clip in the order of time. n frames last n / fps seconds.

    Args:
        scores: of its frames, float [T].
        threshold: frames above it are alarmed, not those at it.
        fps: frames per second.
        params: how alarms become events.
        branches: scores of each branch alone, float [T], for the shares.
    """
    gap, shortest = _in_frames(fps, params)
    merged: list[tuple[int, int]] = []
    for start, end in intervals_of(scores > threshold):
        if merged and start - merged[-1][1] <= gap:
            start, _ = merged.pop()
        merged.append((start, end))
    kept = [(start, end) for start, end in merged if end - start >= shortest]
    peaks = [start + int(scores[start:end].argmax()) for start, end in kept]
    return [
        Event(*span, peak, float(scores[peak]), _shares(branches or {}, peak))
        for span, peak in zip(kept, peaks, strict=True)
    ]


def _shares(branches: Mapping[str, np.ndarray], frame: int) -> dict[str, float]:
    positive = {name: float(scores[frame]) for name, scores in branches.items() if scores[frame] > 0}
    total = sum(positive.values())
    return {name: positive[name] / total for name in sorted(positive, key=lambda name: -positive[name])}


def alarms(events: Sequence[Event], frames: int) -> np.ndarray:
    """Which of a clip's frames lie in an event, merged gaps included: bool [frames]."""
    inside = np.zeros(frames, bool)
    for event in events:
        inside[event.start : event.end] = True
    return inside


def threshold_for(clips: Sequence[tuple[np.ndarray, float]], per_hour: float, params: EventParams) -> float:
    """The lowest threshold that costs at most `per_hour` events per hour of normal footage.

    The number of events may fall and rise again with the threshold, as one event breaks into several; the
    answer is the lowest score of a frame such that the rate holds there and at all higher thresholds. Where
    not even one event is allowed (hours * per_hour < 1), it is the lowest that leaves none; with
    `min_duration` this may be below the highest score.

    Args:
        clips: (scores [T], frames per second) of each.
        per_hour: events per hour.
        params: how alarms become events.

    Raises:
        UserError: if there are no frames.
    """
    hours = sum(len(scores) / fps for scores, fps in clips) / 3600
    if not hours:
        raise UserError(
            "no normal frames to find a threshold with; raise data.val_fraction or add a val folder"
        )
    steps = [_steps(np.asarray(scores, float), fps, params) for scores, fps in clips]
    low, high = (np.sort(np.concatenate(part)) for part in zip(*steps, strict=True))
    candidates = np.unique(np.concatenate([scores for scores, _ in clips]))
    begun = np.searchsorted(low, candidates, side="right")
    ended = np.searchsorted(high, candidates, side="right")
    too_many = np.flatnonzero(begun - ended > hours * per_hour + TOLERANCE)
    return float(candidates[too_many[-1] + 1 if len(too_many) else 0])


def table(
    clip: str, events: Sequence[Event], fps: float, source_frames: np.ndarray, seconds: np.ndarray
) -> pd.DataFrame:
    """A row per event; `start`, `end` and `peak` are source frames, so that they read like a label.

    `from` and `to` are whole seconds around the event, as m:ss.

    Args:
        clip: its name.
        events: in extracted frames.
        fps: of the extracted frames; an event lasts 1 / fps beyond the time of its last frame.
        source_frames: int [T], of the extracted frames.
        seconds: float [T], likewise.
    """
    rows = [
        {
            "clip": clip,
            "from": minutes(floor(seconds[event.start])),
            "to": minutes(ceil(seconds[event.end - 1] + 1 / fps)),
            "start": source_frames[event.start],
            "end": source_frames[event.end - 1] + 1,
            "start_seconds": seconds[event.start],
            "end_seconds": seconds[event.end - 1] + 1 / fps,
            "peak": source_frames[event.peak],
            "score": event.score,
            "branches": ", ".join(f"{name} {share:.0%}" for name, share in event.shares.items()),
        }
        for event in events
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def minutes(seconds: int) -> str:
    """A time as `m:ss`."""
    return f"{seconds // 60}:{seconds % 60:02}"


def event_lines(events: pd.DataFrame) -> list[str]:
    """The rows of `table` for a log, at most MAX_LINES of them."""
    lines = [
        f"{event['clip']}: {event['from']} to {event['to']}, score {event['score']:.2f} ({event['branches']})"
        for event in events.head(MAX_LINES).to_dict("records")
    ]
    more = len(events) - MAX_LINES
    return [*lines, f"… and {more} more, in data/scores/events.csv"] if more > 0 else lines


def _in_frames(fps: float, params: EventParams) -> tuple[float, float]:
    """(the longest gap that is merged, the shortest duration of an event), in frames."""
    return params.merge_gap * fps + TOLERANCE, params.min_duration * fps - TOLERANCE


def _steps(scores: np.ndarray, fps: float, params: EventParams) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (low, high): a threshold has as many events as there are pairs with low <= threshold < high.

    Scores dilated by the merge gap, then eroded by the gap and the shortest event, are above a threshold in
    as many runs as there are events: it is the closing that fills gaps and the opening that drops what is
    short (J. Serra, Image Analysis and Mathematical Morphology, 1982), without the opening's last dilation,
    which neither joins runs nor parts them. Each run begins with a step up, and these are the pairs.
    """
    frames = len(scores)
    gap, shortest = _in_frames(fps, params)
    gap, shortest = int(min(gap, frames)), max(1, int(np.ceil(min(shortest, frames + 1))))
    padded = pd.Series(np.pad(scores, (0, gap), constant_values=np.nan))  # NaN: nothing is there to join
    dilated = padded.rolling(gap + 1, min_periods=1).max()
    level = dilated.rolling(gap + shortest).min().to_numpy()[gap + shortest - 1 :]
    before = np.r_[-np.inf, level][:-1]
    up = level > before
    return before[up], level[up]
