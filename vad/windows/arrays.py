"""Windows as arrays."""

from collections.abc import Sequence

import numpy as np


def stack(windows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Copies the pictures of windows to an array.

    Args:
        windows: the pictures of each window in the order of time, uint8 [C, height, width] each, as in
            `WindowsOfFrame.pictures`; at least one window.

    Returns:
        uint8 [N, C, frames, height, width].
    """
    # frames before channels, as pictures lie in memory; the order is changed without copying
    out = np.empty((len(windows), len(windows[0]), *windows[0][0].shape), np.uint8)
    for i, pictures in enumerate(windows):
        for j, picture in enumerate(pictures):
            out[i, j] = picture
    return out.transpose(0, 2, 1, 3, 4)
