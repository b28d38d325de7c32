"""Writes frames as the stage `extract` stores them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vad.store import arrays, tables


def write_frames(
    stem: Path, video: np.ndarray, fps: float = 10.0, seconds: Sequence[float] | None = None
) -> None:
    """Writes a clip, uint8 [T, H, W] or [T, H, W, 3]; by default with a frame every 1 / fps seconds."""
    times = np.arange(len(video)) / fps if seconds is None else np.array(seconds, np.float64)
    arrays.write_array(stem, video, fps=fps)
    numbers = np.arange(len(video), dtype=np.int32)
    tables.write_table(stem, pd.DataFrame({"source_frame": numbers, "seconds": times}))
