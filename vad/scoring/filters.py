"""Filters over time, frame by frame: the gaussian along cells, the median and the gaussian of scores.

A centred filter looks as far ahead as back. One that may use fewer frames ahead (`Smoothing`) is the centred
filter without the weights of the frames beyond.

Near the ends of a clip a filter has fewer frames. Their mean lets more noise through, so normal footage would
be alarmed more often near the ends than in between; the same is true if the clip is mirrored at its ends.
(Ped2's normal clips, cut at random: of the 15 frames at a cut, 1.4 % lay above the 99th percentile if
mirrored, 0.2 % if not cut.) So results near the ends are scaled towards 0, which is normal for errors and
scores, just enough to keep the spread of noise the same everywhere.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vad.stream import Processor

BLOCK = 64  # frames that are filtered at once
# Standard deviations at which a gaussian is cut off. Beyond them lies 1.2 % of its weight, which changes no
# AUC, but two gaussians that are cut at 4 delay live scores by three more deviations.
DEVIATIONS = 2.5
ROUND_UP_FROM = 0.55  # of a frame


def round_frames(frames: float) -> int:
    """Rounds a number of frames: from ROUND_UP_FROM on up, below that down.

    Args:
        frames: 0 or more.
    """
    # not from 0.5 on, as `durations.count_frames`: the default 0.6 s at 12.5 frames per second are 7.5
    # frames, and the inaccuracy of a measured rate must not decide how long a filter is
    return math.ceil(frames - ROUND_UP_FROM)


def radius(sigma: float) -> int:
    """Number of frames that a gaussian covers on each side: DEVIATIONS standard deviations, rounded.

    Args:
        sigma: standard deviation in frames, 0 or more.
    """
    return round_frames(DEVIATIONS * sigma)


class Filter(Processor[np.ndarray, np.ndarray]):
    """Filters arrays of the same shape along time, in float64; results have the dtype of the frames.

    Args:
        before: number of frames back that a result depends on.
        after: number of frames ahead that the centred filter depends on.
        ahead: number of frames ahead that it may use; by default no limit.
    """

    def __init__(self, before: int, after: int, ahead: int | None = None):
        self.before = before
        self.lookahead = after if ahead is None else min(ahead, after)
        self._off = before == after == 0
        # the frames of the current window and those that wait, buffer[low:high], move through a longer array
        self._buffer = np.zeros(0)
        self._present = np.zeros(0)  # of each entry of the buffer: 1 for a frame, 0 beyond the ends
        self._low = self._high = 0
        self._none = np.zeros(0)  # no results

    def process(self, item: np.ndarray) -> list[np.ndarray]:
        return list(self.extend(np.asarray(item)[None]))

    def finish(self) -> list[np.ndarray]:
        return list(self.rest())

    def extend(self, values: np.ndarray) -> np.ndarray:
        """Takes several frames at once.

        Args:
            values: float [n, ...].

        Returns:
            The results that have become ready: a new array [m, ...] of the same dtype.
        """
        self._none = values[:0].copy()
        if self._off or not len(values):
            return values.copy()
        if not len(self._buffer):
            self._append(np.zeros((self.before, *values.shape[1:])), 0.0)
        self._append(values, 1.0)
        return self._ready()

    def rest(self) -> np.ndarray:
        """Ends the stream: the results still owed, [m, ...]."""
        if len(self._buffer):
            self._append(np.zeros((self.lookahead, *self._buffer.shape[1:])), 0.0)
        return self._ready()

    def _append(self, values: np.ndarray, present: float) -> None:
        n, held = len(values), slice(self._low, self._high)
        if self._high + n > len(self._buffer):
            end = self._high - self._low
            old, present_before = self._buffer, self._present
            if end + n > len(old):
                # longer than needed, so that frames move to its front only every now and then
                length = end + n + max(n, self.before + self.lookahead)
                self._buffer = np.zeros((length, *values.shape[1:]))
                self._present = np.zeros(length)
            if end:
                self._buffer[:end] = old[held].copy()
                self._present[:end] = present_before[held].copy()
            self._low, self._high = 0, end
        self._buffer[self._high : self._high + n] = values
        self._present[self._high : self._high + n] = present
        self._high += n

    def _ready(self) -> np.ndarray:
        """The results for which all frames are in the buffer."""
        span, out = self.before + self.lookahead, []
        while self._high - self._low > span:
            end = min(self._high, self._low + span + BLOCK)
            window = slice(self._low, end)
            out.append(self._filtered(self._buffer[window], self._present[window]))
            self._low = end - span
        return np.concatenate([self._none, *out], dtype=self._none.dtype, casting="same_kind")

    def _filtered(self, frames: np.ndarray, present: np.ndarray) -> np.ndarray:
        """Filters frames, float64 [n + before + lookahead, ...], to results [n, ...].

        Args:
            frames: what lies beyond the ends is 0 there.
            present: 1 for a frame and 0 for what lies beyond the ends; of the same length.
        """
        raise NotImplementedError


class Gaussian(Filter):
    """A gaussian filter.

    Args:
        sigma: standard deviation in frames; 0 is off.
        ahead: number of frames ahead that it may use; by default no limit.
    """

    def __init__(self, sigma: float, ahead: int | None = None):
        r = radius(sigma)
        super().__init__(r, r, ahead)
        if r:
            weights = np.exp(-0.5 * (np.arange(-r, self.lookahead + 1) / sigma) ** 2)
            self._weights = weights / weights.sum()

    def _filtered(self, frames: np.ndarray, present: np.ndarray) -> np.ndarray:
        span, flat = len(self._weights), frames.reshape(len(frames), -1)
        # not as a product of matrices, whose threads would take the cores from other work
        windows = sliding_window_view(flat, span, axis=0)
        out = np.einsum("k,txk->tx", self._weights, windows)
        if not present.all():
            # the variance of a weighted sum of noise grows with the squares of the weights
            squares = self._weights**2
            out /= np.sqrt(sliding_window_view(present, span) @ squares / squares.sum())[:, None]
        return out.reshape(-1, *frames.shape[1:])


class Median(Filter):
    """A median filter: the middle of the sorted values, of an even number the higher of the two middle ones.

    Args:
        length: number of frames; 1 is off. The window of an even length begins a frame earlier.
        ahead: number of frames ahead that it may use; by default no limit.
    """

    def __init__(self, length: int, ahead: int | None = None):
        super().__init__(length // 2, length - length // 2 - 1, ahead)

    def _filtered(self, frames: np.ndarray, present: np.ndarray) -> np.ndarray:
        span = self.before + self.lookahead + 1
        if present.all():
            return np.partition(sliding_window_view(frames, span, axis=0), span // 2, axis=-1)[..., span // 2]
        # what does not exist is sorted to the end; the variance of a median falls with the number of frames
        missing = np.where(present > 0, 0, np.inf)
        held = frames + missing.reshape(-1, *[1] * (frames.ndim - 1))
        windows = np.sort(sliding_window_view(held, span, axis=0), axis=-1)
        number = sliding_window_view(present, span).sum(1).reshape(-1, *[1] * frames.ndim)
        middle = np.broadcast_to(number.astype(int) // 2, (*windows.shape[:-1], 1))
        return (np.take_along_axis(windows, middle, -1) * np.sqrt(number / span))[..., 0]


def filtered(values: np.ndarray, *filters: Filter) -> np.ndarray:
    """Filters a whole clip by several filters in a row.

    Args:
        values: float [T, ...], T > 0.
        filters: that have not been used yet.

    Returns:
        [T, ...], of the same dtype.
    """
    for each in filters:
        values = np.concatenate([each.extend(values), each.rest()])
    return values
