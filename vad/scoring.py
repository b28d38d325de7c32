"""Errors become scores: from regions to frames, calibration by normal data, the threshold.

A frame's error is the highest of its regions' errors, or the mean of the highest few; 0 where nothing was
found, since nothing was seen that could not be reproduced. Windows are made for frames of a grid; the
others take what the nearest of these has (`vad.grid`).

A score is 0 where the error is the median of normal frames and 1 where it is their 95th percentile;
the higher, the more anomalous. The mapping is the same for all clips and rises strictly, so ranks
within and between clips are those of the raw errors, and a frame without regions has the lowest score
there is.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vad import UserError, grid, store
from vad.params import Field, Section

PREFIX = "error_"  # as `vad.inference` names them; this room does without torch


class CalibrateParams(Section):
    """`calibrate`

    `regions`: how a frame's error is made of those of its regions: `max`, or `mean_top`, the mean of the
    `top_k` highest. A frame with fewer has the mean of those it has: were the missing ones counted as 0,
    somebody who falls alone would score lower than a crowd that walks by. The price is that with
    `mean_top` (never with `max`) a frame's score may fall when somebody normal walks in.
    """

    percentile: float = Field(gt=0, lt=100)
    regions: Literal["max", "mean_top"]
    top_k: int = Field(ge=1)


@dataclass(frozen=True)
class ClipErrors:
    """Errors of a clip's regions.

    `frames` is the clip's length T, `stride` the grid of the frames that windows were made for, `size` the
    (height, width) of a frame. `table` has a row per region on that grid, none where nothing was found:
    frame, region, track, x0, y0, x1, y1, error_<branch>.
    """

    clip: str
    frames: int
    stride: int
    size: tuple[int, int]
    table: pd.DataFrame

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
        return grid.nearest(self.frames, self.stride)

    @property
    def _length(self) -> int:
        return -(-self.frames // self.stride)

    @property
    def _at(self) -> np.ndarray:
        return self.table["frame"].to_numpy() // self.stride


@dataclass(frozen=True)
class Calibration:
    """What is normal: per branch the median and the 95th percentile of normal frames' errors.

    `threshold`: a frame with a higher score is alarmed. `percentile` of the `frames` normal ones lie below
    it. `top_k`: so many regions make a frame's error (`ClipErrors.per_frame`); 1 is the maximum.
    """

    branches: dict[str, dict[str, float]]
    threshold: float
    percentile: float
    frames: int
    top_k: int

    def scores(self, errors: Mapping[str, ArrayLike] | pd.DataFrame) -> np.ndarray:
        """Errors [N] by branch to scores, float64 [N]: the sum over branches of (error - median) / spread.

        The spread is the 95th percentile minus the median. A table of regions gives the score of each
        region. Raises UserError if a branch is missing.
        """
        if missing := sorted(set(self.branches) - set(errors)):
            raise UserError(f"errors lack the branches {missing} of the calibration: `dvc repro`")
        total = 0.0
        for branch, normal in self.branches.items():
            one = (np.asarray(errors[branch]) - normal["median"]) / (normal["q95"] - normal["median"])
            total = total + one.astype(np.float64)
        return total

    def frame_scores(self, clip: ClipErrors) -> np.ndarray:
        """Score per frame, float64 [T]: first each branch's error of the frame, then their calibrated sum.

        So a frame is judged by the region that stands out most in each branch. For one branch this is the
        score of the frame's highest region.
        """
        return self.scores({b: clip.per_frame(clip.table[b], self.top_k) for b in self.branches})

    def save(self, path: Path) -> None:
        """Writes calibration.json."""
        store.write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Reads calibration.json. Raises UserError if it is missing or not what `save` wrote."""
        try:
            return cls(**store.read_json(path))
        except TypeError as e:
            raise UserError(f"{path}: not a calibration ({e}); run `dvc repro calibrate`") from None


def read_errors(folder: Path, clips: list[str]) -> list[ClipErrors]:
    """The errors of clips by id. Raises UserError if one is missing or has values that are no numbers."""
    out = []
    for clip in clips:
        table, card = store.read_table(folder / clip), store.read_card(folder / clip)
        if lacking := sorted({"frames", "stride", "frame"} - set(card)):
            raise UserError(f"{folder / clip}.json: lacks {', '.join(lacking)}; run `dvc repro score`")
        bad = ~np.isfinite(table[branches_of(table)].to_numpy()).all(1)
        if bad.any():
            raise UserError(
                f"clip {clip!r}: the error of frame {table['frame'][bad.argmax()]} is not a finite number; "
                "the autoencoder is broken, train it again with a lower train.learning_rate"
            )
        out.append(ClipErrors(clip, card["frames"], card["stride"], tuple(card["frame"]), table))
    return out


def branches_of(table: pd.DataFrame) -> list[str]:
    """Columns that hold the error of a branch."""
    return [name for name in table.columns if name.startswith(PREFIX)]


def calibrate(normal: list[ClipErrors], params: CalibrateParams) -> Calibration:
    """Learns what is normal from validation clips, which hold normal frames only.

    Median and 95th percentile are taken over the frames with regions, for in footage that is mostly empty
    all frames together would show no spread; the threshold is the `percentile` of all frames' scores.
    Raises UserError if there are no clips, if none has a region, or if all errors are equal.
    """
    if not normal:
        raise UserError("no validation clips to calibrate with; raise data.val_fraction or add a val folder")
    seen = np.concatenate([clip.counts() > 0 for clip in normal])
    if not seen.any():
        raise UserError(
            f"nothing was found in any of the {len(normal)} validation clips ({len(seen)} frames), so there "
            "is no normal error to compare with; see reports/preprocess, lower the thresholds of "
            "preprocess.mode, or hold out more clips by data.val_fraction"
        )
    top_k = 1 if params.regions == "max" else params.top_k
    branches = {}
    for branch in branches_of(normal[0].table):
        errors = np.concatenate([clip.per_frame(clip.table[branch], top_k) for clip in normal])[seen]
        median, q95 = (float(q) for q in np.quantile(errors.astype(float), (0.5, 0.95)))
        if not q95 > median:
            raise UserError(
                f"all validation frames have the same {branch} ({median:.3g}), so there is no scale for "
                "scores; check that the validation clips show more than one still picture"
            )
        branches[branch] = {"median": median, "q95": q95}
    unfinished = Calibration(branches, 0.0, params.percentile, 0, top_k)
    scores = np.concatenate([unfinished.frame_scores(clip) for clip in normal])
    threshold = float(np.percentile(scores, params.percentile))
    return Calibration(branches, threshold, params.percentile, len(scores), top_k)
