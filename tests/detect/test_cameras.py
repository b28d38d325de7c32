"""The command `vad detect` on cameras: real servers that die, freeze, refuse, and change their picture."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.detect.test_command import rows
from tests.footage.videos import numbered
from tests.inputs.http_server import MJPEG, HttpServer, Route, mjpeg
from tests.inputs.http_server import PASSWORD as HTTP_PASSWORD
from tests.inputs.rtsp_server import ENCODED, PASSWORD, RtspServer, free_port, missing
from tests.project import ROOT, environment
from tests.trained import trained

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("cameras"), "objects") / "models/deployed"


@pytest.fixture
def rtsp() -> Iterator[Callable[..., RtspServer]]:
    """Starts servers, and kills them at the end."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    servers: list[RtspServer] = []

    def start(**options: int) -> RtspServer:
        servers.append(RtspServer(**options))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


class Vad:
    """The command in a process of its own, in a folder.

    Args:
        folder: where it runs.
        arguments: of the command.
    """

    def __init__(self, folder: Path, *arguments: str):
        self.folder = folder
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        with open(self.out, "w") as out, open(self.err, "w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vad.cli", "detect", *arguments],
                cwd=folder,
                env=environment(PYTHONPATH=str(ROOT)),
                stdout=out,
                stderr=err,
            )

    def wait_for(self, condition: Callable[[], bool], seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            time.sleep(0.1)

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.text) is not None

    def frames(self) -> int:
        path = self.folder / "s.csv"
        return len(rows(path)) if path.exists() else 0

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 10) -> int:
        """Sends a signal, and waits for the end."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    @property
    def text(self) -> str:
        return self.out.read_text() + self.err.read_text()

    def __enter__(self) -> "Vad":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        everything = [path.read_bytes() for path in self.folder.rglob("*") if path.is_file()]
        for secret in (PASSWORD, ENCODED, HTTP_PASSWORD):
            assert not any(secret.encode() in content for content in everything)


def test_a_camera_that_dies_and_comes_back_beside_one_that_is_dead(model, rtsp, tmp_path):
    server = rtsp()
    dead = f"rtsp://user:{ENCODED}@127.0.0.1:{free_port()}/live"
    with Vad(
        tmp_path, server.url, dead, "--model", str(model), "--csv", "s.csv", "--jsonl", "e.jsonl"
    ) as vad:
        vad.wait_for(lambda: vad.frames() > 5)
        assert vad.says(r"127\.0\.0\.1:\d+/live: 320x240 at 25 frames per second; scores come")
        vad.wait_for(lambda: vad.says("live: down: .*it is tried again"))
        server.kill()
        count = vad.frames()
        time.sleep(1)
        server.start()
        vad.wait_for(lambda: vad.says("live again"))
        vad.wait_for(lambda: vad.frames() > count + 50)
        assert vad.stop() == 0
        assert "Traceback" not in vad.text
    table = rows(tmp_path / "s.csv")
    assert len({row["source"] for row in table}) == 1
    seconds = np.array([float(row["seconds"]) for row in table])
    assert (np.diff(seconds) > 0).all()
    assert np.diff(seconds).max() > 0.9  # the time without a server


def test_a_frozen_camera_is_said_and_can_be_stopped(model, rtsp, tmp_path):
    server = rtsp()
    with Vad(tmp_path, server.url, "--model", str(model), "--csv", "s.csv") as vad:
        vad.wait_for(lambda: vad.frames() > 5)
        server.signal(signal.SIGSTOP)
        vad.wait_for(lambda: vad.says("no frames come"))
        begin = time.monotonic()
        assert vad.stop(signal.SIGTERM) == 0
        assert time.monotonic() - begin < 5
        assert "Traceback" not in vad.text


def test_a_wrong_password_and_a_server_that_never_answers_are_one_line(model, rtsp, tmp_path):
    server = rtsp()
    with Vad(tmp_path, server.address("wrong-secret"), "--model", str(model), "--quiet") as vad:
        assert vad.process.wait(40) == 2
        assert vad.err.read_text().count("\n") == 1
        assert "wrong-secret" not in vad.text
        assert vad.err.read_text().startswith(f"error: rtsp://127.0.0.1:{server.port}/live: ")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"rtsp://u:{ENCODED}@127.0.0.1:{silent.getsockname()[1]}/live"
        begin = time.monotonic()
        arguments = ["--model", str(model), "--quiet", "--open-timeout", "2"]
        with Vad(tmp_path, address, *arguments) as vad:
            assert vad.process.wait(20) == 2
            assert vad.err.read_text().count("\n") == 1
        assert time.monotonic() - begin < 15


def test_a_camera_that_changes_its_picture_begins_anew(model, tmp_path):
    sizes = ((96, 128), (48, 64))

    def pictures() -> Iterator[bytes]:
        for size in sizes:
            yield from mjpeg(numbered(150, size), 25)

    route = Route(MJPEG, pictures)
    with (
        HttpServer({"/camera": route}) as server,
        Vad(tmp_path, server.url("/camera"), "--model", str(model), "--csv", "s.csv") as vad,
    ):
        vad.wait_for(lambda: vad.says("128x96 at .* frames per second"))
        vad.wait_for(lambda: vad.says(" 64x48 at .* frames per second"))
        vad.wait_for(lambda: vad.frames() > 200)
        assert vad.stop() == 0
        assert "Traceback" not in vad.text
