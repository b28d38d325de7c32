"""Progress of long work: a bar on a terminal, a line of text every few seconds elsewhere."""

import sys
import time
from types import TracebackType

from tqdm import tqdm


class Progress:
    """Shows how many clips are finished, the speed in frames per second and the time left.

    A context manager; call `advance(frames)` after each clip.

    Args:
        label: text before the bar.
        clips: number of clips.
        frames: number of frames of all clips.
        interval: seconds between two lines where there is no terminal (log files, CI).
    """

    def __init__(self, label: str, clips: int, frames: int, interval: float = 10.0):
        self.label, self.clips, self.frames, self.interval = label, clips, frames, interval
        self.clips_done = self.frames_done = 0
        self._start = self._last_line = time.monotonic()
        self._bar = (
            tqdm(total=frames, desc=label, unit=" frames", leave=False, dynamic_ncols=True)
            if sys.stderr.isatty() and clips
            else None
        )

    def advance(self, frames: int) -> None:
        """Counts a finished clip of `frames` frames."""
        self.clips_done += 1
        self.frames_done += frames
        if self._bar is not None:
            self._bar.set_postfix_str(f"clip {self.clips_done}/{self.clips}")
            self._bar.update(frames)
        elif time.monotonic() - self._last_line > self.interval and self.clips_done < self.clips:
            self._print_line(f", {self._seconds_left():.0f} s left")

    def _seconds_left(self) -> float:
        elapsed = time.monotonic() - self._start
        return elapsed * (self.frames - self.frames_done) / max(1, self.frames_done)

    def _print_line(self, suffix: str = "") -> None:
        self._last_line = time.monotonic()
        rate = self.frames_done / max(1e-9, self._last_line - self._start)
        done = f"clip {self.clips_done}/{self.clips}, {rate:.0f} frames/s"
        print(f"{self.label}: {done}{suffix}", file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, value: object, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is None and self.clips:
            self._print_line()
