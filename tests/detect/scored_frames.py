"""Scored frames with chosen scores, for tests of outputs."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from vad.detect.records import EventRecord, EventRecorder
from vad.live.session import FrameResult
from vad.overlay.scored_frame import ScoredFrame, SessionInfo
from vad.scoring.events import Events
from vad.scoring.params import EventParams
from vad.stream import Regions

BRANCHES = ("motion", "shape")
CELL = 8


def regions(boxes: Sequence[Sequence[int]] = (), source: str = "detector") -> Regions:
    """Regions with the tracks 0, 1, …"""
    n = len(boxes)
    return Regions(
        boxes=np.array(boxes, np.int32).reshape(-1, 4),
        tracks=np.arange(n, dtype=np.int32),
        sources=np.array([source] * n, dtype="<U8"),
        confidence=np.ones(n, np.float32),
    )


def info(**changes: Any) -> SessionInfo:
    """A session of 64x48 pixels, of 10 frames per second and with a threshold of 1."""
    chosen: dict[str, Any] = {
        "source": "hall.mp4",
        "name": "hall",
        "camera": "hall",
        "fps": 10.0,
        "size": (48, 64),
        "picture_size": (48, 64),
        "threshold": 1.0,
        "cell": CELL,
        "branches": BRANCHES,
        "events": EventParams(merge_gap=0.3, min_duration=0),
        **changes,
    }
    return SessionInfo(**chosen)


def result(
    index: int,
    score: float = 0.0,
    *,
    of: SessionInfo,
    seconds: float | None = None,
    found: Regions | None = None,
    region_scores: Sequence[float] | None = None,
    contributions: np.ndarray | None = None,
    events: Sequence[Any] = (),
    warming_up: bool = False,
) -> FrameResult:
    """The result for a frame."""
    found = regions() if found is None else found
    return FrameResult(
        index=index,
        number=index,
        seconds=index / of.fps if seconds is None else seconds,
        score=score,
        alarmed=score > of.threshold,
        warming_up=warming_up,
        source=index,
        regions=found,
        region_scores=np.full(len(found), score) if region_scores is None else np.array(region_scores, float),
        cells=None,
        branch_scores={"motion": score * 0.75, "shape": score * 0.25},
        branch_errors={"motion": 0.0, "shape": 0.0},
        shares={"motion": 0.75, "shape": 0.25} if score > 0 else {},
        events=events,
        contributions=contributions,
    )


def play(
    of: SessionInfo,
    scores: Sequence[float],
    *,
    found: Sequence[Regions] | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    start: datetime | None = None,
) -> Iterator[tuple[ScoredFrame | None, list[EventRecord]]]:
    """Frames of these scores with the records that each gives rise to, and at the end (None, the rest)."""
    recorder, events = EventRecorder(of), Events(of.threshold, of.fps, of.events, of.branches)
    for i, score in enumerate(scores):
        outcome = result(i, score, of=of, found=None if found is None else found[i])
        updates = events.process(_Scored(score, outcome.branch_scores))
        scored = ScoredFrame(
            of,
            result(i, score, of=of, found=None if found is None else found[i], events=updates),
            None if pictures is None else pictures[i],
            None if start is None else start + timedelta(seconds=i / of.fps),
        )
        records = recorder.records(scored)
        yield scored._replace(event=recorder.current), records
    yield None, recorder.finish(events.finish())


class _Scored:
    def __init__(self, score: float, branches: Any):
        self.score, self.branches = score, branches
