"""Who is who: a CSV file of people that says which person a clip, or a track in it, belongs to.

    clip,track,person
    test/hall_fall,,anna            the whole clip
    test/yard_dog,3,ben             track 3 of a clip

`clip` is a clip's id; that of a test clip may do without `test/`, as the tables of a run name it. `track`
is its number in tracks.csv. What the file does not tell, the manifest's subject does. The header alone
is fine. Clips that are not tested may be named too.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vad import UserError
from vad.footage import csv_rows
from vad.store.manifest import Clip

COLUMNS = ("clip", "track", "person")


@dataclass(frozen=True)
class Identity:
    """Persons by clip id, and by clip id and track."""

    clips: Mapping[str, str]
    tracks: Mapping[str, Mapping[int, str]]

    def person(self, clip: Clip) -> str:
        """Whom the clip belongs to, apart from tracks that are somebody else's; "" where nobody said."""
        return self.clips.get(clip.clip, clip.subject)

    def persons(self, clip: Clip, tracks: np.ndarray) -> list[str]:
        """Whom each region of the clip belongs to, from their track numbers [N]."""
        named, rest = self.tracks.get(clip.clip, {}), self.person(clip)
        return [named.get(track, rest) for track in tracks.tolist()]


def read(path: Path, clips: Sequence[Clip], tracks: Mapping[str, Collection[int]]) -> Identity:
    """Reads the file for the clips of the manifest; `tracks` are the track numbers of those tested.

    Raises UserError, naming file and line, for a missing column, a clip or track that does not exist, one
    that is named twice, and a row without person.
    """
    ids = {clip.clip: clip.clip for clip in clips}
    for clip in clips:
        if clip.split == "test":
            ids.setdefault(clip.clip.partition("/")[2], clip.clip)
    whole: dict[str, str] = {}
    parts: dict[str, dict[int, str]] = {}
    lines: dict[tuple[str, int | None], str] = {}
    for where, row in csv_rows.read_rows(path, COLUMNS):
        person = " ".join(csv_rows.nfc(row["person"]).split())
        if (clip := ids.get(name := csv_rows.nfc(row["clip"]))) is None:
            near = difflib.get_close_matches(name, ids, n=3) or list(ids)[:3]
            raise UserError(f"{where}: no clip is called {name!r}; names are such as {', '.join(near)}")
        track = _track(where, clip, row["track"], tracks.get(clip))
        which = f"clip {clip!r}" if track is None else f"track {track} of clip {clip!r}"
        if not person:
            raise UserError(f"{where}: {which} has no person; fill in the column or remove the row")
        if before := lines.get((clip, track)):
            raise UserError(f"{where}: {which} is named twice, first in {before}; remove one of the rows")
        lines[clip, track] = where
        if track is None:
            whole[clip] = person
        else:
            parts.setdefault(clip, {})[track] = person
    return Identity(whole, parts)


def _track(where: str, clip: str, text: str, known: Collection[int] | None) -> int | None:
    """The number in the column `track`, None where it is empty; `known` None: the clip is not tested."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise UserError(
            f"{where}: track = {text!r} of clip {clip!r}; expected its number, or nothing for the whole clip"
        )
    if known is not None and int(text) not in known:
        own = sorted({int(track) for track in known if track >= 0})
        has = f"its tracks are {_listing(own)}" if own else "it has none"
        raise UserError(f"{where}: clip {clip!r} has no track {text} with a score; {has}")
    return int(text)


def _listing(numbers: list[int], most: int = 10) -> str:
    """`0, 1, 4`, or `0, 1, …, 97` where there are many."""
    if len(numbers) <= most:
        return ", ".join(map(str, numbers))
    return ", ".join(map(str, numbers[: most - 1])) + f", …, {numbers[-1]}"
