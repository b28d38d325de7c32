"""A web server on loopback for a folder, with HTTP Range, which browsers need to seek in videos."""

import re
import threading
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        start, end = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        self.send_response(206)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        self.send_header("Content-Length", str(end + 1 - start))
        self.end_headers()
        with suppress(OSError):  # the browser has enough
            self.wfile.write(data[start : end + 1])

    def log_message(self, *_: object) -> None:
        pass


class _WholeFiles(SimpleHTTPRequestHandler):
    """Sends no parts of files, as `python -m http.server` does not."""

    def log_message(self, *_: object) -> None:
        pass


class ServedFolder:
    """A server in threads of this process; a context manager that gives the address of the folder.

    Args:
        folder: whose files are served.
        parts: whether it sends parts of files.
    """

    def __init__(self, folder: Path, *, parts: bool = True):
        handler = _Handler if parts else _WholeFiles
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        self._server.daemon_threads = True

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
