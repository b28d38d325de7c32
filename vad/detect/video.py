"""The overlay as a video: H.264 in MP4, which browsers play."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import ClassVar

import av

from vad import UserError
from vad.detect.output_file import OutputFile
from vad.detect.outputs import Output
from vad.overlay.overlay import Overlay, resized
from vad.overlay.scored_frame import ScoredFrame, SessionInfo
from vad.overlay.video import TICK, Encoder
from vad.stream import Processor, Threaded

PENDING = 4  # scored frames that wait for the encoder at most
SUFFIXES = (".mp4", ".m4v")


class VideoOutput(Output):
    """The scored frames of a source with their overlay, as a video.

    Frames have the times of the source, so that time in the video is real time also where a camera dropped
    frames. There is a key frame about every second.

    Args:
        path: of the file, *.mp4.
        live: whether the source is a stream, so that the file is visible while it is recorded.
        overwrite: whether an existing file may be replaced.

    Raises:
        UserError: if the suffix is not one of MP4, the file exists or cannot be made.
    """

    wants_pictures: ClassVar[bool] = True

    def __init__(self, path: Path, *, live: bool = False, overwrite: bool = False):
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path}: the video is written as MP4; name a file that ends in .mp4")
        self.path = path
        self._file = OutputFile(path, visible=live, overwrite=overwrite)
        self._recording: _Recording | None = None
        self._thread: Threaded[ScoredFrame, None] | None = None  # in which it runs

    def frame(self, scored: ScoredFrame) -> None:
        if self._recording is None:
            self._recording = _Recording(self._file, scored.info)
            # drawing and encoding overlap with scoring
            self._thread = Threaded(self._recording, PENDING)
        if self._thread is not None:
            try:
                self._thread.process(scored)
            except BaseException:
                self._thread = None  # it has ended
                raise

    def close(self, *, complete: bool = True) -> None:
        thread, self._thread = self._thread, None
        try:
            if thread is not None:
                thread.finish()
        finally:
            if self._recording is not None:
                self._recording.abandon()
                self._file.close(complete=complete)
            elif not self._file.closed:
                self._file.discard()


class _Recording(Processor[ScoredFrame, None]):
    """The encoder and the container of a video.

    Args:
        file: to which the container is written.
        info: of the session of the first frame.
    """

    def __init__(self, file: OutputFile, info: SessionInfo):
        self._file = file
        self._overlay, self._of = Overlay(info), info
        self._size = self._overlay.size
        self._encoder = Encoder(file, self._size, info.fps)
        # after an error of one frame the thread may still be at work on the next when the container is closed
        self._use, self._abandoned = Lock(), False
        self._before: float | None = None  # seconds of the frame before
        self._stamp_before = -1
        self._zero = 0.0  # seconds where the video begins

    def process(self, item: ScoredFrame) -> list[None]:
        stamp = self._stamp(item.result.seconds)
        if stamp is None:
            return []
        if item.info != self._of:  # a later session of the same source, perhaps of another size
            self._overlay, self._of = Overlay(item.info), item.info
        picture = resized(self._overlay.draw(item), *self._size)
        with self._use, self._failures():
            if not self._abandoned:
                self._encoder.encode(picture, stamp)
        return []

    def finish(self) -> list[None]:
        with self._use, self._failures():
            if not self._abandoned:
                self._encoder.flush()
            self._encoder.close()
        return []

    def abandon(self) -> None:
        """Frees the encoder, after an error too; does nothing after `finish`."""
        with self._use:
            self._abandoned = True
            self._encoder.abandon()

    def _stamp(self, seconds: float) -> int | None:
        """The time stamp of a frame in ticks; None for one that resampling has repeated."""
        if self._before is None:
            self._zero = seconds
        elif seconds == self._before:
            return None
        elif seconds < self._before:  # where times go back, the video goes on
            self._zero -= self._before + 1 / self._of.fps - seconds
        self._before = seconds
        self._stamp_before = max(self._stamp_before + 1, round((seconds - self._zero) / TICK))
        return self._stamp_before

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Raises failures of the file instead of what the library makes of them."""
        try:
            yield
        except av.FFmpegError:
            if self._file.failure is not None:
                raise self._file.failure from None
            raise
