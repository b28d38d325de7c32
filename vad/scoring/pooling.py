"""Pooling: errors of regions and cells become errors of frames.

The error of a frame is the highest error among its regions or cells, or the mean of the highest few; 0 if it
has no regions. Errors of cells and tracks are smoothed over time before pooling.
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vad.scoring.cells import CellErrors
from vad.scoring.gains import Gains
from vad.scoring.params import CalibrateParams
from vad.scoring.smoothing import Smoothing
from vad.scoring.tracks import TrackErrors
from vad.stream import FrameErrors, Processor, results

if TYPE_CHECKING:  # loads pandas
    from vad.scoring.clip_errors import ClipErrors

CHUNK = 64  # frames of a clip that are handled at once


class Pooled(NamedTuple):
    """The errors of a chunk of n frames.

    Attributes:
        errors: float64 [n, branches].
        maps: smoothed errors of the cells in the branches `map_branches`, float32
            [n, branches, rows, columns]; None if there are none.
    """

    errors: np.ndarray
    maps: np.ndarray | None


class Pooling(Processor[FrameErrors, Pooled]):
    """Pools errors frame by frame. A result is a chunk of frames.

    Results come up to `chunk` - 1 frames later than the lookahead demands.

    Args:
        branches: names of branches that the frames have.
        region_branches: the branches that have errors of regions.
        params: `aggregate`, `error_sigma`, `pool`, `top_k` and `lookahead` are used.
        size: (height, width) of a frame in pixels.
        cell: pixels of the frame per cell of a map, in each direction.
        fps: frames per second.
        gains: by which errors are divided.
        map_branches: branches whose maps are wanted.
        chunk: number of frames that are handled at once, which is faster.
    """

    def __init__(
        self,
        branches: Sequence[str],
        region_branches: Sequence[str],
        params: CalibrateParams,
        size: tuple[int, int],
        cell: int,
        fps: float,
        gains: Gains | None = None,
        map_branches: Sequence[str] = (),
        chunk: int = 1,
    ):
        self._count, self.chunk = params.pooled_count, chunk
        smoothing, by_region = Smoothing.of(params, fps), params.aggregate != "cell"
        region = [branch for branch in branches if by_region and branch in region_branches]
        cells = [branch for branch in branches if branch not in region]
        mapped = [*cells, *(branch for branch in map_branches if branch not in cells)]
        self._regions = self._cells = None
        if region:
            sigma = smoothing.error_sigma if params.aggregate == "track" else 0.0
            self._regions = TrackErrors(region, size, sigma, smoothing.errors_ahead, gains)
        if mapped:
            self._cells = CellErrors(mapped, size, cell, smoothing.of_errors(), gains, chunk)
        parts = [part for part in (self._regions, self._cells) if part is not None]
        self.lookahead = max((part.lookahead for part in parts), default=0)
        self._number_of_cells = len(cells)
        self._order = [(cells + region).index(branch) for branch in branches]  # positions of the branches
        self._maps = [mapped.index(branch) for branch in map_branches]
        self._pooled: deque[np.ndarray] = deque()  # errors of frames in the branches `region`

    def process(self, item: FrameErrors) -> list[Pooled]:
        if self._regions is not None:
            self._pooled.extend(
                mean_of_highest(errors, self._count) for errors in self._regions.process(item)
            )
        if self._cells is not None:
            return [self._joined(maps) for maps in self._cells.process(item)]
        return self._without_cells() if len(self._pooled) >= self.chunk else []

    def finish(self) -> list[Pooled]:
        if self._regions is not None:
            self._pooled.extend(mean_of_highest(errors, self._count) for errors in self._regions.finish())
        if self._cells is not None:
            return [self._joined(maps) for maps in self._cells.finish()]
        return self._without_cells()

    def _joined(self, maps: np.ndarray) -> Pooled:
        frames, _, rows, columns = maps.shape
        cell_errors = maps[:, : self._number_of_cells].reshape(frames, self._number_of_cells, rows * columns)
        parts = [mean_of_highest(cell_errors, self._count)]
        if self._regions is not None:
            parts.append(np.stack([self._pooled.popleft() for _ in range(frames)]))
        errors = np.concatenate(parts, 1)[:, self._order]
        return Pooled(errors, maps[:, self._maps] if self._maps else None)

    def _without_cells(self) -> list[Pooled]:
        if not self._pooled:
            return []
        errors = np.stack(self._pooled)[:, self._order]
        self._pooled.clear()
        return [Pooled(errors, None)]


def mean_of_highest(values: np.ndarray, k: int) -> np.ndarray:
    """The mean of the k highest values along the last axis; 0 if there are none.

    With fewer than k values, the mean is over these: if missing regions counted as 0, a person falling alone
    would get a lower score than a crowd walking by. The price is that with k above 1, the error of a frame
    may decrease when a normal person enters.

    Args:
        values: float [..., N].
        k: number of values in the mean.

    Returns:
        float64 [...].
    """
    k = min(k, values.shape[-1])
    if k == 0:
        return np.zeros(values.shape[:-1])
    if k == 1:
        return values.max(-1).astype(np.float64)
    # a partition is enough, as the mean does not depend on the order of the k highest
    return np.partition(values, -k, axis=-1)[..., -k:].mean(-1, dtype=np.float64)


def frame_errors(
    clip: "ClipErrors", branches: Sequence[str], params: CalibrateParams, gains: Gains | None = None
) -> dict[str, np.ndarray]:
    """Errors of the frames of a clip.

    Args:
        clip: the errors of a clip.
        branches: names of branches that the clip has.
        params: the section `calibrate`.
        gains: by which errors are divided.

    Returns:
        float64 [T] by branch.
    """
    if not branches:
        return {}
    pooling = Pooling(
        branches, clip.region_branches, params, clip.size, clip.cell, clip.fps, gains, chunk=CHUNK
    )
    errors = np.concatenate([pooled.errors for pooled in results(pooling, clip.each_frame())])
    return dict(zip(branches, errors.T.copy(), strict=True))
