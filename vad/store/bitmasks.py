"""Masks of pixels, frame by frame, packed to one bit per pixel."""

from pathlib import Path

import numpy as np

from vad.store import arrays
from vad.store.intervals import Intervals, intervals_of


class Masks:
    """The masks of a clip. `masks[frame]` is bool [H, W]; `len(masks)` is the number of frames."""

    def __init__(self, packed: np.ndarray, height: int, width: int):
        self.packed, self.height, self.width = packed, height, width

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, frame: int) -> np.ndarray:
        return np.unpackbits(self.packed[frame], axis=-1, count=self.width).view(bool)


def open_masks(stem: Path) -> Masks:
    """The masks that `convert` wrote, as a memory map. Raises UserError if they are missing or broken."""
    packed, card = arrays.open_array(stem)
    return Masks(packed, card["height"], card["width"])


def intervals(masks: Masks) -> Intervals:
    """Maximal runs of frames with an anomalous pixel, as [start, end)."""
    return intervals_of(np.array([frame.any() for frame in masks.packed], bool))
