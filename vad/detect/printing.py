"""What `vad detect` prints: events to standard output, progress and notes to standard error."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from tqdm import tqdm

from vad import UserError
from vad.detect.records import EventRecord
from vad.live import PictureResult
from vad.overlay.wording import clip_time, share_texts

LINE_EVERY = 10.0  # seconds between lines of progress where there is no terminal
STATES_EVERY = 60.0  # seconds between lines about cameras where there is no terminal
SHOWN = 3  # branches that are named


@dataclass(frozen=True)
class CameraState:
    """How a camera is doing.

    Attributes:
        source: its address, without credentials.
        state: `opening`, `live`, `stale`, `down` or `ended`.
        fps: frames per second that were scored lately.
        delay: seconds from a frame's arrival to its score, lookahead included; None before the first.
        dropped: number of frames that were not scored because newer ones had come.
        reconnects: number of times that the camera was opened again.
        warming_up: whether the background is still being learned.
        score: the latest score; None before the first.
    """

    source: str
    state: str
    fps: float = 0.0
    delay: float | None = None
    dropped: int = 0
    reconnects: int = 0
    warming_up: bool = False
    score: float | None = None

    def __str__(self) -> str:
        if self.state != "live":
            return f"{self.source}: {self.state}"
        parts = [f"{self.fps:.1f} frames/s"]
        if self.delay is not None:
            parts.append(f"{self.delay:.1f} s behind")
        if self.dropped:
            parts.append(f"{self.dropped} dropped")
        if self.reconnects:
            parts.append(f"{self.reconnects} reconnects")
        if self.warming_up:
            parts.append("warming up")
        if self.score is not None:
            parts.append(f"score {self.score:.2f}")
        return f"{self.source}: {', '.join(parts)}"


class Printer:
    """Prints lines, and on a terminal below them a line that is replaced: progress, or states of cameras.

    Threads may share it.

    Args:
        quiet: whether to print events, pictures and errors alone.
    """

    def __init__(self, quiet: bool = False):
        self.quiet = quiet
        self._terminal = sys.stderr.isatty() and not quiet
        self._lock = threading.RLock()
        self._bar: tqdm | None = None
        self._states = ""  # the line of states that stands on the terminal
        self._last = time.monotonic()  # when progress or states were last printed
        self._label, self._frames, self._done, self._start = "", 0, 0, 0.0

    def event(self, record: EventRecord) -> None:
        """Prints the begin or the end of an event."""
        self._print(event_text(record), sys.stdout)

    def picture(self, source: str, result: PictureResult, record: EventRecord | None) -> None:
        """Prints the result of a picture.

        Args:
            source: its path.
            result: of the picture.
            record: of the alarm; None if there is none.
        """
        score = f"score {result.score:.2f}, threshold {result.threshold:.2f}"
        reasons = f"; {_shares(record.shares)}; {record.where}" if record else ""
        self._print(f"{source}: {'ALARM' if record else 'normal'}, {score}{reasons}", sys.stdout)

    def note(self, text: str) -> None:
        """Prints something worth knowing."""
        if not self.quiet:
            self._print(text, sys.stderr)

    def error(self, text: str) -> None:
        """Prints an error that does not end the command."""
        self._print(f"error: {text}", sys.stderr)

    def begin(self, label: str, frames: int) -> None:
        """Begins the progress of a clip.

        Args:
            label: its name.
            frames: number of its frames.
        """
        self._label, self._frames, self._done = label, frames, 0
        self._start = self._last = time.monotonic()
        if self._terminal:
            self._bar = tqdm(total=frames, desc=label, unit=" frames", leave=False, dynamic_ncols=True)

    def advance(self) -> None:
        """Counts a frame."""
        self._done += 1
        if self._bar is not None:
            self._bar.update()
        elif time.monotonic() - self._last > LINE_EVERY:
            self._last = time.monotonic()
            seconds = self._last - self._start
            left = seconds * max(0.0, self._frames / self._done - 1)
            self.note(
                f"{self._label}: {self._done} of {self._frames} frames, {self._done / seconds:.0f} frames/s, "
                f"{clip_time(left)} left"
            )

    def end(self) -> None:
        """Ends the progress of a clip."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def states(self, states: Sequence[CameraState]) -> None:
        """Shows how cameras are doing.

        Args:
            states: of all cameras.
        """
        line = "   ".join(map(str, states))
        with self._lock:
            if self._terminal:
                self._clear()
                self._show(line)
            elif time.monotonic() - self._last > STATES_EVERY:
                self._last = time.monotonic()
                self.note(line)

    def close(self) -> None:
        """Removes what is replaced on the terminal."""
        self.end()
        with self._lock:
            self._clear()

    def _show(self, line: str) -> None:
        self._states = line
        sys.stderr.write(line[: _columns() - 1])
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._states:
            sys.stderr.write("\r\x1b[K")
            self._states = ""

    def _print(self, text: str, file: TextIO) -> None:
        with self._lock:
            states = self._states
            self._clear()
            sys.stderr.flush()
            try:
                if self._bar is not None:
                    tqdm.write(text, file=file)
                    file.flush()
                else:
                    print(text, file=file, flush=True)
            except OSError as e:
                # what is still in the buffer must not fail again at the end
                os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
                if isinstance(e, BrokenPipeError):
                    raise
                raise UserError(f"standard output cannot be written ({e.strerror})") from None
            if states:
                self._show(states)


def event_text(record: EventRecord) -> str:
    """An event in a line: with the time in the clip, or by the clock for cameras."""
    if record.start_time is not None:
        shown = record.start_time if record.state == "begin" else record.end_time
        begin = f"{shown} {record.source}: event {record.event}"
        if record.state == "begin":
            return f"{begin} begins"
        assert record.peak_time is not None
        assert record.end is not None
        peak = datetime.fromisoformat(record.peak_time).strftime("%H:%M:%S")
        return f"{begin} ends after {record.end - record.start:.1f} s: {_reasons(record, peak)}"
    begin, start = f"{record.source}: event {record.event}", clip_time(record.start)
    if record.state == "begin":
        return f"{begin} begins at {start}"
    assert record.end is not None
    return f"{begin}, {start} to {clip_time(record.end)}: {_reasons(record, clip_time(record.peak))}"


def _reasons(record: EventRecord, peak: str) -> str:
    score = f"highest score {record.score:.2f} at {peak}, threshold {record.threshold:.2f}"
    return f"{score}; {_shares(record.shares)}; {record.where}"


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(share_texts(shares)[:SHOWN])


def _columns() -> int:
    return shutil.get_terminal_size().columns
