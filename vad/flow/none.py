"""No optical flow, for configurations that do not use it."""

from pathlib import Path

from vad.flow.base import FLOW_METHODS, FlowMethod
from vad.pipeline.params import Section
from vad.store.cards import write_json


@FLOW_METHODS.register
class NoFlow(FlowMethod):
    """Computes no flow."""

    class Params(Section):
        """`flow.none`: no parameters."""

    def flow(self, stem: Path, frames: Path, *, threads: int) -> None:
        """Writes only the card, by which other stages see that there is no flow."""
        write_json(Path(f"{stem}.json"), {"method": "none", "hash": "none"})
