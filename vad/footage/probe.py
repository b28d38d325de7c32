"""Probes a source without decoding it: number of frames, frame rate, size; and hashes its content."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer

from vad import UserError
from vad.footage import picture_names, video
from vad.footage.picture_headers import check_bits, read_headers
from vad.footage.pictures import DEFAULT_FORMAT, PictureFormat, need_pictures
from vad.store import digests
from vad.store.placeholders import refuse_placeholder

BLOCK = 1 << 20  # bytes that are read at a time


class Note(NamedTuple):
    """What a user should know about a source although it can be read.

    Attributes:
        kind: the same words for all sources of which this is true, so that they are counted in one line.
        detail: what is true of this source; may be empty.
    """

    kind: str
    detail: str = ""


@dataclass(frozen=True)
class Info:
    """Properties of a source.

    Attributes:
        frames: number of frames.
        fps: frames per second, on average.
        width: of a frame set upright, in pixels.
        height: of a frame set upright, in pixels.
        notes: what a user should know.
    """

    frames: int
    fps: float
    width: int
    height: int
    notes: tuple[Note, ...] = ()


def probe(source: Path, pictures: PictureFormat = DEFAULT_FORMAT) -> Info:
    """Probes a video file or a folder of pictures.

    Of a video, the packets are counted and only the first frame is decoded; of pictures, only the headers
    are read, and a sample of 16-bit pictures.

    Args:
        source: a video file or a folder of pictures.
        pictures: frame rate and bits of a folder of pictures.

    Raises:
        UserError: if the source is missing, empty, a Git-LFS pointer, not a video, or cut off, or has fewer
            than two frames; for pictures of different sizes, of several pages or of a type without a known
            black and white, 16-bit pictures that need data.bits, and masks beside their frames.
    """
    info = _probe_pictures(source, pictures) if source.is_dir() else _probe_video(source)
    if (n := info.frames) < 2:
        raise UserError(f"{source}: holds {n} frame{'s' * (n != 1)}; a clip needs at least 2")
    return info


def hash_source(source: Path) -> str:
    """Content hash of a source: the bytes of a video, or names, sizes and bytes of the pictures in order.

    Raises:
        UserError: if a file is missing, empty or a Git-LFS pointer, or the folder has no pictures.
    """
    hasher = digests.new()
    is_folder = source.is_dir()
    for path in need_pictures(source) if is_folder else [source]:
        refuse_placeholder(path)
        if is_folder:
            hasher.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                hasher.update(block)
    return hasher.hexdigest()


def _probe_pictures(folder: Path, pictures: PictureFormat) -> Info:
    paths = need_pictures(folder)
    names = picture_names.split_names(paths)
    picture_names.refuse_pairs(names)
    headers = read_headers(paths)
    deep = [path for path, header in zip(paths, headers, strict=True) if header.deep]
    findings = {
        "several series of pictures in a folder are taken as one clip, one after the other": (
            picture_names.several_series(names)
        ),
        "numbers of pictures have gaps, but frames are counted by position, so labels by file number shift": (
            picture_names.gaps(names)
        ),
        "values of 16-bit pictures above data.bits become white": check_bits(deep, pictures.bits),
    }
    notes = tuple(Note(kind, detail) for kind, detail in findings.items() if detail is not None)
    return Info(len(paths), pictures.fps, headers[0].width, headers[0].height, notes)


@dataclass
class _Packets:
    """Summary of the packets of a video.

    Attributes:
        first: the first decoded frame; None if there is none.
        whole: number of packets that are not cut off.
        shown: number of packets that are displayed.
        last_is_cut: whether the last packet is cut off.
        start: time stamp of the first displayed frame, in ticks of the stream.
        last: time stamp of the last displayed frame, in ticks.
        end: time stamp at which its display ends, in ticks.
    """

    first: av.VideoFrame | None = None
    whole: int = 0
    shown: int = 0
    last_is_cut: bool = False
    start: float = math.inf
    last: int = 0
    end: int = 0


def _probe_video(source: Path) -> Info:
    container, stream = video.open_video(source)
    with container:
        try:
            packets = _read_packets(container, stream)
        except av.FFmpegError as e:
            raise UserError(f"{source}: cannot be decoded ({e.strerror}); {video.REPAIR}") from None
        start, last, end = (
            float(ticks * video.tick(stream)) for ticks in (packets.start, packets.last, packets.end)
        )
        interval = end / max(packets.whole, 1)
        signs = _signs_of_truncation(source, container, stream, end, interval, packets.last_is_cut)
        if sign := next(signs, None):
            raise UserError(
                f"{source}: cut off: {sign}, but the file holds {packets.whole} whole frames "
                f"({end:.2f} s); copy or download it again"
            )
        if packets.first is None:
            return Info(0, video.nominal_rate(stream), 0, 0)
        rate = video.measured_rate(video.nominal_rate(stream), packets.shown, last - start)
        return Info(packets.shown, rate, *video.upright_size(packets.first))


def _read_packets(container: InputContainer, stream: av.VideoStream) -> _Packets:
    packets = _Packets()
    for packet in container.demux(stream):
        if packets.first is None:
            packets.first = next(iter(packet.decode()), None)
        if not packet.size:  # an empty packet marks the end of the stream
            continue
        packets.last_is_cut = packet.is_corrupt
        packets.whole += not packet.is_corrupt
        if packet.is_discard:  # outside the edit list of an MP4: decoded but not displayed
            continue
        packets.shown += 1
        ticks = packet.dts if video.is_avi(container) else packet.pts
        if ticks is not None:
            packets.start = min(packets.start, ticks)
            packets.last = max(packets.last, ticks)
            packets.end = max(packets.end, ticks + (packet.duration or 0))
    return packets


def _signs_of_truncation(
    source: Path,
    container: InputContainer,
    stream: av.VideoStream,
    end: float,
    interval: float,
    last_is_cut: bool,
) -> Iterator[str]:
    """Yields what shows that a file is cut off: mainly content that its header announces and it lacks.

    Args:
        source: the file.
        container: the opened file.
        stream: the video stream.
        end: time at which the last packet ends, in seconds.
        interval: seconds per frame.
        last_is_cut: whether the last packet is cut off.
    """
    # the index of an MP4 says where each packet ends; the number of frames may differ due to an edit list
    if "mp4" in container.format.name:
        size = source.stat().st_size
        if any(entry.pos + entry.size > size for entry in stream.index_entries):
            yield f"its header promises {stream.frames or len(stream.index_entries)} frames"
    seconds = 0.0
    if video.is_avi(container) and stream.average_rate:
        seconds = float(stream.frames / stream.average_rate)
    elif "DURATION" in stream.metadata:  # a tag that most programs write to Matroska files
        h, m, s = stream.metadata["DURATION"].split(":")
        seconds = 3600 * int(h) + 60 * int(m) + float(s)
    if seconds > end + 2 * interval:  # two frames of tolerance for rounded durations
        yield f"its header promises {seconds:.2f} s"
    if last_is_cut:
        yield "it ends in the middle of a frame"
