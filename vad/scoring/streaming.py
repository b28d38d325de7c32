"""Causal scores frame by frame, for live use; equal to the causal scores of a whole clip."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from vad.scoring.calibration import ALL_CAMERAS, Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.smoothing import history, radius


class Live:
    """Computes `Calibration.frame_scores(clip, causal=True)` frame by frame.

    Keeps the errors of as many past frames as a causal score depends on.

    Args:
        calibration: turns errors into scores.
        size: (height, width) of a frame in pixels.
        cell: pixels of the frame per cell of a map.
        camera: the camera whose standardisation is used.
    """

    def __init__(self, calibration: Calibration, size: tuple[int, int], cell: int, camera: str = ALL_CAMERAS):
        self.calibration, self.size, self.cell, self.camera = calibration, size, cell, camera
        params = calibration.params
        self._length = 1 + history(params.smooth) + radius(params.error_sigma)
        self._tables: list[pd.DataFrame] = []
        self._maps: list[Mapping[str, np.ndarray]] = []

    def add(self, table: pd.DataFrame, maps: Mapping[str, np.ndarray]) -> float:
        """The score of the next frame.

        Args:
            table: errors of its regions, with the columns of `ClipErrors.table`.
            maps: errors of its cells by branch, [rows, columns].
        """
        self._tables = [*self._tables, table][-self._length :]
        self._maps = [*self._maps, maps][-self._length :]
        rows = pd.concat([t.assign(frame=i) for i, t in enumerate(self._tables)], ignore_index=True)
        recent = {name: np.stack([frame[name] for frame in self._maps]) for name in maps}
        clip = ClipErrors("", len(self._tables), 1, self.size, rows, 1.0, self.cell, recent, self.camera)
        return float(self.calibration.frame_scores(clip, causal=True)[-1])
