"""The videos of the page, whose frames are those of a clip."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from vad.overlay.video import TICK, Encoder


class ClipVideo:
    """A video with a frame for each frame of a clip, from the first one on; a context manager.

    Args:
        path: of the file.
        size: (height, width) of the pictures, both even.
        fps: frames per second of the clip.

    Raises:
        OSError: if the file cannot be written, for example because the disk is full; so does `add`, and
            leaving without error.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float):
        self._path = path
        with _errors_of(path):
            self._encoder = Encoder(path, size, fps)
        self._zero: float | None = None  # seconds of the first frame
        self._stamp = -1

    def add(self, picture: np.ndarray, seconds: float) -> None:
        """Adds the next frame.

        Args:
            picture: uint8 [height, width, 3] RGB.
            seconds: its time in the clip.
        """
        self._zero = seconds if self._zero is None else self._zero
        # times of frames that resampling has repeated are equal, but those of a video must rise
        self._stamp = max(self._stamp + 1, round((seconds - self._zero) / TICK))
        with _errors_of(self._path):
            self._encoder.encode(picture, self._stamp)

    def __enter__(self) -> "ClipVideo":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with _errors_of(self._path):
                    self._encoder.flush()
                    self._encoder.close()
        finally:
            self._encoder.abandon()


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Raises errors of the video library as what they are for the file."""
    try:
        yield
    except av.FFmpegError as e:
        raise OSError(e.errno, e.strerror, str(path)) from None
