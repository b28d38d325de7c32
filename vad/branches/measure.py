"""Measures the errors of a clip with all branches: the work function of the stage `measure`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from vad import UserError
from vad.branches.base import Branch, ClipFormat, TensorShape
from vad.branches.error_files import ErrorWriter
from vad.branches.measurement import Measurement
from vad.branches.params import MeasureParams
from vad.branches.zone_mask import ZoneMask
from vad.store.arrays import open_array
from vad.store.body_heights import BodyHeight
from vad.store.cards import read_card
from vad.store.tables import BOX, read_table
from vad.store.zones import CameraZones
from vad.stream import Observation, WindowsOfFrame, results
from vad.windows import stride
from vad.windows.spec import WindowSpec
from vad.windows.stored_regions import StoredRegions

CHUNK = 512  # maximum number of frames in a chunk


def measure_clip(
    stem: Path,
    tensors: Path,
    regions: Path,
    flow: Path,
    branches: Sequence[Branch],
    params: MeasureParams,
    camera: str,
    body_height: BodyHeight,
    zones: CameraZones,
    *,
    threads: int,
) -> None:
    """Work function: writes the errors of a clip, which may have no windows (see `error_files`).

    Args:
        stem: path of the files to write, without suffix.
        tensors, regions, flow: stems of the clip's files.
        branches: the opened branches, in the order of their columns; of several with a name, the errors are
            the mean.
        params: the section `measure`.
        camera: name of the clip's camera.
        body_height: how tall people are in the frame.
        zones: of the camera; regions that are not judged are no rows.
        threads: maximum number of threads.

    Raises:
        UserError: if the tensors were made from other regions.
    """
    clip = _Clip(tensors, regions, flow)
    card, form = clip.card, clip.form(params.cell, camera, body_height, zones)
    windows = clip.windows
    if zones:
        judged = ZoneMask(zones, form.frame, form.cell).regions(windows[BOX].to_numpy())
        windows = windows[judged].reset_index(drop=True)
    measurement = Measurement(branches, form, threads)
    lookahead = stride.lookahead(card["stride"]) + measurement.lookahead
    # regions and windows wait for the same frames
    lookahead += max(WindowSpec.from_card(card).lookahead, read_card(regions)["lookahead"])
    card_of_errors = {key: card[key] for key in ("frames", "stride", "frame", "fps")}
    card_of_errors |= {"cell": params.cell, "lookahead": lookahead}
    columns = {name: np.empty(len(windows), np.float32) for name in measurement.columns}
    size = max((branch.batch_size for branch in branches), default=1)
    start = 0
    with ErrorWriter(stem, windows, card_of_errors) as out, ExitStack() as stack:
        for name, learned in measurement.learned.items():
            out.declare(name, learned)
        writers = {name: stack.enter_context(out.add_map(name)) for name in measurement.maps}
        for frame in results(measurement, _chunks(clip, size)):
            for name, writer in writers.items():
                writer.append(frame.maps[name])
            if frame.index == frame.source:
                rows = slice(start, start + len(frame.regions))
                start = rows.stop
                for name, column in columns.items():
                    column[rows] = frame.errors[name]
        for name, column in columns.items():
            out.add_column(name, column)


class _Clip:
    """The windows of the frames of a clip, read from disk; iterate over them. Arguments as of `measure_clip`.

    Attributes:
        card: of the tensors.
        windows: the first columns of the table of errors.
    """

    def __init__(self, tensors: Path, regions: Path, flow: Path):
        pictures, self.card = open_array(tensors)
        self._pictures = list(np.asarray(pictures))  # views, so that windows share the same objects
        self._regions = StoredRegions(regions, self.card["frames"])
        table, boxes = read_table(tensors), self._regions.table
        rows = self._regions.rows(self.card["stride"])
        same = np.array_equal(table["region"], rows) and np.array_equal(table["frame"], boxes["frame"][rows])
        if not same:
            raise UserError(f"{tensors} was not made from {regions} as they are now; run `dvc repro resize`")
        self._numbers = table[[f"plane_{i}" for i in range(self.card["window"])]].to_numpy().tolist()
        self.windows = table[["frame", "region", "track"]]
        self.windows = self.windows.assign(**boxes.loc[rows, BOX].astype(np.int32).reset_index(drop=True))
        self._flow, self._scale = None, None
        if read_card(flow)["method"] != "none":
            counts, card = open_array(flow)
            self._flow, self._scale = np.asarray(counts), card["scale"]

    def form(self, cell: int, camera: str, body_height: BodyHeight, zones: CameraZones) -> ClipFormat:
        """What is the same for all frames. Arguments as of `ClipFormat`."""
        height, width = self.card["frame"]
        rows, columns = self.card["shape"][2:]
        tensor = TensorShape(rows, columns, self.card["fit"])
        return ClipFormat(
            frame=(height, width),
            cell=cell,
            tensor=tensor,
            fps=self.card["fps"],
            body_height=body_height,
            camera=camera,
            flow_scale=self._scale,
            classes=self._regions.classes,
            planes=tuple(self.card["channels"]),
            frames=self.card["window"],
            zones=zones,
        )

    def __iter__(self) -> Iterator[WindowsOfFrame]:
        length, step = self.card["frames"], self.card["stride"]
        source, start = -1, 0
        pictures: tuple[tuple[np.ndarray, ...], ...] = ()
        for t, k in enumerate(stride.nearest(length, step).tolist()):
            regions = self._regions[t]
            if k * step != source:
                source, source_regions = k * step, self._regions[k * step]
                numbers = self._numbers[start : start + len(source_regions)]
                start += len(source_regions)
                pictures = tuple(tuple(self._pictures[n] for n in window) for window in numbers)
            flow, source_flow = (None, None) if self._flow is None else (self._flow[t], self._flow[source])
            observation = Observation(None, flow, regions)
            yield WindowsOfFrame(t, observation, source, source_regions, pictures, source_flow)


def _chunks(frames: Iterable[WindowsOfFrame], windows: int) -> Iterator[list[WindowsOfFrame]]:
    """Puts frames together that have about `windows` windows, but at least one frame."""
    chunk: list[WindowsOfFrame] = []
    source, count = -1, 0
    for frame in frames:
        new = len(frame.pictures) if frame.source != source else 0
        source = frame.source
        if chunk and (count + new > windows or len(chunk) == CHUNK):
            yield chunk
            chunk, count = [], 0
        chunk.append(frame)
        count += new
    if chunk:
        yield chunk
