"""No flow: a card that says so, and nothing else."""

from pathlib import Path

from vad.flow.base import FLOW_METHODS, FlowMethod
from vad.pipeline.params import Section
from vad.store.cards import write_json


@FLOW_METHODS.register
class NoFlow(FlowMethod):
    """Computes nothing."""

    class Params(Section):
        """`flow.none`: nothing to choose."""

    def flow(self, stem: Path, frames: Path, *, threads: int) -> None:
        """Writes the card alone."""
        write_json(Path(f"{stem}.json"), {"method": "none", "hash": "none"})
