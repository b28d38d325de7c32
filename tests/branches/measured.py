"""Small clips that are measured quickly, and an autoencoder with simple residuals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from vad.branches.base import Branch
from vad.branches.classes import Classes
from vad.branches.measure import measure_clip
from vad.branches.params import MeasureParams
from vad.branches.reconstruction import Reconstruction
from vad.branches.speed import Speed
from vad.branches.window_errors import WindowErrors
from vad.models import Autoencoder
from vad.models.conv2d import Conv2d
from vad.scoring.clip_errors import ClipErrors, read_clip
from vad.store import arrays, cards, tables
from vad.store.body_heights import BodyHeight
from vad.store.zones import ALL_JUDGED, CameraZones

CLASSES = 5
BODY = BodyHeight.constant(5.0, 32)
STATISTICS = {  # of class probabilities
    "mean": np.full(CLASSES, -4, np.float32),
    "std": np.full(CLASSES, 2, np.float32),
    "basis": np.eye(CLASSES, dtype=np.float32)[:2],
}


class Half(Autoencoder):
    """Outputs half of its input, so that the residual is x / 2."""

    name = "half"

    def __init__(self, position: str = "middle", branch: str = "reconstruction"):
        window = {"frames": 2, "position": position}
        super().__init__(Conv2d.Params(window=window, channels=[4]), (1, 2, 8, 8), ["gray"])
        self.branch = branch

    @property
    def branches(self) -> list[str]:
        return [self.branch]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


HALF = Half()


def write_inputs(
    folder: Path,
    windows: int = 7,
    boxes: pd.DataFrame | None = None,
    name: str = "a",
    flow: bool = True,
    seed: int = 0,
    regions: dict[str, Any] | None = None,
) -> list[Path]:
    """Stems of tensors, regions and flow: windows of two planes, at every second frame of 32 x 40 pixels.

    Every frame has a region; those of odd frames have no window, and every third is a motion box.
    """
    rng = np.random.default_rng(seed)
    stems = [folder / kind / name for kind in ("tensors", "regions", "flow")]
    card = {"frames": 14, "window": 2, "windows": windows, "stride": 2, "channels": ["gray"], "fps": 10.0}
    card |= {"step": 1, "position": "middle", "fit": "stretch", "frame": [32, 40]}
    planes = rng.integers(0, 256, (windows + 1 if windows else 0, 1, 8, 8), np.uint8)
    arrays.write_array(stems[0], planes, **card)
    n = np.arange(windows)
    rows = {"frame": 2 * n, "region": 2 * n, "track": 0 * n, "plane_0": n, "plane_1": n + 1}
    tables.write_table(stems[0], pd.DataFrame(rows).astype(np.int32))
    if boxes is None:
        boxes = pd.DataFrame({"frame": np.arange(2 * windows)}).assign(x0=0, y0=0, x1=40, y1=32)
        boxes.loc[boxes.index % 2 == 1, "x1"] = 1
    source = np.where(boxes.index % 3 == 1, "motion", "detector")
    boxes = boxes.assign(track=0).astype(np.int32).assign(source=source, confidence=np.float32(1))
    tables.write_table(stems[1], boxes)
    cards.write_json(Path(f"{stems[1]}.json"), {"picture": ["frame"], "lookahead": 0} | (regions or {}))
    arrays.write_array(Path(f"{stems[1]}.classes"), rng.random((len(boxes), CLASSES)).astype(np.float16))
    method = {"method": "dis", "scale": 0.5} if flow else {"method": "none"}
    arrays.write_array(stems[2], rng.integers(-9, 9, (14, 16, 20, 2), np.int8), **method)
    return stems


def branches_of(
    model: Autoencoder = HALF, statistics: dict[str, np.ndarray] | None = None, **reconstruction
) -> list[Branch]:
    """All branches after `open`, with parameters of the branch reconstruction."""
    plain = {"reduce": "mean", "reduce_flow": "mean_vector", "top_share": 0.1, "patch": 3, "batch_size": 64}
    first = Reconstruction(Reconstruction.Params(**plain | reconstruction))
    first.network = WindowErrors(model, first.params)
    second = Classes(Classes.Params())
    second.statistics = statistics
    return [first, second, Speed(Speed.Params(width=0.8, height=1.2))]


def measure(
    folder: Path,
    stems: list[Path],
    branches: Sequence[Branch],
    name: str = "a",
    cell: int = 4,
    body_height: BodyHeight = BODY,
    zones: CameraZones = ALL_JUDGED,
) -> ClipErrors:
    """The errors of a clip, written to the folder `errors` and read back."""
    threads = torch.get_num_threads()
    try:
        stem = folder / "errors" / name
        params = MeasureParams(cell=cell)
        measure_clip(stem, *stems, branches, params, "hall", body_height, zones, threads=1)
    finally:
        torch.set_num_threads(threads)
    return read_clip(stem, name, "hall")
