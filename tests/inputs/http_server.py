"""An HTTP server on loopback that streams what generators yield, for tests and benchmarks."""

import base64
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import cv2
import numpy as np

USER, PASSWORD = "watcher", "S3cr3T:@"
ENCODED = "S3cr3T%3A%40"


class Route(NamedTuple):
    """What is sent for a path.

    Attributes:
        kind: media type.
        parts: makes the parts of the body, anew for each request; the connection is closed after the last.
        length: of the body in bytes, for the header; None for a stream without an end.
    """

    kind: str
    parts: Callable[[], Iterable[bytes]]
    length: int | None = None


class HttpServer:
    """A server in threads of this process, with basic authentication; a context manager.

    Args:
        routes: path -> what is sent.
    """

    def __init__(self, routes: Mapping[str, Route]):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                route = routes.get(self.path.partition("?")[0])
                expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                if self.headers.get("Authorization") != f"Basic {expected}":
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="cameras"')
                    self.end_headers()
                    return
                if route is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", route.kind)
                if route.length is not None:
                    self.send_header("Content-Length", str(route.length))
                self.end_headers()
                try:
                    for part in route.parts():
                        self.wfile.write(part)
                        self.wfile.flush()
                except OSError:  # the client has gone
                    pass

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def url(self, path: str, password: str = ENCODED) -> str:
        """The address of a path."""
        return f"http://{USER}:{password}@127.0.0.1:{self.port}{path}"

    def __enter__(self) -> "HttpServer":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def mjpeg(pictures: Iterable[np.ndarray], fps: float) -> Iterator[bytes]:
    """Parts of a multipart stream of JPEG, as cameras send it, at a steady pace; the boundary is "frame".

    Args:
        pictures: uint8 [H, W] or [H, W, 3]; may go on without end.
        fps: pictures per second.
    """
    start = time.monotonic()
    for number, picture in enumerate(pictures):
        time.sleep(max(0.0, start + number / fps - time.monotonic()))
        data = cv2.imencode(".jpg", picture)[1].tobytes()
        yield b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
        yield data + b"\r\n"


MJPEG = "multipart/x-mixed-replace; boundary=frame"


def paced(parts: Sequence[bytes], seconds: float) -> Iterator[bytes]:
    """The parts, each after a pause.

    Args:
        parts: of a body.
        seconds: between parts.
    """
    for number, part in enumerate(parts):
        time.sleep(seconds if number else 0)
        yield part


def split(data: bytes, number: int) -> list[bytes]:
    """Data in a number of parts of about the same length."""
    step = -(-len(data) // number)
    return [data[i : i + step] for i in range(0, len(data), step)]


def silence() -> Iterator[bytes]:
    """Nothing, without an end."""
    for _ in itertools.count():
        time.sleep(0.1)
        yield b""
