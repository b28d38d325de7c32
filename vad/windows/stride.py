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
    # the end of the clip belongs to its last multiple
    rounded = (np.arange(frames) + lookahead(stride)) // stride
    return np.minimum(rounded, last_multiple(frames, stride) // stride)


def nearest_frame(t: int, stride: int) -> int:
    """The frame k * stride that is nearest to a frame, in a stream without an end.

    Args:
        t: index of the frame.
        stride: `resize.stride`, at least 1.
    """
    return (t + lookahead(stride)) // stride * stride


def last_multiple(frames: int, stride: int) -> int:
    """The last frame k * stride of a clip.

    Args:
        frames: number of frames of the clip, at least 1.
        stride: `resize.stride`, at least 1.
    """
    return (frames - 1) // stride * stride


def lookahead(stride: int) -> int:
    """Number of frames ahead in which the nearest frame k * stride may lie.

    Args:
        stride: `resize.stride`, at least 1.
    """
    return (stride - 1) // 2
