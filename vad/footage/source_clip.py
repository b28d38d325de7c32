"""A clip as a layout lists it, before any of its files is opened."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from vad.store.intervals import Intervals


@dataclass(frozen=True)
class SourceClip:
    """A clip as a layout lists it, before any of its files is opened.

    Attributes:
        split: train, val or test.
        name: path below the split, without suffix: "cam1/walk 01".
        source: a video file or a folder of pictures; data.root is included in the path.
        camera: which camera took it.
        subject: whom it shows, if the footage says so.
        first: the first source frame that is used.
        end: number after that of the last source frame that is used; None: to the end.
        part: share of those frames, of a clip whose tail is cut off for validation.
        intervals: anomalous frames; an empty list says "labelled: all normal", None "not labelled".
        masks: a folder of pictures, or an .npy or .npz file of shape [frames, height, width].
    """

    split: str
    name: str
    source: Path
    camera: str = "camera"
    subject: str = ""
    first: int = 0
    end: int | None = None
    part: tuple[float, float] = (0.0, 1.0)
    intervals: Intervals | None = None
    masks: Path | None = None

    @property
    def id(self) -> str:
        """`<split>/<name>`, with every run of characters unsafe in a file name as `_`."""
        safe = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", self.name))
        return f"{self.split}/{safe}"

    def span(self, frames: int) -> tuple[int, int]:
        """[first, end) of the source frames that are used, of a source with `frames` frames."""
        end = frames if self.end is None else min(self.end, frames)
        length = max(0, end - self.first)
        return (
            self.first + round(self.part[0] * length),
            self.first + round(self.part[1] * length),
        )
