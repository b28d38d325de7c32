"""The work function of the stage `preprocess`, for all modes."""

from collections.abc import Iterable
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from vad.detection.background import changing_share
from vad.detection.class_scores import ClassScoresWriter
from vad.flow import open_flow
from vad.regions import table
from vad.regions.base import RegionMode
from vad.store.arrays import ArrayWriter
from vad.store.bitmasks import mask_writer, pack
from vad.store.cards import read_card
from vad.store.tables import BOX
from vad.stream import Regions
from vad.stream.stored_frames import StoredFrames


def compute_regions(stem: Path, frames: Path, flow: Path, mode: RegionMode, *, threads: int) -> None:
    """Work function: writes the regions of a clip in the form of `vad.regions.table`.

    Regions with class scores are written with `ClassScoresWriter`, and those with foreground as bit masks to
    <stem>.silhouette.npy.

    Args:
        stem: path of the output files, without suffix.
        frames: stem of the clip's frames, uint8 [T, H, W] or [T, H, W, 3].
        flow: stem of the clip's flow; read only if the mode reads it.
        mode: prepared.
        threads: maximum number of threads.

    Raises:
        UserError: if a file is missing or broken, or the mode reads flow and there is none.
    """
    cv2.setNumThreads(threads)
    clip = StoredFrames(frames)
    counts: Iterable[np.ndarray | None] = repeat(None, len(clip))
    scale: float | None = None
    if mode.flow_wanted_by:
        counts, flow_card = open_flow(flow, mode.flow_wanted_by)
        scale = flow_card["scale"]
    processor = mode.processor(
        clip.height, clip.width, clip.fps, flow_scale=scale, threads=threads, batches=True
    )
    rows = _Rows()
    silhouettes: ArrayWriter | None = None
    with ExitStack() as files:
        class_scores = files.enter_context(ClassScoresWriter(stem, processor.classes))
        for regions in processor.results(zip(clip, counts, strict=True)):
            rows.append(regions)
            class_scores.append(regions.class_scores)
            if regions.foreground is not None:
                silhouettes = silhouettes or files.enter_context(
                    mask_writer(Path(f"{stem}.silhouette"), clip.height, clip.width)
                )
                silhouettes.append(pack(regions.foreground))
    card: dict[str, Any] = {"lookahead": processor.lookahead, "warm_up": mode.warm_up(clip.fps)}
    if rows.moving_shares:
        card["foreground"] = round(sum(rows.moving_shares) / len(rows.moving_shares), 6)
    if mode.reads_frames:
        card["changing"] = round(changing_share(clip.video), 6)
    also = [*([read_card(silhouettes.stem)["hash"]] if silhouettes else []), *class_scores.hashes]
    table.write(stem, rows.table(), mode.picture, also, **card)


class _Rows:
    """Collects the rows of the table frame by frame.

    Attributes:
        moving_shares: shares of moving pixels of the frames; empty if the mode computes none.
    """

    def __init__(self) -> None:
        self._columns: list[tuple[np.ndarray, ...]] = []
        self.moving_shares: list[float] = []

    def append(self, regions: Regions) -> None:
        """Adds the regions of the next frame."""
        self._columns.append((regions.boxes, regions.tracks, regions.sources, regions.confidence))
        if regions.moving_share is not None:
            self.moving_shares.append(regions.moving_share)

    def table(self) -> pd.DataFrame:
        """All rows, with the columns of `table.COLUMNS`."""
        boxes, tracks, sources, confidence = map(np.concatenate, zip(*self._columns, strict=True))
        rows = pd.DataFrame(boxes, columns=BOX)
        frame = np.repeat(np.arange(len(self._columns)), [len(tracks) for _, tracks, *_ in self._columns])
        return rows.assign(frame=frame, track=tracks, source=sources, confidence=confidence)
