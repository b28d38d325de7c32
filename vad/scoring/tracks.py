"""Errors of regions smoothed along their tracks, so that lasting errors count more than flickering errors."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from vad.scoring.filters import radius
from vad.scoring.gains import Gains, errors_of_regions
from vad.stream import FrameErrors, Processor


class TrackErrors(Processor[FrameErrors, np.ndarray]):
    """The errors of each frame's regions: weighted means over their tracks, float32 [branches, N].

    Weights are those of a gaussian over time; frames without the track have none. Regions without a track
    keep their error. Regions that stand for several frames (`FrameErrors.source`) count once.

    Args:
        branches: names of branches with errors of regions.
        size: (height, width) of a frame in pixels.
        sigma: standard deviation of the gaussian in frames; 0 is off.
        ahead: number of frames ahead that it may use; by default no limit.
        gains: by which errors are divided.
    """

    def __init__(
        self,
        branches: Sequence[str],
        size: tuple[int, int],
        sigma: float,
        ahead: int | None = None,
        gains: Gains | None = None,
    ):
        self.branches, self.size, self.sigma, self.gains = branches, size, sigma, gains or Gains()
        self._before = radius(sigma)
        self.lookahead = self._before if ahead is None else min(ahead, self._before)
        # number, tracks and errors of the frames that have regions of their own
        self._sources: deque[tuple[int, np.ndarray, np.ndarray]] = deque()
        self._waiting: deque[int] = deque()  # sources of the frames whose results are owed
        self._last: tuple[int, np.ndarray] = (-1, np.zeros(0))  # source of the last result, and the result

    def process(self, item: FrameErrors) -> list[np.ndarray]:
        # with a stride, the regions of a frame come before it, with the first frame that it is nearest to
        if not self._sources or item.source != self._sources[-1][0]:
            errors = errors_of_regions(item, self.branches, self.size, self.gains)
            self._sources.append((item.source, item.regions.tracks, errors))
        self._waiting.append(item.source)
        return [self._smoothed()] if len(self._waiting) > self.lookahead else []

    def finish(self) -> list[np.ndarray]:
        return [self._smoothed() for _ in range(len(self._waiting))]

    def _smoothed(self) -> np.ndarray:
        at = self._waiting.popleft()
        if at == self._last[0]:
            return self._last[1]
        while self._sources[0][0] < at - self._before:
            self._sources.popleft()
        near = [source for source in self._sources if source[0] <= at + self.lookahead]
        _, tracks, errors = next(source for source in near if source[0] == at)
        if self._before and len(tracks):
            weights = np.concatenate([np.full(len(t), self._weight(number - at)) for number, t, _ in near])
            same = (tracks[:, None] == np.concatenate([t for _, t, _ in near])) * weights
            means = (same @ np.concatenate([e for _, _, e in near], 1).T / same.sum(1, keepdims=True)).T
            errors = np.where(tracks >= 0, means, errors).astype(np.float32)
        self._last = at, errors
        return errors

    def _weight(self, distance: int) -> float:
        return float(np.exp(-0.5 * (distance / self.sigma) ** 2))
