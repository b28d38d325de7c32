"""Stored clips for the tests of regions."""

from pathlib import Path

import numpy as np
import pandas as pd

from vad.regions import RegionMode
from vad.regions.compute import compute_regions
from vad.store.arrays import write_array
from vad.store.tables import write_table

FPS = 10.0


def store(stem: Path, frames: np.ndarray) -> None:
    """Writes frames as the stage `extract` does."""
    write_array(stem, frames, fps=FPS)
    numbers = np.arange(len(frames))
    write_table(stem, pd.DataFrame({"source_frame": numbers, "seconds": numbers / FPS}))


def run(mode: RegionMode, folder: Path, frames: np.ndarray, threads: int = 1) -> Path:
    """The stem of the written regions; flow is that in folder/flow, if there is any."""
    store(folder / "frames", frames)
    mode.prepare(folder / "cache")
    stem = folder / "regions/clip"
    compute_regions(stem, folder / "frames", folder / "flow", mode, threads=threads)
    return stem


def files(stem: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in stem.parent.iterdir()}


def whole_frames(length: int, height: int, width: int) -> pd.DataFrame:
    """Makes a table in which the only region of each frame is the frame itself, all with track 0.

    Args:
        length: number of frames.
        height: of a frame, in pixels.
        width: of a frame, in pixels.
    """
    box = {"x0": 0, "y0": 0, "x1": width, "y1": height}
    rows = pd.DataFrame({"frame": np.arange(length), "track": 0})
    return rows.assign(**box, source="frame", confidence=1)
