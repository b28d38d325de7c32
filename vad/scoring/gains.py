"""Gains: how high normal errors are in each area of the picture, relative to the whole picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vad.stream import FrameErrors

if TYPE_CHECKING:  # loads pandas
    from vad.scoring.clip_errors import ClipErrors

Gains = Mapping[str, np.ndarray]  # by branch, float [rows, columns] of a coarse grid over the frame
GAIN_LIMITS = (1 / 3, 3.0)  # without limits, the gains of quiet areas would amplify noise
MAX_FRAMES = 2000  # number of frames whose maps are read
QUANTILE = 0.95  # of errors; gains are ratios of it
STRETCH = 2.0  # seconds; errors of an area that are this far apart are taken to be independent
PRIOR = 1 / (1 - QUANTILE)  # number of independent errors of which one is expected above the quantile


def at_regions(boxes: np.ndarray, size: tuple[int, int], grid: np.ndarray) -> np.ndarray:
    """Values of a coarse grid at the centres of regions.

    Args:
        boxes: of the regions in pixels of the frame, int [N, 4].
        size: (height, width) of the frame in pixels.
        grid: [rows, columns] of areas that divide the frame.

    Returns:
        [N], of the dtype of `grid`.
    """
    (height, width), (rows, columns) = size, grid.shape
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    row = np.minimum(y * rows / height, rows - 1).astype(int)
    return grid[row, np.minimum(x * columns / width, columns - 1).astype(int)]


def errors_of_regions(
    item: FrameErrors, branches: Sequence[str], size: tuple[int, int], gains: Gains
) -> np.ndarray:
    """The errors of a frame's regions, divided by the gain at the centre of each box.

    Args:
        item: the errors of a frame.
        branches: names of branches with errors of regions.
        size: (height, width) of the frame in pixels.
        gains: gains by branch; a branch without gains is not divided.

    Returns:
        float32 [branches, N].
    """
    errors = np.stack([item.errors[branch] for branch in branches])
    for i, branch in enumerate(branches):
        if branch in gains:
            errors[i] /= at_regions(item.regions.boxes, size, gains[branch])
    return errors


def at_cells(grid: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Values of a coarse grid at the centres of the cells of a finer grid.

    Args:
        grid: [rows, columns] of areas.
        shape: rows and columns of the finer grid, which is also that of the result.
    """
    rows, columns = (
        ((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, grid.shape, strict=True)
    )
    return grid[np.ix_(rows, columns)]


def cells_of(boxes: np.ndarray, cell: int) -> np.ndarray:
    """The cells that boxes touch: first column, first row, and the ends (exclusive) of both, int [N, 4].

    Args:
        boxes: in pixels of the frame, int [N, 4].
        cell: pixels of the frame per cell, in each direction.
    """
    return np.concatenate([boxes[:, :2] // cell, -(-boxes[:, 2:] // cell)], 1)


def fit_gains(
    normal: "Sequence[ClipErrors]", branches: Sequence[str], grid: Sequence[int]
) -> dict[str, np.ndarray]:
    """The gain of each area: the QUANTILE of its errors relative to that of all errors.

    Of maps, only cells that a region touches count: elsewhere a map of speed holds blurred noise of flow,
    which gains fitted to it would amplify. Only errors above 0 count, as the number of zeros depends on how
    often an area is empty.

    Areas are partially pooled: the logarithm of a gain is multiplied by n / (n + PRIOR), where n is the
    number of stretches of STRETCH seconds in which the area has errors. So an area without errors has gain 1.
    Gains are clipped to GAIN_LIMITS.

    Args:
        normal: errors of clips without anomalies.
        branches: names of the branches.
        grid: rows and columns of the areas.

    Returns:
        float64 [rows, columns] by branch.
    """
    step = max(1, sum(clip.frames for clip in normal) // MAX_FRAMES)
    area = np.arange(grid[0] * grid[1]).reshape(tuple(grid))
    out = {}
    for branch in branches:
        parts = [_observed(clip, branch, area, step) for clip in normal]
        errors, areas = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        numbers = sum(part[2] for part in parts)
        gains = _relative_quantiles(errors, areas, area.size) ** (numbers / (numbers + PRIOR))
        out[branch] = np.clip(gains, *GAIN_LIMITS).reshape(area.shape)
    return out


def _observed(
    clip: "ClipErrors", branch: str, area: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The errors of a clip that count, their areas, and the number of stretches with such errors by area.

    Args:
        clip: the clip.
        branch: name of the branch.
        area: numbers of the areas, int [rows, columns].
        step: of maps, every step-th frame is read.
    """
    if branch in clip.maps:
        frames = np.arange(0, clip.frames, step)
        values = np.asarray(clip.maps[branch][::step], np.float32)
        at, row, column = np.nonzero((values > 0) & _covered(clip, frames))
        errors, frames = values[at, row, column], frames[at]
        areas = at_cells(area, clip.shape)[row, column]
    else:
        errors, frames = clip.errors(branch), clip.table["frame"].to_numpy()
        positive = errors > 0
        errors, frames = errors[positive], frames[positive]
        areas = at_regions(clip.boxes[positive], clip.size, area)
    stretches = (frames / (STRETCH * clip.fps)).astype(int)
    seen = np.unique(stretches * area.size + areas)
    return errors, areas, np.bincount(seen % area.size, minlength=area.size)


def _covered(clip: "ClipErrors", frames: np.ndarray) -> np.ndarray:
    """Whether a region touches each cell, bool [len(frames), rows, columns].

    Args:
        clip: the clip.
        frames: indices of frames, int.
    """
    rows, columns = clip.shape
    borders = np.searchsorted(clip.numbers, np.arange(-(-clip.frames // clip.stride) + 1))
    first, end = borders[clip.nearest[frames]], borders[clip.nearest[frames] + 1]
    at = np.repeat(np.arange(len(frames)), end - first)
    regions = np.concatenate([np.arange(0), *(np.arange(a, b) for a, b in zip(first, end, strict=True))])
    x0, y0, x1, y1 = cells_of(clip.boxes, clip.cell)[regions].T
    # differences in both directions, of which the cumulative sum is the number of boxes over each cell
    steps = np.zeros((len(frames), rows + 1, columns + 1), np.int32)
    for y, x, sign in ((y0, x0, 1), (y0, x1, -1), (y1, x0, -1), (y1, x1, 1)):
        np.add.at(steps, (at, y, x), sign)
    return steps.cumsum(1).cumsum(2)[:, :-1, :-1] > 0


def _relative_quantiles(errors: np.ndarray, areas: np.ndarray, count: int) -> np.ndarray:
    """The QUANTILE of each area's errors relative to that of all; 1 without errors: float64 [count]."""
    gains = np.ones(count)
    if not len(errors):
        return gains
    overall = float(np.quantile(errors, QUANTILE))
    for area in np.unique(areas):
        gains[area] = float(np.quantile(errors[areas == area], QUANTILE)) / overall
    return gains
