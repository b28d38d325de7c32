"""Binary masks of all frames of a clip, stored with a bit per pixel.

<stem>.npy is uint8 [T, H, ceil(W / 8)], most significant bit first; its card holds `height` and `width` in
pixels. Ingest stores anomalous pixels in this form, preprocess silhouettes.
"""

from pathlib import Path
from typing import Any

import numpy as np

from vad.store.arrays import ArrayWriter, open_array
from vad.store.intervals import Intervals, intervals_of


class Masks:
    """The masks of a clip: `masks[frame]` is bool [H, W], `len(masks)` the number of frames.

    Args:
        packed: uint8 [T, H, ceil(W / 8)].
        height: H, in pixels.
        width: W, in pixels.
    """

    def __init__(self, packed: np.ndarray, height: int, width: int):
        self.packed, self.height, self.width = packed, height, width

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, frame: int) -> np.ndarray:
        return np.unpackbits(self.packed[frame], axis=-1, count=self.width).view(bool)


def mask_writer(stem: Path, height: int, width: int, **card: Any) -> ArrayWriter:
    """Opens a writer of masks; append the result of `pack` for each frame.

    Args:
        stem: path of the files, without suffix.
        height: of a mask, in pixels.
        width: of a mask, in pixels.
        **card: further entries of the card.
    """
    return ArrayWriter(stem, (height, -(-width // 8)), np.uint8, height=height, width=width, **card)


def pack(mask: np.ndarray) -> np.ndarray:
    """Packs a mask, bool [H, W], to bits: uint8 [H, ceil(W / 8)]."""
    return np.packbits(mask, axis=-1)


def open_masks(stem: Path) -> Masks:
    """Opens the masks of a clip as a memory map.

    Raises:
        UserError: if the array or its card is missing or broken.
    """
    packed, card = open_array(stem)
    return Masks(packed, card["height"], card["width"])


def marked_intervals(masks: Masks) -> Intervals:
    """Maximal runs of frames whose masks are not empty, as [start, end)."""
    # on the packed bytes: unpacking them is not needed to see that all are zero
    return intervals_of(np.array([frame.any() for frame in masks.packed], bool))
