"""A camera or network stream, of which the newest frame counts."""

import random
import threading
import time
from contextlib import closing
from datetime import datetime
from typing import Literal, NamedTuple

from vad import UserError
from vad.footage.decode import Decoded
from vad.inputs.captures import Capture, CapturedFrame, CaptureError, open_capture
from vad.inputs.redaction import printable
from vad.inputs.source import Source
from vad.inputs.stream_clock import StreamClock

STALE_AFTER, STALE_FRAMES = 2.0, 5  # seconds and frame intervals without a frame, both, and a stream is stale
STABLE = 10.0  # seconds after which a connection counts as good, and the pauses before reopening begin anew
JOIN = 0.5  # seconds to wait for the reader at the end

State = Literal["opening", "live", "stale", "down"]


class Arrival(NamedTuple):
    """A frame that came from a stream.

    Attributes:
        decoded: the frame. Its `number` counts the frames received, and its `seconds` grow steadily from
            the first frame on, across breaks too (`StreamClock`).
        at: when it arrived, by the wall clock, with the offset from UTC.
        monotonic: when it arrived, as `time.monotonic`.
        broken: whether it is the first since a break that its reader has seen: the stream was reopened, the
            size changed, or the time stamps jumped.
    """

    decoded: Decoded
    at: datetime
    monotonic: float
    broken: bool


class Stream:
    """Reads a camera, a network stream, or a file as if it were a camera; a context manager.

        with Stream(source) as stream:
            while not stream.ended:
                if arrival := stream.read(timeout=1.0): ...

    A thread reads and decodes, and keeps only the newest frame: what is not read in time is dropped and
    counted. A stream that ends, breaks or falls silent is opened again, after pauses that double and vary.
    The end of a file, or of one that a server sends, is the end. No text has credentials in it.

    Args:
        source: of the kind camera, stream, video or sequence.
        open_timeout: seconds until a connection must stand; some cameras take 40.
        read_timeout: seconds without a frame after which the connection is given up.
        shortest_pause: seconds before a stream is opened again, at first.
        longest_pause: seconds, at most.

    Raises:
        ValueError: if the source is a picture.

    Attributes:
        source: as given.
        received: number of frames received.
        dropped: number of those that a newer one replaced before they were read.
        reconnects: how often the stream has come back after a break.
        reason: why there is no frame: the last error; empty while the stream is live.
    """

    def __init__(
        self,
        source: Source,
        *,
        open_timeout: float = 40.0,
        read_timeout: float = 10.0,
        shortest_pause: float = 1.0,
        longest_pause: float = 30.0,
    ):
        if source.kind == "picture":
            raise ValueError(f"{source.text} is a single picture, not a stream of them")
        self.source = source
        self.received = self.dropped = self.reconnects = 0
        self.reason = ""
        self._timeouts, self._pauses = (open_timeout, read_timeout), (shortest_pause, longest_pause)
        self._changed = threading.Condition()  # guards all that follows
        self._stopped = threading.Event()
        self._newest: Arrival | None = None
        self._capture: Capture | None = None
        self._clock = StreamClock()
        self._since: float | None = None  # when the first frame of this connection arrived
        self._last = 0.0  # when the last one did
        self._size: tuple[int, int] | None = None
        self._damaged = 0  # in earlier connections
        self._ended = False
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"stream {source.name}", daemon=True)
        self._thread.start()

    def read(self, timeout: float) -> Arrival | None:
        """The newest frame that has not been read.

        Args:
            timeout: seconds to wait for it at most.

        Returns:
            None if there was none in time, or the stream has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._ended or self._bug, timeout)
            if self._bug is not None:
                raise self._bug
            newest, self._newest = self._newest, None
            return newest

    @property
    def state(self) -> State:
        """`opening` at first; `live`; `stale` if no frame has come for a while; `down`, see `reason`."""
        with self._changed:
            if self._since is None:
                return "down" if self.reason or self._ended else "opening"
            longest = max(STALE_AFTER, STALE_FRAMES / (self._clock.rate or 1.0))
            return "live" if time.monotonic() - self._last <= longest else "stale"

    @property
    def ended(self) -> bool:
        """Whether no frame will come: a file has ended or cannot be read, or the stream was closed."""
        with self._changed:
            return self._ended and self._newest is None

    @property
    def fps(self) -> float | None:
        """Frames per second as stated, unless what is measured contradicts it; None if not known yet."""
        with self._changed:
            return self._clock.rate

    @property
    def damaged(self) -> int:
        """Number of frames that came damaged, and were left out."""
        with self._changed:
            return self._damaged + (self._capture.damaged if self._capture else 0)

    def close(self) -> None:
        """Ends reading; a reader that waits for the network is left to end by its timeout."""
        self._stopped.set()
        with self._changed:
            self._ended, self._newest, self._since = True, None, None
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        """The thread: opens the stream and reads it, again after each break."""
        pause = self._pauses[0]
        try:
            while not self._stopped.is_set():
                try:
                    self._read_capture()
                    self._end("the end of the file")
                except UserError as e:
                    self._end(printable(str(e)))
                except CaptureError as e:
                    if self._break(str(e)) >= STABLE:
                        pause = self._pauses[0]
                    # cameras that went down together should not all be asked at the same moment
                    self._stopped.wait(pause * random.uniform(0.5, 1.0))
                    pause = min(2 * pause, self._pauses[1])
        except BaseException as e:  # a bug, which the caller must see
            with self._changed:
                self._bug = e
                self._changed.notify_all()

    def _read_capture(self) -> None:
        capture = open_capture(self.source, *self._timeouts, self._stopped)
        with self._changed:
            self._capture = capture
            self._clock.restart(capture.rate)
        try:
            with closing(iter(capture)) as frames:
                for captured in frames:
                    if self._stopped.is_set():
                        return
                    self._take(captured)
        finally:
            capture.close()
            with self._changed:
                self._capture, self._damaged = None, self._damaged + capture.damaged

    def _take(self, captured: CapturedFrame) -> None:
        """Puts a frame in the place of the newest."""
        now, at = time.monotonic(), datetime.now().astimezone()
        size = captured.frame.width, captured.frame.height
        with self._changed:
            if self._ended:  # closed meanwhile
                return
            seconds, jumped = self._clock.time(captured.stamp, now)
            broken = self.received > 0 and (jumped or self._since is None or size != self._size)
            if self._since is None:
                self._since, self.reason = now, ""
                self.reconnects += self.received > 0
            if self._newest is not None:
                self.dropped += 1
                broken |= self._newest.broken
            self._newest = Arrival(Decoded(self.received, seconds, captured.frame), at, now, broken)
            self._size, self._last = size, now
            self.received += 1
            self._changed.notify_all()

    def _break(self, reason: str) -> float:
        """Notes that the connection is lost; returns for how many seconds it had held."""
        with self._changed:
            held = 0.0 if self._since is None else time.monotonic() - self._since
            self.reason, self._since = reason, None
            return held

    def _end(self, reason: str) -> None:
        self._stopped.set()
        with self._changed:
            if not self._ended:
                self.reason, self._since, self._ended = reason, None, True
            self._changed.notify_all()
