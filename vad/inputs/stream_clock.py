"""The clock of a stream: times that grow steadily, from time stamps that may jump, or from arrivals."""

from collections import deque

import numpy as np

from vad.footage.clock import DEFAULT_RATE, JITTER_STEPS, measured_rate

LONGEST_STEP = 1.0  # seconds; a longer step of the stamps is believed if as much time has passed
LONG_STEPS = 5  # frame intervals that are no long step either
LEAST_STEP = 1e-3  # seconds
RECENT = 50  # frames of which rate and frame interval are measured
ENOUGH = 25  # frames for a measured rate
FIRST = 10  # frames of which times are those of the arrival, until the frame interval is known
REPEATED_STAMPS = 5  # frames after which stamps that do not grow are no longer used
PULL = 0.1  # share of the distance to the time of arrival by which a steady time is corrected


class StreamClock:
    """Times the frames of a stream, in seconds from its first frame on; they always grow.

    Time goes by the stamps: how long frames were under way must not look like speed. It goes by the wall
    clock over a break: where the stream was reopened, or the stamps jump. Stamps may leave out as much time
    as has passed, so a gap is as long as it was. Without stamps it goes by frame intervals, slowly corrected
    by the times of arrival.
    """

    def __init__(self) -> None:
        self._seconds = 0.0  # of the last frame
        self._arrival: float | None = None  # of the last frame
        self._start = 0.0  # the arrival of the first frame
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._arrivals: deque[float] = deque(maxlen=RECENT)
        self.restart(None)

    def restart(self, stated_rate: float | None) -> None:
        """Says that the stream was opened, again or for the first time.

        Args:
            stated_rate: frames per second according to its header, None if it says nothing that can be true.
        """
        self.stated_rate = stated_rate
        self._anchor: tuple[float, float] | None = None  # (seconds, stamp) from which stamps count
        self._reopened = True
        self._offset = 0.0  # by which times were ahead of arrivals after the last break
        self._lead = 0.0  # the most by which they have been since
        self._repeated = 0
        self._arrivals.clear()

    def time(self, stamp: float | None, arrival: float) -> tuple[float, bool]:
        """Takes the next frame.

        Args:
            stamp: in seconds from any zero; None without one.
            arrival: when it came, in seconds of a clock that only goes forward.

        Returns:
            (seconds since the first frame, whether the stamps jumped).
        """
        jumped = False
        if self._arrival is None:
            self._start, seconds = arrival, 0.0
        elif self._reopened:
            seconds = self._by_wall_clock(arrival)
        elif stamp is None or self._repeated >= REPEATED_STAMPS:
            seconds = self._steady(arrival)
        elif self._anchor is None:
            seconds = self._seconds + self._interval()
        else:
            seconds, jumped = self._by_stamp(stamp, arrival)
        if self._arrival is not None:
            seconds = max(seconds, self._seconds + LEAST_STEP)
        if not (self._reopened or jumped):
            self._steps.append(seconds - self._seconds)
        if self._reopened or jumped:
            self._offset = self._lead = seconds - (arrival - self._start)
        if stamp is not None and (self._anchor is None or jumped):
            self._anchor = seconds, stamp
        self._lead = max(self._lead, seconds - (arrival - self._start))
        self._seconds, self._arrival, self._reopened = seconds, arrival, False
        self._arrivals.append(arrival)
        return seconds, jumped

    @property
    def rate(self) -> float | None:
        """Frames per second: stated, unless what is measured contradicts it; None if it is not known yet."""
        if len(self._steps) < ENOUGH:
            return self.stated_rate
        steps = np.array(self._steps)
        middle = np.median(steps)  # without gaps, and without the burst of a beginning
        steps = steps[(steps > middle / JITTER_STEPS) & (steps <= JITTER_STEPS * middle)]
        return measured_rate(self.stated_rate or 0.0, len(steps) + 1, float(steps.sum()))

    def _by_stamp(self, stamp: float, arrival: float) -> tuple[float, bool]:
        assert self._anchor is not None
        seconds = self._anchor[0] + stamp - self._anchor[1]
        step = seconds - self._seconds
        longest = max(LONGEST_STEP, LONG_STEPS * self._interval())
        if 0 < step <= longest:
            self._repeated = 0
            return seconds, False
        if -longest <= step <= 0:  # out of order, or the same again
            self._repeated += 1
            return self._seconds, False
        if step > 0 and seconds - (arrival - self._start) <= self._lead + longest:
            return seconds, False  # a gap: the frame is not ahead of its time
        return self._by_wall_clock(arrival), True

    def _by_wall_clock(self, arrival: float) -> float:
        """The time that has passed, but at least half a frame interval, where frames come in a burst."""
        assert self._arrival is not None
        passed, interval = arrival - self._arrival, self._interval()
        return self._seconds + (passed if passed > interval / 2 else interval)

    def _steady(self, arrival: float) -> float:
        """The time after a steady frame interval, corrected by that of the arrival."""
        interval = float(np.median(np.diff([*self._arrivals, arrival])))
        arrived = arrival - self._start + self._offset
        steady = self._seconds + interval
        if len(self._arrivals) < FIRST:
            steady = arrived
        elif abs(arrived - steady) > max(LONGEST_STEP / 2, JITTER_STEPS * interval):
            steady = arrived  # a gap, or too far off to be corrected slowly
            self._arrivals.clear()
        else:
            steady += PULL * (arrived - steady)
        return steady

    def _interval(self) -> float:
        """Seconds from frame to frame."""
        if self._steps:
            return sorted(self._steps)[len(self._steps) // 2]
        return 1 / (self.stated_rate or DEFAULT_RATE)
