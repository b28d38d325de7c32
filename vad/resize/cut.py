"""Cuts the windows of the regions of a clip out of its frames: the work function of the stage `resize`."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from vad.flow import open_flow
from vad.resize.channels import FlowUnits, Sources
from vad.resize.cutter import Cutter
from vad.store.arrays import ArrayWriter
from vad.store.body_heights import BodyHeight
from vad.store.cards import read_card
from vad.store.tables import hash_table, write_table
from vad.stream import Observation, WindowsOfFrame, results
from vad.stream.stored_frames import StoredFrames
from vad.windows.planes import STILL
from vad.windows.spec import TensorSpec
from vad.windows.stored_regions import StoredRegions


def cut(
    stem: Path,
    frames: Path,
    regions: Path,
    flow: Path,
    spec: TensorSpec,
    body_height: BodyHeight,
    *,
    threads: int,
) -> None:
    """Work function: writes the tensors of a clip in the form of `vad.windows.dataset`.

    <stem>.npy holds the cut-out pictures, uint8 [M, C, height, width]; a picture is stored once, even if it
    is part of several windows. <stem>.parquet has a row per window: `frame`, `region` (row in the table of
    regions), `track`, and `plane_0`, `plane_1`, …, the numbers of its pictures. For a clip without regions
    both are empty.

    Args:
        stem: path of the output files, without suffix.
        frames: stem of the clip's frames.
        regions: stem of the clip's regions.
        flow: stem of the clip's flow; read only for the channel `flow`.
        spec: size and channels of the tensors, and the frames of a window.
        body_height: how tall people are in the frame; used only for the channel `flow`.
        threads: maximum number of threads.

    Raises:
        UserError: if the clip lacks the source of a channel.
    """
    cv2.setNumThreads(threads)
    clip = _Clip(frames, regions, flow, spec, body_height)
    cutter = Cutter(spec, clip.sources)
    with ArrayWriter(stem, (len(cutter.names), spec.height, spec.width), np.uint8) as writer:
        table = _write_windows(results(cutter, clip), spec, writer)
        # windows lie in the order of the regions
        table["region"] = clip.regions.rows(spec.stride)
        writer.card |= {"fps": clip.video.fps, "frames": len(clip.video), "stride": spec.stride}
        writer.card |= {"fit": spec.fit, "channels": cutter.names, "frame": [*clip.video.video.shape[1:3]]}
        writer.card |= {**clip.card, **spec.window.to_card()}
        writer.card |= {"windows": len(table), "windows_hash": hash_table(table)}
    write_table(stem, table)


class _Clip:
    """The observations of a clip, read from disk; iterate over them. Arguments as of `cut`.

    Attributes:
        video: the frames.
        regions: its regions.
        sources: what planes can be made from.
        card: entries for the card of the tensors.
    """

    def __init__(self, frames: Path, regions: Path, flow: Path, spec: TensorSpec, body_height: BodyHeight):
        self.video = StoredFrames(frames)
        length, height, width = self.video.video.shape[:3]
        self.card: dict[str, Any] = {}
        self._flow, units = None, None
        if "flow" in spec.channels:
            counts, card = open_flow(flow, "resize.channels: flow")
            self._flow = np.asarray(counts)
            units = FlowUnits(card["scale"], self.video.fps, body_height)
            self.card["flow"] = {"still": STILL, "step": spec.flow_step, "unit": "body heights per second"}
        picture = tuple(read_card(regions)["picture"])
        shown = {*spec.channels, *(picture if "picture" in spec.channels else ())}
        self.regions = StoredRegions(regions, length, silhouettes=bool(shown & {"silhouette", "masked"}))
        self.sources = Sources(
            height,
            width,
            "gray" if self.video.video.ndim == 3 else "rgb",
            picture,
            units,
            self.regions.has_silhouettes,
        )

    def __iter__(self) -> Iterator[Observation]:
        for t, frame in enumerate(self.video):
            yield Observation(frame, None if self._flow is None else self._flow[t], self.regions[t])


def _write_windows(frames: Iterator[WindowsOfFrame], spec: TensorSpec, writer: ArrayWriter) -> pd.DataFrame:
    """Appends the pictures of all windows to `writer`; returns the table of windows, all columns int32."""
    offsets = spec.window.offsets()
    span = int(offsets[-1] - offsets[0])
    numbers: dict[int, int] = {}  # id of a picture -> its number in the array
    # a picture is held as long as windows may share it: else another could get its id
    held: deque[tuple[int, np.ndarray]] = deque()
    rows: list[tuple[int, ...]] = []
    for frame in frames:
        if frame.index != frame.source:
            continue
        while held and held[0][0] < frame.index - span:
            del numbers[id(held.popleft()[1])]
        for track, pictures in zip(frame.regions.tracks.tolist(), frame.pictures, strict=True):
            for picture in pictures:
                if id(picture) not in numbers:
                    numbers[id(picture)] = writer.length
                    held.append((frame.index, picture))
                    writer.append(picture)
            rows.append((frame.index, 0, track, *(numbers[id(picture)] for picture in pictures)))
    columns = ["frame", "region", "track", *(f"plane_{i}" for i in range(len(offsets)))]
    return pd.DataFrame(np.array(rows, np.int32).reshape(-1, len(columns)), columns=columns)
