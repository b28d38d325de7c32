"""Pictures as a video: H.264 in MP4, which browsers play."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace

from vad.footage.encode import to_yuv420p

TICK = Fraction(1, 90_000)  # seconds
PRESET = "veryfast"  # of x264; slower ones would hold up whatever makes the pictures
# written in fragments, so that what was written plays if the process is killed or the disk is full; closing
# makes it an ordinary MP4
RECORDING = "hybrid_fragmented+frag_keyframe"
COMPLETE = "+faststart"  # the index comes first, so that a browser can seek before it has the whole file


class Encoder:
    """Writes pictures as a video with given times; there is a key frame about every second.

    Args:
        file: path of a file that is of use when it is complete; the same pictures give the same bytes with
            the same build of x264. Or an object with `write`, `seek` and `tell`, to which it is recorded in
            fragments.
        size: (height, width) of the pictures in pixels, both even.
        fps: frames per second, about; only the distance of key frames depends on it.

    Raises:
        av.FFmpegError: if the file cannot be written, like all methods.
    """

    def __init__(self, file: Path | Any, size: tuple[int, int], fps: float):
        by_path = isinstance(file, Path)
        self._container: OutputContainer = av.open(
            f"file:{file}" if by_path else file,
            "w",
            format="mp4",
            options={"movflags": COMPLETE if by_path else RECORDING, "fflags": "+bitexact"},
        )
        stream = self._container.add_stream("libx264", Fraction(fps).limit_denominator(1000))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.time_base, codec.thread_count = TICK, 1
        codec.gop_size = max(1, round(fps))
        codec.color_range, codec.colorspace = ColorRange.MPEG, Colorspace.SMPTE170M
        # without B-frames, whose delay would shift all times of a video in fragments
        stream.options = {"preset": PRESET, "bf": "0"}
        if by_path:
            # with its macroblock tree, x264 gives different bytes at every call for colour frames
            stream.options |= {"x264-params": "no-mbtree=1"}
        self._stream = stream

    def encode(self, picture: np.ndarray, stamp: int) -> None:
        """Adds a picture.

        Args:
            picture: uint8 [height, width, 3] RGB.
            stamp: its time in TICKs, higher than that of the picture before.
        """
        frame = to_yuv420p(picture)
        frame.pts, frame.time_base = stamp, TICK
        self._container.mux(self._stream.encode(frame))

    def flush(self) -> None:
        """Writes the pictures that the encoder still holds."""
        self._container.mux(self._stream.encode(None))

    def close(self) -> None:
        """Completes the file."""
        self._container.close()

    def abandon(self) -> None:
        """Frees the encoder, after an error too; does nothing after `close`."""
        with suppress(av.FFmpegError):  # the container remembers the error of the file
            self._container.close()
