"""Events: runs of alarmed frames, for somebody to look at.

A frame is alarmed if its score is above the threshold. Runs of alarmed frames are merged into an event if the
gap between them is short; events that are then too short are dropped.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np

from vad.scoring.items import Event, EventUpdate
from vad.scoring.params import EventParams
from vad.stream import Processor, results

__all__ = ["TOLERANCE", "Events", "alarms", "branch_shares", "find", "in_frames"]
TOLERANCE = 1e-6  # frames; 0.28 * 25 is 7.000000000000001, but 0.28 s at 25 frames per second are 7 frames


class Scored(Protocol):
    """What the events are made from, for example `FrameScores`."""

    @property
    def score(self) -> float: ...

    @property
    def branches(self) -> Mapping[str, float]: ...


class _Scores(NamedTuple):
    score: float
    branches: Mapping[str, float]


class Events(Processor[Scored, EventUpdate]):
    """Reports events as they begin, grow and end. n frames last n / fps seconds.

    A frame has at most one result. An event begins with the frame with which it has lasted `min_duration`,
    and ends with the frame after which the gap is too long, or with the stream.

    Args:
        threshold: frames with a higher score are alarmed; an equal score does not suffice.
        fps: frames per second.
        params: the section `calibrate.events`.
        branches: names of the branches that have shares.
    """

    def __init__(self, threshold: float, fps: float, params: EventParams, branches: Sequence[str] = ()):
        self.threshold, self.branches = threshold, branches
        self._gap, self._shortest = in_frames(fps, params)
        self._at = 0  # index of the next frame
        self._event: Event | None = None  # perhaps too short as yet
        self._begun = False

    def process(self, item: Scored) -> list[EventUpdate]:
        t, before, score = self._at, self._event, item.score
        self._at += 1
        if score > self.threshold:
            if before is None:
                self._event = Event(t, t + 1, t, score, self._shares(item))
            elif score > before.score:
                self._event = Event(before.start, t + 1, t, score, self._shares(item))
            else:
                self._event = Event(before.start, t + 1, before.peak, before.score, before.shares)
            if t + 1 - self._event.start < self._shortest:
                return []
            kind: Literal["begin", "grow"] = "grow" if self._begun else "begin"
            self._begun = True
            return [EventUpdate(kind, self._event)]
        # an alarm of the next frame would be too late
        return self._end() if before is not None and t + 1 - before.end > self._gap else []

    def finish(self) -> list[EventUpdate]:
        return self._end()

    def _end(self) -> list[EventUpdate]:
        event, begun = self._event, self._begun
        self._event, self._begun = None, False
        return [EventUpdate("end", event)] if event is not None and begun else []

    def _shares(self, item: Scored) -> dict[str, float]:
        return branch_shares(item.branches, self.branches)


def branch_shares(scores: Mapping[str, float], branches: Sequence[str]) -> dict[str, float]:
    """The share of each branch in the score of a frame.

    Args:
        scores: smoothed scores of each branch alone.
        branches: the branches that count.

    Returns:
        Share, above 0 and at most 1, by branch, the largest first; without branches whose score is not above
        0.
    """
    positive = {name: scores[name] for name in branches if scores[name] > 0}
    total = sum(positive.values())
    return {name: positive[name] / total for name in sorted(positive, key=lambda name: -positive[name])}


def find(
    scores: np.ndarray,
    threshold: float,
    fps: float,
    params: EventParams,
    branches: Mapping[str, np.ndarray] | None = None,
) -> list[Event]:
    """The events of a clip, in order of time.

    Args:
        scores: scores of the frames, float [T].
        threshold: frames with a higher score are alarmed; an equal score does not suffice.
        fps: frames per second.
        params: the section `calibrate.events`.
        branches: scores of each branch alone, float [T], for the shares.
    """
    names, columns = list(branches or {}), [values.tolist() for values in (branches or {}).values()]
    alone = zip(*columns, strict=True) if columns else [()] * len(scores)
    items = (
        _Scores(score, dict(zip(names, values, strict=True)))
        for score, values in zip(np.asarray(scores, np.float64).tolist(), alone, strict=True)
    )
    updates = results(Events(threshold, fps, params, names), items)
    return [update.event for update in updates if update.kind == "end"]


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


def in_frames(fps: float, params: EventParams) -> tuple[float, float]:
    """The parameters of events in frames.

    Args:
        fps: frames per second.
        params: the section `calibrate.events`.

    Returns:
        (the longest gap that is merged, the shortest duration of an event), with TOLERANCE.
    """
    return params.merge_gap * fps + TOLERANCE, params.min_duration * fps - TOLERANCE
