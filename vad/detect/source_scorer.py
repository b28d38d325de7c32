"""Feeds the frames of a source to a session, and hands what comes out to printer and outputs."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from vad.detect.records import EventRecord, EventRecorder
from vad.detect.source_outputs import SourceOutputs
from vad.footage.decode import Convert, Decoded
from vad.live import FrameResult, Session
from vad.overlay.scored_frame import ScoredFrame, SessionInfo


class _Pending(NamedTuple):
    """A frame that was given to the session and whose result has not come.

    Attributes:
        decoded: the frame.
        time: when it was filmed, by the clock; None for files.
        at: when it came, by `time.monotonic`.
    """

    decoded: Decoded
    time: datetime | None
    at: float


class SourceScorer:
    """Scores a source by a session.

    Args:
        info: of the session.
        session: at work on the source.
        outputs: what is written about it.
        report: takes the records of events, as they begin and end.
        events: number of events that the source had before, in an earlier session.

    Attributes:
        session: as given.
        latest: the latest result; None before the first.
        delay: seconds from the arrival of its frame to the result; None before the first.
        results: number of results.
    """

    def __init__(
        self,
        info: SessionInfo,
        session: Session,
        outputs: SourceOutputs,
        report: Callable[[EventRecord], None],
        events: int = 0,
    ):
        self.session = session
        self.latest: FrameResult | None = None
        self.delay: float | None = None
        self.results = 0
        self._info, self._outputs, self._report = info, outputs, report
        self._recorder = EventRecorder(info, events)
        self._to_picture = Convert("rgb", None) if outputs.need_pictures else None
        self._pending: deque[_Pending] = deque()

    @property
    def events(self) -> int:
        """Number of events of the source that have begun."""
        return self._recorder.events

    def process(self, decoded: Decoded, filmed: datetime | None = None, at: float | None = None) -> None:
        """Takes the next frame.

        Args:
            decoded: the frame.
            filmed: when it was filmed, by the clock; None for files.
            at: when it came, by `time.monotonic`; by default now.
        """
        self._pending.append(_Pending(decoded, filmed, time.monotonic() if at is None else at))
        self._handle(self.session.process(decoded))

    def poll(self) -> None:
        """Takes results that have become ready since the last frame."""
        self._handle(self.session.poll())

    def finish(self) -> None:
        """Ends the session: takes the results still owed, and ends an event that goes on."""
        self._handle(self.session.finish())
        self._hand_on(self._recorder.finish(self.session.final_updates))
        self._outputs.end(self._info)

    def _handle(self, results: Sequence[FrameResult]) -> None:
        for result in results:
            # resampling leaves frames out and may repeat one
            while self._pending[0].decoded.number != result.number:
                self._pending.popleft()
            pending = self._pending[0]
            self.latest, self.delay = result, time.monotonic() - pending.at
            self.results += 1
            scored = ScoredFrame(self._info, result, self._picture(pending.decoded), pending.time)
            records = self._recorder.records(scored)
            self._outputs.frame(scored._replace(event=self._recorder.current))
            self._hand_on(records)

    def _picture(self, decoded: Decoded) -> np.ndarray | None:
        return self._to_picture.process(decoded)[0].pixels if self._to_picture is not None else None

    def _hand_on(self, records: Sequence[EventRecord]) -> None:
        for record in records:
            self._report(record)
            self._outputs.event(record)
