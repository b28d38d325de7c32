"""Probes all sources side by side, and remembers the results, so that a second survey reads new footage only.

What was read of a source (its length, rate, size and content hash) stands in a small JSON file under its
path, together with a stamp of names, sizes and times of change of its files. It counts as long as stamp and
code are the same.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
from tqdm import tqdm

from vad import UserError
from vad.footage import pictures, probe
from vad.pipeline import closure
from vad.store import digests


@dataclass(frozen=True)
class Footage:
    """What a source holds.

    Attributes:
        info: frames, rate, size.
        hash: of its content.
    """

    info: probe.Info
    hash: str


def probe_all(
    sources: Sequence[Path], memory: Path, workers: int | None, log: Callable[[str], None]
) -> tuple[dict[Path, Footage], dict[Path, str]]:
    """(what each readable source holds, why the others cannot be read).

    Args:
        sources: video files and folders of pictures.
        memory: JSON file of earlier results; made anew if it is missing or broken.
        workers: threads that read; None: as many as cores.
        log: takes a line for people.
    """
    remembered = _recall(memory)
    footage: dict[Path, Footage] = {}
    faults: dict[Path, str] = {}
    todo: dict[Path, str | None] = {}  # source -> its stamp, None if it cannot be had
    for source in dict.fromkeys(sources):
        stamp = _stamp(source)
        entry = remembered.get(str(source.resolve()))
        if stamp and entry and entry["stamp"] == stamp:
            footage[source] = Footage(probe.Info(**entry["info"]), entry["hash"])
        else:
            todo[source] = stamp
    log(f"{len(footage) + len(todo)} sources, {len(todo)} of them to be read")
    # threads: reading, hashing and decoding all release Python's lock
    pool = joblib.Parallel(workers or joblib.cpu_count(), prefer="threads", return_as="generator")
    try:
        results = pool(joblib.delayed(_read)(source) for source in todo)
        bar = tqdm(results, "reading", len(todo), leave=False, unit="clip", disable=not sys.stderr.isatty())
        for source, result in zip(todo, bar, strict=True):
            if isinstance(result, str):
                faults[source] = result
            else:
                footage[source] = result
                if todo[source]:
                    remembered[str(source.resolve())] = {"stamp": todo[source], **asdict(result)}
    finally:  # also when a later file stops the run
        if todo:
            _remember(memory, remembered)
    return footage, faults


def _read(source: Path) -> Footage | str:
    """What a source holds, or why it cannot be read."""
    try:
        return Footage(probe.probe(source), probe.hash_source(source))
    except UserError as e:
        return str(e)


def _stamp(source: Path) -> str | None:
    """Hash of names, sizes and times of change of the files of a source."""
    try:
        files = pictures.list_pictures(source) if source.is_dir() else [source]
        stamps = [(file.name, (s := file.stat()).st_size, s.st_mtime_ns) for file in files]
    except (OSError, UserError):
        return None
    return digests.digest(stamps)


def _code() -> str:
    """Hash of the code that reads footage: results of other versions do not count."""
    return digests.digest_files(closure.ROOT / file for file in sorted(closure.sources(probe.__name__)))


def _recall(memory: Path) -> dict[str, Any]:
    try:
        content = json.loads(memory.read_text("utf-8"))
        return content["footage"] if content["code"] == _code() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _remember(memory: Path, entries: dict[str, Any]) -> None:
    # not Path.exists, which raises where a folder may not be entered
    existing = {path: entry for path, entry in entries.items() if os.path.exists(path)}  # noqa: PTH110
    part = memory.with_name(f"{memory.name}.{os.getpid()}.part")
    memory.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(json.dumps({"code": _code(), "footage": existing}), "utf-8")
    part.replace(memory)
