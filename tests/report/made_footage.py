"""Footage in which somebody walks before a bright background, with the files of the stages up to `score`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from tests.detect.test_privacy import SIZE, Box, scene, walk
from tests.evaluation.reports import SEVERAL, write_errors
from vad.regions.table import write as write_regions
from vad.report.footage import Sources
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.scores import score_clip
from vad.store.arrays import write_array
from vad.store.bitmasks import mask_writer, pack
from vad.store.cards import read_card
from vad.store.tables import write_table

FPS, CELL = 10.0, 8
FRAMES = 40
SPEEDS = SIZE[0] // CELL, SIZE[1] // CELL  # cells
CLOCK: Box = (4, 4, 40, 14)  # on the wall, always there


def sources(folder: Path) -> Sources:
    """All files below a folder, where the stages put them."""
    return Sources(
        manifest=folder / "data/manifest.csv",
        labels=folder / "data/labels.csv",
        frames=folder / "data/frames",
        regions=folder / "data/regions",
        errors=folder / "data/errors",
        scores=folder / "data/scores",
        body_heights=folder / "data/body_height.json",
        zones=folder / "data/zones.yaml",
        calibration=folder / "models/calibration.json",
        autoencoder=folder / "models/autoencoder",
        deployed=folder / "models/deployed",
        tensors=folder / "data/tensors/test",
        evaluation=folder / "reports/evaluation",
        validation=folder / "reports/validation/metrics.json",
        history=folder / "reports/training/history.csv",
        skipped=[folder / "data/skipped.csv"],
    )


def write_clip(
    at: Sources,
    clip: str = "test/walk",
    *,
    alarmed: Sequence[tuple[int, int]] = ((10, 20),),
    frames: int = FRAMES,
    gray: bool = False,
    silhouettes: bool = False,
    not_judged: bool = False,
    seconds: Sequence[float] | None = None,
    by: Calibration = SEVERAL,
) -> tuple[np.ndarray, list[Box]]:
    """Writes a clip; scores too, unless it is one of training.

    Args:
        at: where files go.
        clip: id of the clip.
        alarmed: stretches in which errors are high.
        frames: number of frames.
        gray: whether frames are gray.
        silhouettes: whether the whole frame is the region, and the person the foreground.
        not_judged: whether zones leave a second person, on the left, out: without errors.
        seconds: times of the frames.
        by: the calibration.

    Returns:
        The frames, and the boxes of the person.
    """
    rng = np.random.default_rng(sum(clip.encode()))
    boxes = walk(frames, step=100 / frames, first=30)
    pictures = np.stack(scene(boxes))
    if not_judged:
        pictures[:, CLOCK[1] : CLOCK[3], CLOCK[0] : CLOCK[2]] = rng.integers(0, 100, (10, 36, 3), np.uint8)
    if gray:
        pictures = pictures[..., 0]
    times = np.arange(frames) / FPS if seconds is None else np.array(seconds)
    write_array(at.frames / clip, pictures, fps=FPS)
    numbers = np.arange(frames, dtype=np.int32) + 3  # the first frames of the source are not used
    write_table(at.frames / clip, pd.DataFrame({"source_frame": numbers, "seconds": times}))
    rows = [(t, 0, *box, "detector") for t, box in enumerate(boxes)]
    also = []
    if silhouettes:
        rows = [(t, 0, 0, 0, SIZE[1], SIZE[0], "frame") for t in range(frames)]
        stem = Path(f"{at.regions / clip}.silhouette")
        stem.parent.mkdir(parents=True, exist_ok=True)
        with mask_writer(stem, *SIZE) as writer:
            for x0, y0, x1, y1 in boxes:
                mask = np.zeros(SIZE, bool)
                mask[y0:y1, x0:x1] = True
                writer.append(pack(mask))
        also = [read_card(stem)["hash"]]
    elif not_judged:
        rows = [
            row for t, box in enumerate(boxes) for row in ((t, 1, *CLOCK, "motion"), (t, 0, *box, "detector"))
        ]
    columns = ["frame", "track", "x0", "y0", "x1", "y1", "source"]
    regions = pd.DataFrame(rows, columns=columns).assign(confidence=1.0)
    write_regions(at.regions / clip, regions, also=also)
    judged = regions[regions["track"] == 0].drop(columns=["source", "confidence"])
    high = np.zeros(frames, bool)
    for start, end in alarmed:
        high[start:end] = True
    errors = judged.assign(region=judged.index.to_numpy())
    for branch, more in (("appearance", 1.0), ("flow", 0.5)):
        values = rng.uniform(0.6, 0.9, frames) + more * high
        errors[f"error_{branch}"] = values.astype(np.float32)
    maps = {"speed": rng.uniform(0.5, 0.9, (frames, *SPEEDS)).astype(np.float16)}
    of_clip = ClipErrors(clip, frames, 1, SIZE, errors, FPS, CELL, maps, learned=("appearance", "flow"))
    write_errors(at.errors / clip, of_clip)
    if clip.startswith("test/"):
        score_clip(at.scores / clip, at.errors / clip, at.frames / clip, clip, "hall", by)
    return pictures, boxes


def stems(at: Sources, clip: str) -> Mapping[str, Path]:
    """The arguments of `draw_clip` that are files."""
    return {
        "errors": at.errors / clip,
        "frames": at.frames / clip,
        "regions": at.regions / clip,
        "scores": at.scores / clip,
    }


def calibrated(**changes: object) -> Calibration:
    """The calibration with changes."""
    return replace(SEVERAL, **changes)  # type: ignore[arg-type]
