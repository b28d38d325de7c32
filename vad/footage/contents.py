"""What lies below data.root: a walk over all of it, and what no clip uses.

DVC follows no link to a folder inside a dependency, so changes behind it go unnoticed. It hangs on a FIFO,
and fails on a dead link or a socket. So linked folders are always refused; what is neither a file nor a
folder is refused before `dvc repro`, and left out by the stage `ingest`.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from vad import UserError
from vad.footage.csv_rows import nfc
from vad.footage.pictures import PICTURES
from vad.footage.source_clip import SourceClip

# of network drives, Windows, Linux and archives, for thumbnails and deleted files; in lower case
SYSTEM_FOLDERS = frozenset(
    {
        "@eadir",
        "@recycle",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "lost+found",
        "__macosx",
    }
)
SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
DOCUMENTS = ("readme", "license", "licence", "copying", "citation")  # beginnings of names
UNTRACKED = frozenset({".git", ".hg", ".dvc"})  # folders into which DVC does not look


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is never footage: hidden, or made by an operating system."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS | SYSTEM_FILES


@dataclass
class Contents:
    """Everything below a folder; all paths are relative to it, with forward slashes.

    Attributes:
        root: the folder.
        files: folder -> names of the files in it, links to files among them; "" is the root. Without hidden
            files and folders.
        linked: folders that are symbolic links, hidden ones excepted.
        special: kind -> entries that are neither files nor folders; kinds are "dead link", "FIFO", …
        closed: folders that may not be opened.
    """

    root: Path
    files: dict[str, list[str]] = field(default_factory=dict)
    linked: list[str] = field(default_factory=list)
    special: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    closed: list[str] = field(default_factory=list)


def walk(root: Path) -> Contents:
    """Lists everything below a folder without opening files.

    Args:
        root: an existing folder; it may be a link.
    """
    contents = Contents(root)
    todo = [("", False)]  # (folder, whether it is hidden)
    while todo:
        folder, hidden = todo.pop()
        names: list[str] = []
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    is_hidden = hidden or entry.name.startswith(".")
                    kind = _kind(entry)
                    if kind == "file":
                        if not is_hidden:
                            names.append(entry.name)
                    elif kind == "folder":
                        if entry.name not in UNTRACKED:
                            todo.append((path, is_hidden))
                    elif kind == "linked folder":
                        if not is_hidden:
                            contents.linked.append(path)
                    else:  # hidden ones too, since they stop DVC
                        contents.special[kind].append(path)
        except PermissionError:  # DVC passes over such a folder too
            contents.closed.append(folder)
        if not hidden:
            contents.files[folder] = names
    return contents


def _kind(entry: os.DirEntry[str]) -> str:
    """The kind of an entry: file, folder, linked folder, or one of `Contents.special`."""
    if entry.is_file(follow_symlinks=False):  # these two need no further look at the disk
        return "file"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    try:
        mode = entry.stat().st_mode
    except OSError:  # nothing there, links in a circle, or no permission
        return "dead link"
    if stat.S_ISDIR(mode):
        return "linked folder"
    if stat.S_ISREG(mode):
        return "file"
    return "FIFO" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"


def refuse_linked(contents: Contents) -> None:
    """Refuses links to folders, whose contents DVC would not follow.

    Raises:
        UserError: for a linked folder.
    """
    if not contents.linked:
        return
    path = contents.root / min(contents.linked)
    target = path.resolve()
    more = len(contents.linked) - 1
    others = f", and {more} more link{'s' * (more > 1)} to folders" if more else ""
    raise UserError(
        f"data.root: {path} is a link to the folder {target}{others}; DVC follows no link to a folder below "
        "data.root and would miss all changes behind it: put the folder itself there (move it, copy it, or "
        "`mount --bind` it), or let data.root name a folder that holds all footage (data.root may be a link)"
    )


def refuse_special(contents: Contents) -> None:
    """Refuses what stops DVC, for use before `dvc repro`.

    Raises:
        UserError: for a dead link, FIFO, socket or device.
    """
    for kind, paths in contents.special.items():
        path = contents.root / min(paths)
        target = f" to {path.readlink()}" if kind == "dead link" else ""
        count = f" (one of {len(paths)})" if len(paths) > 1 else ""
        raise UserError(
            f"data.root: {path} is a {kind}{target}{count}; DVC cannot read it and would "
            f"{'hang' if kind == 'FIFO' else 'fail'}; remove it, or move it out of data.root"
        )


def unreadable(contents: Contents) -> list[str]:
    """Lines on what is neither a file nor a folder, and so is never opened: one per kind, as `left_out`."""
    return [_line(kind, "", paths, min(paths)) for kind, paths in sorted(contents.special.items())]


def left_out(contents: Contents, clips: Sequence[SourceClip], auxiliary: Collection[str]) -> list[str]:
    """Lines on files and folders that no clip uses: one per kind, with a count and an example.

    Hidden files, files that operating systems make, and documents such as README are not mentioned.

    Args:
        contents: of data.root.
        clips: all clips.
        auxiliary: patterns of the files that belong to the layout, besides clips and masks.
    """
    used = _used(contents, clips)
    # folders with a clip in them
    live = used | {str(parent) for path in used for parent in PurePosixPath(path).parents}
    live = (live - {"."}) | {""}
    files: defaultdict[str, list[str]] = defaultdict(list)  # suffix -> files
    folders: defaultdict[tuple[str, str], int] = defaultdict(int)  # (kind, folder) -> number of files
    for folder, names in contents.files.items():
        known = [name for name in names if not _is_quiet(name)]
        if folder not in live:
            if known:
                folders[_topmost(folder, live)] += len(known)
            continue
        for name in known:
            path = f"{folder}/{name}" if folder else name
            suffix = PurePosixPath(name).suffix.lower()
            if folder in used:
                is_used = suffix in PICTURES
            else:
                is_used = path in used or any(fnmatchcase(path, pattern) for pattern in auxiliary)
            if not is_used:
                files[suffix].append(path)
    return [*_lines(contents, files, folders, live)]


def _lines(
    contents: Contents,
    files: dict[str, list[str]],
    folders: dict[tuple[str, str], int],
    live: Collection[str],
) -> Iterator[str]:
    for suffix, paths in sorted(files.items()):
        noun, rest = (f"*{suffix} file", "") if suffix else ("file", " without suffix")
        yield _line(noun, rest, paths, min(paths))
    by_kind: defaultdict[str, list[str]] = defaultdict(list)
    for kind, folder in folders:
        by_kind[kind].append(folder)
    by_name = {folder.casefold(): folder for folder in live}
    for kind, paths in sorted(by_kind.items()):
        n = folders[kind, min(paths)]
        other = by_name.get(min(paths).casefold())
        beside = f", not the same as {other}/" if other else ""
        yield _line("folder", kind, paths, f"{min(paths)}/ ({n} file{'s' * (n != 1)}{beside})")
    if closed := contents.closed:
        yield _line("folder", " that may not be opened", closed, f"{min(closed)}/")


def _line(noun: str, rest: str, paths: Sequence[str], example: str) -> str:
    if len(paths) == 1:
        return f"1 {noun}{rest} is left out: {example}"
    return f"{len(paths)} {noun}s{rest} are left out, for example {example}"


def _used(contents: Contents, clips: Sequence[SourceClip]) -> set[str]:
    """Paths of the sources and masks of the clips, spelt as on the disk."""
    paths = [path for clip in clips for path in (clip.source, clip.masks) if path is not None]
    used = {path.relative_to(contents.root).as_posix() for path in paths}
    listed = {
        f"{folder}/{name}" if folder else name for folder, names in contents.files.items() for name in names
    }
    if unlisted := used - listed - contents.files.keys():
        # some file systems ignore case, or encode accents in another way than the table does
        by_name = {nfc(path).casefold(): path for path in listed | contents.files.keys()}
        used |= {by_name[key] for path in unlisted if (key := nfc(path).casefold()) in by_name}
    return used


def _topmost(folder: str, live: Collection[str]) -> tuple[str, str]:
    """(" <what it is>", path) of the outermost folder without a clip around a folder without a clip."""
    path = PurePosixPath(folder)
    around = [path, *path.parents][:-1]  # without "."
    for part in reversed(around):
        if part.name.lower() in SYSTEM_FOLDERS:
            return f" {part.name}", str(part)
        if str(part) not in live:
            break
    return " without a clip", str(part)


def _is_quiet(name: str) -> bool:
    return is_ignored(name) or name.lower().startswith(DOCUMENTS)
