"""Events: runs of alarmed frames, for somebody to look at.

A frame is alarmed if its score is above the threshold. Runs of alarmed frames are merged into an event if the
gap between them is short; events that are then too short are dropped.
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
MAX_LINES = 20  # events listed in a log
TOLERANCE = 1e-6  # frames; 0.28 * 25 is 7.000000000000001, but 0.28 s at 25 frames per second are 7 frames


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


def find(
    scores: np.ndarray,
    threshold: float,
    fps: float,
    params: EventParams,
    branches: Mapping[str, np.ndarray] | None = None,
) -> list[Event]:
    """The events of a clip, in order of time. n frames last n / fps seconds.

    Args:
        scores: scores of the frames, float [T].
        threshold: frames with a higher score are alarmed; an equal score does not suffice.
        fps: frames per second.
        params: the section `calibrate.events`.
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
    """Whether each frame of a clip lies in an event, merged gaps included.

    Args:
        events: the events of the clip.
        frames: its number of frames.

    Returns:
        bool [frames].
    """
    inside = np.zeros(frames, bool)
    for event in events:
        inside[event.start : event.end] = True
    return inside


def threshold_for(clips: Sequence[tuple[np.ndarray, float]], per_hour: float, params: EventParams) -> float:
    """The lowest threshold with at most `per_hour` events per hour of normal footage.

    Raising the threshold may increase the number of events, as an event breaks into several. The result is
    the lowest frame score at which, and at all thresholds above which, the rate is at most `per_hour`. If the
    footage is so short that no event is allowed (hours * per_hour < 1), the result is the lowest score that
    leaves no event; with `min_duration` it may be below the highest score.

    Args:
        clips: scores [T] and frames per second of each normal clip.
        per_hour: maximum number of events per hour.
        params: the section `calibrate.events`.

    Raises:
        UserError: if there are no frames.
    """
    hours = sum(len(scores) / fps for scores, fps in clips) / 3600
    if not hours:
        raise UserError(
            "no normal frames to set a threshold with; raise data.val_fraction or add a val folder"
        )
    steps = [_steps(np.asarray(scores, float), fps, params) for scores, fps in clips]
    low, high = (np.sort(np.concatenate(part)) for part in zip(*steps, strict=True))
    candidates = np.unique(np.concatenate([scores for scores, _ in clips]))
    # events at each candidate: steps whose low is at most the candidate, less those whose high is
    begun = np.searchsorted(low, candidates, side="right")
    ended = np.searchsorted(high, candidates, side="right")
    too_many = np.flatnonzero(begun - ended > hours * per_hour + TOLERANCE)
    return float(candidates[too_many[-1] + 1 if len(too_many) else 0])


def table(
    clip: str, events: Sequence[Event], fps: float, source_frames: np.ndarray, seconds: np.ndarray
) -> pd.DataFrame:
    """The events of a clip as a table, with the columns COLUMNS.

    `start`, `end` and `peak` are indices of source frames, as in labels. `from` and `to` are m:ss, rounded
    outwards to whole seconds.

    Args:
        clip: name of the clip.
        events: its events, in extracted frames.
        fps: extracted frames per second; an event ends 1 / fps after the time of its last frame.
        source_frames: index of the source frame of each extracted frame, int [T].
        seconds: time of each extracted frame, float [T].
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
    """The rows of `table` as lines for a log; beyond MAX_LINES, a line with their number.

    Args:
        events: the result of `table`, of any number of clips.
    """
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
    """Arrays `low` and `high`: the events at a threshold are the pairs with low <= threshold < high.

    The scores are dilated by the merge gap, then eroded by the gap and by the shortest event. The result is
    above a threshold in as many runs as there are events, since the closing fills gaps and the opening drops
    short runs (J. Serra, Image Analysis and Mathematical Morphology, 1982); the last dilation of the opening
    is omitted, as it neither joins nor splits runs. Each run begins with a step up, from `low` to `high`.
    """
    frames = len(scores)
    gap, shortest = _in_frames(fps, params)
    gap, shortest = int(min(gap, frames)), max(1, int(np.ceil(min(shortest, frames + 1))))
    # NaN after the end: there is no alarm beyond the clip to merge with
    padded = pd.Series(np.pad(scores, (0, gap), constant_values=np.nan))
    dilated = padded.rolling(gap + 1, min_periods=1).max()
    level = dilated.rolling(gap + shortest).min().to_numpy()[gap + shortest - 1 :]
    before = np.r_[-np.inf, level][:-1]
    up = level > before
    return before[up], level[up]
