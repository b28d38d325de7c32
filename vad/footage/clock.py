"""The clock of a video: times from the time stamps of a file, which may restart, jump or be absent."""

from collections import deque
from fractions import Fraction

import numpy as np

LISTED_GAP = 1.0  # seconds; a longer gap is told to the user
LONGEST_GAP = 2.0  # seconds; a longer one may be closed, and is never filled with repeated frames
USUAL_STEPS = 3  # a gap is longer than this many frame intervals, which sets slow time lapses apart
CLOSED_STEPS = 20  # and one that is closed than this many
JITTER_STEPS = 3  # frame intervals by which a time stamp may be too early without a restart of the clock
RECENT = 25  # frames whose median step is the frame interval
DEFAULT_RATE = 25.0  # frames per second where nothing says more
RATE_TOLERANCE = 0.02  # relative difference up to which the rate in the header is used


class Clock:
    """Turns the time stamps of frames, in display order, into times that never go back.

    Time goes on by a frame interval where stamps restart (recordings joined to one file) and where they jump
    ahead by more than LONGEST_GAP and CLOSED_STEPS frame intervals (pauses of a recorder, broken clocks), so
    that a wrong stamp does not become hours. A frame without a stamp comes a frame interval after the last.

    Args:
        tick: seconds per unit of the stamps.
        interval: seconds from frame to frame according to the header.
    """

    def __init__(self, tick: Fraction, interval: float):
        self._tick = tick
        self._interval = interval
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._seconds = -1.0  # of the last frame; below 0 before the first
        self._stamp: int | None = None  # of the last frame that had one
        # times are counted from here: `_base` seconds at the stamp `_origin`
        self._base, self._origin = 0.0, 0

    def time(self, stamp: int | None) -> tuple[float, float]:
        """Takes the stamp of the next frame.

        Args:
            stamp: in ticks; None without one.

        Returns:
            (seconds since the first frame, gap). The gap is 0 where stamps go on as usual; otherwise it is
            the time in seconds by which they jump: above LISTED_GAP, or negative where the clock restarts.
        """
        step = self._typical()
        if self._seconds < 0:
            self._seconds = 0.0
            self._anchor(stamp)
            return 0.0, 0.0
        if stamp is None or self._stamp is None:
            self._seconds += step
            if self._stamp is None:
                self._anchor(stamp)
            return self._seconds, 0.0
        jump = float((stamp - self._stamp) * self._tick)
        if -JITTER_STEPS * step <= jump < 0:
            return self._seconds, 0.0
        if jump < 0 or jump > max(LONGEST_GAP, CLOSED_STEPS * step):
            # the rate in a header may be an average over this very jump
            self._seconds += step if self._steps else min(step, 1 / DEFAULT_RATE)
            self._anchor(stamp)
            return self._seconds, jump
        self._stamp = stamp
        self._steps.append(jump)
        self._seconds = max(self._seconds, self._base + float((stamp - self._origin) * self._tick))
        return self._seconds, jump if jump > max(LISTED_GAP, USUAL_STEPS * step) else 0.0

    def _anchor(self, stamp: int | None) -> None:
        self._stamp = stamp
        self._base, self._origin = self._seconds, stamp or 0

    def _typical(self) -> float:
        """The frame interval: that of recent frames, since headers may name an average over gaps."""
        return sorted(self._steps)[len(self._steps) // 2] if self._steps else self._interval


def are_gaps(steps: np.ndarray) -> np.ndarray:
    """Which of the times between neighbouring frames are gaps.

    Args:
        steps: seconds, [N].

    Returns:
        bool [N].
    """
    usual = float(np.median(steps)) if len(steps) else 0.0
    return steps > max(LISTED_GAP, USUAL_STEPS * usual)


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
