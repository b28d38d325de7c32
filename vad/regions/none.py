"""The mode `none`: the only region of a frame is the frame itself."""

from pathlib import Path

from vad.pipeline.params import Section
from vad.regions import table
from vad.regions.base import REGION_MODES, RegionMode
from vad.store.cards import read_card


@REGION_MODES.register
class WholeFrame(RegionMode):
    """Whole frames as regions."""

    class Params(Section):
        """`preprocess.none`: no parameters."""

    uses_pixels = False

    def regions(self, stem: Path, frames: Path, flow: Path, *, threads: int) -> None:
        """Writes whole frames; reads neither pixels nor flow."""
        length, height, width = read_card(frames)["shape"][:3]
        table.write(stem, table.whole_frames(length, height, width))
