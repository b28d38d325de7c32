"""The CSV files of ingest: the manifest of clips, the labels of anomalous frames, and the skipped clips.

Frames are counted from 0 in the source (the video or folder of pictures on disk); intervals are [start, end),
end exclusive. Only `vad.layouts` knows the conventions of data sets and converts from them.
"""

import csv
import io
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
    """A row of the manifest: a clip whose source could be opened and is complete.

    Attributes:
        clip: id, `<split>/<name>`.
        split: train, val or test.
        camera: name of the camera.
        subject: the person shown; may be empty.
        source: path below data.root, with forward slashes.
        first: number of the first source frame used.
        end: number after the last source frame used.
        labelled: whether there are labels or masks.
        frames: number of frames of the whole source.
        fps: frames per second of the source.
        width: of the source set upright, in pixels.
        height: of the source set upright, in pixels.
        hash: content hash of the source.
        fold: the part of the normal clips it belongs to, from 0, with `data.folds` above 1; otherwise -1.
    """

    clip: str
    split: str
    camera: str
    subject: str
    source: str
    first: int
    end: int
    labelled: bool
    frames: int
    fps: float
    width: int
    height: int
    hash: str
    fold: int = -1


def write_manifest(path: Path, clips: Sequence[Clip]) -> None:
    """Writes a row per clip, sorted by id."""
    rows = (astuple(clip) for clip in sorted(clips, key=lambda clip: clip.clip))
    _write_csv(path, [field.name for field in fields(Clip)], rows)


def read_manifest(path: Path) -> list[Clip]:
    """Reads the manifest.

    Raises:
        UserError: if the file is missing or lacks a column.
    """
    kinds = get_type_hints(Clip)
    return [
        Clip(**{name: _parse(row[name], kind) for name, kind in kinds.items()})
        for row in _read_csv(path, set(kinds))
    ]


def available(manifest: Path, frames: Path) -> list[Clip]:
    """Reads the clips that were extracted: those of the manifest without those that extract skipped.

    Args:
        manifest: the CSV file.
        frames: folder of the extracted frames, with skipped.csv.
    """
    skipped = read_skipped(frames / "skipped.csv")
    return [clip for clip in read_manifest(manifest) if clip.clip not in skipped]


def measured(manifest: Path, errors: Path, *splits: str) -> list[Clip]:
    """Reads the clips of splits that have errors: those that no stage up to `measure` left out.

    Args:
        manifest: the CSV file.
        errors: folder of the errors.
        splits: the splits.
    """
    clips = (clip for clip in read_manifest(manifest) if clip.split in splits)
    return [clip for clip in clips if Path(f"{errors / clip.clip}.parquet").is_file()]


def write_labels(path: Path, labels: dict[str, Intervals]) -> None:
    """Writes a row per anomalous interval: clip, start, end."""
    rows = ((clip, *interval) for clip in sorted(labels) for interval in sorted(labels[clip]))
    _write_csv(path, ["clip", "start", "end"], rows)


def read_labels(path: Path) -> dict[str, Intervals]:
    """Reads clip id -> anomalous intervals; clips without anomalies are not in it.

    Raises:
        UserError: if the file is missing or lacks a column.
    """
    labels: defaultdict[str, Intervals] = defaultdict(list)
    for row in _read_csv(path, {"clip", "start", "end"}):
        labels[row["clip"]].append((int(row["start"]), int(row["end"])))
    return dict(labels)


def write_skipped(path: Path, skipped: dict[str, str]) -> None:
    """Writes a row per skipped clip: clip, reason. Without skipped clips the file has only its header."""
    _write_csv(path, ["clip", "reason"], sorted(skipped.items()))


def read_skipped(path: Path) -> dict[str, str]:
    """Reads clip id -> reason.

    Raises:
        UserError: if the file is missing or lacks a column.
    """
    return {row["clip"]: row["reason"] for row in _read_csv(path, {"clip", "reason"})}


def write_folds(path: Path, clips: Iterable[Clip]) -> None:
    """Writes a row per clip that has a fold: clip, fold. Without folds the file has only its header."""
    rows = sorted((clip.clip, clip.fold) for clip in clips if clip.fold >= 0)
    _write_csv(path, ["clip", "fold"], rows)


def read_folds(path: Path) -> dict[str, int]:
    """Reads clip id -> fold; empty without folds.

    Raises:
        UserError: if the file is missing or lacks a column.
    """
    return {row["clip"]: int(row["fold"]) for row in _read_csv(path, {"clip", "fold"})}


def write_gaps(path: Path, gaps: dict[str, list[tuple[int, float, float]]]) -> None:
    """Writes a row per gap in the time stamps of a clip: clip, frame, seconds, gap.

    Args:
        path: the CSV file.
        gaps: clip id -> (source frame after the gap, its time in seconds, length of the gap in seconds,
            negative where the clock restarts).
    """
    _write_csv(
        path, ["clip", "frame", "seconds", "gap"], ((c, *gap) for c in sorted(gaps) for gap in gaps[c])
    )


def describe_gap(gap: float) -> str:
    """A gap in words: `gap of 1.50 s`, or `step back of 4.00 s` where the clock restarts."""
    return f"gap of {gap:.2f} s" if gap > 0 else f"step back of {-gap:.2f} s"


def read_gaps(path: Path) -> list[tuple[str, int, float, float]]:
    """Reads the rows that `write_gaps` wrote, as (clip id, frame, seconds, gap).

    Raises:
        UserError: if the file is missing or lacks a column.
    """
    rows = _read_csv(path, {"clip", "frame", "seconds", "gap"})
    return [(row["clip"], int(row["frame"]), float(row["seconds"]), float(row["gap"])) for row in rows]


def needed_splits(clips: Iterable[Clip]) -> tuple[str, ...]:
    """The splits that must have clips: with folds, none are held out as `val`."""
    return ("train", "test") if any(clip.fold >= 0 for clip in clips) else SPLITS


def count_splits(clips: Iterable[Clip]) -> str:
    """Number of clips per split, as `12 train, 4 val, 6 test`, for messages."""
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
            text = file.read()
    except FileNotFoundError:
        raise UserError(f"{path} not found: run `dvc repro`") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows, columns = list(reader), set(reader.fieldnames or [])
    if not names <= columns:
        raise UserError(f"{path}: columns {sorted(names)} expected, found {sorted(columns)}")
    if not text.endswith("\n"):  # as every file that was written to its end
        raise UserError(f"{path}: is cut off in line {reader.line_num}; `dvc checkout --force` restores it")
    return rows
