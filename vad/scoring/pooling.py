"""Pooling: errors of regions and cells become errors of frames.

The error of a frame is the highest error among its regions or cells, or the mean of the highest few; 0 if it
has no regions. A cell is a square of pixels; if a branch has no maps, the error of a cell is the highest
error of the regions that touch it, or 0. Errors of cells and tracks are smoothed over time before pooling, so
that lasting errors count more than flickering errors.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from vad.scoring.clip_errors import ClipErrors
from vad.scoring.gains import Gains, at_cells, at_regions
from vad.scoring.params import CalibrateParams
from vad.scoring.smoothing import gaussian, radius

CHUNK = 512  # frames whose maps are in memory at once


def frame_errors(
    clip: ClipErrors,
    branches: Sequence[str],
    params: CalibrateParams,
    causal: bool,
    gains: Gains | None = None,
) -> dict[str, np.ndarray]:
    """Errors of frames.

    Args:
        clip: the errors of a clip.
        branches: names of branches that the clip has.
        params: `aggregate`, `error_sigma`, `pool` and `top_k` are used.
        causal: whether smoothing uses no frames ahead.
        gains: by which errors are divided.

    Returns:
        float64 [T] by branch.
    """
    of_regions = [] if params.aggregate == "cell" else clip.region_branches
    of_cells = [branch for branch in branches if branch not in of_regions]
    out = {branch: np.empty(clip.frames) for branch in of_cells}
    for frames, maps in cell_errors(clip, of_cells, params.error_sigma, causal, gains):
        cells = maps.reshape(*maps.shape[:2], -1)
        k = min(params.highest, cells.shape[2])
        # a partition is enough, as the mean does not depend on the order of the k highest
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
    """The errors of the regions, divided by the gain at the centre of each box.

    Args:
        clip: the errors of a clip.
        branch: name of a branch with errors of regions.
        gains: gains by branch; a branch without gains is not divided.

    Returns:
        float32 [N].
    """
    errors = clip.errors(branch)
    return errors / at_regions(clip, gains[branch]) if gains and branch in gains else errors


def pool_regions(clip: ClipErrors, values: ArrayLike, top_k: int = 1) -> np.ndarray:
    """A value for each frame: the mean of the `top_k` highest values of its regions, 0 without regions.

    In a frame with fewer regions, the mean is over these: if missing regions counted as 0, a person falling
    alone would get a lower score than a crowd walking by. The price is that with `top_k` above 1, the value
    of a frame may decrease when a normal person enters.

    Args:
        clip: provides the frames of the regions.
        values: a value of each region, float [N].
        top_k: number of values in the mean.

    Returns:
        [T], of the dtype of `values`.
    """
    values, numbers = np.asarray(values), clip.numbers
    length = -(-clip.frames // clip.stride)
    # sort by frame, then descending by value; a region is kept if it is among the first top_k of its frame
    descending = np.lexsort((-values, numbers))
    first_of_frame = np.searchsorted(numbers[descending], numbers[descending])
    kept = descending[np.arange(len(numbers)) - first_of_frame < top_k]
    total = np.bincount(numbers[kept], values[kept], length)
    count = np.bincount(numbers[kept], minlength=length)
    return (total / np.maximum(count, 1)).astype(values.dtype)[clip.nearest]


def cell_errors(
    clip: ClipErrors,
    branches: Sequence[str],
    sigma: float,
    causal: bool,
    gains: Gains | None = None,
    only: tuple[int, int] | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Maps of errors, smoothed over time, in chunks of frames. Memory does not grow with the clip.

    Args:
        clip: the errors of a clip.
        branches: names of branches that the clip has.
        sigma: standard deviation of the gaussian over time, in frames.
        causal: whether smoothing uses no frames ahead.
        gains: by which errors are divided.
        only: start and end (exclusive) of the frames; by default all.

    Yields:
        The frames of a chunk, and their maps, float32 [n, branches, rows, columns].
    """
    if not branches:
        return
    before, after = radius(sigma), 0 if causal else radius(sigma)
    first, last = only or (0, clip.frames)
    for start in range(first, last, CHUNK):
        end = min(start + CHUNK, last)
        # with the neighbours that the gaussian reaches, chunks are smoothed as the whole clip would be
        low, high = max(0, start - before), min(clip.frames, end + after)
        maps = _maps(clip, branches, low, high, gains)
        yield slice(start, end), gaussian(maps, sigma, causal)[start - low : end - low]


def _maps(clip: ClipErrors, branches: Sequence[str], low: int, high: int, gains: Gains | None) -> np.ndarray:
    """Maps of the frames [low, high) before smoothing: float32 [frames, branches, rows, columns]."""
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
    """Paints the errors of regions into maps, for the frames k * stride with k in [first, last).

    Returns:
        float32 [branches, rows, columns] by k, for frames with regions.
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
        clip: provides frames and tracks of the regions.
        errors: errors of the regions, float [N].
        sigma: standard deviation of the gaussian over time, in frames.
        causal: whether to use no frames ahead.

    Returns:
        [N], of the dtype of `errors`: weighted means over the track; regions without a track keep their
        error.
    """
    frames, tracks, out = clip.table["frame"].to_numpy(), clip.table["track"].to_numpy(), errors.copy()
    if (r := radius(sigma)) == 0:
        return out
    for track in np.unique(tracks[tracks >= 0]).tolist():
        rows = np.flatnonzero(tracks == track)
        first = frames[rows].min()
        # sum and count of errors per frame: frames without the track have count 0, so no weight
        dense = np.zeros((frames[rows].max() - first + 1, 2))
        np.add.at(dense, frames[rows] - first, np.column_stack([errors[rows], np.ones(len(rows))]))
        padded = np.pad(dense, ((r, r), (0, 0)))  # nor have frames before and after the track
        total, weight = gaussian(padded, sigma, causal)[r : len(padded) - r][frames[rows] - first].T
        out[rows] = total / weight
    return out
