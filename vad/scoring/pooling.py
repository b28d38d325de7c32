"""Errors of regions and cells become errors of frames.

The error of a frame is the highest among its regions, or among its cells, or the mean of the highest few; 0
where it has no regions, since there is nothing that could not be reproduced. A cell is a square of pixels:
where a branch has no map, a cell has the highest error of the regions that touch it, 0 where there is none.
Errors of cells and tracks are smoothed over time before the maximum, so that what lasts counts more than what
flickers.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from vad.scoring.clip_errors import ClipErrors
from vad.scoring.gains import Gains, at_cells, at_regions
from vad.scoring.params import CalibrateParams
from vad.scoring.smoothing import gaussian, radius

CHUNK = 512  # frames whose maps are held at once


def frame_errors(
    clip: ClipErrors,
    branches: Sequence[str],
    params: CalibrateParams,
    causal: bool,
    gains: Gains | None = None,
) -> dict[str, np.ndarray]:
    """By branch the errors of frames, float64 [T].

    Args:
        clip: with errors of these branches.
        branches: their names.
        params: `aggregate`, `error_sigma`, `pool` and `top_k` count here.
        causal: whether smoothing does without frames ahead.
        gains: errors are divided by these.
    """
    of_regions = [] if params.aggregate == "cell" else clip.region_branches
    of_cells = [branch for branch in branches if branch not in of_regions]
    out = {branch: np.empty(clip.frames) for branch in of_cells}
    for frames, maps in cell_errors(clip, of_cells, params.error_sigma, causal, gains):
        cells = maps.reshape(*maps.shape[:2], -1)
        k = min(params.highest, cells.shape[2])
        highest = np.partition(cells, -k, axis=2)[:, :, -k:].mean(2, dtype=np.float64)
        for i, branch in enumerate(of_cells):
            out[branch][frames] = highest[:, i]
    for branch in branches:
        if branch not in out:
            errors = region_errors(clip, branch, gains)
            if params.aggregate == "track":
                errors = smooth_tracks(clip, errors, params.error_sigma, causal)
            out[branch] = pool_regions(clip, errors.astype(np.float64), params.highest)
    return out


def region_errors(clip: ClipErrors, branch: str, gains: Gains | None = None) -> np.ndarray:
    """The errors of the regions, float32 [N], divided by the gain at the middle of their boxes."""
    errors = clip.errors(branch)
    return errors / at_regions(clip, gains[branch]) if gains and branch in gains else errors


def pool_regions(clip: ClipErrors, values: ArrayLike, top_k: int = 1) -> np.ndarray:
    """One value per frame: the mean of the `top_k` highest of its regions, 0 where it has none.

    A frame with fewer regions has the mean of those it has: if missing ones counted as 0, somebody who falls
    alone would score lower than a crowd walking by. The price is that with `top_k` above 1 a frame's value
    may fall when somebody normal walks in.

    Args:
        clip: gives the frames of the regions.
        values: float [N], one per region.
        top_k: how many.

    Returns:
        the same kind of float, [T].
    """
    values, numbers = np.asarray(values), clip.numbers
    length = -(-clip.frames // clip.stride)
    falling = np.lexsort((-values, numbers))  # frame by frame, the highest first
    first = np.searchsorted(numbers[falling], numbers[falling])
    falling = falling[np.arange(len(numbers)) - first < top_k]
    total = np.bincount(numbers[falling], values[falling], length)
    count = np.bincount(numbers[falling], minlength=length)
    return (total / np.maximum(count, 1)).astype(values.dtype)[clip.nearest]


def cell_errors(
    clip: ClipErrors,
    branches: Sequence[str],
    sigma: float,
    causal: bool,
    gains: Gains | None = None,
    only: tuple[int, int] | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Maps of errors, smoothed over time, chunk by chunk. Memory does not grow with the clip.

    Args:
        clip: with errors of these branches.
        branches: their names.
        sigma: of the gaussian over time, in frames.
        causal: whether smoothing does without frames ahead.
        gains: errors are divided by these.
        only: of the frames [start, end) alone.

    Yields:
        the frames of the chunk, and float32 [n, branches, rows, columns].
    """
    if not branches:
        return
    before, after = radius(sigma), 0 if causal else radius(sigma)
    first, last = only or (0, clip.frames)
    for start in range(first, last, CHUNK):
        end = min(start + CHUNK, last)
        low, high = max(0, start - before), min(clip.frames, end + after)
        maps = _maps(clip, branches, low, high, gains)
        yield slice(start, end), gaussian(maps, sigma, causal)[start - low : end - low]


def _maps(clip: ClipErrors, branches: Sequence[str], low: int, high: int, gains: Gains | None) -> np.ndarray:
    """Maps of the frames [low, high), not smoothed: float32 [frames, branches, rows, columns]."""
    out = np.zeros((high - low, len(branches), *clip.shape), np.float32)
    painted = [i for i, branch in enumerate(branches) if branch not in clip.maps]
    for i, branch in enumerate(branches):
        if branch in clip.maps:
            out[:, i] = clip.maps[branch][low:high]
            if gains and branch in gains:
                out[:, i] /= at_cells(gains[branch], clip.shape)
    if painted:
        numbers = clip.nearest[low:high]
        canvases = _paint(clip, [branches[i] for i in painted], numbers[0], numbers[-1] + 1, gains)
        for t, number in enumerate(numbers.tolist()):
            if number in canvases:
                out[t, painted] = canvases[number]
    return out


def _paint(
    clip: ClipErrors, branches: Sequence[str], first: int, last: int, gains: Gains | None
) -> Mapping[int, np.ndarray]:
    """Regions as maps, of the frames k * stride for k in [first, last).

    Returns:
        by k float32 [branches, rows, columns]; only those with regions.
    """
    rows = slice(*np.searchsorted(clip.numbers, [first, last]))
    errors = np.stack([region_errors(clip, branch, gains)[rows] for branch in branches], 1)[:, :, None, None]
    boxes = clip.boxes[rows]
    cells = np.concatenate([boxes[:, :2] // clip.cell, -(-boxes[:, 2:] // clip.cell)], 1).tolist()
    canvases: dict[int, np.ndarray] = {}
    for number, (x0, y0, x1, y1), error in zip(clip.numbers[rows].tolist(), cells, errors, strict=True):
        if number not in canvases:
            canvases[number] = np.zeros((len(branches), *clip.shape), np.float32)
        part = canvases[number][:, y0:y1, x0:x1]
        np.maximum(part, error, out=part)
    return canvases


def smooth_tracks(clip: ClipErrors, errors: np.ndarray, sigma: float, causal: bool) -> np.ndarray:
    """Smooths the errors of regions along their tracks.

    Args:
        clip: gives frames and tracks of the regions.
        errors: float [N].
        sigma: of the gaussian over time, in frames.
        causal: whether to do without frames ahead.

    Returns:
        the same kind of float, [N]: weighted means over the track; unchanged for regions without track.
    """
    frames, tracks, out = clip.table["frame"].to_numpy(), clip.table["track"].to_numpy(), errors.copy()
    if (r := radius(sigma)) == 0:
        return out
    for track in np.unique(tracks[tracks >= 0]).tolist():
        rows = np.flatnonzero(tracks == track)
        first = frames[rows].min()
        dense = np.zeros((frames[rows].max() - first + 1, 2))  # sum and count; some frames may lack the track
        np.add.at(dense, frames[rows] - first, np.column_stack([errors[rows], np.ones(len(rows))]))
        padded = np.pad(dense, ((r, r), (0, 0)))  # beyond its ends a track has no weight
        total, weight = gaussian(padded, sigma, causal)[r : len(padded) - r][frames[rows] - first].T
        out[rows] = total / weight
    return out
