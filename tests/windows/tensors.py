"""Clips small enough to write by hand, and their tensors."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.regions.clips import whole_frames
from vad.flow.compute import compute_flow
from vad.flow.none import NoFlow
from vad.regions.table import write
from vad.resize.cut import cut
from vad.store.arrays import write_array
from vad.store.body_heights import BodyHeight
from vad.store.tables import write_table
from vad.windows.spec import TensorSpec

WINDOW = ("frames", "step", "position")


def tensor_spec(height: int = 8, width: int = 8, frames: int = 1, **changed: Any) -> TensorSpec:
    """A specification whose defaults are the simplest: only the channel `picture`, stretched, every frame."""
    window = {"frames": frames} | {key: changed.pop(key) for key in WINDOW if key in changed}
    plain = {"channels": ["picture"], "stride": 1, "fit": "stretch"}
    return TensorSpec(**plain | {"height": height, "width": width} | changed, window=window)


def table_of(rows: list[tuple[int, ...]]) -> pd.DataFrame:
    """A table of regions from rows of frame, track, x0, y0, x1, y1."""
    columns = ["frame", "track", "x0", "y0", "x1", "y1"]
    table = pd.DataFrame(np.array(rows, np.int32).reshape(-1, 6), columns=columns)
    return table.assign(source="motion", confidence=1)


def write_frames(stem: Path, frames: np.ndarray, fps: float = 12.5) -> None:
    """Frames with their times, as the stage `extract` writes them."""
    write_array(stem, frames, fps=fps)
    numbers = np.arange(len(frames), dtype=np.int64)
    write_table(stem, pd.DataFrame({"source_frame": numbers.astype(np.int32), "seconds": numbers / fps}))


def write_clip(
    folder: Path, name: str, frames: np.ndarray, boxes: pd.DataFrame | None = None
) -> tuple[Path, Path, Path]:
    """Stems of frames, regions and flow of a clip; without boxes regions are whole frames.

    A flow that lies there stays.
    """
    stems = folder / "frames" / name, folder / "regions" / name, folder / "flow" / name
    write_frames(stems[0], frames)
    if not Path(f"{stems[2]}.json").exists():
        compute_flow(stems[2], stems[0], NoFlow(NoFlow.Params()), threads=1)
    write(stems[1], whole_frames(*frames.shape[:3]) if boxes is None else boxes)
    return stems


def cut_clip(
    folder: Path,
    frames: np.ndarray,
    spec: TensorSpec,
    name: str = "clip",
    boxes: pd.DataFrame | None = None,
    body_height: BodyHeight | None = None,
) -> Path:
    """Stem of the tensors of a clip, in <folder>/tensors."""
    out = folder / "tensors" / name
    out.parent.mkdir(exist_ok=True)
    height = body_height or BodyHeight.default(frames.shape[1])
    cut(out, *write_clip(folder, name, frames, boxes), spec, height, threads=1)
    return out


def step_per_count(scale: float, rows: int, fps: float = 12.5, flow_range: float = 4.0) -> BodyHeight:
    """The body height with which a tensor has a step for each count of flow."""
    return BodyHeight.constant(scale * fps / (flow_range / 127), rows)


def numbered(length: int, height: int = 8, width: int = 8) -> np.ndarray:
    """Frames in which all pixels have the value of the frame number."""
    return np.full((length, height, width), np.arange(length)[:, None, None], np.uint8)


def shown_frames(frame: int, length: int, spec: TensorSpec) -> list[int]:
    """Numbers of the frames in the window of `frame`."""
    window = spec.window
    before = (window.frames - 1) // 2 if window.position == "middle" else window.frames - 1
    first = frame - before * window.step
    return [min(max(first + i * window.step, 0), length - 1) for i in range(window.frames)]
