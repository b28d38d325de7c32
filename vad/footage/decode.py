"""Video in and out: probe, decode, extract, encode. A folder of pictures counts as a video.

What gray means: luma in the full range 0..255, whatever range a video is coded in. A video's luma is
taken as coded, so its weights of red, green and blue are those of the video (BT.601, or BT.709 as is
usual for HD); pictures and RGB-coded videos are weighted by BT.601. The two differ for saturated
colours only. Scaling, range and colour are one call of swscale for videos and pictures alike.

Frames are numbered from 0 in display order; times are seconds since the source's first frame.
"""

import math
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
from av.container import InputContainer
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vad import UserError
from vad.footage import pictures
from vad.footage.encode import TO_LIMITED
from vad.footage.pictures import (
    PICTURE_FPS,
    Color,
)
from vad.pipeline.params import Field, Section
from vad.store import arrays, tables

VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv", ".3gp"}
)
# Matroska and FLV round times to milliseconds: a frame that much late is still in time
SLACK = 1.1e-3
REPAIR = "copy it again, or save what can be saved: `ffmpeg -i OLD NEW.mp4`"

Decoded = tuple[int, float, av.VideoFrame]  # number, seconds, frame as decoded
Converted = tuple[int, float, np.ndarray]  # number, seconds, uint8 [H, W] or [H, W, 3]


class ExtractParams(Section):
    """The section `extract` of params.yaml."""

    fps: float | None = Field(gt=0, allow_inf_nan=False)  # frames per second to keep; null keeps every frame
    max_side: int | None = Field(ge=16)  # the longer side is shrunk to this; null keeps the size
    color: Color


@dataclass(frozen=True)
class Info:
    """What a source holds: width and height in pixels of the upright picture, fps on average."""

    frames: int
    fps: float
    width: int
    height: int


def probe(source: Path) -> Info:
    """Frames, rate and size of a video file or a folder of pictures, without decoding it.

    A video's packets are counted and its first frame is decoded; of pictures the headers are read.
    Raises UserError if the source is missing, empty, a Git-LFS pointer, no video, cut off, holds fewer
    than two frames, or pictures of several sizes.
    """
    if source.is_dir():
        found = pictures.need_pictures(source)
        info = Info(len(found), PICTURE_FPS, *pictures.common_size(found))
    else:
        info = _probe_video(source)
    if (n := info.frames) < 2:
        raise UserError(f"{source}: holds {n} frame{'s' * (n != 1)}; a clip needs at least 2")
    return info


def _probe_video(source: Path) -> Info:
    container, stream = pictures.open_video(source)
    first, whole, shown, damaged = None, 0, 0, False
    start, last, end = math.inf, 0, 0  # in ticks of the stream
    with container:
        try:
            for packet in container.demux(stream):
                if first is None:
                    first = next(iter(packet.decode()), None)
                if packet.size:
                    damaged = packet.is_corrupt  # of the last one: the file ends in the middle of it
                    whole += not damaged
                    if packet.is_discard:  # outside the edit list: decoded, never shown
                        continue
                    shown += 1
                    # AVI stores no times of display, only the pace of decoding
                    ticks = packet.dts if container.format.name == "avi" else packet.pts
                    if ticks is not None:
                        start, last = min(start, ticks), max(last, ticks)
                        end = max(end, ticks + (packet.duration or 0))
        except av.FFmpegError as e:
            raise UserError(f"{source}: cannot be decoded ({e.strerror}); {REPAIR}") from None
        start, last, end = (float(ticks * stream.time_base) for ticks in (start, last, end))
        if promise := pictures.broken_promise(source, container, stream, end, end / max(whole, 1), damaged):
            raise UserError(
                f"{source}: cut off: {promise}, but the file holds {whole} whole frames "
                f"({end:.2f} s); copy or download it again"
            )
        size = _upright(first) if first else (0, 0)
        return Info(shown if first else 0, _rate(_nominal(stream), shown, last - start), *size)


def _nominal(stream: av.VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or PICTURE_FPS)


def _rate(nominal: float, frames: int, seconds: float) -> float:
    """Frames per second: what the header says, unless the time stamps say otherwise by over 2 %."""
    if frames < 2 or seconds <= 0:
        return nominal
    measured = (frames - 1) / seconds
    return nominal if abs(nominal - measured) <= 0.02 * measured else measured


def _turns(frame: av.VideoFrame) -> int:
    """Quarter turns anticlockwise that set the frame upright."""
    return round(frame.rotation / 90) % 4


def _upright(frame: av.VideoFrame) -> tuple[int, int]:
    return (frame.height, frame.width) if _turns(frame) % 2 else (frame.width, frame.height)


def frames(
    source: Path,
    color: Color,
    threads: int = 1,
    *,
    first: int = 0,
    end: int | None = None,
    fps: float | None = None,
    max_side: int | None = None,
) -> Iterator[Converted]:
    """Yields (number in the source, seconds, picture): uint8 [H, W] gray or [H, W, 3] rgb, upright.

    The source frames [first, end) (end None: to the last one), resampled to `fps` and shrunk to
    `max_side` where given, as `extract` does; the array of a repeated frame is the same object.
    Raises UserError as `extract` does.
    """
    _, decoded = _decode(source, color, threads, first, end)
    yield from _convert(_resample(decoded, fps), color, max_side)


def extract(
    stem: Path, source: Path, first: int, end: int, params: ExtractParams, *, threads: int = 1
) -> None:
    """Decodes the source frames [first, end) into <stem>.npy with its card, and <stem>.parquet.

    The array is uint8 [T, H, W] gray or [T, H, W, 3] rgb. The card holds `fps` and `color` of the
    extracted frames, `source_width` and `source_height` (upright), and `scale_x`, `scale_y`, by which
    source pixels are multiplied. The table has a row per extracted frame: `source_frame` int32 and
    `seconds` float64, the time of that source frame. Pixels are held one frame at a time.

    Resampling follows time stamps: extracted frame k is the latest source frame not later than k / fps
    after the first used one, up to the last used one; a rate above the source's repeats frames.

    Raises UserError if decoding fails or meets a damaged frame, if there are fewer frames than `end`
    or fewer than two result, if the size changes on the way, or a picture cannot be decoded.
    """
    cv2.setNumThreads(threads)
    nominal, decoded = _decode(source, params.color, threads, first, end)
    chosen = _resample(decoded, params.fps)
    head = next(chosen)
    width, height = _upright(head[2])
    converted = _convert(chain([head], chosen), params.color, params.max_side)
    head = next(converted)
    h, w = head[2].shape[:2]
    card = {"source_width": width, "source_height": height, "scale_x": w / width, "scale_y": h / height}
    numbers, times = array("i"), array("d")
    with arrays.ArrayWriter(stem, head[2].shape, np.uint8, color=params.color, **card) as writer:
        for number, seconds, picture in chain([head], converted):
            writer.append(picture)
            numbers.append(number)
            times.append(seconds)
        if len(times) < 2:
            raise UserError(
                f"{source}: frames [{first}, {end}) at extract.fps = {params.fps} give {len(times)} frame; "
                "a clip needs at least 2"
            )
        table = {"source_frame": np.array(numbers, np.int32), "seconds": np.array(times, np.float64)}
        tables.write_table(stem, pd.DataFrame(table))
        writer.card["fps"] = params.fps or _rate(nominal, len(times), times[-1] - times[0])


def _decode(
    source: Path, color: Color, threads: int, first: int, end: int | None
) -> tuple[float, Iterator[Decoded]]:
    """(nominal frames per second, the frames [first, end) as decoded)."""
    if end is not None and not 0 <= first < end:
        raise UserError(f"{source}: the frames [{first}, {end}) are none; a clip needs at least 2")
    if source.is_dir():
        return PICTURE_FPS, pictures.decode_pictures(source, color, first, end)
    container, stream = pictures.open_video(source)
    stream.codec_context.thread_count = threads
    stream.thread_type = "AUTO"
    return _nominal(stream), _decode_video(source, container, stream, first, end)


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
                        raise UserError(f"{source}: frame {number}{of} is damaged; {REPAIR}")
                    if (frame.width, frame.height) != size:
                        raise UserError(
                            f"{source}: frame {number} has {frame.width}x{frame.height} pixels, but frame "
                            f"{first} has {size[0]}x{size[1]}; split the video there, or scale it"
                        )
                    yield number, seconds, frame
                number += 1
                if number == end:
                    return
        except av.FFmpegError as e:
            message = f"decoding fails at frame {number}{of} ({e.strerror})"
            raise UserError(f"{source}: {message}; {REPAIR}") from None
    if number <= first or end is not None:
        wanted = f"from {first} on" if end is None else f"[{first}, {end})"
        raise UserError(f"{source}: frames {wanted} wanted, but only {number} could be decoded; {REPAIR}")


def _timed(container: InputContainer, stream: av.VideoStream) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames in display order with seconds since the first one, which never go back; where there is no
    time stamp, a frame follows the last by the average frame interval."""
    start, last, interval = None, 0.0, 1 / _nominal(stream)
    avi, paces = container.format.name == "avi", deque()  # AVI: times of decoding, in order, serve
    for packet in container.demux(stream):
        if packet.size and avi:
            paces.append(packet.dts)
        for frame in packet.decode():
            ticks = frame.pts if not avi else paces.popleft() if paces else None
            if start is None:
                start = ticks or 0
            elif ticks is None:
                last += interval
            else:
                last = max(last, float((ticks - start) * stream.time_base))
            yield last, frame


def _resample(decoded: Iterator[Decoded], fps: float | None) -> Iterator[Decoded]:
    """For k = 0, 1, …: the latest frame not later than k / fps after the first, up to the last one."""
    if fps is None:
        yield from decoded
        return
    k, held = 0, next(decoded)
    start = held[1]
    for item in decoded:
        while k / fps + SLACK < item[1] - start:
            yield held
            k += 1
        held = item
    while k / fps <= held[1] - start + SLACK:
        yield held
        k += 1


def _convert(chosen: Iterator[Decoded], color: Color, max_side: int | None) -> Iterator[Converted]:
    """Frames as arrays: scaled by area, in full range and in colour or gray, upright."""
    swscale = VideoReformatter()  # keeps its tables from frame to frame
    before, picture = None, None
    for number, seconds, frame in chosen:
        if frame is not before:
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
            # a copy, since this may be a view of the decoder's own memory
            picture = np.array(np.rot90(scaled.to_ndarray(), _turns(frame)), order="C")
            before = frame
        yield number, seconds, picture


def _to_yuv420p(frame: np.ndarray) -> av.VideoFrame:
    if frame.ndim == 3:
        return av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.SMPTE170M, dst_color_range=ColorRange.MPEG
        )
    height, width = frame.shape
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = TO_LIMITED[frame]
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")
