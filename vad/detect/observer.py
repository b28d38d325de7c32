"""Feeds the frames of a source to a session, and hands what comes out to printer and outputs."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from vad.detect.outputs import Output
from vad.detect.records import EventRecord, EventRecorder
from vad.detect.shot import Origin, Shot
from vad.footage.decode import Convert, Decoded
from vad.live import FrameResult, Session
from vad.stream import Processor


class Arrived(NamedTuple):
    """A frame that was given to the session and whose result is owed.

    Attributes:
        decoded: the frame.
        time: when it was filmed, by the clock; None for files.
        at: when it came, by `time.monotonic`.
    """

    decoded: Decoded
    time: datetime | None
    at: float


class Observer:
    """Observes a source with a session.

    Args:
        origin: what is known about the source before its first frame is scored.
        session: at work on the source.
        outputs: what is written about it.
        privacy: through which all pictures go before an output gets them.
        report: takes the records of events at once, as they begin and end.
        events: number of events that the source had before, in an earlier session.

    Attributes:
        latest: the latest result; None before the first.
        delay: seconds from the arrival of its frame to the result; None before the first.
        results: number of results.
    """

    def __init__(
        self,
        origin: Origin,
        session: Session,
        outputs: Sequence[Output],
        privacy: Processor[Shot, Shot],
        report: Callable[[EventRecord], None],
        events: int = 0,
    ):
        self.latest: FrameResult | None = None
        self.delay: float | None = None
        self.results = 0
        self._origin, self._session, self._outputs = origin, session, outputs
        self._privacy, self._report = privacy, report
        self._recorder = EventRecorder(origin, events)
        self._to_picture = Convert("rgb", None) if any(output.wants_pictures for output in outputs) else None
        self._arrived: deque[Arrived] = deque()
        self._held: deque[list[EventRecord]] = deque()  # records of the shots that privacy holds back

    @property
    def events(self) -> int:
        """Number of events that have begun."""
        return self._recorder.events

    def process(self, decoded: Decoded, filmed: datetime | None = None, at: float | None = None) -> None:
        """Takes the next frame; arguments as the attributes of `Arrived`, `at` by default now."""
        self._arrived.append(Arrived(decoded, filmed, time.monotonic() if at is None else at))
        self._handle(self._session.process(decoded))

    def poll(self) -> None:
        """Takes results that have become ready since the last frame."""
        self._handle(self._session.poll())

    def finish(self) -> None:
        """Ends the source: takes the results still owed, and ends an event that goes on."""
        self._handle(self._session.finish())
        self._write(self._privacy.finish())
        for record in self._recorder.finish(self._session.final_updates):
            self._report(record)
            for output in self._outputs:
                output.event(record)

    def _handle(self, results: Sequence[FrameResult]) -> None:
        for result in results:
            # left out by resampling, which may also repeat a frame
            while self._arrived[0].decoded.number != result.number:
                self._arrived.popleft()
            arrived = self._arrived[0]
            self.latest, self.delay = result, time.monotonic() - arrived.at
            self.results += 1
            shot = Shot(self._origin, result, self._picture(arrived.decoded), arrived.time)
            records = self._recorder.records(shot)
            for record in records:
                self._report(record)
            self._held.append(records)
            self._write(self._privacy.process(shot._replace(event=self._recorder.current)))

    def _picture(self, decoded: Decoded) -> np.ndarray | None:
        return self._to_picture.process(decoded)[0].pixels if self._to_picture is not None else None

    def _write(self, shots: Sequence[Shot]) -> None:
        for shot in shots:
            records = self._held.popleft()
            for output in self._outputs:
                output.frame(shot)
                for record in records:
                    output.event(record)
