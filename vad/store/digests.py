"""Content hashes: BLAKE2b of 16 bytes, as hexadecimal digits."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def new() -> hashlib.blake2b:
    """A hash to be updated piece by piece; `.hexdigest()` gives its digits."""
    return hashlib.blake2b(digest_size=16)


def digest(value: Any) -> str:
    """Hash of a value that JSON can hold; the order of keys does not matter."""
    return digest_bytes(json.dumps(value, sort_keys=True).encode())


def digest_bytes(data: bytes) -> str:
    """Hash of bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def digest_files(paths: Iterable[Path]) -> str:
    """Hash of the contents of files, in the order given."""
    hasher = new()
    for path in paths:
        hasher.update(path.read_bytes())
    return hasher.hexdigest()
