"""Encodes frames as a video file."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace

from vad import UserError

# lookup table from full-range luma 0..255 to the limited range 16..235 that is usual for H.264
TO_LIMITED = np.rint(16 + np.arange(256) * 219 / 255).astype(np.uint8)


def encode(path: Path, frames: Iterable[np.ndarray], fps: float, crf: int = 23) -> None:
    """Writes frames as H.264 (yuv420p, limited range, BT.601).

    `extract` gives gray frames back unchanged, except for the compression error. The encoder uses a single
    thread and the container no version strings, so that the same frames give the same bytes with the same
    build of x264.

    Args:
        path: the file; its suffix determines the container (.mp4, .mkv, .avi).
        frames: uint8, all [H, W] gray or all [H, W, 3] RGB, with even sides.
        fps: frames per second.
        crf: compression, from 0 (only rounding errors) to 51 (worst quality).

    Raises:
        UserError: if a side is odd (4:2:0 halves the chroma planes), if shapes differ, or if there are no
            frames. No file is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = shape = None
    try:
        with av.open(f"file:{path}", "w", options={"fflags": "+bitexact"}) as container:
            for i, frame in enumerate(frames):
                if stream is None:
                    shape = frame.shape
                    stream = _open_stream(path, container, shape[1], shape[0], fps, crf)
                if frame.shape != shape:
                    raise UserError(f"{path}: frame {i} has shape {frame.shape}, frame 0 had {shape}")
                picture = to_yuv420p(frame)
                picture.pts, picture.time_base = i, 1 / stream.codec_context.framerate
                container.mux(stream.encode(picture))
            if stream is None:
                raise UserError(f"{path}: no frames to encode")
            container.mux(stream.encode(None))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _open_stream(
    path: Path, container: OutputContainer, width: int, height: int, fps: float, crf: int
) -> av.VideoStream:
    if height % 2 or width % 2:
        raise UserError(f"{path}: H.264 needs even sides, got {width}x{height}; crop or pad")
    stream = container.add_stream("libx264", Fraction(fps).limit_denominator(10_000))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.thread_count = 1
    stream.codec_context.color_range = ColorRange.MPEG
    stream.codec_context.colorspace = Colorspace.SMPTE170M
    # with its macroblock tree, x264 gives different bytes at every call for colour frames
    stream.options = {"crf": str(crf), "x264-params": "no-mbtree=1"}
    return stream


def to_yuv420p(frame: np.ndarray) -> av.VideoFrame:
    """Converts a frame for H.264: limited range, BT.601.

    Args:
        frame: uint8 [H, W] gray or [H, W, 3] RGB, with even sides.
    """
    if frame.ndim == 3:
        return av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.SMPTE170M, dst_color_range=ColorRange.MPEG
        )
    height, width = frame.shape
    # luma above both chroma planes, which hold a quarter of its pixels each; a chroma of 128 means no colour
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = TO_LIMITED[frame]
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")
