"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from types import TracebackType

from tqdm import tqdm


class Progress:
    """Counts clips done, and frames for the speed and the time left.

    Use as a context manager; `advance(frames)` after each clip. Elsewhere than on a terminal
    (log files, CI) a line appears every `interval` seconds and at the end.
    """

    def __init__(self, label: str, clips: int, frames: int, interval: float = 10.0):
        self.label, self.clips, self.frames, self.interval = label, clips, frames, interval
        self.clips_done = self.frames_done = 0
        self._start = self._said = time.monotonic()
        self._bar = (
            tqdm(total=frames, desc=label, unit=" frames", leave=False, dynamic_ncols=True)
            if sys.stderr.isatty() and clips
            else None
        )

    def advance(self, frames: int) -> None:
        """One more clip of so many frames is done."""
        self.clips_done += 1
        self.frames_done += frames
        if self._bar is not None:
            self._bar.set_postfix_str(f"clip {self.clips_done}/{self.clips}")
            self._bar.update(frames)
        elif time.monotonic() - self._said > self.interval and self.clips_done < self.clips:
            self._say(f", {self._left():.0f} s left")

    def _left(self) -> float:
        elapsed = time.monotonic() - self._start
        return elapsed * (self.frames - self.frames_done) / max(1, self.frames_done)

    def _say(self, more: str = "") -> None:
        self._said = time.monotonic()
        rate = self.frames_done / max(1e-9, self._said - self._start)
        done = f"clip {self.clips_done}/{self.clips}, {rate:.0f} frames/s"
        print(f"{self.label}: {done}{more}", file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, value: object, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is None and self.clips:
            self._say()
