"""The CSV files of ingest: the manifest of clips, labels of anomalous frames, and clips that were left out.

Frames are counted from 0 in the source (the video or picture folder as it lies on disk); intervals
are [start, end), end exclusive. Conventions of other data sets are converted in `vad.layouts` and
nowhere else.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from vad import UserError
from vad.store.intervals import Intervals

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Clip:
    """A row of the manifest: a clip whose source was opened and is whole."""

    clip: str  # the id
    split: str
    camera: str
    subject: str
    source: str  # below data.root, with forward slashes
    first: int  # source frames [first, end) are used
    end: int
    labelled: bool
    frames: int  # of the whole source
    fps: float
    width: int  # upright, in pixels of the source
    height: int
    hash: str  # content of the source


def write_manifest(path: Path, clips: Sequence[Clip]) -> None:
    """Writes a row per clip, sorted by id."""
    rows = (astuple(clip) for clip in sorted(clips, key=lambda clip: clip.clip))
    _write_csv(path, [field.name for field in fields(Clip)], rows)


def read_manifest(path: Path) -> list[Clip]:
    """Reads what `write_manifest` wrote.

    Raises:
        UserError: if the file is missing or lacks a column.
    """
    kinds = get_type_hints(Clip)
    return [
        Clip(**{name: _parse(row[name], kind) for name, kind in kinds.items()})
        for row in _read_csv(path, set(kinds))
    ]


def available(manifest: Path, frames: Path) -> list[Clip]:
    """The clips of the manifest that were extracted to the folder `frames`, i.e. not skipped there."""
    skipped = read_skipped(frames / "skipped.csv")
    return [clip for clip in read_manifest(manifest) if clip.clip not in skipped]


def write_labels(path: Path, labels: dict[str, Intervals]) -> None:
    """Writes a row per anomalous interval: clip, start, end."""
    rows = ((clip, *interval) for clip in sorted(labels) for interval in sorted(labels[clip]))
    _write_csv(path, ["clip", "start", "end"], rows)


def read_labels(path: Path) -> dict[str, Intervals]:
    """Clip id -> its anomalous intervals; a clip without any has no key.

    Raises:
        UserError: if the file is missing or lacks a column.
    """
    labels: defaultdict[str, Intervals] = defaultdict(list)
    for row in _read_csv(path, {"clip", "start", "end"}):
        labels[row["clip"]].append((int(row["start"]), int(row["end"])))
    return dict(labels)


def write_skipped(path: Path, skipped: dict[str, str]) -> None:
    """Writes the clips that were left out and why; the file exists also when there are none."""
    _write_csv(path, ["clip", "reason"], sorted(skipped.items()))


def read_skipped(path: Path) -> dict[str, str]:
    """Clip id -> reason.

    Raises:
        UserError: if the file is missing or lacks a column.
    """
    return {row["clip"]: row["reason"] for row in _read_csv(path, {"clip", "reason"})}


def count_splits(clips: Iterable[Clip]) -> str:
    """`12 train, 4 val, 6 test`, for messages."""
    counts = Counter(clip.split for clip in clips)
    return ", ".join(f"{counts[split]} {split}" for split in SPLITS)


def _parse(text: str, kind: type) -> Any:
    return text == "True" if kind is bool else kind(text)


def _write_csv(path: Path, names: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)


def _read_csv(path: Path, names: set[str]) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), set(reader.fieldnames or [])
    except FileNotFoundError:
        raise UserError(f"{path} not found: run `dvc repro`") from None
    if not names <= columns:
        raise UserError(f"{path}: columns {sorted(names)} expected, found {sorted(columns)}")
    return rows
