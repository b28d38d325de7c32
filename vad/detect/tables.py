"""Frames as CSV, and events as lines of JSON."""

import csv
import io
from collections import deque
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from vad.detect.output_file import OutputFile
from vad.detect.outputs import Output
from vad.detect.records import EventRecord
from vad.overlay.scored_frame import ScoredFrame, SessionInfo

COLUMNS = ("source", "frame", "seconds", "time", "score", "threshold", "alarmed", "warming_up", "event")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a cell that begins so may be executed by a spreadsheet


class JsonlOutput(Output):
    """Events as JSON, a line for each begin and end, on the disk at once.

    Args:
        path: of the file, which several sources share.
        live: whether the sources are streams, so that lines are visible while they come.
        overwrite: whether an existing file may be replaced.

    Raises:
        UserError: if the file exists or cannot be made.
    """

    def __init__(self, path: Path, *, live: bool = False, overwrite: bool = False):
        self._file, self._lock = OutputFile(path, visible=live, overwrite=overwrite), Lock()

    def event(self, record: EventRecord) -> None:
        with self._lock:
            self._file.write(f"{record.to_json()}\n".encode("ascii"))

    def close(self, *, complete: bool = True) -> None:
        if complete or self._file.tell():
            self._file.close(complete=complete)
        else:
            self._file.discard()


class _Span(NamedTuple):
    event: int
    start: int
    end: int | None


class _Rows:
    """Rows of a source that wait until it is certain whether they belong to an event."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, list[str]]] = deque()  # number of the frame, and its row
        self.spans: deque[_Span] = deque()  # of events that a waiting or later row may belong to


class CsvOutput(Output):
    """Frames as CSV, a row for each, with the columns COLUMNS and a smoothed score for each branch.

    `event` is the number of the event to which the frame belongs. Branches that had no part in the score, as
    with single pictures, leave their column empty. As this is certain only a while later, rows
    come by `SessionInfo.undecided` frames late.

    Args:
        path: of the file, which several sources share.
        branches: names of the branches.
        live: whether the sources are streams, so that rows are visible while they come.
        overwrite: whether an existing file may be replaced.

    Raises:
        UserError: if the file exists or cannot be made.
    """

    def __init__(self, path: Path, branches: tuple[str, ...], *, live: bool = False, overwrite: bool = False):
        self._branches = branches
        self._file, self._lock = OutputFile(path, visible=live, overwrite=overwrite), Lock()
        self._rows: dict[str, _Rows] = {}
        self._write([*COLUMNS, *(f"{branch}_score" for branch in branches)])
        self._header = self._file.tell()  # its length

    def frame(self, scored: ScoredFrame) -> None:
        with self._lock:
            rows = self._rows.setdefault(scored.info.source, _Rows())
            rows.waiting.append((scored.result.number, self._row(scored)))
            while len(rows.waiting) > scored.info.undecided:
                self._release(rows)

    def event(self, record: EventRecord) -> None:
        with self._lock:
            spans = self._rows.setdefault(record.source, _Rows()).spans
            if spans and spans[-1].event == record.event:
                spans.pop()
            spans.append(_Span(record.event, record.start_frame, record.end_frame))

    def end(self, info: SessionInfo) -> None:
        with self._lock:
            self._release_all(info.source)

    def close(self, *, complete: bool = True) -> None:
        with self._lock:
            try:
                for source in list(self._rows):
                    self._release_all(source)
            finally:
                if complete or self._file.tell() > self._header:
                    self._file.close(complete=complete)
                else:
                    self._file.discard()

    def _release_all(self, source: str) -> None:
        rows = self._rows.pop(source, _Rows())
        while rows.waiting:
            self._release(rows)

    def _row(self, scored: ScoredFrame) -> list[str]:
        result, threshold = scored.result, scored.info.threshold
        return [
            harmless(scored.info.source),
            str(result.number),
            f"{result.seconds:.3f}",
            "" if scored.time is None else scored.time.isoformat(timespec="milliseconds"),
            *(f"{value:.8g}" for value in (result.score, threshold)),
            *(str(int(value)) for value in (result.alarmed, result.warming_up)),
            "",
            *(
                f"{result.branch_scores[branch]:.8g}" if branch in result.branch_scores else ""
                for branch in self._branches
            ),
        ]

    def _release(self, rows: _Rows) -> None:
        number, row = rows.waiting.popleft()
        while rows.spans and rows.spans[0].end is not None and rows.spans[0].end <= number:
            rows.spans.popleft()
        if rows.spans and rows.spans[0].start <= number:
            row[COLUMNS.index("event")] = str(rows.spans[0].event)
        self._write(row)

    def _write(self, row: list[str]) -> None:
        line = io.StringIO()
        csv.writer(line).writerow(row)  # with its own line ends it quotes any line end within a name
        # names of files need not be text
        self._file.write((line.getvalue().removesuffix("\r\n") + "\n").encode("utf-8", "backslashreplace"))


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: with an apostrophe before it, where it might."""
    return f"'{text}" if text.startswith(FORMULA) else text
