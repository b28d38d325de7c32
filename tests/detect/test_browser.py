"""Videos in a real browser."""

import shutil
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest

from tests.detect.scored_frames import info, result
from vad.detect.video import VideoOutput
from vad.overlay.scored_frame import ScoredFrame

CHROMIUM = shutil.which("chromium")
# loads the video, seeks into its middle, plays it on to the end, and reports over HTTP
PAGE = """<!doctype html><video id=v muted preload=auto src="{video}"></video><script>
const v = document.getElementById("v"), said = new URLSearchParams();
const report = () => {{ new Image().src = "http://127.0.0.1:{port}/?" + said; }};
v.onerror = () => {{ said.set("error", v.error.message); report(); }};
v.onloadeddata = () => {{
  said.set("duration", v.duration); said.set("width", v.videoWidth); said.set("height", v.videoHeight);
  v.onseeked = () => {{ said.set("seeked", v.currentTime); v.playbackRate = 8; v.play(); }};
  v.onended = () => {{ said.set("ended", v.currentTime); report(); }};
  v.currentTime = {at};
}};
</script>"""


def facts_of(video: Path, at: float, folder: Path) -> dict[str, str]:
    """What Chromium says of a video that it seeks to a time and plays from there on."""
    said: Queue[dict[str, str]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.put(dict(parse_qsl(urlsplit(self.path).query)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    assert CHROMIUM is not None
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page = folder / "page.html"
        page.write_text(PAGE.format(video=video.as_uri(), port=server.server_port, at=at))
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'p'}"]
        command += ["--autoplay-policy=no-user-gesture-required", page.as_uri()]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return said.get(timeout=90)
        finally:
            process.terminate()
            process.wait(timeout=20)
            server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
@pytest.mark.parametrize("killed", [False, True])
def test_videos_play_and_seek_in_a_browser(tmp_path: Path, killed: bool) -> None:
    path, of = tmp_path / "a.mp4", info(picture_size=(132, 176), size=(132, 176))
    output = VideoOutput(path, live=killed)
    rng = np.random.default_rng(0)
    for i in range(80):
        output.frame(ScoredFrame(of, result(i, of=of), rng.integers(0, 255, (132, 176, 3), np.uint8)))
    if killed:  # as it is on the disk by then
        path = Path(shutil.copy(path, tmp_path / "killed.mp4"))
    output.close()
    facts = facts_of(path, 3.05, tmp_path)
    assert facts["width"] == "528"
    assert float(facts["seeked"]) == pytest.approx(3.05, abs=0.01)
    assert float(facts["duration"]) == pytest.approx(8, abs=4 if killed else 0.11)
    assert float(facts["ended"]) == pytest.approx(8, abs=4 if killed else 0.11)
