"""What a source holds, without decoding it: frames, rate, size; and a hash of its content."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer

from vad import UserError
from vad.footage import pictures, video
from vad.store import digests
from vad.store.placeholders import refuse_placeholder

BLOCK = 1 << 20  # bytes that are read at a time


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

    Raises:
        UserError: if the source is missing, empty, a Git-LFS pointer, no video, cut off, holds fewer than two
            frames, or pictures of several sizes.
    """
    if source.is_dir():
        paths = pictures.need_pictures(source)
        info = Info(len(paths), pictures.PICTURE_FPS, *pictures.common_size(paths))
    else:
        info = _probe_video(source)
    if (n := info.frames) < 2:
        raise UserError(f"{source}: holds {n} frame{'s' * (n != 1)}; a clip needs at least 2")
    return info


def hash_source(source: Path) -> str:
    """Content hash: of a file, its bytes; of a folder, the names and bytes of its pictures in order.

    Raises:
        UserError: if a file is missing, empty or a Git-LFS pointer, or the folder has no pictures.
    """
    hasher = digests.new()
    is_folder = source.is_dir()
    for path in pictures.need_pictures(source) if is_folder else [source]:
        refuse_placeholder(path)
        if is_folder:
            hasher.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                hasher.update(block)
    return hasher.hexdigest()


@dataclass
class _Packets:
    """What the packets of a video say; times are time stamps in ticks of the stream."""

    first: av.VideoFrame | None = None
    whole: int = 0  # packets that are not cut off
    shown: int = 0  # of them, those that are displayed
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
        step = end / max(packets.whole, 1)
        faults = _broken_promises(source, container, stream, end, step, packets.last_is_cut)
        if fault := next(faults, None):
            raise UserError(
                f"{source}: cut off: {fault}, but the file holds {packets.whole} whole frames "
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
        if not packet.size:  # the mark of the end
            continue
        packets.last_is_cut = packet.is_corrupt
        packets.whole += not packet.is_corrupt
        if packet.is_discard:  # outside the edit list: decoded, never shown
            continue
        packets.shown += 1
        ticks = packet.dts if video.is_avi(container) else packet.pts
        if ticks is not None:
            packets.start = min(packets.start, ticks)
            packets.last = max(packets.last, ticks)
            packets.end = max(packets.end, ticks + (packet.duration or 0))
    return packets


def _broken_promises(
    source: Path,
    container: InputContainer,
    stream: av.VideoStream,
    end: float,
    step: float,
    last_is_cut: bool,
) -> Iterator[str]:
    """What the header of a video says and its packets do not keep.

    Args:
        source: the file.
        container: the opened file.
        stream: its video.
        end: seconds up to which there are packets.
        step: seconds per frame.
        last_is_cut: whether the file ends in the middle of a packet.
    """
    if "mp4" in container.format.name:  # a count may differ by an edit list, the index cannot lie
        size = source.stat().st_size
        if any(entry.pos + entry.size > size for entry in stream.index_entries):
            yield f"its header promises {stream.frames or len(stream.index_entries)} frames"
    seconds = 0.0
    if video.is_avi(container) and stream.average_rate:
        seconds = float(stream.frames / stream.average_rate)
    elif "DURATION" in stream.metadata:  # Matroska, as most programs write it
        h, m, s = stream.metadata["DURATION"].split(":")
        seconds = 3600 * int(h) + 60 * int(m) + float(s)
    if seconds > end + 2 * step:
        yield f"its header promises {seconds:.2f} s"
    if last_is_cut:
        yield "it ends in the middle of a frame"
