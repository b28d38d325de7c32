"""Streams from real servers: RTSP with a password, HTTP. Killed, frozen, refusing, cut, of changing size."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.footage.videos import number, numbered
from tests.inputs.http_server import MJPEG, HttpServer, Route, mjpeg, paced, silence, split
from tests.inputs.rtsp_server import PASSWORD, RtspServer, missing
from tests.inputs.watching import source, watch
from tests.project import ROOT
from vad.footage.decode import Convert
from vad.footage.encode import encode
from vad.inputs.stream import Arrival, Stream

pytestmark = pytest.mark.slow
SIZE = (96, 128)
FAST = {"open_timeout": 4.0, "read_timeout": 3.0, "shortest_pause": 0.2, "longest_pause": 0.5}


@pytest.fixture(scope="module")
def rtsp() -> None:
    if (reason := missing()) is not None:
        pytest.skip(reason)


def transport_stream(path: Path, size: tuple[int, int] = SIZE, start: int = 0) -> bytes:
    """Four seconds of numbered frames as an MPEG transport stream, with key frames every second.

    Args:
        path: of a file that may be written.
        size: height and width.
        start: seconds of the first time stamp.
    """
    encode(path.with_suffix(".mkv"), numbered(100, size), 25)
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-i",
        path.with_suffix(".mkv"),
        "-g",
        "25",
        "-tune",
        "zerolatency",
    ]
    subprocess.run([*map(str, command), "-output_ts_offset", str(start), str(path)], check=True)
    return path.read_bytes()


def steps(arrivals: Sequence[Arrival]) -> np.ndarray:
    """Seconds per frame between neighbouring arrivals; those of dropped frames are shared out."""
    seconds = np.array([arrival.decoded.seconds for arrival in arrivals])
    numbers = np.array([arrival.decoded.number for arrival in arrivals])
    return np.diff(seconds) / np.diff(numbers)


def shown(arrival: Arrival) -> int:
    (frame,) = Convert("gray", None).process(arrival.decoded)
    return number(frame.pixels)


def on_time(arrivals: Sequence[Arrival], atol: float) -> None:
    """Between the first and the last arrival, as much time has passed as by the wall clock."""
    first, last = arrivals[0], arrivals[-1]
    passed = last.monotonic - first.monotonic
    assert last.decoded.seconds - first.decoded.seconds == pytest.approx(passed, abs=atol)


# --- RTSP


def test_a_killed_server_that_comes_back_with_another_size(rtsp):
    with RtspServer() as server, Stream(source(server.url), **FAST) as stream:
        arrivals = watch(stream, 10, lambda: stream.received >= 50)
        assert (stream.state, stream.reason, stream.fps) == ("live", "", 25)
        np.testing.assert_allclose(steps(arrivals), 1 / 25, atol=1e-6)
        server.kill()
        arrivals += watch(stream, 5, lambda: stream.state == "down")
        assert stream.reason == "the stream has ended"
        watch(stream, 5, lambda: "refused" in stream.reason)
        assert stream.reason == "connection refused: nothing listens there"
        with RtspServer(server.port, width=160, height=120):
            again = watch(stream, 15, lambda: stream.reconnects == 1)
            again += watch(stream, 1)
            assert again[0].broken
            assert again[0].decoded.frame.width == 160
            assert not any(arrival.broken for arrival in [*arrivals, *again[1:]])
            assert (stream.state, stream.reason) == ("live", "")
            on_time([arrivals[-1], again[0]], 1.0)  # frames of the beginning came in a burst


def test_a_frozen_server_is_stale_then_down_and_comes_back(rtsp):
    with RtspServer() as server, Stream(source(server.url), **FAST) as stream:
        before = watch(stream, 10, lambda: stream.received >= 30)
        server.signal(signal.SIGSTOP)
        frozen = time.monotonic()
        watch(stream, 5, lambda: stream.state == "stale")
        assert stream.state == "stale"
        watch(stream, 5, lambda: stream.state == "down")
        assert stream.reason == "no answer for 3 s"
        assert 2.5 < time.monotonic() - frozen < 5
        watch(stream, 6, lambda: stream.reason == "no answer for 4 s")
        assert stream.reason == "no answer for 4 s", "opening does not hang either"
        server.signal(signal.SIGCONT)
        after = watch(stream, 15, lambda: stream.reconnects == 1 and stream.state == "live")
        assert after[0].broken
        on_time([before[-1], after[0]], 1.0)


def test_closing_does_not_wait_for_a_frozen_server(rtsp):
    with RtspServer() as server:
        stream = Stream(source(server.url))
        watch(stream, 10, lambda: stream.received > 5)
        server.signal(signal.SIGSTOP)
        time.sleep(0.3)
        start = time.monotonic()
        stream.close()
        assert time.monotonic() - start < 1.5


def test_a_wrong_password_is_refused_and_never_shown(rtsp):
    with RtspServer() as server, Stream(source(server.address("S3cr3T")), **FAST) as stream:
        watch(stream, 5, lambda: stream.state == "down")
        assert stream.reason == "access denied: wrong user name or password"
        assert "S3cr3T" not in f"{stream.source} {stream.reason} {vars(stream)}"


def test_one_dead_stream_of_two_does_not_hold_up_the_other(rtsp):
    with RtspServer() as frozen, RtspServer() as server:
        frozen.signal(signal.SIGSTOP)
        with Stream(source(frozen.url), **FAST) as dead, Stream(source(server.url), **FAST) as stream:
            watch(stream, 10, lambda: stream.received > 0)
            arrivals = watch(stream, 3)
            assert len(arrivals) > 60
            assert np.diff([arrival.monotonic for arrival in arrivals]).max() < 0.5
            assert dead.received == 0


def test_a_slow_reader_gets_the_newest_frame(rtsp):
    with RtspServer() as server, Stream(source(server.url), **FAST) as stream:
        watch(stream, 10, lambda: stream.received > 25)
        before, dropped = stream.received, stream.dropped
        ages = []
        for _ in range(5):
            time.sleep(0.4)
            arrival = stream.read(1.0)
            assert arrival is not None
            ages.append(time.monotonic() - arrival.monotonic)
        assert np.median(ages) < 0.1
        assert stream.dropped - dropped >= stream.received - before - 6


def test_a_recording_sent_by_a_server_is_a_break_at_its_end(rtsp, tmp_path):
    encode(tmp_path / "a.mp4", numbered(60, SIZE), 25)
    with RtspServer(file=tmp_path / "a.mp4") as server, Stream(source(server.url), **FAST) as stream:
        arrivals = watch(stream, 15, lambda: stream.reconnects == 1)
        assert arrivals[-1].broken
        assert [shown(arrival) for arrival in arrivals[:-1]] == [a.decoded.number for a in arrivals[:-1]]
        assert arrivals[-2].decoded.number == 59
        np.testing.assert_allclose(steps(arrivals[:-1]), 1 / 25, atol=2e-3)


SCRIPT = """
import signal, sys, time
from tests.inputs.rtsp_server import RtspServer
from tests.inputs.watching import source, watch
from vad.inputs.stream import Stream
with RtspServer() as server:
    with Stream(source(server.url), open_timeout=2, read_timeout=1, shortest_pause=0.1) as stream:
        print(stream.source, vars(stream))
        watch(stream, 10, lambda: stream.received > 5)
        server.signal(signal.SIGSTOP)
        watch(stream, 10, lambda: stream.state == "down")
        server.kill()
        watch(stream, 10, lambda: "refused" in stream.reason)
        print(stream.reason, vars(stream))
"""


def test_no_password_in_any_output(rtsp):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "connection refused" in done.stdout
    for part in (PASSWORD, "w0rd"):
        assert part not in done.stdout


# --- HTTP


def test_motion_jpeg_has_the_pace_of_its_arrivals():
    pictures = numbered(100, SIZE)
    routes = {"/live": Route(MJPEG, lambda: mjpeg(itertools.cycle(pictures), 10))}
    with HttpServer(routes) as server, Stream(source(server.url("/live")), **FAST) as stream:
        arrivals = watch(stream, 10, lambda: stream.received >= 45)
        assert stream.fps == pytest.approx(10, rel=0.05), "not the 25 that FFmpeg assumes"
        late = arrivals[20:]
        np.testing.assert_allclose(steps(late), 1 / 10, atol=0.03)
        on_time(late, 0.1)
        assert [shown(arrival) for arrival in arrivals] == [arrival.decoded.number for arrival in arrivals]


def test_a_frame_that_is_cut_does_not_arrive():
    noise = np.random.default_rng(0).integers(0, 256, (10, *SIZE), np.uint8)

    def cut():
        *whole, last = mjpeg(noise, 25)
        return [*whole, last[: len(last) // 2]]

    routes = {"/cut": Route(MJPEG, cut)}
    with HttpServer(routes) as server, Stream(source(server.url("/cut")), **FAST) as stream:
        watch(stream, 5, lambda: stream.state == "down")
        assert (stream.received, stream.damaged) == (9, 1)
        watch(stream, 5, lambda: stream.received == 18)
        assert stream.reconnects == 1


def test_a_stream_whose_frames_change_their_size():
    pictures = [*numbered(20, SIZE), *numbered(40, (48, 64))[20:]]
    routes = {"/live": Route(MJPEG, lambda: mjpeg(pictures, 20))}
    with HttpServer(routes) as server, Stream(source(server.url("/live")), **FAST) as stream:
        arrivals = watch(stream, 10, lambda: stream.received >= 40)
        (change,) = [arrival for arrival in arrivals if arrival.broken]
        assert change.decoded.number == 20
        assert (change.decoded.frame.width, change.decoded.frame.height) == (64, 48)
        assert stream.reconnects == 0


def test_a_transport_stream_whose_time_stamps_jump(tmp_path):
    early = transport_stream(tmp_path / "a.ts")
    late = transport_stream(tmp_path / "b.ts", start=5000)

    def jumps():
        return itertools.chain.from_iterable(paced(split(part, 40), 0.1) for part in (early, late, early))

    routes = {"/live": Route("video/mp2t", jumps)}
    with HttpServer(routes) as server, Stream(source(server.url("/live")), **FAST) as stream:
        arrivals = watch(stream, 30, lambda: stream.received > 270)
        broken = [arrival.decoded.number for arrival in arrivals if arrival.broken]
        assert len(broken) == 2
        assert stream.reconnects == 0
        assert 0 < steps(arrivals).min() <= steps(arrivals).max() < 0.5
        on_time(arrivals[10:], 1.0)


def test_a_transport_stream_that_is_cut_is_a_break(tmp_path):
    data = transport_stream(tmp_path / "a.ts")
    routes = {"/cut": Route("video/mp2t", lambda: [data[: len(data) // 2 - 50]])}
    with HttpServer(routes) as server, Stream(source(server.url("/cut")), **FAST) as stream:
        arrivals = watch(stream, 10, lambda: stream.reconnects == 2)
        assert stream.reconnects == 2
        assert [arrival.broken for arrival in arrivals].count(True) >= 1
        assert steps(arrivals).min() > 0


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_a_file_that_is_served_is_played_at_its_own_pace_and_ends(tmp_path, suffix):
    data = transport_stream(tmp_path / "a.ts")
    if suffix == ".mp4":
        encode(tmp_path / "a.mp4", numbered(100, SIZE), 25)
        data = (tmp_path / "a.mp4").read_bytes()
    routes = {f"/a{suffix}": Route("video/mp4", lambda: split(data, 20), len(data))}
    start = time.monotonic()
    with HttpServer(routes) as server, Stream(source(server.url(f"/a{suffix}")), **FAST) as stream:
        arrivals = watch(stream, 10)
        assert stream.ended
        assert stream.received == 100
        assert [shown(arrival) for arrival in arrivals] == [arrival.decoded.number for arrival in arrivals]
        np.testing.assert_allclose(steps(arrivals), 1 / 25, atol=1e-6)
    assert time.monotonic() - start > 3.9


def test_a_server_that_has_nothing_to_see():
    text = b"<html>no camera</html>\n" * 99
    routes = {
        "/none": Route(MJPEG, silence),
        "/text": Route("text/html", lambda: [text], len(text)),
        "/lost": Route("video/mp2t", lambda: [text]),
    }
    with HttpServer(routes) as server:
        for path, reason in (
            ("/none", "no answer for 4 s"),
            ("/404?password=S3cr3T", "Server returned 404 Not Found"),
            ("/text", "what comes is no video"),
            ("/lost", "the connection was lost"),
        ):
            with Stream(source(server.url(path)), **FAST) as stream:
                watch(stream, 6, lambda stream=stream: stream.state == "down")
                assert (stream.reason, stream.received) == (reason, 0)
                assert "S3cr3T" not in f"{stream.source} {vars(stream)}"
        with Stream(source(server.url("/none", password="wrong")), **FAST) as stream:
            watch(stream, 5, lambda: stream.state == "down")
            assert stream.reason == "access denied: wrong user name or password"


@pytest.mark.parametrize("local", [False, True])
def test_a_playlist_may_name_parts_on_its_server_but_no_files_here(tmp_path, local):
    data = transport_stream(tmp_path / "a.ts")
    part = f"file://{tmp_path}/a.ts" if local else "a.ts"
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{part}\n#EXT-X-ENDLIST\n".encode()
    routes = {
        "/a.ts": Route("video/mp2t", lambda: [data], len(data)),
        "/a.m3u8": Route("application/vnd.apple.mpegurl", lambda: [playlist], len(playlist)),
    }
    with HttpServer(routes) as server, Stream(source(server.url("/a.m3u8")), **FAST) as stream:
        arrivals = watch(stream, 6, lambda: stream.state == "down")
        assert len(arrivals) == (0 if local else 100)
        assert stream.ended is not local
