"""Layouts: how data sets lie on disk. One module per layout, chosen by `data.format`.

Each module has `Params`, its own section (`data.folder`, …), and `read(root, params)`, which returns
the clips as `clips.SourceClip` without opening any. What several layouts need stands here: entries of a
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
from vad.footage.csv_rows import interval, nfc, read_rows
from vad.footage.source_clip import SourceClip
from vad.pipeline.params import Choice, Field
from vad.store.manifest import SPLITS


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
