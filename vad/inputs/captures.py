"""Captures: an open camera, network connection or file, as frames with time stamps."""

import errno
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import av
import cv2

from vad.footage import video
from vad.footage.decode import decode, from_array
from vad.inputs.redaction import printable, redact
from vad.inputs.source import Source

# FFmpeg looks this long at a stream before its first frame: enough to find the rate, where it is not stated
ANALYSIS = 0.5  # seconds
# of network streams; not "file": what a server sends must not make FFmpeg read files of this machine
PROTOCOLS = "rtsp,rtsps,rtp,rtcp,srtp,tcp,udp,tls,http,https,httpproxy,hls,crypto,data,rtmp,rtmps,rtmpt,rtmpe"
# share of a timeout after which FFmpeg must have hit it, although it gives another error, or none
LATE = 0.95
SEGMENTED = ("hls", "dash")  # formats that deliver seconds of video at once
NO_TIMESTAMPS = 0x80  # flag of formats whose stamps FFmpeg makes up
RATES = (0.1, 240.0)  # frames per second that may be true
# seconds by which a frame that is played may be late or early, or time restarts
LATEST, EARLIEST = 0.5, 10.0


class CaptureError(Exception):
    """A capture broke off or could not be opened. The text says why, on one line and without credentials."""


class CapturedFrame(NamedTuple):
    """A frame of a capture.

    Attributes:
        stamp: its time in seconds, from any zero; None if the source gives none.
        frame: PyAV's frame.
    """

    stamp: float | None
    frame: av.VideoFrame


class Capture(Protocol):
    """An open source of frames.

    Attributes:
        rate: frames per second as stated; None if nothing is stated that can be true.
        damaged: number of frames left out, since data was lost.
    """

    rate: float | None
    damaged: int

    def __iter__(self) -> Generator[CapturedFrame, None, None]:
        """Yields frames as they come; ends with the file, raises CaptureError otherwise."""
        ...

    def close(self) -> None:
        """Closes it; to be called by the thread that reads."""
        ...


def open_capture(
    source: Source, open_timeout: float, read_timeout: float, stopped: threading.Event
) -> Capture:
    """Opens a camera or stream, or a file that is to be played at its own pace.

    Args:
        source: of any kind but `picture`.
        open_timeout: seconds until a connection must stand.
        read_timeout: seconds within which a frame must come.
        stopped: ends the wait for the time of the next frame.

    Raises:
        CaptureError: if it cannot be opened.
        UserError: for a file that cannot be read.
    """
    if isinstance(source.address, Path):
        return FileCapture(source.address, stopped)
    if source.kind == "camera":
        return CameraCapture(source)
    return NetworkCapture(str(source.address), open_timeout, read_timeout, stopped)


class FileCapture:
    """A video or a folder of pictures, played at its own pace."""

    def __init__(self, path: Path, stopped: threading.Event):
        rate, self._frames = decode(path, "rgb", 1, 0, None)
        self.rate: float | None = rate
        self.damaged = 0
        self._stopped = stopped

    def __iter__(self) -> Generator[CapturedFrame, None, None]:
        return _paced((CapturedFrame(item.seconds, item.frame) for item in self._frames), self._stopped)

    def close(self) -> None:
        """Nothing is left to be closed: the frames close their file."""


class CameraCapture:
    """A camera of this machine, read by OpenCV."""

    def __init__(self, source: Source):
        # or OpenCV writes to stderr what is said here
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        address = source.address
        assert isinstance(address, int | str)
        self._capture = cv2.VideoCapture(address)
        self.damaged = 0
        if not self._capture.isOpened():
            raise CaptureError("no such camera, or another program uses it")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if RATES[0] <= rate <= RATES[1] else None

    def __iter__(self) -> Generator[CapturedFrame, None, None]:
        while True:
            there, pixels = self._capture.read()
            if not there:
                raise CaptureError("the camera gives no more frames")
            # number and time are 0, since `Stream` counts
            yield CapturedFrame(None, from_array(0, 0.0, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)).frame)

    def close(self) -> None:
        self._capture.release()


class NetworkCapture:
    """A stream from the network, read by PyAV."""

    def __init__(self, address: str, open_timeout: float, read_timeout: float, stopped: threading.Event):
        self._address, self._stopped = address, stopped
        self._open_timeout, self._read_timeout = open_timeout, read_timeout
        self.damaged = 0
        scheme = address.partition("://")[0].lower()
        options = {"protocol_whitelist": PROTOCOLS, "analyzeduration": str(round(ANALYSIS * 1e6))}
        if scheme in ("rtsp", "rtsps"):
            options["rtsp_transport"] = "tcp"  # by UDP, frames come damaged, and firewalls stop them
        start = time.monotonic()
        try:
            self._container = av.open(address, options=options, timeout=(open_timeout, read_timeout))
        except (av.FFmpegError, OSError, ValueError) as e:
            raise CaptureError(self._describe(e, start, open_timeout)) from None
        stream = self._container.streams.best("video")
        if not isinstance(stream, av.VideoStream) or stream.codec_context is None:
            self._container.close()
            raise CaptureError("there is no video in it")
        self._stream = stream
        stream.codec_context.thread_count = 1  # more would each hold a frame back
        stream.codec_context.copy_opaque = True
        self._without_stamps = bool(self._container.format.flags & NO_TIMESTAMPS)
        rate = float(stream.average_rate or 0)
        self.rate = rate if RATES[0] <= rate <= RATES[1] and not self._without_stamps else None
        # a file that is served comes faster than a live stream, and has an end
        duration = self._container.duration or 0
        self._is_file = scheme in ("http", "https") and (duration > 0 or self._container.size > 0)
        self._is_file &= not self._without_stamps
        self._duration = duration / av.time_base

    def __iter__(self) -> Generator[CapturedFrame, None, None]:
        if self._is_file or self._container.format.name.split(",")[0] in SEGMENTED:
            return _paced(self._read(), self._stopped)
        return self._read()

    def _read(self) -> Generator[CapturedFrame, None, None]:
        tick = float(video.tick(self._stream))
        first: float | None = None
        last = 0.0
        # the first frame may have to wait for a key frame
        start, limit = time.monotonic(), max(self._open_timeout, self._read_timeout)
        waiting = start  # since when for data
        try:
            for packet in self._container.demux(self._stream):
                if time.monotonic() - waiting >= LATE * self._read_timeout:
                    # what FFmpeg had kept back; a further read would wait as long again
                    raise CaptureError(f"no answer for {self._read_timeout:g} s")
                for frame in self._decode(packet):
                    stamp = None if frame.pts is None or self._without_stamps else frame.pts * tick
                    if stamp is not None:
                        first = stamp if first is None else first
                        last = stamp - first
                    yield CapturedFrame(stamp, frame)
                    start, limit = time.monotonic(), self._read_timeout
                if time.monotonic() - start > limit:
                    raise CaptureError(f"data comes, but no frame for {limit:g} s")
                waiting = time.monotonic()
        except (av.FFmpegError, OSError) as e:
            raise CaptureError(self._describe(e, waiting, self._read_timeout)) from None
        if not self._is_file or last < self._duration - max(1.0, 0.05 * self._duration):
            raise CaptureError("the stream has ended")

    def _decode(self, packet: "av.Packet[av.VideoStream]") -> list[av.VideoFrame]:
        packet.opaque = packet.is_corrupt or None  # goes on to its frame
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self.damaged += 1
            return []
        whole = [frame for frame in frames if not (frame.is_corrupt or frame.opaque)]
        self.damaged += len(frames) - len(whole)
        return whole

    def _describe(self, error: Exception, start: float, timeout: float) -> str:
        """Why it does not work, without credentials."""
        if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
            return "access denied: wrong user name or password"
        if isinstance(error, av.error.ConnectionRefusedError):
            return "connection refused: nothing listens there"
        if isinstance(error, OSError) and error.errno == errno.EIO:
            return "the connection was lost"
        late = time.monotonic() - start >= LATE * timeout
        if late or isinstance(error, av.error.ExitError | av.error.TimeoutError):
            return f"no answer for {timeout:g} s"
        if isinstance(error, av.error.InvalidDataError):
            return "what comes is no video"
        text = error.strerror if isinstance(error, av.FFmpegError | OSError) else str(error)
        return printable(redact(text or type(error).__name__, self._address))

    def close(self) -> None:
        self._container.close()


def _paced(
    captured: Iterator[CapturedFrame], stopped: threading.Event
) -> Generator[CapturedFrame, None, None]:
    """Yields each frame when it is due by its stamp, counted from the first."""
    start: float | None = None  # when stamp 0 is due
    for item in captured:
        if item.stamp is not None:
            now = time.monotonic()
            ahead = 0.0 if start is None else start + item.stamp - now
            if start is None or not -LATEST <= ahead <= EARLIEST:
                start = now - item.stamp
            elif ahead > 0 and stopped.wait(ahead):
                return
        yield item
