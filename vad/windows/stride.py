"""The grid in time: windows are made for every `stride`-th frame from 0 on, and for no other.

What was found at frame k * stride stands for all frames that are nearest to it, also when nothing was
found there. So every frame has exactly one score, whatever window and stride are.
"""

import numpy as np


def nearest(frames: int, stride: int) -> np.ndarray:
    """For each of a clip's frames the number k of the nearest frame k * stride: int64 [frames].

    The earlier of two that are as near.
    """
    return np.minimum((np.arange(frames) + (stride - 1) // 2) // stride, (frames - 1) // stride)
