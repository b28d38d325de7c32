"""Reads the frames of a video file: decoded, timed, and with an account of what is damaged."""

import math
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import av
from av.codec.context import Flags

from vad import UserError
from vad.footage import video
from vad.footage.clock import Clock
from vad.store.intervals import Intervals

# A demuxer of MPEG transport streams marks a packet when data before the packet after the next is missing. If
# that one begins with a key frame, recordings were joined there, and nothing is missing.
MARK_TO_JOIN = 2  # packets
TRIAL = 20  # packets by which it is decided whether there are display times
LEADING = 16  # frames after a restart of the clock that may refer to frames of a recording's missing start


class TimedFrame(NamedTuple):
    """A decoded frame.

    Attributes:
        seconds: time since the first frame.
        gap: that in the time stamps before the frame, in seconds (`clock.Clock.time`).
        frame: PyAV's frame.
    """

    seconds: float
    gap: float
    frame: av.VideoFrame


class VideoReader:
    """The frames of a video in display order; iterate over them once.

    Damage does not end the iteration: frames that a decoder patched up, or whose packets were damaged, come
    like others, so that all of it can be counted. Frames before the first that can be decoded whole are the
    open start of a recording: they are left out and no damage. So it is where recordings are joined.

    Args:
        source: the file.
        threads: of the decoder; 0 for as many as it likes.

    Raises:
        UserError: as `video.open_video`; during iteration, if the file cannot be read on.

    Attributes:
        nominal_rate: frames per second according to the header.
        seconds: times of the frames so far.
    """

    def __init__(self, source: Path, threads: int = 0):
        self.source = source
        self._container, self._stream = video.open_video(source)
        context = self._stream.codec_context
        context.thread_count = threads
        context.copy_opaque = True  # so that the mark of a damaged packet reaches its frame
        context.flags |= Flags.output_corrupt  # or frames after a lost key frame would silently be missing
        self._stream.thread_type = "AUTO"
        self.nominal_rate = video.nominal_rate(self._stream)
        self.seconds = array("d")
        self._key_frames = array("q")  # their numbers
        self._damaged = array("q")  # numbers of frames at which damage begins
        self._marked: dict[int, int] = {}  # number of a packet marked as damaged -> number of its frame
        self._packets = 0
        self._ended = False

    def __iter__(self) -> Iterator[TimedFrame]:
        clock = Clock(video.tick(self._stream), 1 / self.nominal_rate)
        decoding_times: deque[int | None] = deque()
        open_start = math.inf  # frames until it is over at the latest
        with self._container:
            packets = self._demux()
            first = list(islice(packets, TRIAL))
            by_decoding_times = self._has_decoding_times_alone(first)
            for packet in chain(first, packets):
                if packet.size and by_decoding_times:
                    decoding_times.append(packet.dts)
                for frame in self._decode(packet):
                    stamp = frame.pts
                    if by_decoding_times:
                        stamp = decoding_times.popleft() if decoding_times else None
                    if clock.restarts(stamp):
                        open_start = LEADING
                    open_start -= 1
                    if open_start > 0 and frame.is_corrupt and not frame.key_frame:
                        continue
                    if open_start == math.inf:
                        open_start = 0
                    seconds, gap = clock.time(stamp)
                    self._note(frame)
                    self.seconds.append(seconds)
                    yield TimedFrame(seconds, gap, frame)
        self._ended = True

    def _has_decoding_times_alone(self, packets: Sequence["av.Packet[av.VideoStream]"]) -> bool:
        """Whether the file stores no display times (AVI, most ASF and MXF).

        Its decoding times, taken in order, then replace them.

        Args:
            packets: the first ones.
        """
        name = self._container.format.name
        if name not in ("asf", "mxf", "mxf_opatom"):
            return video.is_avi(self._container)
        stamps = [packet.pts for packet in packets if packet.size and packet.pts is not None]
        return bool(self._stream.codec_context.has_b_frames) and stamps == sorted(stamps)

    def _demux(self) -> Iterator["av.Packet[av.VideoStream]"]:
        try:
            yield from self._container.demux(self._stream)
        except av.FFmpegError as e:
            raise UserError(
                f"{self.source}: reading fails after frame {len(self.seconds)} ({e.strerror}); {video.REPAIR}"
            ) from None

    def _decode(self, packet: "av.Packet[av.VideoStream]") -> list[av.VideoFrame]:
        number = self._packets
        if packet.size:
            self._packets += 1
            if packet.is_keyframe:
                self._marked.pop(number - MARK_TO_JOIN, None)
            if packet.is_corrupt:
                self._marked[number] = len(self.seconds)
                packet.opaque = number
        try:
            return packet.decode()
        except (av.error.PermissionError, av.error.PatchWelcomeError):
            return []  # headers instead of a frame, where Ogg files are joined
        except av.FFmpegError:
            if self.seconds:
                self._damaged.append(len(self.seconds))
            return []

    def _note(self, frame: av.VideoFrame) -> None:
        number = len(self.seconds)
        if frame.key_frame:
            self._key_frames.append(number)
        if frame.is_corrupt:
            self._damaged.append(number)
        if frame.opaque in self._marked:
            self._marked[frame.opaque] = number

    def damage(self) -> Intervals:
        """The damaged frames so far, from each damage to the next key frame; sorted, without overlap.

        An interval is empty where the last packet cannot be decoded, as it has no frame.
        """
        # whether the latest marks are those of a join is not known yet
        known = [
            n for packet, n in self._marked.items() if self._ended or packet + MARK_TO_JOIN < self._packets
        ]
        intervals: Intervals = []
        for start in sorted([*self._damaged, *known]):
            if intervals and start < intervals[-1][1]:
                continue
            following = bisect_right(self._key_frames, start)
            end = self._key_frames[following] if following < len(self._key_frames) else len(self.seconds)
            if intervals and start == intervals[-1][1]:
                intervals[-1] = (intervals[-1][0], end)
            else:
                intervals.append((start, end))
        return intervals

    def refuse_damage(self, first: int = 0) -> None:
        """Refuses damage among the frames so far.

        Args:
            first: number of the first frame that matters.

        Raises:
            UserError: saying how many frames are damaged, from when to when.
        """
        damage = [
            (max(start, first), end) for start, end in self.damage() if end > first or start == end > first
        ]
        if not damage:
            return
        start, end = damage[0][0], max(damage[-1][1], damage[-1][0] + 1)
        count = sum(max(1, e - s) for s, e in damage)
        total = len(self.seconds)
        last = min(end, total) - 1
        places = f" in {len(damage)} places" if len(damage) > 1 else ""
        raise UserError(
            f"{self.source}: {count} of {total} frames are damaged{places}, from frame {start} to {end - 1} "
            f"({self.seconds[min(start, last)]:.2f} to {self.seconds[last]:.2f} s); {video.REPAIR}"
        )
