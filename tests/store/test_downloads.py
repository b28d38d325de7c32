"""vad.store.downloads against a real server on loopback."""

import base64
import hashlib
import http.server
import os
import threading
import time
from pathlib import Path

import pytest

from vad import UserError
from vad.store import downloads

KEY, WHAT = "preprocess.person_crop.onnx", "a YOLOX or YOLOv8 export to ONNX"
GOOD = bytes(range(256)) * 5000
SHA = hashlib.sha256(GOOD).hexdigest()
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize 5\n".encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.seen.append((self.path, self.headers["Authorization"]))
        body = {
            "/empty.onnx": b"",
            "/lfs.onnx": LFS,
            "/page.onnx": b"<!DOCTYPE html><html><body>weights</body></html>",
            "/other.onnx": b"something else",
        }.get(path, GOOD)
        if path == "/missing.onnx":
            return self.send_error(404, "user:geheim")
        if path == "/away.onnx":
            self.send_response(302)
            self.send_header("Location", self.server.elsewhere + "/a.onnx")
            return self.end_headers()
        if path == "/slow.onnx":
            time.sleep(0.6)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:1000] if path == "/short.onnx" else body)
        return None

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.elsewhere = self.address

    def handle_error(self, *_):
        pass  # clients that do not wait


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache" / "weights"


def fetch(source, sha256, cache) -> Path:
    return downloads.fetch(source, sha256, cache, key=KEY, what=WHAT)


def refused(source, sha256, cache) -> str:
    with pytest.raises(UserError) as error:
        fetch(source, sha256, cache)
    message = str(error.value)
    assert "\n" not in message
    assert not cache.is_dir() or not list(cache.glob("download-*")), "nothing half done stays"
    return message


def test_url_is_downloaded_once(server, cache, capfd):
    path = fetch(f"{server.address}/a.onnx", SHA.upper(), cache)
    assert path == cache / f"{SHA}.onnx"
    assert path.read_bytes() == GOOD
    assert "downloading" in capfd.readouterr().err
    assert fetch(f"{server.address}/a.onnx", SHA, cache) == path
    assert len(server.seen) == 1
    assert [p.name for p in cache.iterdir()] == [f"{SHA}.onnx"]


def test_a_cached_download_needs_no_network(server, cache):
    url = f"{server.address}/a.onnx"
    path = fetch(url, SHA, cache)
    server.shutdown()
    server.server_close()
    assert fetch(url, SHA, cache) == path


def test_a_damaged_download_is_downloaded_again(server, cache):
    path = fetch(f"{server.address}/a.onnx", SHA, cache)
    path.write_bytes(GOOD[:-1])
    assert fetch(f"{server.address}/a.onnx", SHA, cache).read_bytes() == GOOD
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("b.pth", f"{SHA}.pth"),
        ("with%20blank.onnx", f"{SHA}.onnx"),
        ("ü x.onnx", f"{SHA}.onnx"),
        ("raw", SHA),
    ],
)
def test_the_cache_keeps_sha256_and_suffix(server, cache, name, kept):
    assert fetch(f"{server.address}/{name}", SHA, cache).name == kept


def test_a_file_url_is_read(tmp_path, cache):
    source = tmp_path / "my weights.onnx"
    source.write_bytes(GOOD)
    assert fetch(source.as_uri(), SHA, cache).read_bytes() == GOOD
    message = refused((tmp_path / "none.onnx").as_uri(), SHA[::-1], cache)
    assert "No such file" in message
    assert "path" in message


def test_url_needs_sha256(server, cache):
    message = refused(f"{server.address}/a.onnx", None, cache)
    assert f"set {KEY}.sha256: {SHA} if you trust" in message
    assert fetch(f"{server.address}/a.onnx", SHA, cache).read_bytes() == GOOD
    assert len(server.seen) == 1, "the same download serves once its hash is set"


def test_a_download_of_another_checksum_is_removed(server, cache):
    good = fetch(f"{server.address}/a.onnx", SHA, cache)
    other = hashlib.sha256(b"something else").hexdigest()
    message = refused(f"{server.address}/other.onnx", "ab" * 32, cache)
    assert other in message
    assert "ab" * 32 in message
    assert f"{KEY}.sha256" in message
    assert list(cache.iterdir()) == [good]
    good.write_bytes(b"damaged")
    refused(f"{server.address}/other.onnx", SHA, cache)


@pytest.mark.parametrize("sha256", ["e8af", "../" * 20 + "abcd", "g" * 64, ""])
def test_a_checksum_needs_64_digits(server, cache, sha256):
    assert "64 hexadecimal digits" in refused(f"{server.address}/a.onnx", sha256, cache)
    assert not server.seen


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "HTTP 404 (Not Found)"),
        ("short", f"cut off after 1000 of {len(GOOD)} bytes"),
        ("empty", "empty (0 bytes)"),
        ("lfs", "Git-LFS pointer"),
        ("page", "web page"),
    ],
)
def test_a_download_of_a_placeholder_or_web_page_is_refused(server, cache, name, said):
    message = refused(f"{server.address}/{name}.onnx", SHA, cache)
    assert said in message
    assert f"{server.address}/{name}.onnx" in message
    assert f"{KEY}.weights" in message
    assert not list(cache.iterdir())


def test_without_network_the_message_says_what_to_do(server, cache):
    server.shutdown()
    server.server_close()
    message = refused(f"{server.address}/a.onnx", SHA, cache)
    assert "refused" in message
    assert "name it as a path" in message
    assert WHAT in message
    assert "name it as a path" in refused("http://no-such-host.invalid/a.onnx", SHA, cache)


def test_a_server_that_does_not_answer_is_reported(server, cache, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    assert "no answer within 0.2 s" in refused(f"{server.address}/slow.onnx", SHA, cache)


def test_credentials_are_sent_and_never_shown(server, cache, capfd):
    host = server.address.removeprefix("http://")
    secret = f"http://me:ge%40heim@{host}/{{}}.onnx?token=geheim#geheim"
    assert fetch(secret.format("a"), SHA, cache).read_bytes() == GOOD
    path, header = server.seen[-1]
    assert path == "/a.onnx?token=geheim"
    assert base64.b64decode(header.split()[1]) == b"me:ge@heim"
    shown = [refused(secret.format(name), SHA[::-1], cache) for name in ("missing", "short", "lfs", "a")]
    shown += [refused(f"http://me:ge/heim@{host}/a.onnx", SHA, cache)]
    shown += [refused(f"http://me:ge heim@[{host}/a.onnx", SHA, cache)]
    shown += [refused("http://me:geheim@127.0.0.1:1/a.onnx?geheim", SHA[::-1], cache)]
    shown += [refused("http://me:geheim@127.0.0.1:1/a.onnx?ge heim", SHA[::-1], cache)]
    shown += [refused("s3://me:geheim@bucket/a.onnx", SHA, cache)]
    for text in (*shown, capfd.readouterr().err):
        for part in ("heim", "geheim", "token", "me:"):
            assert part not in text


def test_credentials_stay_with_their_host(server, cache):
    with Server() as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.elsewhere = other.address
        host = server.address.removeprefix("http://")
        assert fetch(f"http://me:geheim@{host}/away.onnx", SHA, cache).read_bytes() == GOOD
        other.shutdown()
        thread.join()
        assert server.seen[-1][1]
        assert other.seen == [("/a.onnx", None)]


def test_other_schemes_are_refused(cache):
    message = refused("s3://bucket/a.onnx", SHA, cache)
    assert "s3:// is not supported" in message
    assert "https" in message


def test_a_local_file_is_not_copied(tmp_path, cache, monkeypatch):
    (tmp_path / "a.onnx").write_bytes(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for source in ("a.onnx", str(tmp_path / "a.onnx"), "~/a.onnx"):
        for sha256 in (SHA, None):
            assert fetch(source, sha256, cache).samefile("a.onnx")
    assert not cache.exists(), "nothing is copied"


def test_a_path_of_another_checksum_is_refused(tmp_path, cache):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"other")
    message = refused(str(path), SHA, cache)
    assert SHA in message
    assert hashlib.sha256(b"other").hexdigest() in message
    assert path.read_bytes() == b"other"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty file"), (LFS, "Git-LFS pointer"), (None, "not found"), ("", "a folder")],
)
def test_a_path_without_weights_is_refused(tmp_path, cache, monkeypatch, content, said):
    path = tmp_path / "a.onnx"
    if content == "":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    for source in ("a.onnx", str(path)):
        message = refused(source, None, cache)
        assert said in message
        assert "a.onnx" in message
    if content is None:
        assert WHAT in message
        assert f"{KEY}.sha256" in message


@pytest.mark.parametrize("source", [None, "", "~nobody-of-this-name/a.onnx"])
def test_a_source_must_be_named(cache, source):
    message = refused(source, None, cache)
    assert f"{KEY}.weights" in message
    assert WHAT in message


def test_a_file_in_place_of_the_cache_is_reported(server, tmp_path):
    (tmp_path / "cache").write_text("")
    assert "in the way" in refused(f"{server.address}/a.onnx", SHA, tmp_path / "cache")


def test_hash_file_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(GOOD)
    assert downloads.hash_file(tmp_path / "a") == SHA


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_reported(server, tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(PermissionError):  # which every stage says in one line
        fetch(f"{server.address}/a.onnx", SHA, tmp_path / "cache")
