"""The mode `none`: the only region of a frame is the frame itself."""

from collections.abc import Iterator
from typing import Any

from vad.pipeline.params import Section
from vad.regions.base import REGION_MODES, RegionMode, RegionProcessor, whole_frame
from vad.stream import FrameAndFlow, Regions


@REGION_MODES.register
class WholeFrame(RegionMode):
    """Whole frames as regions."""

    class Params(Section):
        """`preprocess.none`: no parameters."""

    uses_pixels = False
    reads_frames = False

    def for_pictures(self) -> RegionMode:
        """The mode itself."""
        return self

    def processor(self, height: int, width: int, fps: float, **options: Any) -> RegionProcessor:
        """Makes the processor, which needs neither rate nor options."""
        return _WholeFrames(height, width)


class _WholeFrames(RegionProcessor):
    def __init__(self, height: int, width: int):
        self._regions = whole_frame(height, width)

    def stream(self, item: FrameAndFlow) -> Iterator[Regions]:
        yield self._regions
