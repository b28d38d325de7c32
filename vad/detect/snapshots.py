"""A picture of each event, at its peak."""

from pathlib import Path
from threading import Lock
from typing import ClassVar, NamedTuple

import cv2

from vad import UserError
from vad.detect.output_file import OutputFile, make_folder
from vad.detect.outputs import Output
from vad.detect.records import EventRecord
from vad.overlay.overlay import Overlay
from vad.overlay.scored_frame import ScoredFrame, SessionInfo

QUALITY = 90  # of JPEG
MOST = 256  # pictures of a source that may wait for an event to begin or end


class _Candidate(NamedTuple):
    number: int  # of the frame
    score: float
    name: str  # of the source
    jpeg: bytes


class _Source:
    """A source, with its pictures that may be those of a peak.

    Their scores fall: an earlier picture with a lower score than a later one is that of no peak.
    """

    def __init__(self) -> None:
        self.overlay: Overlay | None = None
        self.waiting: list[_Candidate] = []
        self.start: int | None = None  # first frame of the event that has begun
        self.due: dict[int, EventRecord] = {}  # events that have ended, by a frame that is still to come


class SnapshotOutput(Output):
    """Writes a JPEG with boxes and cells at the peak of each event, when the event has ended.

    Names tell source, time of the peak and number of the event: `hall_run_0m07.28s_event-2.jpg`.

    Args:
        folder: for the pictures; it is made if it does not exist.
        overwrite: whether the folder may hold files, which are replaced if their names are the same.

    Raises:
        UserError: if the folder is none, holds files or cannot be made.
    """

    wants_pictures: ClassVar[bool] = True

    def __init__(self, folder: Path, *, overwrite: bool = False):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is a file; name a folder for the snapshots")
        make_folder(folder)
        if not overwrite and any(folder.iterdir()):
            raise UserError(f"{folder}: holds files; name another folder, or add to it by --overwrite")
        self.folder, self._overwrite = folder, overwrite
        self._lock = Lock()
        self._sources: dict[str, _Source] = {}
        self.pictures = 0  # that were written

    def frame(self, scored: ScoredFrame) -> None:
        if not scored.result.alarmed:
            return
        with self._lock:
            source = self._sources.setdefault(scored.info.source, _Source())
            if source.overlay is None or scored.info != source.overlay.info:
                source.overlay = Overlay(scored.info)
            number, score, name = scored.result.number, scored.result.score, scored.info.name
            if record := source.due.pop(number, None):
                self._write(name, record, _jpeg(source.overlay, scored))
                return
            while source.waiting and source.waiting[-1].score < score:
                source.waiting.pop()
            if source.waiting and source.start is not None and source.waiting[-1].number >= source.start:
                return  # the event has a picture with a higher score, or an earlier one with the same
            source.waiting = [
                *source.waiting[1 - MOST :],
                _Candidate(number, score, name, _jpeg(source.overlay, scored)),
            ]

    def event(self, record: EventRecord) -> None:
        with self._lock:
            source = self._sources.setdefault(record.source, _Source())
            if record.state == "begin":
                source.start = record.start_frame
                source.waiting = [item for item in source.waiting if item.number >= record.start_frame]
                return
            source.start = None
            peak = next((item for item in source.waiting if item.number == record.peak_frame), None)
            if peak is None:
                source.due[record.peak_frame] = record
            else:
                self._write(peak.name, record, peak.jpeg)
            assert record.end_frame is not None
            source.waiting = [item for item in source.waiting if item.number >= record.end_frame]

    def end(self, info: SessionInfo) -> None:
        with self._lock:
            self._sources.pop(info.source, None)

    def _write(self, name: str, record: EventRecord, jpeg: bytes) -> None:
        path = self.folder / f"{name}_{_time(record)}_event-{record.event}.jpg"
        file = OutputFile(path, visible=False, overwrite=self._overwrite)
        try:
            file.write(jpeg)
        except UserError:
            file.discard()
            raise
        file.close()
        self.pictures += 1


def _jpeg(overlay: Overlay, scored: ScoredFrame) -> bytes:
    picture = cv2.cvtColor(overlay.still(scored), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _time(record: EventRecord) -> str:
    """Time of the peak, without characters that a file system may refuse."""
    if record.peak_time is not None:
        return record.peak_time.replace(":", "")
    return f"{int(record.peak // 60)}m{record.peak % 60:05.2f}s"
