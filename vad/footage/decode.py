"""Decodes frames of a video or a folder of pictures, optionally at another frame rate and size.

Gray is luma in the full range 0..255, whatever the range in which a video is coded. The luma of a video is
used as coded, so the weights of red, green and blue are those of the video (BT.601; mostly BT.709 for HD).
Pictures and RGB-coded videos are converted with the weights of BT.601. The two differ only for saturated
colours. A single call of swscale does scaling, range and colour, for videos and pictures alike.

Frames are numbered from 0 in display order; times are in seconds from the first frame of the source.
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

# Matroska and FLV round times to milliseconds, so a frame up to this much too late counts as on time
SLACK = 1.1e-3  # seconds


class Decoded(NamedTuple):
    """A frame as decoded: in the size, pixel format and orientation of the source."""

    number: int
    seconds: float
    frame: av.VideoFrame


class Frame(NamedTuple):
    """A converted frame: `pixels` is uint8 [H, W] gray or [H, W, 3] RGB, set upright."""

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
    """Decodes, resamples and converts the frames of a source.

    Args:
        source: a video file or a folder of pictures.
        color: gray or RGB.
        threads: of the decoder.
        first: number of the first source frame.
        end: number after the last source frame; None for all frames.
        fps: frames per second after resampling; None keeps every frame.
        max_side: length in pixels to which the longer side is reduced; None keeps the size.

    Yields:
        The frames in order. Where resampling repeats a frame, `pixels` is the same object again.

    Raises:
        UserError: if decoding fails, a frame is damaged, a picture cannot be decoded, the source has fewer
            frames than `end`, or the frame size changes.
    """
    _, decoded = decode(source, color, threads, first, end)
    yield from convert(resample(decoded, fps), color, max_side)


def decode(
    source: Path, color: Color, threads: int, first: int, end: int | None
) -> tuple[float, Iterator[Decoded]]:
    """Opens a source; arguments as for `frames`.

    Returns:
        (nominal frames per second, iterator over the frames [first, end) as decoded).

    Raises:
        UserError: as for `frames`, when the source is opened or during iteration.
    """
    if end is not None and not 0 <= first < end:
        raise UserError(f"{source}: [{first}, {end}) contains no frame; a clip needs at least 2")
    if source.is_dir():
        return PICTURE_FPS, decode_pictures(source, color, first, end)
    container, stream = video.open_video(source)
    stream.codec_context.thread_count = threads
    stream.thread_type = "AUTO"
    return video.nominal_rate(stream), _decode_video(source, container, stream, first, end)


def decode_pictures(folder: Path, color: Color, first: int, end: int | None) -> Iterator[Decoded]:
    """Decodes the pictures of a folder as video frames in full range.

    Args:
        folder: of the pictures, in natural order.
        color: gray or RGB.
        first: number of the first picture.
        end: number after the last picture; None for all.

    Raises:
        UserError: if there are fewer pictures, or a picture cannot be decoded or differs in size.
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
    number, size = 0, None
    of_total = "" if end is None else f" of {end}"
    with container:
        try:
            for seconds, frame in _timed(container, stream):
                if number >= first:
                    size = size or (frame.width, frame.height)
                    if frame.is_corrupt:
                        raise UserError(f"{source}: frame {number}{of_total} is damaged; {video.REPAIR}")
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
            message = f"decoding fails at frame {number}{of_total} ({e.strerror})"
            raise UserError(f"{source}: {message}; {video.REPAIR}") from None
    if number <= first or end is not None:
        wanted = f"from {first} on" if end is None else f"[{first}, {end})"
        raise UserError(
            f"{source}: frames {wanted} wanted, but only {number} could be decoded; {video.REPAIR}"
        )


def _timed(container: InputContainer, stream: av.VideoStream) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yields (seconds since the first frame, frame) in display order; the times never decrease.

    A frame without a time stamp is placed an average frame interval after the frame before it.
    """
    start: int | None = None
    seconds, interval = 0.0, 1 / video.nominal_rate(stream)
    is_avi = video.is_avi(container)
    # AVI stores no display times; its decoding times, taken in order, replace them
    decoding_times: deque[int | None] = deque()
    for packet in container.demux(stream):
        if packet.size and is_avi:
            decoding_times.append(packet.dts)
        for frame in packet.decode():
            ticks = frame.pts if not is_avi else decoding_times.popleft() if decoding_times else None
            if start is None:
                start = ticks or 0
            elif ticks is None:
                seconds += interval
            else:
                seconds = max(seconds, float((ticks - start) * video.tick(stream)))
            yield seconds, frame


def resample(decoded: Iterable[Decoded], fps: float | None) -> Iterator[Decoded]:
    """Resamples frames to a constant rate by their time stamps.

    The k-th result is the latest frame that is at most k / fps seconds after the first, for all k up to the
    time of the last frame. A rate above that of the source repeats frames.

    Args:
        decoded: the frames in order, at least one.
        fps: frames per second; None keeps every frame.
    """
    decoded = iter(decoded)
    if fps is None:
        yield from decoded
        return
    k, current = 0, next(decoded)
    start = current.seconds
    for following in decoded:
        while k / fps + SLACK < following.seconds - start:
            yield current
            k += 1
        current = following
    while k / fps <= current.seconds - start + SLACK:
        yield current
        k += 1


def convert(decoded: Iterable[Decoded], color: Color, max_side: int | None) -> Iterator[Frame]:
    """Converts frames to arrays: scaled by area averaging, in full range, gray or RGB, set upright.

    Args:
        decoded: the frames; a repeated frame must be the same object.
        color: gray or RGB.
        max_side: length in pixels to which the longer side is reduced; None keeps the size.
    """
    swscale = VideoReformatter()  # a single object, which reuses its tables for all frames
    previous: av.VideoFrame | None = None
    pixels = np.empty(0, np.uint8)
    for number, seconds, frame in decoded:
        if frame is not previous:  # otherwise resampling has repeated it
            scale = min(1.0, (max_side or math.inf) / max(frame.width, frame.height))
            scaled = swscale.reformat(
                frame,
                max(1, round(frame.width * scale)),
                max(1, round(frame.height * scale)),
                "gray" if color == "gray" else "rgb24",
                interpolation=Interpolation.AREA,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            )
            # copied, because the array may be a view of memory that the decoder reuses
            pixels = np.array(np.rot90(scaled.to_ndarray(), video.quarter_turns(frame)), order="C")
            previous = frame
        yield Frame(number, seconds, pixels)
