"""Decodes frames of a video or a folder of pictures, at another rate and size if wanted.

What gray means: luma in the full range 0..255, whatever range a video is coded in. A video's luma is
taken as coded, so its weights of red, green and blue are those of the video (BT.601, or mostly BT.709
for HD); pictures and RGB-coded videos are weighted by BT.601. The two differ for saturated colours only.
Scaling, range and colour are a single call of swscale for videos and pictures alike.

Frames are numbered from 0 in display order; times are seconds since the source's first frame.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from vad import UserError
from vad.footage import pictures, video
from vad.footage.pictures import PICTURE_FPS, Color

# Matroska and FLV round times to milliseconds: a frame that much late is still in time
SLACK = 1.1e-3  # seconds


class Decoded(NamedTuple):
    """A frame as decoded: not yet scaled, in the video's pixel format, not yet upright."""

    number: int
    seconds: float
    frame: av.VideoFrame


class Frame(NamedTuple):
    """A converted frame: `pixels` is uint8 [H, W] gray or [H, W, 3] rgb, upright."""

    number: int
    seconds: float
    pixels: np.ndarray


def frames(
    source: Path,
    color: Color,
    threads: int = 1,
    *,
    first: int = 0,
    end: int | None = None,
    fps: float | None = None,
    max_side: int | None = None,
) -> Iterator[Frame]:
    """The frames of a source; the array of a repeated frame is the same object.

    Args:
        source: a video file or a folder of pictures.
        color: what is kept of the colours.
        threads: of the decoder.
        first: number of the first source frame.
        end: number after that of the last source frame; None: up to the end.
        fps: frames per second to which they are resampled; None keeps every frame.
        max_side: pixels to which the longer side is shrunk; None keeps the size.

    Raises:
        UserError: if decoding fails or meets a damaged frame, if there are fewer frames than `end`, if the
            size changes on the way, or a picture cannot be decoded.
    """
    _, decoded = decode(source, color, threads, first, end)
    yield from convert(resample(decoded, fps), color, max_side)


def decode(
    source: Path, color: Color, threads: int, first: int, end: int | None
) -> tuple[float, Iterator[Decoded]]:
    """(nominal frames per second, the frames [first, end) as decoded); arguments as for `frames`."""
    if end is not None and not 0 <= first < end:
        raise UserError(f"{source}: the frames [{first}, {end}) are none; a clip needs at least 2")
    if source.is_dir():
        return PICTURE_FPS, decode_pictures(source, color, first, end)
    container, stream = video.open_video(source)
    stream.codec_context.thread_count = threads
    stream.thread_type = "AUTO"
    return video.nominal_rate(stream), _decode_video(source, container, stream, first, end)


def decode_pictures(folder: Path, color: Color, first: int, end: int | None) -> Iterator[Decoded]:
    """The pictures [first, end) of a folder as video frames in full range.

    Raises:
        UserError: if there are fewer, if a picture cannot be decoded or differs in size.
    """
    paths = pictures.need_pictures(folder)
    last = len(paths) if end is None else end
    if not 0 <= first < last <= len(paths):
        raise UserError(f"{folder}: pictures [{first}, {last}) wanted, but it holds {len(paths)}")
    size = None
    for number in range(first, last):
        picture = pictures.read_picture(paths[number], color)
        height, width = picture.shape[:2]
        size = size or (width, height)
        pictures.refuse_other_size(paths[number], (width, height), paths[first], size)
        frame = av.VideoFrame.from_ndarray(picture, format="gray" if color == "gray" else "rgb24")
        frame.color_range = ColorRange.JPEG
        yield Decoded(number, number / PICTURE_FPS, frame)


def _decode_video(
    source: Path, container: InputContainer, stream: av.VideoStream, first: int, end: int | None
) -> Iterator[Decoded]:
    number, size, of = 0, None, "" if end is None else f" of {end}"
    with container:
        try:
            for seconds, frame in _timed(container, stream):
                if number >= first:
                    size = size or (frame.width, frame.height)
                    if frame.is_corrupt:
                        raise UserError(f"{source}: frame {number}{of} is damaged; {video.REPAIR}")
                    if (frame.width, frame.height) != size:
                        raise UserError(
                            f"{source}: frame {number} has {frame.width}x{frame.height} pixels, but frame "
                            f"{first} has {size[0]}x{size[1]}; split the video there, or scale it"
                        )
                    yield Decoded(number, seconds, frame)
                number += 1
                if number == end:
                    return
        except av.FFmpegError as e:
            message = f"decoding fails at frame {number}{of} ({e.strerror})"
            raise UserError(f"{source}: {message}; {video.REPAIR}") from None
    if number <= first or end is not None:
        wanted = f"from {first} on" if end is None else f"[{first}, {end})"
        raise UserError(
            f"{source}: frames {wanted} wanted, but only {number} could be decoded; {video.REPAIR}"
        )


def _timed(container: InputContainer, stream: av.VideoStream) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds since the first frame, frame) in display order; times never go back.

    A frame without time stamp comes an average frame interval after its predecessor.
    """
    start: int | None = None
    last, interval = 0.0, 1 / video.nominal_rate(stream)
    is_avi = video.is_avi(container)
    paces: deque[int | None] = deque()  # AVI: times of decoding, in order, stand for times of display
    for packet in container.demux(stream):
        if packet.size and is_avi:
            paces.append(packet.dts)
        for frame in packet.decode():
            ticks = frame.pts if not is_avi else paces.popleft() if paces else None
            if start is None:
                start = ticks or 0
            elif ticks is None:
                last += interval
            else:
                last = max(last, float((ticks - start) * video.tick(stream)))
            yield last, frame


def resample(decoded: Iterable[Decoded], fps: float | None) -> Iterator[Decoded]:
    """Frames at a constant rate, by time stamps; a rate above the source's repeats frames.

    For k = 0, 1, …: the latest frame not later than k / fps after the first, up to the last frame.
    """
    decoded = iter(decoded)
    if fps is None:
        yield from decoded
        return
    k, current = 0, next(decoded)
    start = current.seconds
    for item in decoded:
        while k / fps + SLACK < item.seconds - start:
            yield current
            k += 1
        current = item
    while k / fps <= current.seconds - start + SLACK:
        yield current
        k += 1


def convert(decoded: Iterable[Decoded], color: Color, max_side: int | None) -> Iterator[Frame]:
    """Frames as arrays: scaled by area, in full range and in colour or gray, upright."""
    swscale = VideoReformatter()  # keeps its tables from frame to frame
    before: av.VideoFrame | None = None
    pixels = np.empty(0, np.uint8)
    for number, seconds, frame in decoded:
        if frame is not before:  # else resampling repeats it
            share = min(1.0, (max_side or math.inf) / max(frame.width, frame.height))
            scaled = swscale.reformat(
                frame,
                max(1, round(frame.width * share)),
                max(1, round(frame.height * share)),
                "gray" if color == "gray" else "rgb24",
                interpolation=Interpolation.AREA,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            )
            # a copy, since this may be a view of the decoder's memory
            pixels = np.array(np.rot90(scaled.to_ndarray(), video.quarter_turns(frame)), order="C")
            before = frame
        yield Frame(number, seconds, pixels)
