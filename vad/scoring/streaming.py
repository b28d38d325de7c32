"""Scores of footage as it comes, frame by frame, equal to those of a whole clip."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from vad.scoring.calibration import POOLED, Calibration
from vad.scoring.pooling import ClipErrors
from vad.scoring.smoothing import radius


class Live:
    """Causal scores one by one: what `Calibration.frame_scores(clip, causal=True)` gives, frame by frame.

    Keeps the errors of so many frames as a causal score depends on. `size` is the (height, width) of a frame
    and `cell` the pixels of a map's cell.
    """

    def __init__(self, calibration: Calibration, size: tuple[int, int], cell: int, camera: str = POOLED):
        self.calibration, self.size, self.cell, self.camera = calibration, size, cell, camera
        along = calibration.params.sigma
        self._keep = 1 + calibration.params.smooth.reach() + radius(along)
        self._tables: list[pd.DataFrame] = []
        self._maps: list[Mapping[str, np.ndarray]] = []

    def add(self, table: pd.DataFrame, maps: Mapping[str, np.ndarray]) -> float:
        """The score of the next frame, of its regions as in `ClipErrors` and its `maps` [rows, columns]."""
        self._tables = [*self._tables, table][-self._keep :]
        self._maps = [*self._maps, maps][-self._keep :]
        rows = pd.concat([own.assign(frame=t) for t, own in enumerate(self._tables)], ignore_index=True)
        recent = {name: np.stack([own[name] for own in self._maps]) for name in maps}
        length = len(self._tables)
        clip = ClipErrors("", length, 1, self.size, rows, 1.0, self.cell, recent, self.camera)
        return float(self.calibration.frame_scores(clip, causal=True)[-1])
