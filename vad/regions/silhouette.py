"""The mode `silhouette`: whole frames, reduced to what stands out from the background."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from vad import UserError
from vad.detection.background import Foreground, foreground
from vad.detection.foreground_params import SILHOUETTES, ForegroundParams, ForegroundSettings
from vad.pipeline.params import Field, Section
from vad.regions.base import REGION_MODES, RegionMode, RegionProcessor, whole_frame
from vad.stream import FrameAndFlow, Regions

# output -> content of the channel `picture`, in the terms of `vad.regions.table`
PICTURES = {"binary": ("silhouette",), "masked": ("masked",), "frame+mask": ("frame", "silhouette")}


@REGION_MODES.register
class Silhouette(RegionMode):
    """Whole frames as regions, with silhouettes of their foreground."""

    class Params(Section):
        """`preprocess.silhouette`"""

        output: Literal["binary", "masked", "frame+mask"] = Field(
            "masked",
            description="content of the channel `picture`: the silhouettes, the frame with black outside the "
            "silhouettes, or the frame and the silhouettes",
        )

    params: Params
    foreground: ForegroundSettings
    uses_pixels = True

    def __init__(self, params: Params, foreground: ForegroundParams):
        super().__init__(params, foreground)
        self.foreground = foreground.resolve(SILHOUETTES)
        self.picture = PICTURES[params.output]

    def for_pictures(self) -> RegionMode:
        """Refuses single pictures."""
        raise UserError(
            "preprocess.mode: silhouette learns the background from the frames of a clip, so a single "
            "picture has no silhouettes; set preprocess.mode: none or person_crop"
        )

    def processor(
        self, height: int, width: int, fps: float, *, skip_warm_up: bool = False, **options: Any
    ) -> RegionProcessor:
        """Makes the processor; its regions have `foreground`, which is the silhouettes."""
        if skip_warm_up:
            self.refuse_live()
        return _Silhouettes(height, width, foreground(self.foreground, fps, skip_warm_up=skip_warm_up))


class _Silhouettes(RegionProcessor):
    def __init__(self, height: int, width: int, masks: Foreground):
        self._region, self._masks = whole_frame(height, width), masks
        self.lookahead = masks.lookahead

    def stream(self, item: FrameAndFlow) -> Iterator[Regions]:
        return map(self._regions, self._masks.stream(item[0]))

    def rest(self) -> Iterator[Regions]:
        return map(self._regions, self._masks.rest())

    def _regions(self, mask: np.ndarray) -> Regions:
        return replace(self._region, foreground=mask, moving_share=np.count_nonzero(mask) / mask.size)
