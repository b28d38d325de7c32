"""Intervals of frames: (start, end), counted from 0, end exclusive."""

import numpy as np

from vad import UserError

Intervals = list[tuple[int, int]]


def check_intervals(clip: str, intervals: Intervals, frames: int) -> None:
    """Checks the labels of a clip.

    Args:
        clip: id of the clip, for messages.
        intervals: of anomalous frames, in any order.
        frames: number of frames of the clip.

    Raises:
        UserError: if an interval is empty, lies outside [0, frames) or overlaps another.
    """
    previous = None
    for start, end in sorted(intervals):
        if not 0 <= start < end:
            raise UserError(
                f"clip {clip!r}: the label [{start}, {end}) is empty or negative; "
                "labels are [start, end) from frame 0, end exclusive"
            )
        if end > frames:
            raise UserError(
                f"clip {clip!r}: the label [{start}, {end}) needs {end} frames, "
                f"but the clip has {frames}; labels count from 0, end exclusive"
            )
        if previous and start < previous[1]:
            raise UserError(
                f"clip {clip!r}: the labels [{previous[0]}, {previous[1]}) and [{start}, {end}) overlap; "
                "merge them"
            )
        previous = (start, end)


def frame_labels(intervals: Intervals, source_frames: np.ndarray) -> np.ndarray:
    """Tells which frames are anomalous.

    Args:
        intervals: anomalous source frames.
        source_frames: source frame numbers, int [T].

    Returns:
        bool [T].
    """
    anomalous = np.zeros(len(source_frames), bool)
    for start, end in intervals:
        anomalous |= (source_frames >= start) & (source_frames < end)
    return anomalous


def intervals_of(anomalous: np.ndarray) -> Intervals:
    """Maximal runs of True in bool [T]; the inverse of `frame_labels` for the frames 0 to T - 1."""
    # framed by False, so that every run has both edges: they alternate between start and end
    edges = np.flatnonzero(np.diff(np.r_[False, anomalous, False].astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
