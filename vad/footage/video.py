"""Video files: opening, rates, orientation."""

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from vad import UserError
from vad.footage.pictures import PICTURE_FPS
from vad.store.placeholders import refuse_placeholder

# of MP4, QuickTime, AVI, Matroska; MPEG; Windows Media, Flash, phones, Ogg, Real; camcorders, studios and
# recorders; series of pictures; streams without a container
SUFFIXES = """
    .mp4 .m4v .mov .qt .ismv .f4v .avi .divx .mkv .mk3d .webm
    .mpg .mpeg .mpe .m1v .m2v .m2p .vob .vro .evo .mod .tod .ts .mts .m2ts .m2t .tp .trp
    .wmv .asf .wtv .flv .3gp .3gpp .3g2 .3gp2 .ogv .ogm .rm .rmvb
    .dv .dif .mxf .gxf .dav .dvr-ms .insv .nut
    .y4m .mjpeg .mjpg .mj2 .gif
    .h261 .h263 .h264 .264 .avc .h265 .265 .hevc .h266 .266 .vvc .vc1 .ivf .obu
"""
VIDEOS = frozenset(SUFFIXES.split())
REPAIR = "copy it again, or save what can be saved: `ffmpeg -i OLD NEW.mp4`"


def open_video(source: Path) -> tuple[InputContainer, av.VideoStream]:
    """Opens a video.

    Returns:
        (the container, its best video stream: as for ffmpeg, a default one before others, then the largest).

    Raises:
        UserError: if the file is missing, empty, a Git-LFS pointer or not a video.
    """
    refuse_placeholder(source)
    try:
        # "file:" allows colons in names; the whitelist stops a playlist from opening network addresses
        container = av.open(f"file:{source}", options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError) as e:
        if _begins_like_video(source):
            raise UserError(
                f"{source}: cut off: it begins like a video, but its index is missing; "
                "copy, download or record it again"
            ) from None
        raise UserError(f"{source}: not a video file ({e.strerror}); remove it, or convert it") from None
    stream = _best_stream(container)
    is_text = container.format.name == "tty"  # ffmpeg renders text files to video
    if stream is None or stream.codec_context is None or is_text:
        container.close()
        raise UserError(f"{source}: not a video file (nothing in it shows a picture); remove it")
    return container, stream


def video_streams(container: InputContainer) -> list[av.VideoStream]:
    """The video streams of a file, without cover pictures."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _best_stream(container: InputContainer) -> av.VideoStream | None:
    streams = video_streams(container)
    if len(streams) < 2:
        best = container.streams.best("video")
        return best if isinstance(best, av.VideoStream) else None

    def rank(stream: av.VideoStream) -> tuple[bool, int]:
        context = stream.codec_context
        return bool(stream.disposition & Disposition.default), context.width * context.height

    return max(streams, key=rank)  # of equal ones, the first


def _begins_like_video(source: Path) -> bool:
    """Whether the first bytes are those of an MP4, AVI or Matroska file."""
    with open(source, "rb") as file:
        head = file.read(12)
    return head[4:8] in (b"ftyp", b"mdat", b"wide") or head[:4] in (b"RIFF", b"\x1a\x45\xdf\xa3")


def is_avi(container: InputContainer) -> bool:
    """Whether the file is an AVI, which stores no display times but only decoding times."""
    return container.format.name == "avi"


def tick(stream: av.VideoStream) -> Fraction:
    """Seconds per unit of the stream's time stamps."""
    assert stream.time_base is not None  # ffmpeg gives every video stream a time base
    return stream.time_base


def nominal_rate(stream: av.VideoStream) -> float:
    """Frames per second according to the header."""
    return float(stream.average_rate or stream.guessed_rate or PICTURE_FPS)


class Orientation(NamedTuple):
    """How a decoded frame is set upright: first transposed, then flipped.

    Attributes:
        transpose: whether rows and columns are exchanged.
        flip_rows: whether the order of rows is reversed.
        flip_columns: whether the order of columns is reversed.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """The frame set upright, as a view.

        Args:
            pixels: [H, W] or [H, W, C].
        """
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]


def orientation(frame: av.VideoFrame) -> Orientation:
    """How to set a frame upright, by its display matrix; of other angles, the nearest quarter turn.

    Not to be called for every frame: PyAV's side data and the frame refer to each other, so that the frame's
    memory is not freed at once.
    """
    try:
        side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV cannot list side data of kinds it does not know; the angle is all it tells
        turns = round(frame.rotation / 90) % 4  # anticlockwise
        return Orientation(turns % 2 == 1, flip_rows=turns in (1, 2), flip_columns=turns in (2, 3))
    if side_data is None:
        return Orientation()
    # a point (x, y) is shown at (a x + c y, b x + d y); see libavutil/display.h
    a, b, _, c, d = (int(n) for n in np.frombuffer(side_data, np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, flip_rows=d < 0, flip_columns=a < 0)
    return Orientation(True, flip_rows=b < 0, flip_columns=c < 0)


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """(width, height) in pixels of the frame set upright."""
    width, height = frame.width, frame.height
    return (height, width) if orientation(frame).transpose else (width, height)


def refuse_other_size(
    source: Path, number: int, frame: av.VideoFrame, first: int, size: tuple[int, int]
) -> None:
    """Refuses a frame whose size differs from that of the first frame.

    Args:
        source: the file.
        number: of the frame.
        frame: the frame as decoded.
        first: number of the first frame.
        size: width and height of the first frame, in pixels.

    Raises:
        UserError: if the sizes differ.
    """
    if (frame.width, frame.height) != size:
        raise UserError(
            f"{source}: frame {number} has {frame.width}x{frame.height} pixels, but frame "
            f"{first} has {size[0]}x{size[1]}; split the video there, or scale it"
        )
