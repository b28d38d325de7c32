"""The clock of a video: times from the time stamps of a file, which may restart, have gaps or be absent.

A gap is a step from a time stamp to the next that is longer than usual, or negative where the clock restarts.
"""

from collections import deque
from fractions import Fraction
from typing import NamedTuple

import numpy as np

# A gap is listed if it is longer than LONGEST_GAP seconds and LISTED_STEPS frame intervals, and left out of
# times if it is also longer than CLOSED_STEPS. Long steps in slow time lapses are no gaps.
LONGEST_GAP = 1.0
LISTED_STEPS, CLOSED_STEPS = 3, 20
JITTER_STEPS = 3  # frame intervals by which a stamp may be too early without a word
RECENT = 25  # frames whose median step is the frame interval
DEFAULT_RATE = 25.0  # frames per second where nothing says more
RATE_TOLERANCE = 0.02  # relative difference up to which the rate in the header is used


class _Anchor(NamedTuple):
    """Where times are counted from: `seconds` at the stamp `stamp`."""

    seconds: float
    stamp: int


class Clock:
    """Turns the time stamps of frames, in display order, into times that never go back.

    Time goes on by a frame interval where stamps go back (recordings joined to one file) and over gaps of
    more than LONGEST_GAP and CLOSED_STEPS (pauses of a recorder, broken clocks), so that wrong stamps do not
    become hours. Where stamps soon return to where they would have been, that is undone. A frame without a
    stamp comes a frame interval after the last.

    Args:
        tick: seconds per unit of the stamps.
        interval: seconds from frame to frame according to the header.
    """

    def __init__(self, tick: Fraction, interval: float):
        # of integers, whose quotient is as exact as that of fractions, and faster
        self._numerator, self._denominator = tick.numerator, tick.denominator
        self._interval = interval
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._seconds = -1.0  # of the last frame; below 0 before the first
        self._stamp: int | None = None  # of the last frame that had one
        self._anchor = _Anchor(0.0, 0)
        self._earlier: _Anchor | None = None  # the anchor before the latest gap
        self._since = 0  # frames since that gap

    def restarts(self, stamp: int | None) -> bool:
        """Whether the clock restarts at the next frame.

        Args:
            stamp: of that frame, in ticks; None without one.
        """
        if stamp is None or self._stamp is None or stamp >= self._stamp:
            return False
        return self._between(self._stamp, stamp) < -JITTER_STEPS * self._frame_interval()

    def time(self, stamp: int | None) -> tuple[float, float]:
        """Takes the stamp of the next frame.

        Args:
            stamp: in ticks; None without one.

        Returns:
            (seconds since the first frame, gap before this frame). The gap is the step from the last stamp in
            seconds, negative where the clock restarts; 0 if there is none to list.
        """
        if self._seconds < 0:
            self._seconds = 0.0
            self._count_from(stamp)
            return 0.0, 0.0
        if stamp is None or self._stamp is None:
            self._seconds += self._frame_interval()
            if self._stamp is None:
                self._count_from(stamp)
            return self._seconds, 0.0
        step = self._between(self._stamp, stamp)
        self._since += 1
        if self._has_returned(stamp):
            return self._seconds, 0.0
        # the frame interval takes a while, and counts for unusual steps alone
        interval = 0.0 if 0 <= step <= LONGEST_GAP else self._frame_interval()
        if step < 0 or step > max(LONGEST_GAP, CLOSED_STEPS * interval):
            # the rate in a header may be an average over this very gap
            self._seconds += interval if self._steps else min(interval, 1 / DEFAULT_RATE)
            self._earlier, self._since = self._anchor, 0
            self._count_from(stamp)
            return self._seconds, 0.0 if -JITTER_STEPS * interval <= step < 0 else step
        self._stamp = stamp
        self._steps.append(step)
        self._seconds = max(self._seconds, self._at(self._anchor, stamp))
        return self._seconds, step if step > max(LONGEST_GAP, LISTED_STEPS * interval) else 0.0

    def _has_returned(self, stamp: int) -> bool:
        """Whether a stamp is where it would have been without the latest gap; the gap is then undone."""
        if self._earlier is None or self._since > RECENT:
            return False
        ahead = self._at(self._earlier, stamp) - self._seconds
        if not 0 <= ahead <= JITTER_STEPS * self._frame_interval():
            return False
        self._seconds += ahead
        self._anchor, self._earlier, self._stamp = self._earlier, None, stamp
        return True

    def _at(self, anchor: _Anchor, stamp: int) -> float:
        return anchor.seconds + self._between(anchor.stamp, stamp)

    def _between(self, first: int, last: int) -> float:
        """Seconds from one stamp to another."""
        return (last - first) * self._numerator / self._denominator

    def _count_from(self, stamp: int | None) -> None:
        self._stamp = stamp
        self._anchor = _Anchor(self._seconds, stamp or 0)

    def _frame_interval(self) -> float:
        """That of recent frames, since headers may name an average over gaps."""
        return sorted(self._steps)[len(self._steps) // 2] if self._steps else self._interval


def are_gaps(steps: np.ndarray) -> np.ndarray:
    """Which of the times between neighbouring frames are gaps to list.

    Args:
        steps: seconds, not negative, [N].

    Returns:
        bool [N].
    """
    interval = float(np.median(steps)) if len(steps) else 0.0
    return steps > max(LONGEST_GAP, LISTED_STEPS * interval)


def footage_rate(nominal: float, times: np.ndarray) -> float:
    """Frames per second as `measured_rate`, without the gaps among the times.

    Args:
        nominal: frames per second according to the header.
        times: of all frames, in seconds, never decreasing, [N].
    """
    if len(times) < 2:
        return nominal
    steps = np.diff(times)
    gaps = are_gaps(steps)
    if gaps.any():
        return measured_rate(nominal, int((~gaps).sum()) + 1, float(steps[~gaps].sum()))
    return measured_rate(nominal, len(times), float(times[-1] - times[0]))


def measured_rate(nominal: float, frames: int, seconds: float) -> float:
    """Frames per second: the nominal rate, unless the times of the frames contradict it.

    Args:
        nominal: frames per second according to the header.
        frames: number of frames.
        seconds: from the first frame to the last.

    Returns:
        `nominal` if it differs from the average by at most RATE_TOLERANCE, otherwise the average.
    """
    if frames < 2 or seconds <= 0:
        return nominal
    measured = (frames - 1) / seconds
    return nominal if abs(nominal - measured) <= RATE_TOLERANCE * measured else measured
