"""Identities: a CSV file that assigns clips, or tracks in them, to persons.

    clip,track,person
    test/hall_fall,,anna            the whole clip
    test/yard_dog,3,ben             track 3 of a clip

`clip` is the id of a clip; `test/` may be omitted, as in the tables of a run. `track` is a track number of
tracks.csv. Clips without a row belong to the subject in the manifest, so a file with only the header is
valid. Rows about clips of other splits are allowed.
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
MAX_LISTED = 10  # maximum track numbers in a message


@dataclass(frozen=True)
class Identity:
    """The persons that clips and tracks belong to.

    Attributes:
        clips: person by clip id.
        tracks: person by clip id and track number.
    """

    clips: Mapping[str, str]
    tracks: Mapping[str, Mapping[int, str]]

    def person(self, clip: Clip) -> str:
        """The person of a clip, who may not be that of all its tracks; "" if no person is given."""
        return self.clips.get(clip.clip, clip.subject)

    def persons(self, clip: Clip, tracks: np.ndarray) -> list[str]:
        """The person of each region of a clip.

        Args:
            clip: row of the manifest.
            tracks: track number of each region, int [N].
        """
        by_track, otherwise = self.tracks.get(clip.clip, {}), self.person(clip)
        return [by_track.get(track, otherwise) for track in tracks.tolist()]


def read_identity(path: Path, clips: Sequence[Clip], tracks: Mapping[str, Collection[int]]) -> Identity:
    """Reads the file of identities.

    Args:
        path: path of the file.
        clips: all rows of the manifest.
        tracks: track numbers of each test clip, by id.

    Raises:
        UserError: if a column is missing, a clip or track does not exist or occurs twice, or a row has no
            person.
    """
    ids = {clip.clip: clip.clip for clip in clips}
    for row_of_manifest in clips:
        if row_of_manifest.split == "test":
            ids.setdefault(row_of_manifest.clip.partition("/")[2], row_of_manifest.clip)
    of_clips: dict[str, str] = {}
    of_tracks: dict[str, dict[int, str]] = {}
    lines: dict[tuple[str, int | None], str] = {}
    for where, row in csv_rows.read_rows(path, COLUMNS):
        person = " ".join(csv_rows.nfc(row["person"]).split())
        if (clip := ids.get(name := csv_rows.nfc(row["clip"]))) is None:
            near = difflib.get_close_matches(name, ids, n=3) or list(ids)[:3]
            raise UserError(
                f"{where}: no clip is called {name!r}; clips are called, for example, {', '.join(near)}"
            )
        track = _track(where, clip, row["track"], tracks.get(clip))
        subject = f"clip {clip!r}" if track is None else f"track {track} of clip {clip!r}"
        if not person:
            raise UserError(f"{where}: {subject} has no person; fill in the column or remove the row")
        if before := lines.get((clip, track)):
            raise UserError(f"{where}: {subject} is named twice, first in {before}; remove one of the rows")
        lines[clip, track] = where
        if track is None:
            of_clips[clip] = person
        else:
            of_tracks.setdefault(clip, {})[track] = person
    return Identity(of_clips, of_tracks)


def _track(where: str, clip: str, text: str, numbers: Collection[int] | None) -> int | None:
    """The number in the column `track`, None if it is empty.

    Args:
        where: file and line, for messages.
        clip: id of the clip.
        text: content of the column.
        numbers: track numbers of the clip; None for a clip of another split, where any number is accepted.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise UserError(
            f"{where}: track = {text!r} of clip {clip!r}; expected its number, or nothing for the whole clip"
        )
    if numbers is not None and int(text) not in numbers:
        valid = sorted({int(number) for number in numbers if number >= 0})  # -1 is a region without track
        hint = f"its tracks are {_listing(valid)}" if valid else "it has none"
        raise UserError(f"{where}: clip {clip!r} has no track {text} with a score; {hint}")
    return int(text)


def _listing(numbers: list[int]) -> str:
    """`0, 1, 4`, or `0, 1, …, 97` where there are many."""
    if len(numbers) <= MAX_LISTED:
        return ", ".join(map(str, numbers))
    return ", ".join(map(str, numbers[: MAX_LISTED - 1])) + f", …, {numbers[-1]}"
