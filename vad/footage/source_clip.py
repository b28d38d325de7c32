"""Clips as layouts list them, before their files are opened."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from vad.store import digests
from vad.store.intervals import Intervals

# in bytes of UTF-8; file systems take 255 (some 143), from which stages need a few for suffixes
LONGEST_NAME = 120


@dataclass(frozen=True)
class SourceClip:
    """A clip as a layout lists it, before its files are opened.

    Attributes:
        split: train, val or test.
        name: path below the split, without suffix, for example "cam1/walk 01".
        source: path of the video file or folder of pictures, starting with data.root.
        camera: name of the camera.
        subject: the person shown; empty if unknown.
        first: number of the first source frame used.
        end: number after the last source frame used; None for the end of the source.
        part: range of these frames that belongs to this clip, as shares from 0 to 1; less than all where the
            tail of a training clip is used for validation, or a stretch of it for a fold.
        fold: of a training clip, from 0; -1 without folds.
        intervals: anomalous frames, end exclusive; [] means labelled as normal, None not labelled.
        by_default: whether it counts as normal only because it has no row in labels.csv.
        masks: a folder of pictures, or an .npy or .npz file with an array [frames, height, width].
    """

    split: str
    name: str
    source: Path
    camera: str = "camera"
    subject: str = ""
    first: int = 0
    end: int | None = None
    part: tuple[float, float] = (0.0, 1.0)
    fold: int = -1
    intervals: Intervals | None = None
    by_default: bool = False
    masks: Path | None = None

    @property
    def id(self) -> str:
        """`<split>/<name>`, safe as the name of a file (`safe_name`)."""
        return f"{self.split}/{safe_name(self.name)}"

    def span(self, frames: int) -> tuple[int, int]:
        """Range of the source frames used.

        Args:
            frames: number of frames of the source.

        Returns:
            (first, end), end exclusive.
        """
        end = frames if self.end is None else min(self.end, frames)
        length = max(0, end - self.first)
        return (
            self.first + round(self.part[0] * length),
            self.first + round(self.part[1] * length),
        )


def safe_name(name: str) -> str:
    """The name with `_` for runs of characters that are unsafe in file names.

    A name above LONGEST_NAME bytes is cut, and ends in a hash of the whole name.
    """
    name = unicodedata.normalize("NFC", name)
    safe = re.sub(r"[^\w-]+", "_", name)
    if len(safe.encode()) > LONGEST_NAME:
        digest = f"_{digests.digest_bytes(name.encode(errors='surrogateescape'))[:8]}"
        # a character cut in two at the end is dropped
        safe = safe.encode()[: LONGEST_NAME - len(digest)].decode(errors="ignore") + digest
    return safe
