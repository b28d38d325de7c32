"""Gains: how high normal errors are in an area or at the border of the frame, relative to other errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vad.boxes import cut_sides
from vad.scoring.params import CalibrateParams
from vad.stream import FrameErrors

if TYPE_CHECKING:  # loads pandas
    from vad.scoring.clip_errors import ClipErrors

GAIN_LIMITS = (1 / 3, 3.0)  # without limits, the gains of quiet areas would amplify noise
BORDER_LIMITS = (1.0, 3.0)  # from 1, since errors of regions that are cut off must not count more than others
MAX_FRAMES = 2000  # number of frames whose maps are read
QUANTILE = 0.95  # of errors; gains are ratios of it
STRETCH = 2.0  # seconds; errors of an area that are this far apart are taken to be independent
PRIOR = 1 / (1 - QUANTILE)  # number of independent errors of which one is expected above the quantile


@dataclass(frozen=True)
class Gains:
    """By what errors are divided. A branch without gains is not divided.

    Attributes:
        areas: gains of areas by branch, for errors of regions and of cells: float32 [rows, columns] of a
            coarse grid over the frame.
        border: gain of regions at the border of the frame by branch, for errors of regions: 1 to 3.
    """

    areas: Mapping[str, np.ndarray] = field(default_factory=dict)
    border: Mapping[str, float] = field(default_factory=dict)


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


def at_border(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether regions are at the border of the frame, where people are cut off; whole frames are not.

    Args:
        boxes: of the regions in pixels of the frame, int [N, 4].
        size: (height, width) of the frame in pixels.

    Returns:
        bool [N].
    """
    height, width = size
    whole = (boxes == (0, 0, width, height)).all(1)
    return cut_sides(boxes, width, height).any(1) & ~whole


def errors_of_regions(
    item: FrameErrors, branches: Sequence[str], size: tuple[int, int], gains: Gains
) -> np.ndarray:
    """The errors of a frame's regions, divided by their gains.

    Args:
        item: the errors of a frame.
        branches: names of branches with errors of regions.
        size: (height, width) of the frame in pixels.
        gains: gains of areas, of which that at the centre of each box is used, and of the border.

    Returns:
        float32 [branches, N].
    """
    errors = np.stack([item.errors[branch] for branch in branches])
    _divide(errors, branches, item.regions.boxes, size, gains)
    return errors


def _divide(
    errors: np.ndarray, branches: Sequence[str], boxes: np.ndarray, size: tuple[int, int], gains: Gains
) -> None:
    """Divides errors of regions, float32 [branches, N], in place by their gains."""
    for i, branch in enumerate(branches):
        if branch in gains.areas:
            errors[i] /= at_regions(boxes, size, gains.areas[branch])
    if gains.border:
        border = at_border(boxes, size)
        if border.any():
            of_border = np.array([[gains.border.get(branch, 1.0)] for branch in branches], np.float32)
            errors[:, border] /= of_border


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


def fit_gains(normal: "Sequence[ClipErrors]", branches: Sequence[str], params: CalibrateParams) -> Gains:
    """Fits the gains of areas and of the border that the parameters ask for.

    With both, gains of areas are fitted to regions away from the border, and those of the border to errors
    already divided by the gains of areas. Otherwise regions at the border would raise the gain of their area,
    and with it lower the errors of the other regions there.

    Args:
        normal: errors of clips without anomalies.
        branches: names of the branches.
        params: `grid` and `border_gain` are used.
    """
    areas: dict[str, np.ndarray] = {}
    if params.grid:
        fitted = fit_areas(normal, branches, params.grid, inner=params.border_gain)
        areas = {branch: gains.astype(np.float32) for branch, gains in fitted.items()}
    return Gains(areas, fit_border(normal, branches, areas) if params.border_gain else {})


def fit_areas(
    normal: "Sequence[ClipErrors]", branches: Sequence[str], grid: Sequence[int], inner: bool = False
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
        inner: whether to leave out errors of regions at the border.

    Returns:
        float64 [rows, columns] by branch.
    """
    step = max(1, sum(clip.frames for clip in normal) // MAX_FRAMES)
    area = np.arange(grid[0] * grid[1]).reshape(tuple(grid))
    out = {}
    for branch in branches:
        gains, numbers = _relative(
            [_by_area(clip, branch, area, step, inner) for clip in normal], normal, area.size
        )
        out[branch] = np.clip(gains ** (numbers / (numbers + PRIOR)), *GAIN_LIMITS).reshape(area.shape)
    return out


def fit_border(
    normal: "Sequence[ClipErrors]", branches: Sequence[str], areas: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """The gain of the border: the QUANTILE of its regions' errors relative to that of other regions' errors.

    People at the border are cut off, so errors there say little, and are often high in normal footage. As for
    areas, only errors above 0 count, and the logarithm of the gain is multiplied by n / (n + PRIOR). Here n
    is the number of stretches with errors at the border, or that with other errors, whichever is smaller,
    since the ratio is no more certain than either quantile. Gains are clipped to BORDER_LIMITS.

    Args:
        normal: errors of clips without anomalies.
        branches: names of the branches.
        areas: gains of areas, by which errors are divided first.

    Returns:
        Gains by branch, without branches that lack errors at the border or away from it.
    """
    out = {}
    for branch in branches:
        if branch in normal[0].region_branches:
            parts = [_by_border(clip, branch, Gains(areas)) for clip in normal]
            (others, border), numbers = _relative(parts, normal, 2)
            if (n := numbers.min()) > 0:
                gain = np.clip((border / others) ** (n / (n + PRIOR)), *BORDER_LIMITS)
                out[branch] = float(np.float32(gain))  # errors, which are float32, are divided by it
    return out


def _by_area(
    clip: "ClipErrors", branch: str, area: np.ndarray, step: int, inner: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The errors of a clip that count, their frames, and their areas.

    Args:
        clip: the clip.
        branch: name of the branch.
        area: numbers of the areas, int [rows, columns].
        step: of maps, every step-th frame is read.
        inner: whether to leave out regions at the border.
    """
    if branch in clip.maps:
        frames = np.arange(0, clip.frames, step)
        values = np.asarray(clip.maps[branch][::step], np.float32)
        at, row, column = np.nonzero((values > 0) & _covered(clip, frames))
        return values[at, row, column], frames[at], at_cells(area, clip.shape)[row, column]
    errors, frames, boxes = clip.errors(branch), clip.table["frame"].to_numpy(), clip.boxes
    chosen = errors > 0
    if inner:
        chosen &= ~at_border(boxes, clip.size)
    return errors[chosen], frames[chosen], at_regions(boxes[chosen], clip.size, area)


def _by_border(clip: "ClipErrors", branch: str, gains: Gains) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The errors of a clip's regions above 0, divided by gains, their frames, and 1 at the border or else 0.

    Args:
        clip: the clip.
        branch: name of the branch.
        gains: gains of areas.
    """
    errors, frames, boxes = clip.errors(branch).copy(), clip.table["frame"].to_numpy(), clip.boxes
    _divide(errors[None], [branch], boxes, clip.size, gains)
    positive = errors > 0
    return errors[positive], frames[positive], at_border(boxes[positive], clip.size).astype(int)


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


def _relative(
    parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], normal: "Sequence[ClipErrors]", count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The QUANTILE of each group's errors relative to that of all errors, and its number of stretches.

    Args:
        parts: errors by clip, their frames, and their groups: numbers from 0 to `count` - 1.
        normal: the clips.
        count: number of groups.

    Returns:
        float64 [count], 1 for a group without errors; int [count].
    """
    quantiles, numbers = np.ones(count), np.zeros(count, int)
    for clip, (_, frames, groups) in zip(normal, parts, strict=True):
        stretches = (frames / (STRETCH * clip.fps)).astype(int)
        numbers += np.bincount(np.unique(stretches * count + groups) % count, minlength=count)
    errors, groups = (np.concatenate([part[i] for part in parts]) for i in (0, 2))
    if len(errors):
        overall = float(np.quantile(errors, QUANTILE))
        for group in np.unique(groups):
            quantiles[group] = float(np.quantile(errors[groups == group], QUANTILE)) / overall
    return quantiles, numbers
