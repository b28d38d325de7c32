"""Durations: parameters are in seconds, processors count frames."""

from math import floor

TOLERANCE = 1e-6  # frames; 0.58 * 25 is 14.499999999999998, but 0.58 s are 14.5 frames


def count_frames(seconds: float, fps: float, least: int = 0) -> int:
    """Number of frames in a duration, rounded to the nearest, halves up.

    Filters of scores round halves down (`scoring.filters.round_frames`).

    Args:
        seconds: the duration, 0 or more.
        fps: frames per second, above 0.
        least: smallest result.
    """
    return max(least, floor(seconds * fps + 0.5 + TOLERANCE))
