"""Content hashes: BLAKE2b with 16 bytes, written as 32 hexadecimal digits."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def new() -> hashlib.blake2b:
    """A hash object: feed it with `update`, read it with `hexdigest`."""
    return hashlib.blake2b(digest_size=16)


def digest(value: Any) -> str:
    """Hash of a value that JSON can represent; independent of the order of keys."""
    return digest_bytes(json.dumps(value, sort_keys=True).encode())


def digest_bytes(data: bytes) -> str:
    """Hash of bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def digest_files(paths: Iterable[Path]) -> str:
    """Hash of the contents of files, which depends on their order but not on their names."""
    hasher = new()
    for path in paths:
        hasher.update(path.read_bytes())
    return hasher.hexdigest()
