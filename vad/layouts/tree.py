"""Lists the folders of a data set: all entries, the clips among them, and a summary for messages."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from vad import UserError
from vad.footage.contents import is_ignored
from vad.footage.pictures import is_picture_folder, list_pictures


def entries(folder: Path) -> list[Path]:
    """The entries of a folder, sorted by name, without hidden ones and those that systems make (`@eaDir`)."""
    return sorted(path for path in folder.iterdir() if not is_ignored(path.name))


def open_root(root: Path) -> list[Path]:
    """The entries of data.root, as `entries`.

    Raises:
        UserError: if it is missing, not a folder, or empty.
    """
    if not root.exists():
        raise UserError(f"data.root = {str(root)!r}: no such folder (seen from {Path.cwd()})")
    if not root.is_dir():
        raise UserError(f"data.root = {str(root)!r} is a file; expected the folder that holds the footage")
    if not (inside := entries(root)):
        raise UserError(f"data.root = {str(root)!r} is empty; expected a folder with footage")
    return inside


def listing(folder: Path, most: int = 8) -> str:
    """The entries of a folder for a message: `Test/, Train/, README.txt, … (12 in all)`.

    Args:
        folder: an existing folder.
        most: maximum number of entries to list.
    """
    names = [p.name + "/" * p.is_dir() for p in sorted(entries(folder), key=lambda p: p.is_file())]
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "nothing"


class Item(NamedTuple):
    """A file or a folder of pictures that holds a clip or its masks.

    Attributes:
        name: path below the folder of the split, without suffix.
        path: of the file or folder.
        level: name of the folder between the split and the item; empty if there is none.
    """

    name: str
    path: Path
    level: str


def items(folder: Path, suffixes: Collection[str], level: str = "") -> Iterator[Item]:
    """Yields the files with given suffixes and the folders of pictures, in a folder or a level below it.

    An empty folder counts as a folder of pictures, so that it leads to an error and is not overlooked.

    Args:
        folder: the folder of a split; in the recursion, a folder below it.
        suffixes: of the files, in lower case, with the dot.
        level: empty; in the recursion, the name of `folder`.

    Raises:
        UserError: for pictures directly in the folder of a split, and for folders without items.
    """
    if not level and is_picture_folder(folder):
        raise UserError(
            f"{folder}: directly contains pictures; put the pictures of each clip into a subfolder"
        )
    below = f"{level}/" if level else ""
    is_empty = True
    for entry in entries(folder):
        if not entry.is_dir():
            if entry.suffix.lower() in suffixes and entry.is_file():  # neither a dead link nor a FIFO
                is_empty = False
                yield Item(below + entry.stem, entry, level)
        elif not entries(entry) or is_picture_folder(entry):
            _refuse_mixture(entry, suffixes)
            is_empty = False
            yield Item(below + entry.name, entry, level)
        elif level:
            raise UserError(
                f"{entry}: holds no pictures ({listing(entry)}); put clips directly into {folder.parent} or "
                "a folder in it"
            )
        else:
            is_empty = False
            yield from items(entry, suffixes, entry.name)
    if is_empty:
        raise UserError(
            f"{folder}: no clips: found {listing(folder)}; expected folders of pictures, or files such as "
            f"{_examples(suffixes)}"
        )


def _refuse_mixture(folder: Path, suffixes: Collection[str]) -> None:
    others = [path for path in entries(folder) if path.suffix.lower() in suffixes and path.is_file()]
    if others:
        raise UserError(
            f"{folder}: holds both pictures ({list_pictures(folder)[0].name}) and {others[0].suffix} files "
            f"({others[0].name}), so it may be a clip or a folder of clips; move either kind elsewhere"
        )


def _examples(suffixes: Collection[str]) -> str:
    """A few of the suffixes for a message, as `.avi, .mkv or .mp4`."""
    *first, last = [suffix for suffix in (".avi", ".mkv", ".mp4") if suffix in suffixes] or sorted(suffixes)
    return f"{', '.join(first)} or {last}" if first else last
