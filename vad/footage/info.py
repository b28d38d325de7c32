"""What probing finds out about a source."""

from dataclasses import dataclass
from typing import NamedTuple


class Note(NamedTuple):
    """What a user should know about a source although it can be read.

    Attributes:
        kind: the same words for all sources of which this is true, so that they are counted in one line.
        detail: what is true of this source; may be empty.
    """

    kind: str
    detail: str = ""


@dataclass(frozen=True)
class Info:
    """Properties of a source.

    Attributes:
        frames: number of frames.
        fps: frames per second, on average; gaps do not count.
        width: of a frame set upright, in pixels.
        height: of a frame set upright, in pixels.
        notes: what a user should know.
    """

    frames: int
    fps: float
    width: int
    height: int
    notes: tuple[Note, ...] = ()
