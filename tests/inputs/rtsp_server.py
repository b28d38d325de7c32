"""A real RTSP server on loopback with H.264 and basic authentication, for tests and benchmarks.

The server is GStreamer's, run by the Python of Debian, which has its bindings. `RtspServer` starts this file
in a process of its own. Needed from Debian: gir1.2-gst-rtsp-server-1.0, python3-gi,
gstreamer1.0-plugins-base, -good and -ugly.
"""

import argparse
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

PYTHON = "/usr/bin/python3"  # that of Debian, which has the bindings
USER, PASSWORD = "watcher", "pa:ss@w0rd/?#"  # hard to tell from the rest of an address
ENCODED = "pa%3Ass%40w0rd%2F%3F%23"
NEEDED = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; \
Gst.init(None); import sys; sys.exit(not all(map(Gst.ElementFactory.find, ('x264enc', 'rtph264pay'))))"
)


def missing() -> str | None:
    """Why no server can be started here; None if one can."""
    if not Path(PYTHON).exists():
        return f"no {PYTHON} here"
    done = subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, env=os.environ | {"PYTHONPATH": ""})
    return None if done.returncode == 0 else "GStreamer's RTSP server is not installed (see .ci/run)"


def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class RtspServer:
    """A server in a process of its own; a context manager.

    Args:
        port: on the loopback; None for a free one.
        width: of the picture in pixels, even.
        height: of the picture in pixels, even.
        fps: frames per second.
        file: a video of H.264 to be sent once to each client, in place of the moving test picture.
    """

    def __init__(
        self,
        port: int | None = None,
        *,
        width: int = 320,
        height: int = 240,
        fps: int = 25,
        file: Path | None = None,
    ):
        self.port = port or free_port()
        self._options = [str(self.port), f"--width={width}", f"--height={height}", f"--fps={fps}"]
        if file is not None:
            self._options.append(f"--file={file.resolve()}")
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Address with the right password."""
        return self.address(ENCODED)

    def address(self, password: str) -> str:
        """Address with a password, percent-encoded."""
        return f"rtsp://{USER}:{password}@127.0.0.1:{self.port}/live"

    def start(self) -> None:
        """Starts the server, and waits until it listens."""
        self._process = subprocess.Popen(
            [PYTHON, __file__, *self._options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": ""},
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 20)
        assert ready, "the server did not start within 20 s"
        assert self._process.stdout.readline() == "ready\n"

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal: SIGSTOP freezes the server, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kills the server, frozen or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> "RtspServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def serve(port: int, width: int, height: int, fps: int, file: str | None) -> None:
    """Runs the server until it is killed; needs the bindings of GStreamer."""
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer(service=str(port), address="127.0.0.1")
    if file:
        picture = f'filesrc location="{file}" ! qtdemux ! h264parse'
    else:
        picture = (
            f"videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},"
            f"framerate={fps}/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={fps}"
        )
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {picture} ! rtph264pay name=pay0 pt=96 config-interval=1 )")
    factory.set_shared(not file)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("user", permission, True)
    factory.set_permissions(permissions)
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(USER, PASSWORD), token)
    server.set_auth(auth)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    for name, value in (("width", 320), ("height", 240), ("fps", 25)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--file")
    options = parser.parse_args(sys.argv[1:])
    serve(options.port, options.width, options.height, options.fps, options.file)
