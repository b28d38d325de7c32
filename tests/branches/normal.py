"""Small normal clips to which branches are fitted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vad.branches.base import NormalClip
from vad.store import arrays, cards, tables
from vad.store.body_heights import BodyHeight

SCALE = 0.25  # pixels of the frame per count of the flow


def normal_clip(
    stems: Sequence[Path],
    camera: str = "hall",
    frame: tuple[int, int] = (32, 40),
    frames: int = 14,
    fps: float = 10.0,
    body_height: BodyHeight | None = None,
) -> NormalClip:
    """A clip whose regions and flow lie at the last two of the stems."""
    *_, regions, flow = stems
    height = body_height or BodyHeight(4.0, 12.0, 2.0, 32).scaled(frame[0])
    return NormalClip(regions.name, camera, regions, flow, frame, frames, fps, height)


def inside(frames: int = 14, seed: int = 0) -> pd.DataFrame:
    """Two regions per frame, away from the border of a frame of 32 x 40 pixels."""
    rng = np.random.default_rng(seed)
    low = rng.integers(2, (26, 18), (2 * frames, 2))
    high = low + rng.integers(4, 12, low.shape)
    boxes = pd.DataFrame(np.concatenate([low, high], axis=1), columns=tables.BOX)
    return boxes.assign(frame=np.repeat(np.arange(frames), 2))


def write_normal(
    folder: Path,
    name: str,
    boxes: np.ndarray,
    flow: np.ndarray | None,
    frames: Sequence[int] | None = None,
    source: str = "detector",
    **clip,
) -> NormalClip:
    """A clip with these boxes [N, 4], by default one per frame, and this flow in counts of SCALE pixels."""
    frames = range(len(boxes)) if frames is None else frames
    table = pd.DataFrame(np.reshape(boxes, (-1, 4)), columns=tables.BOX).assign(frame=np.array(frames, int))
    table = table.astype(np.int32).assign(track=np.int32(0), confidence=np.float32(1))
    table["source"] = pd.Series([source] * len(table), dtype="str")
    stems = [folder / kind / name for kind in ("regions", "flow")]
    tables.write_table(stems[0], table)
    if flow is None:
        cards.write_json(Path(f"{stems[1]}.json"), {"method": "none", "hash": "none"})
    else:
        arrays.write_array(stems[1], flow.astype(np.int8), method="dis", scale=SCALE)
    return normal_clip(stems, frames=max(frames, default=0) + 1, **clip)
