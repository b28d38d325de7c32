"""No flow: a card that says so, and nothing else."""

from pathlib import Path

from vad.pipeline.params import Section
from vad.store import arrays


class Params(Section):
    """`flow.none`: nothing to choose."""


def flow(stem: Path, frames: Path, params: Params, *, threads: int) -> None:
    """Writes the card alone; `frames` is not read."""
    arrays.write_json(Path(f"{stem}.json"), {"method": "none", "hash": "none"})
