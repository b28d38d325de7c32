"""Probes a video file: by its packets where each is a frame, otherwise by decoding it."""

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from vad import UserError
from vad.footage import video
from vad.footage.clock import are_gaps, footage_rate, measured_rate
from vad.footage.info import Info, Note
from vad.footage.video_reader import VideoReader
from vad.store.manifest import describe_gap

TRIAL = 20  # packets that are decoded in any case
HIDDEN_STEP = 0.25  # of the median step: a packet that comes sooner after another may not be a frame
PROGRESSIVE = (0, 1)  # values of `field_order` without field pairs: unknown, and progressive


@dataclass
class _Packets:
    """Summary of the packets of a video.

    Attributes:
        first: the first decoded frame; None if there is none.
        tried: number of packets that were decoded on trial.
        trial_frames: number of frames that came out.
        whole: number of packets that are not cut off.
        shown: number of packets that are displayed, as far as packets are frames.
        corrupt: number of packets in which data is missing.
        last_is_cut: whether the last packet is cut off.
        stamps: time stamps of the displayed packets that have one, in ticks of the stream.
        goes_back: whether decoding times go back.
        end: time stamp at which the display of the last packet ends, in ticks.
    """

    first: av.VideoFrame | None = None
    tried: int = 0
    trial_frames: int = 0
    whole: int = 0
    shown: int = 0
    corrupt: int = 0
    last_is_cut: bool = False
    stamps: "array[int]" = field(default_factory=lambda: array("q"))
    goes_back: bool = False
    end: int = 0

    def steps(self) -> np.ndarray:
        """The steps between time stamps in ascending order, in ticks, int64 [N - 1]."""
        return np.diff(np.sort(np.array(self.stamps, np.int64)))

    def are_frames(self) -> bool:
        """Whether there is no sign that a packet is half a frame, is not displayed, or has a wrong time."""
        if self.tried != self.trial_frames or self.corrupt or self.goes_back:
            return False
        if len(self.stamps) < self.shown:
            return False
        steps = self.steps()
        return not len(steps) or bool(steps.min() >= HIDDEN_STEP * np.median(steps))


def probe_video(source: Path) -> Info:
    """Probes a video file.

    Packets are counted, and only the first are decoded. The whole file is decoded if packets may not be
    frames or are marked as damaged, or if time stamps are missing, restart or have gaps: field pairs take two
    packets, some codecs have frames that are never shown, and a recording may begin with pictures that refer
    to missing ones.

    Args:
        source: the file.

    Raises:
        UserError: if the file is missing, empty, a Git-LFS pointer, not a video, cut off or damaged.
    """
    container, stream = video.open_video(source)
    with container:
        notes = list(_other_streams(container, stream))
        nominal_rate, tick = video.nominal_rate(stream), video.tick(stream)
        try:
            packets = _read_packets(container, stream)
        except av.FFmpegError as e:
            raise UserError(f"{source}: cannot be decoded ({e.strerror}); {video.REPAIR}") from None
        end = float(packets.end * tick)
        interval = end / max(packets.whole, 1)
        signs = _signs_of_truncation(source, container, stream, end, interval, packets.last_is_cut)
        if sign := next(signs, None):
            raise UserError(
                f"{source}: cut off: {sign}, but the file holds {packets.whole} whole frames "
                f"({end:.2f} s); copy or download it again"
            )
        is_progressive = stream.codec_context.field_order in PROGRESSIVE
    if packets.first is not None and is_progressive and packets.are_frames():
        ticks = max(packets.stamps, default=0) - min(packets.stamps, default=0)
        if not are_gaps(packets.steps() * float(tick)).any():
            rate = measured_rate(nominal_rate, packets.shown, float(ticks * tick))
            return Info(packets.shown, rate, *video.upright_size(packets.first), tuple(notes))
    return _decode_all(source, packets.shown, notes)


def _decode_all(source: Path, packets: int, notes: list[Note]) -> Info:
    """Probes a video by decoding it.

    Args:
        source: the file.
        packets: number of packets that would be shown.
        notes: about the source so far.
    """
    reader = VideoReader(source)
    width = height = 0
    first = 0, 0
    gaps: list[tuple[int, float]] = []
    for number, (_, gap, frame) in enumerate(reader):
        if number == 0:
            width, height = video.upright_size(frame)
            first = frame.width, frame.height
        video.refuse_other_size(source, number, frame, 0, first)
        if gap:
            gaps.append((number, gap))
    reader.refuse_damage()
    times = np.array(reader.seconds, np.float64)
    if gaps:
        number, gap = gaps[0]
        more = f", {len(gaps)} gaps in all" if len(gaps) > 1 else ""
        notes.append(Note("gaps in time stamps", f"{describe_gap(gap)} before frame {number}{more}"))
    if len(times) != packets:
        notes.append(
            Note(
                "packets that are not frames (field pairs, hidden pictures, the open start of a recording)",
                f"{packets} packets, {len(times)} frames",
            )
        )
    rate = footage_rate(reader.nominal_rate, times)
    return Info(len(times), rate, width, height, tuple(notes))


def _other_streams(container: InputContainer, stream: av.VideoStream) -> Iterator[Note]:
    """Yields a note if the file has further video streams; cover pictures do not count."""
    others = [s for s in video.video_streams(container) if s.index != stream.index]
    if others:
        sizes = ", ".join(f"{s.codec_context.width}x{s.codec_context.height}" for s in others)
        yield Note(
            "further video streams are not read",
            f"read: stream {stream.index}, {stream.codec_context.width}x{stream.codec_context.height}; "
            f"not read: {sizes}",
        )


def _read_packets(container: InputContainer, stream: av.VideoStream) -> _Packets:
    packets = _Packets()
    is_avi = video.is_avi(container)
    decoding_time = -math.inf
    flushed = False
    for packet in container.demux(stream):
        frames: list[av.VideoFrame] = []
        if packet.size and packets.tried < TRIAL:
            frames = _try(packet.decode)
            packets.tried += not packet.is_discard
        elif not flushed:
            flushed = True
            frames = _try(lambda: stream.codec_context.decode(None))  # what the decoder still holds
        packets.first = packets.first or next(iter(frames), None)
        packets.trial_frames += len(frames)
        if not packet.size:  # an empty packet marks the end of the stream
            continue
        packets.last_is_cut = packet.is_corrupt
        packets.whole += not packet.is_corrupt
        packets.corrupt += packet.is_corrupt
        if packet.dts is not None:
            packets.goes_back |= packet.dts < decoding_time
            decoding_time = packet.dts
        if packet.is_discard:  # outside the edit list of an MP4: decoded but not displayed
            continue
        packets.shown += 1
        ticks = packet.dts if is_avi else packet.pts
        if ticks is not None:
            packets.stamps.append(ticks)
            packets.end = max(packets.end, ticks + (packet.duration or 0))
    return packets


def _try(decode: Callable[[], list[av.VideoFrame]]) -> list[av.VideoFrame]:
    """The decoded frames; [] if decoding fails."""
    try:
        return decode()
    except av.FFmpegError:
        return []


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
    elif "mxf" in container.format.name and stream.duration:
        seconds = float(stream.duration * video.tick(stream))
    elif container.format.name == "flv" and len(container.streams) == 1 and container.duration:
        seconds = container.duration / av.time_base  # of all streams, and sound may be longer
    if seconds > end + 2 * interval:  # two frames of tolerance for rounded durations
        yield f"its header promises {seconds:.2f} s"
    if last_is_cut:
        yield "it ends in the middle of a frame"
