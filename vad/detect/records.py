"""Records of events: what a person or a program is told about an event of a source."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from vad.overlay.peak import Box, area_of, peak_box
from vad.overlay.scored_frame import ScoredFrame, SessionInfo
from vad.scoring.items import Event, EventUpdate


@dataclass(frozen=True)
class EventRecord:
    """The begin or the end of an event.

    Attributes:
        source: the source as text, without credentials.
        camera: name of the camera; "" if unknown.
        event: number of the event within the source, from 1.
        state: `begin` when the event has lasted long enough to be one, `end` when no later frame can belong
            to it. The peak in a begin is that of the frames so far.
        start, end, peak: seconds since the first frame of the source; `end` is that after the last frame, and
            None at the begin.
        start_time, end_time, peak_time: the same by the wall clock, ISO 8601 with offset; None for files.
        start_frame, end_frame, peak_frame: numbers of frames in the source, `end_frame` exclusive and None at
            the begin.
        score: at the peak.
        threshold: frames with a higher score are alarmed.
        shares: share of each branch in the score, the largest first.
        box: x0, y0, x1, y1 of what has the highest score at the peak, in pixels of the source's picture, end
            exclusive; None if that is the whole picture.
        where: area of the picture in which the centre of the box lies, in words.
    """

    source: str
    camera: str
    event: int
    state: Literal["begin", "end"]
    start: float
    end: float | None
    peak: float
    start_time: str | None
    end_time: str | None
    peak_time: str | None
    start_frame: int
    end_frame: int | None
    peak_frame: int
    score: float
    threshold: float
    shares: dict[str, float]
    box: Box | None
    where: str

    def to_json(self) -> str:
        """One line of JSON, in ASCII, so that no name of a file can break it."""
        return json.dumps(asdict(self), allow_nan=False)


class _Moment(NamedTuple):
    position: int
    number: int
    seconds: float
    time: datetime | None
    box: Box | None


class EventRecorder:
    """Makes records from the updates of a session's events.

    Args:
        info: of the session.
        events: number of events that the source had before, in an earlier session.

    Attributes:
        events: number of events that have begun.
    """

    def __init__(self, info: SessionInfo, events: int = 0):
        self.info, self.events = info, events
        # an event that begins started at most so many frames ago
        self._recent: deque[_Moment] = deque(maxlen=info.undecided + 1)
        self._start: _Moment | None = None
        self._peak: _Moment | None = None

    @property
    def current(self) -> int | None:
        """Number of the event that has begun and not ended; None outside of events."""
        return self.events if self._start is not None else None

    def records(self, scored: ScoredFrame) -> list[EventRecord]:
        """Takes the next scored frame.

        Returns:
            The records that its result gives rise to.
        """
        result = scored.result
        moment = _Moment(result.index, result.number, result.seconds, scored.time, None)
        if result.alarmed:
            moment = moment._replace(box=peak_box(self.info, result))
        self._recent.append(moment)
        return self._of(result.events)

    def finish(self, updates: Iterable[EventUpdate]) -> list[EventRecord]:
        """Ends the source.

        Args:
            updates: `Session.final_updates`.

        Returns:
            The record of the end of the event that was not over, if there was one.
        """
        return self._of(updates)

    def _of(self, updates: Iterable[EventUpdate]) -> list[EventRecord]:
        out = []
        for update in updates:
            event = update.event
            if update.kind == "begin":
                self.events += 1
                self._start = self._moment(event.start)
            if self._peak is None or self._peak.position != event.peak:
                self._peak = self._moment(event.peak)
            if update.kind != "grow":
                out.append(self._record(update.kind, event))
            if update.kind == "end":
                self._start = self._peak = None
        return out

    def _moment(self, position: int) -> _Moment:
        return next(moment for moment in self._recent if moment.position == position)

    def _record(self, kind: Literal["begin", "end"], event: Event) -> EventRecord:
        start, peak, info = self._start, self._peak, self.info
        assert start is not None
        assert peak is not None
        last = self._moment(event.end - 1) if kind == "end" else None
        interval = 1 / info.fps
        return EventRecord(
            source=info.source,
            camera=info.camera,
            event=self.events,
            state=kind,
            start=round(start.seconds, 3),
            end=None if last is None else round(last.seconds + interval, 3),
            peak=round(peak.seconds, 3),
            start_time=_iso(start.time),
            end_time=None if last is None or last.time is None else _iso(last.time + timedelta(0, interval)),
            peak_time=_iso(peak.time),
            start_frame=start.number,
            end_frame=None if last is None else last.number + 1,
            peak_frame=peak.number,
            score=float(event.score),
            threshold=float(info.threshold),
            shares={name: round(float(share), 4) for name, share in event.shares.items()},
            box=peak.box,
            where=area_of(peak.box, info.picture_size),
        )


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")
