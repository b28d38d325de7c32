"""Alarms become events, and events are compared with the labels.

A frame is alarmed if its score is above the threshold. Runs of alarmed frames that are near to each other
are one event; what is then too short is dropped. So an event is what somebody is called to look at, and
what counts is how many there are per hour of normal footage, and how soon one comes when something happens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vad import UserError
from vad.pipeline.params import Field, Section
from vad.store.intervals import intervals_of

COLUMNS = ["clip", "start", "end", "start_seconds", "end_seconds", "peak", "score"]

TOLERANCE = 1e-6  # 0.28 s at 25 frames per second are 7 frames, not the 7.000000000000001 of the product


class EventParams(Section):
    """How alarmed frames become events, in seconds.

    `merge_gap`: with so much time or less between them, two runs of alarmed frames are one event.
    `min_duration`: what is shorter is no event; measured after merging, gaps included.
    """

    merge_gap: float = Field(ge=0)
    min_duration: float = Field(ge=0)


@dataclass(frozen=True)
class Event:
    """Frames [start, end) of a clip; `peak` is the first of them with the highest score, `score`."""

    start: int
    end: int
    peak: int
    score: float


def find(scores: np.ndarray, threshold: float, fps: float, params: EventParams) -> list[Event]:
    """The events of a clip in the order of time, from the scores float [T] of its frames.

    n frames last n / fps seconds. Frames above the threshold are alarmed, not those at it.
    """
    gap, shortest = _in_frames(fps, params)
    merged: list[tuple[int, int]] = []
    for start, end in intervals_of(scores > threshold):
        if merged and start - merged[-1][1] <= gap:
            start, _ = merged.pop()
        merged.append((start, end))
    kept = [(start, end) for start, end in merged if end - start >= shortest]
    peaks = [start + int(scores[start:end].argmax()) for start, end in kept]
    return [Event(*span, peak, float(scores[peak])) for span, peak in zip(kept, peaks, strict=True)]


def alarms(events: Sequence[Event], frames: int) -> np.ndarray:
    """Which of a clip's frames lie in an event, merged gaps included: bool [frames]."""
    inside = np.zeros(frames, bool)
    for event in events:
        inside[event.start : event.end] = True
    return inside


def threshold_for(clips: Sequence[tuple[np.ndarray, float]], per_hour: float, params: EventParams) -> float:
    """The lowest threshold that costs at most `per_hour` events per hour of normal clips: (scores [T], fps).

    The number of events may fall and rise again with the threshold, as what was one event breaks into
    several; the answer is the lowest score of a frame such that the rate holds there and at all higher
    thresholds. Where not even one event is allowed (hours * per_hour < 1), it is the lowest that leaves
    none; with `min_duration` this may be below the highest score. Raises UserError if there are no frames.
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
    gone = np.searchsorted(high, candidates, side="right")
    too_many = np.flatnonzero(begun - gone > hours * per_hour + TOLERANCE)
    return float(candidates[too_many[-1] + 1 if len(too_many) else 0])


def table(
    name: str, events: Sequence[Event], fps: float, source_frames: np.ndarray, seconds: np.ndarray
) -> pd.DataFrame:
    """A row per event of the clip `name`, the columns alone if there is none.

    `start`, `end` and `peak` are source frames, `end` one past the last that was alarmed, so that they read
    like a label; `source_frames` int [T] and `seconds` float [T] are those of the extracted frames. An
    event lasts to `end_seconds`, the time of its last frame and one extracted frame (1 / fps) more.
    """
    rows = [
        {
            "clip": name,
            "start": source_frames[event.start],
            "end": source_frames[event.end - 1] + 1,
            "start_seconds": seconds[event.start],
            "end_seconds": seconds[event.end - 1] + 1 / fps,
            "peak": source_frames[event.peak],
            "score": event.score,
        }
        for event in events
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


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
