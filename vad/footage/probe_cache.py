"""Probes all sources in parallel and caches the results, so that a second survey reads only new footage.

The cache is a small JSON file. It holds the properties and the content hash of each source under its path,
with a stamp of the names, sizes and modification times of its files and of how pictures are read. An entry is
valid as long as the stamp and the code that reads footage are unchanged.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import joblib
from tqdm import tqdm

from vad import UserError
from vad.footage import probe
from vad.footage.info import Info, Note
from vad.footage.pictures import PictureFormat, list_pictures
from vad.pipeline import closure
from vad.store import digests


@dataclass(frozen=True)
class Footage:
    """A source that was read.

    Attributes:
        info: number of frames, frame rate, size.
        hash: content hash.
    """

    info: Info
    hash: str


def probe_all(
    sources: Sequence[Path],
    memory: Path,
    pictures: PictureFormat,
    workers: int | None,
    log: Callable[[str], None],
) -> tuple[dict[Path, Footage], dict[Path, str]]:
    """Probes sources, or takes the results from the cache.

    Args:
        sources: video files and folders of pictures.
        memory: the cache, a JSON file; a missing or broken file counts as empty.
        pictures: frame rate and bits of folders of pictures.
        workers: number of reading threads; None for as many as cores.
        log: receives a line for the user.

    Returns:
        (the readable sources, source -> error message of the others).
    """
    cached = _load(memory)
    footage: dict[Path, Footage] = {}
    faults: dict[Path, str] = {}
    todo: dict[Path, str | None] = {}  # source -> its stamp, or None if its files cannot be listed
    for source in dict.fromkeys(sources):
        stamp = _stamp(source, pictures)
        entry = cached.get(str(source.resolve()))
        if stamp and entry and entry["stamp"] == stamp:
            notes = tuple(Note(*note) for note in entry["info"]["notes"])
            footage[source] = Footage(Info(**{**entry["info"], "notes": notes}), entry["hash"])
        else:
            todo[source] = stamp
    log(f"{len(footage) + len(todo)} sources, {len(todo)} of them to be read")
    # threads suffice: reading, hashing and decoding release the global interpreter lock
    pool = joblib.Parallel(workers or joblib.cpu_count(), prefer="threads", return_as="generator")
    try:
        results = pool(joblib.delayed(_read)(source, pictures) for source in todo)
        bar = tqdm(results, "reading", len(todo), leave=False, unit="clip", disable=not sys.stderr.isatty())
        for source, result in zip(todo, bar, strict=True):
            if isinstance(result, str):
                faults[source] = result
            else:
                footage[source] = result
                if todo[source]:
                    cached[str(source.resolve())] = {"stamp": todo[source], **asdict(result)}
    finally:  # after an interruption, the sources read so far are not read again
        if todo:
            _save(memory, cached)
    return footage, faults


def _read(source: Path, pictures: PictureFormat) -> Footage | str:
    """Probes a source; returns an error message if it cannot be read."""
    try:
        return Footage(probe.probe(source, pictures), probe.hash_source(source))
    except UserError as e:
        return str(e)


def _stamp(source: Path, pictures: PictureFormat) -> str | None:
    """Hash of names, sizes and modification times of the files of a source; None if they cannot be listed.

    What is found out about pictures depends on how they are to be read, so that belongs to it too.
    """
    try:
        is_folder = source.is_dir()
        files = list_pictures(source) if is_folder else [source]
        stamps = [(file.name, (s := file.stat()).st_size, s.st_mtime_ns) for file in files]
    except (OSError, UserError):
        return None
    return digests.digest([stamps, *(astuple(pictures) if is_folder else ())])


def _code_hash() -> str:
    """Hash of the code that reads footage."""
    return digests.digest_files(closure.ROOT / file for file in sorted(closure.sources(probe.__name__)))


def _load(memory: Path) -> dict[str, Any]:
    """The entries of the cache; {} if it is missing, broken or written by other code."""
    try:
        content = json.loads(memory.read_text("utf-8"))
        return content["footage"] if content["code"] == _code_hash() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _save(memory: Path, entries: dict[str, Any]) -> None:
    """Writes the cache, without entries of files that no longer exist."""
    # not Path.exists, which raises PermissionError below folders that may not be entered
    existing = {path: entry for path, entry in entries.items() if os.path.exists(path)}  # noqa: PTH110
    part = memory.with_name(f"{memory.name}.{os.getpid()}.part")
    memory.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(json.dumps({"code": _code_hash(), "footage": existing}), "utf-8")
    part.replace(memory)
