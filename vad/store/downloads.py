"""Pretrained weights: a local file, or a URL that is downloaded once; verified by sha256 at every use.

Results depend on weights as much as on code. A URL therefore needs a sha256, which is also the name under
which the download is kept. For a local file the sha256 is optional.
"""

import base64
import errno
import hashlib
import http
import http.client
import os
import re
import sys
import tempfile
import urllib.error
import urllib.request
import urllib.response
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, quote, unquote, urlsplit

from tqdm import tqdm

from vad import UserError
from vad.store.placeholders import LFS, refuse_placeholder

TIMEOUT = 30.0  # seconds without any data from the server
BLOCK = 1 << 20  # bytes read at a time
SCHEMES = ("http", "https", "file")


def fetch(source: str | None, sha256: str | None, cache: Path, *, key: str, what: str) -> Path:
    """Locates or downloads a file and verifies it.

    Args:
        source: a path, or an http://, https:// or file:// URL, which may contain user and password. A
            relative path starts at the current folder or at DVC's main checkout; `~` is the home folder.
        sha256: of the file, 64 hexadecimal digits; may be None for a path.
        cache: folder of downloads; the file becomes <cache>/<sha256><suffix>.
        key: the section of params.yaml with the keys `weights` and `sha256`, for messages.
        what: the kind of file, for messages.

    Returns:
        Path of the verified file.

    Raises:
        UserError: if the file is missing, empty or a Git-LFS pointer, if it does not match `sha256`, or if it
            cannot be downloaded. Messages show neither passwords nor query strings.
    """
    if not source:
        raise UserError(f"{key}.weights is not set; name {what}: a path, or a URL together with {key}.sha256")
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise UserError(f"{key}.sha256 = {sha256!r}: expected 64 hexadecimal digits, as `sha256sum` prints")
    expected = sha256 and sha256.lower()
    # at least two letters: a single letter before the colon is a drive of Windows
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        return _fetch_url(source, expected, cache, key, what)
    return _check_path(source, expected, key, what)


def hash_file(path: Path) -> str:
    """The sha256 of a file, as 64 lower-case hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_path(source: str, expected: str | None, key: str, what: str) -> Path:
    try:
        path = Path(source).expanduser()
    except RuntimeError:  # `~name` where no user has that name
        path = Path(source)
    if not path.is_absolute() and not path.is_file():
        # `dvc exp run --temp` works in a copy of the repository that lacks the files ignored by git
        path = Path(os.environ.get("DVC_ROOT", ".")) / path
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "not found"
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise UserError(
            f"{key}.weights: {path} {fault}{where}; name {what}: its path, or its URL together with "
            f"{key}.sha256"
        )
    refuse_placeholder(path)
    if expected and (actual := hash_file(path)) != expected:
        raise UserError(
            f"{path}: its sha256 is {actual}, but {key}.sha256 says {expected}; copy the file again, or set "
            f"{key}.sha256: {actual} if you trust it"
        )
    return path


def _fetch_url(source: str, expected: str | None, cache: Path, key: str, what: str) -> Path:
    try:
        url = urlsplit(source)
        host = url.netloc.rpartition("@")[2]
        _ = url.port  # raises if it is not a number, for example when the password contains a slash
    except ValueError:  # the message shows nothing of the URL, since any part of it may be the password
        raise UserError(f"{key}.weights: not a valid URL; expected https://host/path") from None
    if url.scheme not in SCHEMES:
        raise UserError(
            f"{key}.weights: {url.scheme}:// is not supported; give a path, or a URL of {', '.join(SCHEMES)}"
        )
    shown = f"{url.scheme}://{host}{url.path}"
    suffix = Path(unquote(url.path)).suffix
    suffix = suffix if re.fullmatch(r"\.\w{1,15}", suffix, re.ASCII) else ""
    kept = cache / f"{expected}{suffix}"
    if expected and kept.is_file() and hash_file(kept) == expected:
        return kept
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{cache}: a file is in the way of the folder for downloads; remove it") from None
    with tempfile.TemporaryDirectory(prefix="download-", dir=cache) as folder:
        part = Path(folder) / "part"
        actual = _download(url, host, shown, part, key, what)
        _refuse_other_content(part, shown, key)
        if expected is None:
            part.replace(cache / f"{actual}{suffix}")  # kept, for the next run with `sha256` set
            raise UserError(
                f"{key}.sha256 is not set, but a download needs it: set {key}.sha256: {actual} if you trust "
                f"{shown}"
            )
        if actual != expected:
            raise UserError(
                f"{shown}: its sha256 is {actual}, but {key}.sha256 says {expected}; the download was "
                f"removed. Look for the right address, or set {key}.sha256: {actual} if you trust it"
            )
        part.replace(kept)
    return kept


def _download(url: SplitResult, host: str, shown: str, part: Path, key: str, what: str) -> str:
    """Downloads a URL to the file `part`; returns its sha256.

    Args:
        url: with user and password.
        host: of the URL, without them.
        shown: the URL as messages show it.
        part: the file to write.
        key: section of params.yaml, for messages.
        what: the kind of file, for messages.
    """
    # user and password go into a header that is not sent to another host after a redirection
    address = url._replace(netloc=host, path=quote(url.path, safe="/%:@!$&'()*+,;=~"), fragment="")
    try:
        request = urllib.request.Request(address.geturl())
        if url.username is not None:
            login = f"{unquote(url.username)}:{unquote(url.password or '')}"
            token = base64.b64encode(login.encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, open(part, "wb") as file:
            return _copy(answer, file, shown)
    except urllib.error.HTTPError as e:
        phrases = {status.value: f" ({status.phrase})" for status in http.HTTPStatus}
        reason = f"HTTP {e.code}{phrases.get(e.code, '')}"
    except urllib.error.URLError as e:
        reason = _reason(e.reason)
    except OSError as e:
        if e.filename is not None or e.errno in (errno.ENOSPC, errno.EDQUOT):  # of the disk, not the network
            raise
        reason = _reason(e)
    except (http.client.HTTPException, ValueError) as e:  # only the type: messages repeat parts of the URL
        reason = f"not a valid URL, or no HTTP server ({type(e).__name__})"
    raise UserError(
        f"{key}.weights: {shown} cannot be downloaded: {reason}; download {what} elsewhere and name it as a "
        "path"
    )


def _copy(answer: http.client.HTTPResponse | urllib.response.addinfourl, file: IO[bytes], shown: str) -> str:
    """Copies a response to a file with a progress bar; returns its sha256.

    Raises:
        ConnectionError: if the connection ends before Content-Length bytes.
    """
    length = int(answer.headers["Content-Length"] or 0)
    digest = hashlib.sha256()
    terminal = sys.stderr.isatty()
    if not terminal:
        print(f"downloading {shown} ({length / 1e6:.1f} MB)", file=sys.stderr, flush=True)
    with tqdm(total=length or None, unit="B", unit_scale=True, leave=False, disable=not terminal) as bar:
        while block := answer.read(BLOCK):
            file.write(block)
            digest.update(block)
            bar.update(len(block))
    if length and file.tell() != length:
        raise ConnectionError(f"cut off after {file.tell()} of {length} bytes")
    return digest.hexdigest()


def _reason(error: object) -> str:
    """The message of a network error, as a single line."""
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    return getattr(error, "strerror", None) or (str(error) or type(error).__name__).splitlines()[0]


def _refuse_other_content(part: Path, shown: str, key: str) -> None:
    """Raises UserError if a download is not the file itself but empty, a Git-LFS pointer or a web page."""
    with open(part, "rb") as file:
        head = file.read(512)
    if not head:
        raise UserError(f"{key}.weights: {shown} is empty (0 bytes); look for the right address")
    if head.startswith(LFS):
        raise UserError(
            f"{key}.weights: {shown} is a Git-LFS pointer, not the file itself; take the address behind the "
            "site's download button"
        )
    if re.match(rb"\s*<(!doctype )?html", head, re.IGNORECASE):
        raise UserError(
            f"{key}.weights: {shown} is a web page, not the file itself; take the address behind its "
            "download link"
        )
