"""Video files: opening, sizes, rates."""

from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from vad import UserError
from vad.footage.pictures import PICTURE_FPS
from vad.store.placeholders import refuse_placeholder

# of MP4, QuickTime, AVI, Matroska; MPEG; Windows Media, Flash, phones, Ogg, Real; camcorders, studios and
# recorders; rows of pictures; streams without a container
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
RATE_TOLERANCE = 0.02  # relative difference up to which the rate in the header is used


def open_video(source: Path) -> tuple[InputContainer, av.VideoStream]:
    """Opens a video.

    Returns:
        (the container, its best video stream).

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
    stream = container.streams.best("video")
    is_text = container.format.name == "tty"  # ffmpeg renders text files to video
    if not isinstance(stream, av.VideoStream) or stream.codec_context is None or is_text:
        container.close()
        raise UserError(f"{source}: not a video file (nothing in it shows a picture); remove it")
    return container, stream


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


def measured_rate(nominal: float, frames: int, seconds: float) -> float:
    """Frames per second: the nominal rate, unless the time stamps contradict it.

    Args:
        nominal: frames per second according to the header.
        frames: number of frames.
        seconds: from the first frame to the last.

    Returns:
        `nominal` if it differs from the average by at most RATE_TOLERANCE, otherwise the average.
    """
    if frames < 2 or seconds <= 0:
        return nominal
    measured = (frames - 1) / seconds
    return nominal if abs(nominal - measured) <= RATE_TOLERANCE * measured else measured


def quarter_turns(frame: av.VideoFrame) -> int:
    """Number of anticlockwise quarter turns, 0 to 3, that set the frame upright."""
    return round(frame.rotation / 90) % 4


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """(width, height) in pixels of the frame set upright."""
    return (frame.height, frame.width) if quarter_turns(frame) % 2 else (frame.width, frame.height)
