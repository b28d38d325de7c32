"""Streams: a file as a camera, a camera by OpenCV, silence; what is dropped; ends and errors."""

import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.footage.videos import number, numbered, write_pictures
from tests.inputs.rtsp_server import free_port
from tests.inputs.watching import source, watch
from vad.footage.decode import Convert
from vad.footage.encode import encode
from vad.inputs.source import Source
from vad.inputs.stream import Arrival, Stream

HEAVY = ("torch", "lightning", "dvc", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "joblib")


def shown(arrival: Arrival) -> int:
    (frame,) = Convert("gray", None).process(arrival.decoded)
    return number(frame.pixels)


@pytest.fixture
def video(tmp_path) -> Path:
    encode(tmp_path / "a.mp4", numbered(30), 25)
    return tmp_path / "a.mp4"


def test_a_file_is_played_at_its_own_pace_and_ends(video):
    start, now = time.monotonic(), datetime.now().astimezone()
    with Stream(source(video)) as stream:
        arrivals = watch(stream, 10)
        assert (stream.state, stream.reason) == ("down", "the end of the file")
        assert stream.read(1.0) is None
        assert (stream.received, stream.reconnects, stream.damaged, stream.fps) == (30, 0, 0, 25)
        assert len(arrivals) + stream.dropped == 30
    assert 29 / 25 <= time.monotonic() - start < 10
    for arrival in arrivals:
        assert shown(arrival) == arrival.decoded.number
        assert arrival.decoded.seconds == pytest.approx(arrival.decoded.number / 25)
        assert arrival.monotonic - start >= arrival.decoded.seconds - 1e-3
        assert not arrival.broken
        assert arrival.at.utcoffset() is not None
        passed = timedelta(seconds=arrival.monotonic - start)
        assert abs(arrival.at - now - passed) < timedelta(seconds=0.5)


def test_the_newest_frame_wins(video):
    with Stream(source(video)) as stream:
        first = stream.read(5.0)
        assert first is not None
        time.sleep(0.5)
        second = stream.read(0)
        assert second is not None
        assert 8 <= second.decoded.number <= 20
        assert shown(second) == second.decoded.number
        assert stream.dropped == second.decoded.number - first.decoded.number - 1
        assert stream.state == "live"
    assert (stream.state, stream.ended, stream.reason) == ("down", True, "")
    assert stream.read(1.0) is None


def test_a_folder_of_pictures_is_played_too(tmp_path):
    folder = write_pictures(tmp_path / "walk", numbered(12))
    with Stream(source(folder)) as stream:
        assert [shown(arrival) for arrival in watch(stream, 10)][-1] == 11


def test_a_single_picture_is_no_stream(tmp_path):
    folder = write_pictures(tmp_path / "walk", numbered(2))
    with pytest.raises(ValueError, match="a single picture"):
        Stream(source(folder / "000.png"))


def test_a_file_that_is_no_video_ends_with_the_reason(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with Stream(source(tmp_path / "a.mp4")) as stream:
        assert watch(stream, 10) == []
        assert "a.mp4: not a video file" in stream.reason


def test_a_camera_is_read_by_opencv(tmp_path):
    """OpenCV reads a file as it reads a camera: without time stamps, and until there are no more frames."""
    colours = [np.full((32, 48, 3), (200, 100, 30), np.uint8)] * 10
    encode(tmp_path / "a.mp4", colours, 25, crf=1)
    camera = Source("camera", "camera", "camera", str(tmp_path / "a.mp4"))
    with Stream(camera, shortest_pause=0.05, longest_pause=0.1) as stream:
        arrivals = watch(stream, 10, lambda: stream.reconnects > 1)
        assert stream.reconnects > 1
        assert any(arrival.broken for arrival in arrivals)
        times = [arrival.decoded.seconds for arrival in arrivals]
        assert times == sorted(set(times))
    (frame,) = Convert("rgb", None).process(arrivals[-1].decoded)
    np.testing.assert_allclose(frame.pixels.mean((0, 1)), (200, 100, 30), atol=4)


def test_silence_and_refusal_are_reported_in_time_and_without_a_password():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    texts = [
        f"{scheme}://u:S3cr3T@127.0.0.1:{listener.getsockname()[1]}/x" for scheme in ("rtsp", "http", "rtmp")
    ]
    texts.append(f"rtsp://u:S3cr3T@127.0.0.1:{free_port()}/x")
    start = time.monotonic()
    streams = [Stream(source(text), open_timeout=0.6, read_timeout=0.5) for text in texts]
    states = [stream.state for stream in streams]
    assert set(states[:3]) == {"opening"}
    for stream in streams:
        watch(stream, 5, lambda stream=stream: stream.state == "down")
    assert time.monotonic() - start < 3
    assert [stream.reason for stream in streams[:3]] == ["no answer for 0.6 s"] * 3
    assert streams[3].reason == "connection refused: nothing listens there"
    for stream in streams:
        assert "S3cr3T" not in f"{stream} {stream!r} {stream.reason} {stream.source} {vars(stream)}"
        stream.close()
        assert stream.ended
        assert stream.state == "down"
    listener.close()


SCRIPT = """
import socket, sys, threading, time
from vad.inputs.source import find_sources
from vad.inputs.stream import Stream
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen()
port = listener.getsockname()[1]
texts = [f"rtsp://u:S3cr3T@127.0.0.1:{port}/x", "rtsp://u:S3cr3T@127.0.0.1:1/x", "97"]
streams = [Stream(source) for source in find_sources(texts)]
time.sleep(1)
start = time.monotonic()
for stream in streams:
    print(stream.state, "|", stream.reason)
    stream.close()
assert time.monotonic() - start < 3
print([name for name in %r if name in sys.modules])
"""


def test_libraries_print_nothing_and_a_reader_that_waits_does_not_hold_up_the_end():
    start = time.monotonic()
    command = [sys.executable, "-c", SCRIPT % (HEAVY,)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "opening | ",
        "down | connection refused: nothing listens there",
        "down | no such camera, or another program uses it",
        "[]",
    ]
    assert time.monotonic() - start < 15, "the first stream would wait for 40 s"


def test_an_error_in_the_thread_reaches_the_reader(video, monkeypatch):
    monkeypatch.setattr("vad.inputs.stream_clock.StreamClock.time", None)
    with Stream(source(video)) as stream, pytest.raises(TypeError, match="not callable"):
        watch(stream, 10)
