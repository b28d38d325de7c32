"""Folders of a data set: what lies in them, the clips among it, and how messages list it."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from vad import UserError
from vad.footage.pictures import is_picture_folder


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without hidden files and what macOS leaves in archives."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name != "__MACOSX")


def open_root(root: Path) -> list[Path]:
    """`entries` of data.root.

    Raises:
        UserError: if it is missing, no folder, or empty.
    """
    if not root.exists():
        raise UserError(f"data.root = {str(root)!r}: no such folder (seen from {Path.cwd()})")
    if not root.is_dir():
        raise UserError(f"data.root = {str(root)!r} is a file; expected the folder that holds the footage")
    if not (inside := entries(root)):
        raise UserError(f"data.root = {str(root)!r} is empty; expected a folder with footage")
    return inside


def listing(folder: Path, most: int = 8) -> str:
    """The entries of a folder for a message: `Test/, Train/, README.txt, … (12 in all)`."""
    names = [p.name + "/" * p.is_dir() for p in sorted(entries(folder), key=lambda p: p.is_file())]
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "nothing"


class Item(NamedTuple):
    """A file, or a folder of pictures, that makes a clip or its masks."""

    name: str  # path below the folder of the split, without suffix
    path: Path
    level: str  # the folder between that of the split and the item, "" if there is none


def items(folder: Path, suffixes: Collection[str], level: str = "") -> Iterator[Item]:
    """The files with a suffix among `suffixes` and the picture folders, in a folder or a level below it.

    An empty folder counts as a clip without pictures, so that it is not overlooked.

    Args:
        folder: of a split; or of a level, in the recursion.
        suffixes: lower case, with the dot.
        level: name of `folder` if it is a level.

    Raises:
        UserError: for pictures that lie directly in the folder of a split, and for folders without items.
    """
    if not level and is_picture_folder(folder):
        raise UserError(f"{folder}: holds pictures itself; put those of each clip into a folder of their own")
    below = f"{level}/" if level else ""
    is_empty = True
    for entry in entries(folder):
        if not entry.is_dir():
            if entry.suffix.lower() in suffixes:
                is_empty = False
                yield Item(below + entry.stem, entry, level)
        elif not entries(entry) or is_picture_folder(entry):
            _refuse_mixture(entry, suffixes)
            is_empty = False
            yield Item(below + entry.name, entry, level)
        elif level:
            raise UserError(
                f"{entry}: holds no pictures ({listing(entry)}); clips lie directly in {folder.parent} or "
                "one folder below it"
            )
        else:
            is_empty = False
            yield from items(entry, suffixes, entry.name)
    if is_empty:
        raise UserError(
            f"{folder}: nothing to read: found {listing(folder)}; expected folders of pictures, or "
            f"{either(suffixes)} files"
        )


def _refuse_mixture(folder: Path, suffixes: Collection[str]) -> None:
    if any(path.suffix.lower() in suffixes for path in entries(folder)):
        raise UserError(
            f"{folder}: holds pictures and {either(suffixes)} files; is it one clip of pictures, or "
            "a folder of clips? Move one kind elsewhere"
        )


def either(suffixes: Collection[str]) -> str:
    """`.avi, .mp4 or .mov` for a message."""
    *first, last = sorted(suffixes)
    return f"{', '.join(first)} or {last}" if first else last
