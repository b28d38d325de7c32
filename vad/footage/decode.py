"""Decodes frames of a video or a folder of pictures, optionally at another frame rate and size.

Gray is luma in the full range 0..255, whatever the range in which a video is coded. The luma of a video is
used as coded, so the weights of red, green and blue are those of the video (BT.601; mostly BT.709 for HD).
Pictures and RGB-coded videos are converted with the weights of BT.601. The two differ only for saturated
colours. A single call of swscale does scaling, range and colour, for videos and pictures alike.

Frames are numbered from 0 in display order; times are in seconds from the first frame of the source.

    decode -> Resample -> Convert      a generator and two processors; `frames` runs all three
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vad import UserError
from vad.footage import video
from vad.footage.pictures import (
    DEFAULT_FORMAT,
    Color,
    PictureFormat,
    need_pictures,
    read_picture,
    refuse_other_size,
)
from vad.footage.video_reader import VideoReader
from vad.stream import Frame, Processor, results

# Matroska and FLV round times to milliseconds, so a frame up to this much too late counts as on time
SLACK = 1.1e-3  # seconds
LONGEST_GAP = 2.0  # seconds; a longer gap in the times of a camera is not filled with repeated frames
# numbers of matrices in headers (ITU-T H.273) that swscale knows: RGB, BT.709, unspecified, FCC, BT.601,
# again BT.601, SMPTE 240M, BT.2020
MATRICES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
BT2020_CL = 10  # BT.2020 with constant luminance, for which the matrix of BT.2020 is near enough


class Decoded(NamedTuple):
    """A frame as decoded: in the size, pixel format and orientation of the source.

    Attributes:
        number: index of the frame in its source.
        seconds: time since the first frame of the source.
        frame: PyAV's frame.
        gap: that in the time stamps before the frame, in seconds (`clock.Clock.time`).
    """

    number: int
    seconds: float
    frame: av.VideoFrame
    gap: float = 0.0


def frames(
    source: Path,
    color: Color,
    threads: int = 1,
    *,
    first: int = 0,
    end: int | None = None,
    fps: float | None = None,
    max_side: int | None = None,
    pictures: PictureFormat = DEFAULT_FORMAT,
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
        pictures: frame rate and bits of a folder of pictures.

    Yields:
        The frames in order. Where resampling repeats a frame, `pixels` is the same object again.

    Raises:
        UserError: if decoding fails, a frame is damaged, a picture cannot be decoded, the source has fewer
            frames than `end`, or the frame size changes.
    """
    _, decoded = decode(source, color, threads, first, end, pictures)
    yield from results(Convert(color, max_side), results(Resample(fps), decoded))


def decode(
    source: Path,
    color: Color,
    threads: int,
    first: int,
    end: int | None,
    pictures: PictureFormat = DEFAULT_FORMAT,
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
        return pictures.fps, decode_pictures(source, color, first, end, pictures)
    reader = VideoReader(source, threads)
    return reader.nominal_rate, _decode_video(source, reader, first, end)


def decode_pictures(
    folder: Path, color: Color, first: int, end: int | None, pictures: PictureFormat = DEFAULT_FORMAT
) -> Iterator[Decoded]:
    """Decodes the pictures of a folder as video frames in full range.

    Args:
        folder: of the pictures, in natural order.
        color: gray or RGB.
        first: number of the first picture.
        end: number after the last picture; None for all.
        pictures: frame rate and bits.

    Raises:
        UserError: if there are fewer pictures, or a picture cannot be decoded or differs in size.
    """
    paths = need_pictures(folder)
    last = len(paths) if end is None else end
    if not 0 <= first < last <= len(paths):
        raise UserError(f"{folder}: pictures [{first}, {last}) wanted, but it holds {len(paths)}")
    size = None
    for number in range(first, last):
        picture = read_picture(paths[number], color, pictures.bits)
        height, width = picture.shape[:2]
        size = size or (width, height)
        refuse_other_size(paths[number], (width, height), paths[first], size)
        yield from_array(number, number / pictures.fps, picture)


def from_array(number: int, seconds: float, pixels: np.ndarray) -> Decoded:
    """Makes an array a decoded frame, for sources that deliver arrays.

    Args:
        number: index of the frame in its source.
        seconds: time since the first frame of the source.
        pixels: uint8 [H, W] gray (full-range luma) or [H, W, 3] RGB, upright; copied.

    Raises:
        ValueError: if the array has another shape or type.
    """
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(
            f"frame {number}: expected uint8 [H, W] or [H, W, 3], got {pixels.dtype} {list(pixels.shape)}"
        )
    frame = av.VideoFrame.from_ndarray(pixels, format="gray" if pixels.ndim == 2 else "rgb24")
    frame.color_range = ColorRange.JPEG
    return Decoded(number, seconds, frame)


def _decode_video(source: Path, reader: VideoReader, first: int, end: int | None) -> Iterator[Decoded]:
    number, size = 0, None
    for seconds, gap, frame in reader:
        if number >= first:
            size = size or (frame.width, frame.height)
            video.refuse_other_size(source, number, frame, first, size)
            yield Decoded(number, seconds, frame, gap)
        number += 1
        if number == end:
            break
    reader.refuse_damage(first)
    if number <= first or (end is not None and number < end):
        wanted = f"from {first} on" if end is None else f"[{first}, {end})"
        raise UserError(
            f"{source}: frames {wanted} wanted, but only {number} could be decoded; {video.REPAIR}"
        )


class Resample(Processor[Decoded, Decoded]):
    """Resamples frames to a constant rate by their time stamps.

    The k-th result is the latest frame that is at most k / fps seconds after the first, for all k up to the
    time of the last frame. A rate above that of the source repeats frames. So a frame has no result, one or
    several, and `lookahead` counts frames of the source. No frame is repeated over a gap of more than
    LONGEST_GAP, since a momentary anomaly would become a lasting one: times are counted anew from the frame
    after the gap, and likewise where the times of a camera go back.

    Args:
        fps: frames per second; None keeps every frame.
    """

    def __init__(self, fps: float | None):
        self.fps = fps
        self.lookahead = 0 if fps is None else 1
        self._current: Decoded | None = None
        self._start = 0.0
        self._number = 0  # of the next result

    def process(self, item: Decoded) -> list[Decoded]:
        if self.fps is None:
            return [item]
        out: list[Decoded] = []
        if self._current is not None and not 0 <= item.seconds - self._current.seconds <= LONGEST_GAP:
            out = self.finish()
            self._current = None
        if self._current is None:
            self._start, self._number = item.seconds, 0
        else:
            while self._number / self.fps + SLACK < item.seconds - self._start:
                out.append(self._current)
                self._number += 1
        self._current = item
        return out

    def finish(self) -> list[Decoded]:
        out: list[Decoded] = []
        if self.fps is not None and self._current is not None:
            while self._number / self.fps <= self._current.seconds - self._start + SLACK:
                out.append(self._current)
                self._number += 1
        return out


class Convert(Processor[Decoded, Frame]):
    """Converts frames to arrays: scaled by area averaging, in full range, gray or RGB, set upright.

    Args:
        color: gray or RGB.
        max_side: length in pixels to which the longer side is reduced; None keeps the size.
    """

    def __init__(self, color: Color, max_side: int | None):
        self.max_side = max_side
        self._format = "gray" if color == "gray" else "rgb24"
        self._swscale = VideoReformatter()  # a single object, which reuses its tables for all frames
        self._previous: av.VideoFrame | None = None
        self._rotation: int | None = None
        self._orientation = video.Orientation()
        self._pixels = np.empty(0, np.uint8)

    def process(self, item: Decoded) -> list[Frame]:
        frame = item.frame
        if frame is not self._previous:  # otherwise resampling has repeated it
            scale = min(1.0, (self.max_side or math.inf) / max(frame.width, frame.height))
            scaled = self._swscale.reformat(
                frame,
                max(1, round(frame.width * scale)),
                max(1, round(frame.height * scale)),
                self._format,
                interpolation=Interpolation.AREA,
                src_colorspace=(matrix := self._matrix(frame)),
                dst_colorspace=matrix,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            )
            if frame.rotation != self._rotation:
                self._rotation, self._orientation = frame.rotation, video.orientation(frame)
            # copied, because the array may be a view of memory that the decoder reuses
            self._pixels = np.array(self._orientation.apply(scaled.to_ndarray()), order="C")
            self._previous = frame
        return [Frame(item.number, item.seconds, self._pixels)]

    def _matrix(self, frame: av.VideoFrame) -> Colorspace | None:
        """The matrix between luma and RGB; None for that in the header."""
        # for gray the same one for all videos, or swscale would convert luma to that of another matrix
        if self._format == "gray":
            return Colorspace.ITU601
        if frame.colorspace in MATRICES:
            return None
        return Colorspace.BT2020 if frame.colorspace == BT2020_CL else Colorspace.ITU601
