"""Measures a stream with all branches."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vad.branches.base import Branch, BranchErrors, BranchProcessor, ClipFormat
from vad.branches.ensemble import processors
from vad.branches.zone_mask import ZoneMask
from vad.stream import FrameErrors, Processor, Regions, WindowsOfFrame


class Measurement(Processor[Sequence[WindowsOfFrame], FrameErrors]):
    """Runs all branches that apply to a clip, and merges their errors frame by frame.

    Its items are chunks, one or more consecutive frames (`BranchProcessor`); it has a result for each frame.

    Zones act here, and nowhere else: regions that are not judged are left out before branches measure them,
    and cells that are not judged have error 0.

    Args:
        branches: the opened branches, in the order of their columns; of several with a name, such as the
            members of folds, the errors are the mean (`vad.branches.ensemble`).
        clip: what is the same for all frames.
        threads: maximum number of threads; None leaves their number as it is.

    Attributes:
        lookahead: number of frames after a frame that its errors need.
        columns: names of the errors of regions, in order.
        maps: names of the errors of cells.
        learned: whether each of these names is of a branch that learned from normal footage.
        single_frame: those of these names whose errors depend on a single frame (`Branch.single_frame`).

    Raises:
        ValueError: if two branches use the same name.
        UserError: if a branch was made for other data.
    """

    def __init__(self, branches: Sequence[Branch], clip: ClipFormat, threads: int | None = None):
        self.columns: list[str] = []
        self.maps: list[str] = []
        self.learned: dict[str, bool] = {}
        self.single_frame: list[str] = []
        self._processors: list[BranchProcessor] = []
        for branch, processor in processors(branches, clip, threads):
            names = [*processor.maps, *processor.columns]
            if twice := sorted({*names} & {*self.learned}):
                raise ValueError(f"two branches are called {', '.join(twice)}")
            self.columns += processor.columns
            self.maps += processor.maps
            self.learned |= dict.fromkeys(names, branch.learned)
            self.single_frame += [name for name in branch.single_frame if name in processor.columns]
            self._processors.append(processor)
        self.lookahead = max((processor.lookahead for processor in self._processors), default=0)
        self._zones = ZoneMask(clip.zones, clip.frame, clip.cell) if clip.zones else None
        # whose errors are still to come, and the regions that are left out
        self._frames: deque[tuple[WindowsOfFrame, Regions | None]] = deque()
        self._results: list[deque[BranchErrors]] = [deque() for _ in self._processors]

    def process(self, item: Sequence[WindowsOfFrame]) -> list[FrameErrors]:
        frames = [self._split(frame) for frame in item]
        self._frames += frames
        item = [frame for frame, _ in frames]
        for results, processor in zip(self._results, self._processors, strict=True):
            results += processor.process(item)
        return self._merge()

    def finish(self) -> list[FrameErrors]:
        for results, processor in zip(self._results, self._processors, strict=True):
            results += processor.finish()
        return self._merge()

    def _merge(self) -> list[FrameErrors]:
        """The errors of the frames that all branches have measured."""
        out = []
        for _ in range(min(map(len, self._results), default=len(self._frames))):
            frame, not_judged = self._frames.popleft()
            parts = [results.popleft() for results in self._results]
            errors = {name: values for part in parts for name, values in part.errors.items()}
            maps = {name: self._masked(values) for part in parts for name, values in part.maps.items()}
            out.append(FrameErrors(frame.index, frame.source, frame.regions, errors, maps, not_judged))
        return out

    def _split(self, frame: WindowsOfFrame) -> tuple[WindowsOfFrame, Regions | None]:
        """The frame with the regions that are judged, and the others."""
        if self._zones is None:
            return frame, None
        judged = self._zones.regions(frame.regions.boxes)
        pictures = tuple(window for window, kept in zip(frame.pictures, judged, strict=True) if kept)
        regions, others = frame.regions.select(judged), frame.regions.select(~judged)
        return replace(frame, regions=regions, pictures=pictures), others

    def _masked(self, cells: np.ndarray) -> np.ndarray:
        """A map with error 0 where cells are not judged."""
        return cells if self._zones is None else np.where(self._zones.cells, cells, cells.dtype.type(0))
