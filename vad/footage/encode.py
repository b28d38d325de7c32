"""Writes frames as a video."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from vad import UserError
from vad.footage.decode import _to_yuv420p

# full-range luma 0..255 -> the limited range 16..235 in which H.264 is commonly coded
TO_LIMITED = np.rint(16 + np.arange(256) * 219 / 255).astype(np.uint8)


def encode(path: Path, frames: Iterable[np.ndarray], fps: float, crf: int = 23) -> None:
    """Writes uint8 frames, all [H, W] gray or all [H, W, 3] rgb, as H.264 (yuv420p, limited range, BT.601).

    The container follows the suffix (.mp4, .mkv, .avi). Gray comes back out of `extract` as it went in,
    up to the error of the codec, which `crf` sets (0: none but rounding, 51: worst). One thread and no
    version strings in the container: the same frames give the same bytes with the same build of x264.

    Raises UserError if a side is odd (4:2:0 halves the chroma), if shapes differ or if there are no
    frames; no file is left then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = None
    try:
        with av.open(f"file:{path}", "w", options={"fflags": "+bitexact"}) as container:
            for i, frame in enumerate(frames):
                if shape is None:
                    shape = frame.shape
                    height, width = shape[:2]
                    if height % 2 or width % 2:
                        raise UserError(f"{path}: H.264 needs even sides, got {width}x{height}; crop or pad")
                    stream = container.add_stream("libx264", Fraction(fps).limit_denominator(10_000))
                    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                    stream.codec_context.thread_count = 1
                    stream.codec_context.color_range = ColorRange.MPEG
                    stream.codec_context.colorspace = Colorspace.SMPTE170M
                    # x264's macroblock tree is not repeatable on colour: other bytes at every call
                    stream.options = {"crf": str(crf), "x264-params": "no-mbtree=1"}
                if frame.shape != shape:
                    raise UserError(f"{path}: frame {i} has shape {frame.shape}, frame 0 had {shape}")
                picture = _to_yuv420p(frame)
                picture.pts, picture.time_base = i, 1 / stream.codec_context.framerate
                container.mux(stream.encode(picture))
            if shape is None:
                raise UserError(f"{path}: no frames to encode")
            container.mux(stream.encode(None))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
