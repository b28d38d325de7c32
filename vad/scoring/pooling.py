"""Errors of regions and locations become errors of frames.

A branch's errors belong to regions (a column of the table), to locations (a map per frame), or both. The
error of a frame is the highest among its regions, or among its locations, or the mean of the highest few;
0 where nothing was found, since nothing was seen that could not be reproduced. Windows are made for frames
of a grid; the others take what the nearest of these has (`vad.windows.stride`).

A location is a cell of `cell` x `cell` pixels of the frame. Where a branch has no map, its regions are
painted: a cell has the highest error of the regions that touch it, 0 where there is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vad import UserError
from vad.pipeline.params import Field, Section
from vad.scoring.smoothing import gaussian, radius
from vad.store import arrays, cards, tables
from vad.windows import stride

PREFIX = "error_"  # of the column of a branch in a table
MAP = ".map_"  # between a clip's name and a branch in the name of a file of maps
SPEED = "speed"  # the branch that learns nothing, and the trivial scorer that it alone is
CHUNK = 512  # frames whose maps are held at once
Scale = Mapping[str, np.ndarray]  # by branch a factor per cell of a coarse grid, float [rows, columns]


class PoolParams(Section):
    """How a frame's error is made: part of `calibrate`.

    `per`: a frame's errors are those of its `region`s; of its `location`s; or of its regions, each smoothed
    along its `track`. Along a location or a track errors are smoothed over time by a gaussian of `sigma`
    frames before the maximum is taken, so that what lasts counts more than what flickers; maps always are.

    `pool`: the highest (`max`), or the mean of the `top_k` highest (`mean_top`). A frame with fewer regions
    has the mean of those it has: were the missing ones counted as 0, somebody who falls alone would score
    lower than a crowd that walks by. The price is that with `mean_top` (never with `max`) a frame's score
    may fall when somebody normal walks in.
    """

    per: Literal["region", "location", "track"]
    sigma: float = Field(ge=0, le=100)
    pool: Literal["max", "mean_top"]
    top_k: int = Field(ge=1)

    @property
    def highest(self) -> int:
        """How many errors make that of a frame."""
        return 1 if self.pool == "max" else self.top_k


@dataclass(frozen=True)
class ClipErrors:
    """Errors of a clip's regions and locations.

    `frames` is the clip's length T, `stride` the grid of the frames that windows were made for, `size` the
    (height, width) of a frame, `fps` its rate. `table` has a row per region on that grid, none where
    nothing was found: frame, region, track, x0, y0, x1, y1, error_<branch>. `maps` holds, for branches that
    have some, float16 [T, rows, columns] in cells of `cell` pixels.
    """

    clip: str
    frames: int
    stride: int
    size: tuple[int, int]
    table: pd.DataFrame
    fps: float = 25.0
    cell: int = 8
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    camera: str = ""

    @property
    def branches(self) -> list[str]:
        """All that have errors here, of regions first."""
        return list(dict.fromkeys([*branches_of(self.table), *self.maps]))

    def per_frame(self, values: ArrayLike, top_k: int = 1) -> np.ndarray:
        """One value per frame, [T], from one per region [N]: the mean of the `top_k` highest of the frame's.

        Of those there are if there are fewer, and 0 where there is none. Keeps the kind of float.
        """
        values, at = np.asarray(values), self._at
        falling = np.lexsort((-values, at))  # frame by frame, the highest first
        first = np.searchsorted(at[falling], at[falling])
        falling = falling[np.arange(len(at)) - first < top_k]
        total = np.bincount(at[falling], values[falling], self._length)
        count = np.bincount(at[falling], minlength=self._length)
        return (total / np.maximum(count, 1)).astype(values.dtype)[self._nearest]

    def errors(
        self, branches: Sequence[str], params: PoolParams, causal: bool, scale: Scale | None = None
    ) -> dict[str, np.ndarray]:
        """By branch the errors of frames, float64 [T]. `scale` divides those of a place by its own factor."""
        regional = [] if params.per == "location" else branches_of(self.table)
        located = [b for b in branches if b not in regional]
        out = {b: np.empty(self.frames) for b in located}
        for at, chunk in self.locations(located, params.sigma, causal, scale):
            cells = chunk.reshape(*chunk.shape[:2], -1)
            k = min(params.highest, cells.shape[2])
            highest = np.partition(cells, -k, axis=2)[:, :, -k:].mean(2, dtype=np.float64)
            for i, b in enumerate(located):
                out[b][at] = highest[:, i]
        for b in branches:
            if b not in out:
                values = self.regions(b, scale)
                if params.per == "track":
                    values = self._along_tracks(values, params.sigma, causal)
                out[b] = self.per_frame(values.astype(np.float64), params.highest)
        return out

    def regions(self, branch: str, scale: Scale | None = None) -> np.ndarray:
        """The errors of the regions, float32 [N], divided by the factor of the place of their middle."""
        values = self.table[PREFIX + branch].to_numpy(np.float32)
        return values / place(self, scale[branch]) if scale and branch in scale else values

    def locations(
        self,
        branches: Sequence[str],
        sigma: float,
        causal: bool,
        scale: Scale | None = None,
        only: tuple[int, int] | None = None,
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Maps of errors in time: (frames, float32 [n, branches, rows, columns]), smoothed by `sigma`.

        Memory does not grow with the clip. `only`: of frames [start, end) alone.
        """
        if not branches:
            return
        before, after = radius(sigma), 0 if causal else radius(sigma)
        first, last = only or (0, self.frames)
        for start in range(first, last, CHUNK):
            end = min(start + CHUNK, last)
            low, high = max(0, start - before), min(self.frames, end + after)
            chunk = self._paint(branches, low, high, scale)
            yield slice(start, end), gaussian(chunk, sigma, causal)[start - low : end - low]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        return tuple(-(-side // self.cell) for side in self.size)

    def _paint(self, branches: Sequence[str], low: int, high: int, scale: Scale | None) -> np.ndarray:
        """Maps of the frames [low, high): float32 [frames, branches, rows, columns]."""
        out = np.zeros((high - low, len(branches), *self.shape), np.float32)
        painted = [i for i, b in enumerate(branches) if b not in self.maps]
        for i, b in enumerate(branches):
            if b in self.maps:
                out[:, i] = self.maps[b][low:high]
                if scale and b in scale:
                    out[:, i] /= spread(scale[b], self.shape)
        if not painted:
            return out
        nearest = self._nearest[low:high]
        rows = slice(*np.searchsorted(self._at, [nearest[0], nearest[-1] + 1]))
        values = np.stack([self.regions(branches[i], scale)[rows] for i in painted], 1)[:, :, None, None]
        boxes = self.table[["x0", "y0", "x1", "y1"]].to_numpy()[rows]
        cells = np.concatenate([boxes[:, :2] // self.cell, -(-boxes[:, 2:] // self.cell)], 1).tolist()
        canvases: dict[int, np.ndarray] = {}
        for at, (x0, y0, x1, y1), value in zip(self._at[rows].tolist(), cells, values, strict=True):
            if at not in canvases:
                canvases[at] = np.zeros((len(painted), *self.shape), np.float32)
            part = canvases[at][:, y0:y1, x0:x1]
            np.maximum(part, value, out=part)
        for t, at in enumerate(nearest.tolist()):
            if at in canvases:
                out[t, painted] = canvases[at]
        return out

    def _along_tracks(self, values: np.ndarray, sigma: float, causal: bool) -> np.ndarray:
        """Each region's error as the weighted mean of its track's around it; regions without track as is."""
        frames, tracks, out = self.table["frame"].to_numpy(), self.table["track"].to_numpy(), values.copy()
        if radius(sigma) == 0:
            return out
        for track in np.unique(tracks[tracks >= 0]).tolist():
            rows = np.flatnonzero(tracks == track)
            first = frames[rows].min()
            dense = np.zeros((frames[rows].max() - first + 1, 2))  # sum and number; frames may lack the track
            np.add.at(dense, frames[rows] - first, np.column_stack([values[rows], np.ones(len(rows))]))
            r = radius(sigma)  # nothing is known beyond the track's ends
            padded = np.pad(dense, ((r, r), (0, 0)))
            total, weight = gaussian(padded, sigma, causal)[r : len(padded) - r][frames[rows] - first].T
            out[rows] = total / weight
        return out

    def counts(self) -> np.ndarray:
        """How many regions the value of each frame comes from: int [T]."""
        return np.bincount(self._at, minlength=self._length)[self._nearest]

    def whole(self) -> np.ndarray:
        """Which regions are the whole frame: bool [N]."""
        height, width = self.size
        return (self.table[["x0", "y0", "x1", "y1"]].to_numpy() == (0, 0, width, height)).all(1)

    def only(self, rows: ArrayLike) -> "ClipErrors":
        """The same clip with some of its regions alone; `rows` bool [N]."""
        return replace(self, table=self.table[np.asarray(rows)])

    @property
    def _nearest(self) -> np.ndarray:
        return stride.nearest(self.frames, self.stride)

    @property
    def _length(self) -> int:
        return -(-self.frames // self.stride)

    @property
    def _at(self) -> np.ndarray:
        return self.table["frame"].to_numpy() // self.stride


def place(clip: ClipErrors, coarse: np.ndarray) -> np.ndarray:
    """Values of a coarse grid over the frame, [rows, columns], where the regions have their middles: [N]."""
    (height, width), (rows, columns) = clip.size, coarse.shape
    y = (clip.table["y0"] + clip.table["y1"]).to_numpy() / 2
    x = (clip.table["x0"] + clip.table["x1"]).to_numpy() / 2
    row = np.minimum(y * rows / height, rows - 1).astype(int)
    return coarse[row, np.minimum(x * columns / width, columns - 1).astype(int)]


def spread(coarse: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The values of a coarse grid at the middles of the cells of a finer one, of `shape`."""
    rows, columns = (
        ((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, coarse.shape, strict=True)
    )
    return coarse[np.ix_(rows, columns)]


def branches_of(table: pd.DataFrame) -> list[str]:
    """Branches that have a column."""
    return [name.removeprefix(PREFIX) for name in table.columns if name.startswith(PREFIX)]


def _refuse_broken(clip: str, branch: str, maps: np.ndarray) -> None:
    for start in range(0, len(maps), CHUNK):
        bad = ~np.isfinite(maps[start : start + CHUNK]).all((1, 2))
        if bad.any():
            raise UserError(
                f"clip {clip!r}: the map of {branch} in frame {start + bad.argmax()} has values that are not "
                "finite; run `dvc repro score`, or train again with a lower train.learning_rate"
            )


def read_errors(folder: Path, clips: Mapping[str, str]) -> list[ClipErrors]:
    """The errors of clips, {id: camera}.

    Raises UserError if one is missing or has values that are no numbers.
    """
    out = []
    for clip, camera in clips.items():
        table, card = tables.read_table(folder / clip), cards.read_card(folder / clip)
        if lacking := sorted({"frames", "stride", "frame", "fps", "cell", "maps"} - set(card)):
            raise UserError(f"{folder / clip}.json: lacks {', '.join(lacking)}; run `dvc repro score`")
        columns = [PREFIX + branch for branch in branches_of(table)]
        bad = ~np.isfinite(table[columns].to_numpy()).all(1)
        if bad.any():
            raise UserError(
                f"clip {clip!r}: the error of frame {table['frame'][bad.argmax()]} is not a finite number; "
                "the autoencoder is broken, train it again with a lower train.learning_rate"
            )
        maps = {branch: arrays.open_array(folder / f"{clip}{MAP}{branch}")[0] for branch in card["maps"]}
        for branch, values in maps.items():
            _refuse_broken(clip, branch, values)
        size, cell = tuple(card["frame"]), card["cell"]
        out.append(
            ClipErrors(clip, card["frames"], card["stride"], size, table, card["fps"], cell, maps, camera)
        )
    return out
