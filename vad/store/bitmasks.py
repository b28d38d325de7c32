"""Masks of pixels, frame by frame, packed to a bit per pixel.

<stem>.npy is uint8 [T, H, ceil(W / 8)], most significant bit first; its card holds `height` and `width` in
pixels. Anomalous pixels (ingest) and silhouettes (preprocess) are stored in this way.
"""

from pathlib import Path
from typing import Any

import numpy as np

from vad.store.arrays import ArrayWriter, open_array
from vad.store.intervals import Intervals, intervals_of


class Masks:
    """The masks of a clip. `masks[frame]` is bool [H, W]; `len(masks)` is the number of frames.

    Args:
        packed: uint8 [T, H, ceil(W / 8)].
        height: rows of a mask.
        width: columns of a mask.
    """

    def __init__(self, packed: np.ndarray, height: int, width: int):
        self.packed, self.height, self.width = packed, height, width

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, frame: int) -> np.ndarray:
        return np.unpackbits(self.packed[frame], axis=-1, count=self.width).view(bool)


def mask_writer(stem: Path, height: int, width: int, **card: Any) -> ArrayWriter:
    """A writer of masks of height x width pixels; append what `pack` returns."""
    return ArrayWriter(stem, (height, -(-width // 8)), np.uint8, height=height, width=width, **card)


def pack(mask: np.ndarray) -> np.ndarray:
    """A mask bool [H, W] as uint8 [H, ceil(W / 8)]."""
    return np.packbits(mask, axis=-1)


def open_masks(stem: Path) -> Masks:
    """The masks of a clip, as a memory map.

    Raises:
        UserError: if they are missing or broken.
    """
    packed, card = open_array(stem)
    return Masks(packed, card["height"], card["width"])


def marked_intervals(masks: Masks) -> Intervals:
    """Maximal runs of frames whose mask has a pixel, as [start, end)."""
    return intervals_of(np.array([frame.any() for frame in masks.packed], bool))
