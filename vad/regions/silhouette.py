"""The mode `silhouette`: whole frames, reduced to what stands out from the background."""

from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from vad.detection.background import changing_share, foreground_masks
from vad.detection.foreground_params import SILHOUETTES, ForegroundParams, ForegroundSettings
from vad.pipeline.params import Field, Section
from vad.regions import table
from vad.regions.base import REGION_MODES, RegionMode
from vad.store.arrays import open_array
from vad.store.bitmasks import mask_writer, pack
from vad.store.cards import read_card

# output -> content of the channel `picture`, in the terms of `vad.regions.table`
PICTURES = {"binary": ["silhouette"], "masked": ["masked"], "frame+mask": ["frame", "silhouette"]}


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

    def regions(self, stem: Path, frames: Path, flow: Path, *, threads: int) -> None:
        """Writes whole frames, and their silhouettes as bit masks to <stem>.silhouette.npy."""
        cv2.setNumThreads(threads)
        video, _ = open_array(frames)
        length, height, width = video.shape[:3]
        silhouettes, pixels = Path(f"{stem}.silhouette"), 0
        with mask_writer(silhouettes, height, width) as writer:
            for mask in foreground_masks(video, self.foreground):
                writer.append(pack(mask))
                pixels += int(np.count_nonzero(mask))
        table.write(
            stem,
            table.whole_frames(length, height, width),
            picture=PICTURES[self.params.output],
            also=[read_card(silhouettes)["hash"]],
            foreground=round(pixels / (length * height * width), 6),
            changing=round(changing_share(video), 6),
        )
