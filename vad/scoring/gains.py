"""Gains: how high normal errors are in each area of the picture, relative to the whole picture."""

from collections.abc import Mapping, Sequence

import numpy as np

from vad.scoring.clip_errors import ClipErrors

Gains = Mapping[str, np.ndarray]  # by branch, float [rows, columns] of a coarse grid over the frame
GAIN_LIMITS = (1 / 3, 3.0)  # clip the gain of an area, or quiet areas amplify noise
MAX_FRAMES = 2000  # whose maps are read
MIN_ERRORS = 100  # normal errors without which an area has gain 1
QUANTILE = 0.95


def at_regions(clip: ClipErrors, grid: np.ndarray) -> np.ndarray:
    """Values of a coarse grid [rows, columns] at the middles of the regions: [N]."""
    (height, width), (rows, columns), boxes = clip.size, grid.shape, clip.boxes
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    row = np.minimum(y * rows / height, rows - 1).astype(int)
    return grid[row, np.minimum(x * columns / width, columns - 1).astype(int)]


def at_cells(grid: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Values of a coarse grid at the middles of the cells of a finer one, of `shape`."""
    rows, columns = (
        ((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, grid.shape, strict=True)
    )
    return grid[np.ix_(rows, columns)]


def fit_gains(
    normal: Sequence[ClipErrors], branches: Sequence[str], grid: Sequence[int]
) -> dict[str, np.ndarray]:
    """The gain of each area, clipped to GAIN_LIMITS: by branch float64 [rows, columns].

    Only errors above 0 count: zeros say how often there is something, not how odd it looks.

    Args:
        normal: clips without anomalies.
        branches: their names.
        grid: rows and columns of the areas.
    """
    step = max(1, sum(clip.frames for clip in normal) // MAX_FRAMES)
    area = np.arange(grid[0] * grid[1], dtype=np.float32).reshape(tuple(grid))
    out = {}
    for branch in branches:
        errors, areas = [], []
        for clip in normal:
            if branch in clip.maps:
                values = np.asarray(clip.maps[branch][::step], np.float32)
                where = np.broadcast_to(at_cells(area, clip.shape), values.shape)
            else:
                values, where = clip.errors(branch), at_regions(clip, area)
            errors.append(values[values > 0])
            areas.append(where[values > 0])
        gains = _relative_quantiles(np.concatenate(errors), np.concatenate(areas).astype(int), area.size)
        out[branch] = gains.reshape(area.shape)
    return out


def _relative_quantiles(errors: np.ndarray, areas: np.ndarray, count: int) -> np.ndarray:
    """The quantile of each area's errors over that of all, float64 [count]; 1 where there are too few."""
    overall = float(np.quantile(errors, QUANTILE)) if len(errors) else 0.0
    gains = np.ones(count)
    for area in range(count):
        inside = errors[areas == area]
        if len(inside) >= MIN_ERRORS and overall > 0:
            high = float(np.quantile(inside, QUANTILE))
            if high > 0:
                gains[area] = np.clip(high / overall, *GAIN_LIMITS)
    return gains
