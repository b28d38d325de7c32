"""Look everywhere: one region per frame, the frame itself."""

from pathlib import Path

from vad import regions as table
from vad.pipeline.params import Section
from vad.store import cards


class Params(Section):
    """`preprocess.none`: nothing to choose."""


SAME_SIZE = False


def needs_flow(params: Params) -> bool:
    """Never."""
    return False


def prepare(params: Params, cache: Path) -> tuple[None, list[str]]:
    """Nothing is needed."""
    return None, []


def regions(stem: Path, frames: Path, flow: Path, params: Params, ready: None, *, threads: int) -> None:
    """Writes one region per frame, all of one track; neither pixels nor flow are read."""
    length, height, width = cards.read_card(frames)["shape"][:3]
    table.write(stem, table.whole_frames(length, height, width))
