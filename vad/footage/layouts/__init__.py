"""Layouts: how data sets lie on disk. One module per layout, chosen by `data.format`.

Each module has `Params`, its own section (`data.folder`, …), and `read(root, params)`, which returns
the clips as `clips.Found` without opening any. What several layouts need stands here: entries of a
folder, CSV files of people, labels, and messages that say what was found and what was expected.
"""

import csv
import difflib
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from vad import UserError
from vad.footage import decode
from vad.pipeline.params import Choice, Field
from vad.store.manifest import SPLITS, Found


class DataParams(Choice):
    """`data`: where the footage lies and how it is read."""

    package: ClassVar[str] = "vad.footage.layouts"
    chooser: ClassVar[str] = "format"
    format: str
    root: str = Field(min_length=1)
    val_fraction: float = Field(ge=0, le=0.9)
    on_error: Literal["fail", "skip"]
    allow_anomalous_train: bool

    def verify(self, raw: dict[str, Any]) -> None:
        open_root(Path(self.root))


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without hidden files and what macOS leaves in archives."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name != "__MACOSX")


def open_root(root: Path) -> list[Path]:
    """`entries` of data.root. Raises UserError if it is missing, no folder, or empty."""
    if not root.exists():
        raise UserError(f"data.root = {str(root)!r}: no such folder (seen from {Path.cwd()})")
    if not root.is_dir():
        raise UserError(f"data.root = {str(root)!r} is a file; expected the folder that holds the footage")
    if not (found := entries(root)):
        raise UserError(f"data.root = {str(root)!r} is empty; expected a folder with footage")
    return found


def mismatch(root: Path, layout: str, expected: str) -> UserError:
    """The error for a root that is not laid out as `data.format` says; suggests what would fit."""
    other = [text for name, text in _fitting(root) if name != layout]
    hint = f"; {other[0]} would fit" if other else ""
    return UserError(
        f"{root} does not match data.format = {layout!r}: found {listing(root)}; expected {expected}{hint}"
    )


def listing(folder: Path, most: int = 8) -> str:
    """The entries of a folder for a message: `Test/, Train/, README.txt, … (12 in all)`."""
    names = [p.name + "/" * p.is_dir() for p in sorted(entries(folder), key=lambda p: p.is_file())]
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "nothing"


def _fitting(root: Path) -> Iterator[tuple[str, str]]:
    """(layout, how to choose it) of those that the entries of `root` speak for."""
    names = {p.name for p in entries(root) if p.is_dir()}
    if names >= {"Train", "Test"}:
        yield "ucsd", "data.format: ucsd"
    if names >= {"train", "test"}:
        yield "folder", "data.format: folder"
    for path in root.glob("*.csv"):
        head = path.read_bytes()[:1000].decode("utf-8-sig", "replace").splitlines()[:1]
        if head and {"file", "split"} <= {name.strip() for name in head[0].split(",")}:
            yield "table", f"data.format: table with data.table.file: {path.name}"


def split_folders(root: Path, layout: str, expected: str) -> dict[str, Path]:
    """train, test and, where it is there, val below the root; raises `mismatch` if one is missing."""
    # by listing, since a file system may take Train for train
    folders = {p.name: p for p in open_root(root) if p.is_dir() and p.name in SPLITS}
    if not {"train", "test"} <= folders.keys():
        raise mismatch(root, layout, expected)
    return {split: folders[split] for split in SPLITS if split in folders}


def items(folder: Path, suffixes: Collection[str], level: str = "") -> Iterator[tuple[str, Path, str]]:
    """(name, path, level folder) of the files with one of the suffixes and of the picture folders.

    They lie in `folder` or one level below; `name` is the path below it without suffix. An empty
    folder counts as a clip without pictures, so that it is not overlooked. Raises UserError for
    pictures that lie directly in `folder`, and for folders where nothing is found.
    """
    if not level and decode.is_picture_folder(folder):
        raise UserError(f"{folder}: holds pictures itself; put those of each clip into a folder of their own")
    below = f"{level}/" if level else ""
    found = False
    for entry in entries(folder):
        if not entry.is_dir():
            if entry.suffix.lower() in suffixes:
                found = True
                yield below + entry.stem, entry, level
        elif not (inside := entries(entry)) or decode.is_picture_folder(entry):
            if any(p.suffix.lower() in suffixes for p in inside):
                raise UserError(
                    f"{entry}: holds pictures and {either(suffixes)} files; is it one clip of pictures, or "
                    "a folder of clips? Move one kind elsewhere"
                )
            found = True
            yield below + entry.name, entry, level
        elif level:
            raise UserError(
                f"{entry}: holds no pictures ({listing(entry)}); clips lie directly in {folder.parent} or "
                "one folder below it"
            )
        else:
            found = True
            yield from items(entry, suffixes, entry.name)
    if not found:
        raise UserError(
            f"{folder}: nothing to read: found {listing(folder)}; expected folders of pictures, or "
            f"{either(suffixes)} files"
        )


def either(suffixes: Collection[str]) -> str:
    """`.avi, .mp4 or .mov` for a message."""
    *first, last = sorted(suffixes)
    return f"{', '.join(first)} or {last}" if first else last


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """(`file line n` for messages, row) of a CSV file made by people; values are stripped.

    A byte order mark, CRLF and empty lines are fine. Raises UserError if the file is missing, no
    UTF-8 text, lacks one of the `columns`, or a row has more fields than the header.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            head = [name.strip() for name in reader.fieldnames or []]
            if lacking := [name for name in columns if name not in head]:
                raise UserError(
                    f"{path}: missing column {', '.join(lacking)}; found {', '.join(head) or 'nothing'}; "
                    f"expected at least {', '.join(columns)}, separated by commas"
                )
            reader.fieldnames = head
            rows = []
            for row in reader:
                where = f"{path} line {reader.line_num}"
                if None in row:
                    raise UserError(
                        f"{where}: {len(head) + len(row[None])} fields, but the header has {len(head)}; "
                        'put a name with a comma into "quotes"'
                    )
                rows.append((where, {name: value.strip() for name, value in row.items()}))
    except FileNotFoundError:
        raise UserError(f"{path} not found") from None
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({e})") from None
    return rows


def whole(where: str, row: dict[str, str], column: str) -> int | None:
    """The frame number in a column, None where it is empty. Raises UserError for anything else."""
    text = row.get(column, "")
    if text and not (text.isascii() and text.isdigit()):
        raise UserError(f"{where}: {column} = {text!r}; expected a frame number, counted from 0")
    return int(text) if text else None


def interval(where: str, row: dict[str, str]) -> list[tuple[int, int]]:
    """[(start, end)] of a row, [] where both are empty."""
    start, end = whole(where, row, "start"), whole(where, row, "end")
    if start is None and end is None:
        return []
    if start is None or end is None or start >= end:
        raise UserError(
            f"{where}: start = {row['start']!r}, end = {row['end']!r}; expected start < end (end exclusive), "
            "or both empty for a normal clip"
        )
    return [(start, end)]


def label(found: Sequence[Found], path: Path) -> list[Found]:
    """Applies `labels.csv` (clip, start, end; frames from 0, end exclusive), if there is one.

    `clip` is the path below test/ or below the root, with or without suffix. Test clips without a row
    are then labelled normal. Raises UserError for a clip that is not there, with similar names.
    """
    if not path.exists():
        return list(found)
    known: dict[str, Found] = {}
    for clip in found:
        for name in (clip.name, clip.name + clip.source.suffix):
            known.setdefault(nfc(f"{clip.split}/{name}"), clip)
    for clip in found:
        if clip.split == "test":
            for name in (clip.name, clip.name + clip.source.suffix):
                known.setdefault(nfc(name), clip)
    labels = {clip.id: [] for clip in found if clip.split == "test"}
    for where, row in read_rows(path, ("clip", "start", "end")):
        key = nfc(row["clip"])
        if key not in known:
            near = [f"{s}/{key}" for s in SPLITS if f"{s}/{key}" in known]
            near += difflib.get_close_matches(key, known, n=3)
            what, names = (
                ("similar", near)
                if near
                else ("clips are, for example", [k for k in known if k.startswith("test/")][:3])
            )
            raise UserError(
                f"{where}: unknown clip {row['clip']!r}; expected its path below test/; "
                f"{what}: {', '.join(names)}"
            )
        labels.setdefault(known[key].id, []).extend(interval(where, row))
    return [replace(clip, intervals=labels.get(clip.id)) for clip in found]


def nfc(text: str) -> str:
    """One spelling for accents, which file systems and spreadsheets write in two ways."""
    return unicodedata.normalize("NFC", text)
