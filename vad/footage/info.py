"""What probing finds out about a source."""

from dataclasses import dataclass
from typing import NamedTuple


class Note(NamedTuple):
    """A peculiarity of a source that does not prevent reading it, for the log.

    Attributes:
        kind: the same words for all sources of which this is true, since a line counts them.
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
        notes: for the log.
    """

    frames: int
    fps: float
    width: int
    height: int
    notes: tuple[Note, ...] = ()
