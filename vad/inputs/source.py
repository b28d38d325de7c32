"""Sources: what a user names to be scored. Files, folders, cameras and streams, found but not opened."""

import re
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from vad import UserError
from vad.footage.contents import is_ignored, walk
from vad.footage.pictures import PICTURES
from vad.footage.source_clip import safe_name
from vad.footage.video import VIDEOS
from vad.inputs.redaction import printable, redact

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "udp")
URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
KINDS = "a picture, a video, a folder of either, the number of a camera, or the address of a stream"


@dataclass(frozen=True)
class Source:
    """A source of frames.

    Attributes:
        kind: `sequence` is a folder whose pictures are the frames of a clip; `camera` is one of this machine.
        text: what the user wrote, or the path that was found; on one line and without credentials.
        name: short, safe as the name of a file, and different for all sources found together.
        address: path of files; address of a stream, with its credentials; index or path of a camera.
    """

    kind: Literal["picture", "video", "sequence", "camera", "stream"]
    text: str
    name: str
    address: Path | str | int = field(repr=False)

    @property
    def is_live(self) -> bool:
        """Whether frames come when they want: a camera or a stream."""
        return self.kind in ("camera", "stream")


@dataclass(frozen=True)
class _Candidate:
    """A source with a longer name, for the case that another has the same short one."""

    source: Source
    longer: str


def find_sources(texts: Sequence[str], *, separate_pictures: bool = False) -> list[Source]:
    """Finds the sources that texts name.

    A folder stands for all below it: each video, and each folder that holds pictures, which are the frames of
    a clip. Hidden files and those that systems make are left out. A number is the index of a camera (a file
    of that name is `./0`).

    Args:
        texts: paths, numbers of cameras, addresses of streams.
        separate_pictures: whether each picture of a folder is a source of its own.

    Returns:
        The sources in the order of the texts, each once.

    Raises:
        UserError: if there is no text; if one names nothing, neither a picture nor a video, a folder without
            either, or an address of an unknown kind; if a folder holds links to folders, or pictures and
            videos side by side.
    """
    if not texts:
        raise UserError(f"no source: expected {KINDS}")
    candidates = [candidate for text in texts for candidate in _find(text, separate_pictures)]
    unique: dict[Path | str | int, _Candidate] = {}
    for candidate in candidates:
        address = candidate.source.address
        unique.setdefault(address.resolve() if isinstance(address, Path) else address, candidate)
    return _with_unique_names([*unique.values()])


def _find(text: str, separate_pictures: bool) -> Iterator[_Candidate]:
    if not text.strip():
        raise UserError(f"an empty source; expected {KINDS}")
    if url := URL.fullmatch(text):
        yield _stream(text, url[1].lower(), url[2])
    elif re.fullmatch(r"[0-9]{1,4}", text):
        yield _Candidate(Source("camera", f"camera {int(text)}", f"camera{int(text)}", int(text)), text)
    else:
        path = Path(text)
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as e:  # ValueError for a null character
            missing = "does not exist" if isinstance(e, FileNotFoundError | ValueError) else e.strerror
            # it may be a mistyped address, with a password
            raise UserError(f"{printable(redact(text))}: {missing}; expected {KINDS}") from None
        if stat.S_ISDIR(mode):
            yield from _in_folder(path, separate_pictures)
        elif stat.S_ISCHR(mode):
            yield _Candidate(Source("camera", _shown(path), _name(path.name), str(path)), path.name)
        else:
            yield _file(path, path.stem, f"{path.resolve().parent.name}/{path.stem}")


def _stream(text: str, scheme: str, rest: str) -> _Candidate:
    shown = printable(redact(text, text))
    if scheme not in SCHEMES:
        known = ", ".join(f"{known}://" for known in SCHEMES)
        raise UserError(f"{shown}: {scheme}:// is not known; expected {known}, or the path of a file")
    if not rest.strip("/"):
        raise UserError(f"{shown}: an address without a host; expected {scheme}://HOST/PATH")
    place = shown.partition("://")[2].partition("?")[0]
    return _Candidate(Source("stream", shown, _name(place), text), place)


def _file(path: Path, name: str, longer: str) -> _Candidate:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise UserError(f"{_shown(path)}: neither a file nor a folder; expected {KINDS}")
    if suffix not in PICTURES | VIDEOS:
        raise UserError(
            f"{_shown(path)}: neither a picture nor a video by its suffix {printable(suffix)!r}; rename it "
            "if it is one, for example to .jpg or .mp4"
        )
    kind: Literal["picture", "video"] = "picture" if suffix in PICTURES else "video"
    return _Candidate(Source(kind, _shown(path), _name(name), path), longer)


def _in_folder(root: Path, separate_pictures: bool) -> Iterator[_Candidate]:
    contents = walk(root)
    if contents.linked:
        link = root / min(contents.linked)
        raise UserError(
            f"{_shown(link)}: a link to a folder, which is not followed; name {_shown(link.resolve())} too"
        )
    base = root.resolve().name
    found = False
    for folder, names in sorted(contents.files.items()):
        if any(is_ignored(part) for part in PurePosixPath(folder).parts):
            continue
        names = sorted(name for name in names if not is_ignored(name))
        pictures = [name for name in names if PurePosixPath(name).suffix.lower() in PICTURES]
        videos = [name for name in names if PurePosixPath(name).suffix.lower() in VIDEOS]
        found |= bool(pictures or videos)
        if len(pictures) == 1 or separate_pictures:
            videos = sorted(pictures + videos)
        elif pictures:
            if videos:
                raise UserError(
                    f"{_shown(root / folder)}: holds pictures ({printable(pictures[0])}) and videos "
                    f"({printable(videos[0])}), so the pictures may be a clip or not; move either elsewhere"
                )
            source = Source("sequence", _shown(root / folder), _name(folder or base), root / folder)
            yield _Candidate(source, f"{base}/{folder}")
        for name in videos:
            below = str(PurePosixPath(folder, name).with_suffix(""))
            yield _file(root / folder / name, below, f"{base}/{below}")
    if not found:
        raise UserError(f"{_shown(root)}: {_content(contents.files)}, but neither a picture nor a video")


def _content(files: dict[str, list[str]]) -> str:
    paths = sorted(str(PurePosixPath(folder, name)) for folder, names in files.items() for name in names)
    if not paths:
        return "an empty folder" if len(files) == 1 else "a folder without files"
    return f"a folder with {len(paths)} file{'s' * (len(paths) != 1)}, for example {printable(paths[0])}"


def _shown(path: Path) -> str:
    return printable(str(path))


def _name(text: str) -> str:
    # what begins with a dash would be taken for an option
    return safe_name(text).strip("-_") or "source"


def _with_unique_names(candidates: Sequence[_Candidate]) -> list[Source]:
    """Gives sources of the same name their longer names, and then numbers.

    Upper and lower case count as the same, since some file systems ignore it.
    """
    by_name: defaultdict[str, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_name[candidate.source.name.casefold()].append(candidate)
    names: set[str] = set()
    sources = []
    for candidate in candidates:
        short = candidate.source.name
        wanted = _name(candidate.longer) if len(by_name[short.casefold()]) > 1 else short
        name, number = wanted, 1
        while name.casefold() in names:
            number += 1
            name = f"{wanted}_{number}"
        names.add(name.casefold())
        sources.append(replace(candidate.source, name=name))
    return sources
