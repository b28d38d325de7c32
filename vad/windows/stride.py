"""Assigns frames to windows: windows are made only for the frames 0, stride, 2 * stride, …

Each other frame takes the score of the nearest of these frames, even if that has no regions. So every frame
gets a score, whatever the window and the stride.
"""

import numpy as np


def nearest(frames: int, stride: int) -> np.ndarray:
    """Finds, for each frame of a clip, the k whose frame k * stride is nearest.

    Args:
        frames: number of frames of the clip, at least 1.
        stride: `resize.stride`, at least 1.

    Returns:
        k, int64 [frames]; the smaller k if two frames are equally near.
    """
    # rounds to the nearest multiple of stride; the end of the clip belongs to its last multiple
    return np.minimum((np.arange(frames) + (stride - 1) // 2) // stride, (frames - 1) // stride)
