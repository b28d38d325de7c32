"""Gains: the level of normal errors in each area of the picture, relative to the whole picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vad.stream import FrameErrors

if TYPE_CHECKING:  # loads pandas
    from vad.scoring.clip_errors import ClipErrors

Gains = Mapping[str, np.ndarray]  # by branch, float [rows, columns] of a coarse grid over the frame
GAIN_LIMITS = (1 / 3, 3.0)  # clip the gain of an area, or quiet areas amplify noise
MAX_FRAMES = 2000  # number of frames whose maps are read
MIN_ERRORS = 100  # an area with fewer normal errors has gain 1
QUANTILE = 0.95  # that gains compare


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


def fit_gains(
    normal: "Sequence[ClipErrors]", branches: Sequence[str], grid: Sequence[int]
) -> dict[str, np.ndarray]:
    """The gain of each area, clipped to GAIN_LIMITS.

    Only errors above 0 count: the number of zeros depends on how often an area is empty.

    Args:
        normal: errors of clips without anomalies.
        branches: names of the branches.
        grid: rows and columns of the areas.

    Returns:
        float64 [rows, columns] by branch.
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
                values, where = clip.errors(branch), at_regions(clip.boxes, clip.size, area)
            errors.append(values[values > 0])
            areas.append(where[values > 0])
        gains = _relative_quantiles(np.concatenate(errors), np.concatenate(areas).astype(int), area.size)
        out[branch] = gains.reshape(area.shape)
    return out


def _relative_quantiles(errors: np.ndarray, areas: np.ndarray, count: int) -> np.ndarray:
    """The QUANTILE of each area's errors relative to that of all errors: float64 [count]."""
    overall = float(np.quantile(errors, QUANTILE)) if len(errors) else 0.0
    gains = np.ones(count)
    for area in range(count):
        inside = errors[areas == area]
        if len(inside) >= MIN_ERRORS and overall > 0:
            high = float(np.quantile(inside, QUANTILE))
            if high > 0:
                gains[area] = np.clip(high / overall, *GAIN_LIMITS)
    return gains
