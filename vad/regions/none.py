"""Look everywhere: the only region of a frame is the frame itself."""

from pathlib import Path

from vad.pipeline.params import Section
from vad.regions import table
from vad.regions.base import REGION_MODES, RegionMode
from vad.store.cards import read_card


@REGION_MODES.register
class WholeFrame(RegionMode):
    """Whole frames."""

    class Params(Section):
        """`preprocess.none`: nothing to choose."""

    uses_pixels = False

    def regions(self, stem: Path, frames: Path, flow: Path, *, threads: int) -> None:
        """Reads neither pixels nor flow."""
        length, height, width = read_card(frames)["shape"][:3]
        table.write(stem, table.whole_frames(length, height, width))
