"""Errors become scores: calibration by normal data, frame scores, the threshold.

A score is 0 where the error is the median of normal frames and 1 where it is their 95th percentile;
the higher, the more anomalous. The mapping is the same for all clips and rises strictly, so ranks
within and between clips are those of the raw errors.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad import UserError, store
from vad.params import Field, Section
from vad.windows import to_frames

PREFIX = "error_"


class CalibrateParams(Section):
    """`calibrate`"""

    percentile: float = Field(gt=0, lt=100)


@dataclass(frozen=True)
class Calibration:
    """What is normal: per branch the median and the 95th percentile of normal frames' errors.

    `threshold`: a frame with a higher score is alarmed.
    """

    branches: dict[str, dict[str, float]]
    threshold: float
    percentile: float
    frames: int

    def scores(self, errors: pd.DataFrame) -> np.ndarray:
        """Calibrated score per window, float64 [N]: the sum over branches of (error - median) / spread.

        The spread is the 95th percentile minus the median. Raises UserError if a branch is missing.
        """
        if missing := sorted(set(self.branches) - set(errors.columns)):
            raise UserError(f"errors lack the branches {missing} of the calibration: `dvc repro`")
        total = np.zeros(len(errors))
        for branch, normal in self.branches.items():
            total += (errors[branch] - normal["median"]) / (normal["q95"] - normal["median"])
        return total

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


@dataclass(frozen=True)
class ClipErrors:
    """Errors of a clip's windows: `table` with columns frame, region, track, error_<branch>."""

    clip: str
    frames: int
    table: pd.DataFrame

    def per_frame(self, values: Any) -> np.ndarray:
        """One value per frame, float64 [frames], from one per window (see `windows.to_frames`)."""
        return to_frames(self.table["frame"].to_numpy(), np.asarray(values), self.frames)


def read_errors(folder: Path, clips: list[str]) -> list[ClipErrors]:
    """The errors of clips by id. Raises UserError if one is missing or has values that are no numbers."""
    out = []
    for clip in clips:
        table, card = store.read_table(folder / clip), store.read_card(folder / clip)
        bad = ~np.isfinite(table[branches_of(table)].to_numpy()).all(1)
        if bad.any():
            raise UserError(
                f"clip {clip!r}: the error of frame {table['frame'][bad.argmax()]} is not a finite number; "
                "the autoencoder is broken, train it again with a lower train.learning_rate"
            )
        out.append(ClipErrors(clip, card["frames"], table))
    return out


def branches_of(table: pd.DataFrame) -> list[str]:
    """Columns that hold the error of a branch."""
    return [name for name in table.columns if name.startswith(PREFIX)]


def calibrate(normal: list[ClipErrors], params: CalibrateParams) -> Calibration:
    """Learns what is normal from validation clips, which hold normal frames only.

    The threshold is the `percentile` of their frame scores. Raises UserError if there are no clips, or
    if all their errors are equal.
    """
    if not normal:
        raise UserError("no validation clips to calibrate with; raise data.val_fraction or add a val folder")
    branches = {}
    for branch in branches_of(normal[0].table):
        errors = np.concatenate([clip.per_frame(clip.table[branch]) for clip in normal])
        median, q95 = (float(q) for q in np.quantile(errors, (0.5, 0.95)))
        if not q95 > median:
            raise UserError(
                f"all validation frames have the same {branch} ({median:.3g}), so there is no scale for "
                "scores; check that the validation clips show more than one still picture"
            )
        branches[branch] = {"median": median, "q95": q95}
    unfinished = Calibration(branches, 0.0, params.percentile, 0)
    scores = np.concatenate([clip.per_frame(unfinished.scores(clip.table)) for clip in normal])
    threshold = float(np.percentile(scores, params.percentile))
    return Calibration(branches, threshold, params.percentile, len(scores))
