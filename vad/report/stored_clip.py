"""The scored frames of a clip, put together from the files of the stages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from vad.overlay.scored_frame import ScoredFrame, SessionInfo
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors, read_clip
from vad.scoring.contributions import Contributions
from vad.scoring.events import branch_shares
from vad.scoring.items import FrameResult
from vad.scoring.scores import ClipScores
from vad.store.arrays import open_array
from vad.store.tables import read_table
from vad.store.zones import CameraZones
from vad.stream import FrameErrors, Regions
from vad.windows.stored_regions import StoredRegions


@dataclass(frozen=True)
class Stems:
    """The files of a clip, without suffix: those of the stages `extract`, `preprocess` and `measure`."""

    frames: Path
    regions: Path
    errors: Path


class StoredClip:
    """The frames of a clip with all that an overlay shows, as `vad.live.Session` gives them.

    Args:
        stems: of the clip's files.
        clip: id of the clip.
        camera: the camera that filmed it.
        calibration: turns errors into scores of regions and cells.
        zones: of the camera.

    Attributes:
        info: as of a session on the clip, whose pictures are the extracted frames.
        errors: of the clip.
        numbers: index of each frame in the source, int [T].
        seconds: time of each frame, float64 [T].

    Raises:
        UserError: if a file is missing or broken.
    """

    def __init__(self, stems: Stems, clip: str, camera: str, calibration: Calibration, zones: CameraZones):
        self.errors: ClipErrors = read_clip(stems.errors, clip, camera)
        self._calibration = calibration
        self._contributions = Contributions(
            calibration, self.errors.region_branches, list(self.errors.maps), camera
        )
        self._video, _ = open_array(stems.frames)
        times = read_table(stems.frames)
        self.numbers, self.seconds = times["source_frame"].to_numpy(), times["seconds"].to_numpy()
        self._regions = StoredRegions(stems.regions, self.errors.frames, silhouettes=True)
        errors = self.errors
        self.info = session_info(clip, camera, errors.fps, errors.size, errors.cell, calibration, zones)
        # rows of the table of regions that have errors; zones leave the others out
        self._judged = np.zeros(len(self._regions.table), bool)
        self._judged[self.errors.table["region"].to_numpy()] = True
        self._ends = np.searchsorted(self._regions.table["frame"], np.arange(self.errors.frames + 1))

    @property
    def has_silhouettes(self) -> bool:
        """Whether the mode of preprocessing kept silhouettes."""
        return self._regions.has_silhouettes

    def __len__(self) -> int:
        return self.errors.frames

    @cached_property
    def branch_scores(self) -> dict[str, np.ndarray]:
        """Scores of the frames by each fused branch alone, float64 [T].

        For normal clips, of which the stage `score` writes none.
        """
        errors, by = self._calibration.frame_errors(self.errors), self._calibration
        return {
            branch: by.smoothed(errors, self.errors.fps, self.errors.camera, [branch])
            for branch in by.branches
        }

    def counts(self) -> np.ndarray:
        """Number of regions of each frame, int [T]."""
        return np.diff(self._ends)

    def whole_frames(self) -> bool:
        """Whether all regions are the whole frame."""
        return bool((self._regions.table["source"] == "frame").all()) and len(self._regions.table) > 0

    def each(
        self, scores: ClipScores | Mapping[int, float], first: int = 0, end: int | None = None
    ) -> Iterator[ScoredFrame]:
        """The scored frames, in the order of time.

        Args:
            scores: of the clip; or scores of some of its frames, by index, others counting as 0.
            first: index of the first frame.
            end: index after the last frame; by default the end of the clip.
        """
        span = first, len(self) if end is None else end
        numbers = np.zeros(len(self), int)  # of the events, from 1
        if isinstance(scores, ClipScores):
            for number, found in enumerate(scores.events, 1):
                numbers[found.start : found.end] = number
        branches = self._contributions.branches
        for rows, maps in self._calibration.cell_errors(self.errors, branches, span):
            items = self.errors.each_frame(rows.start, rows.stop)
            cells = self._calibration.fuse_cells(maps, branches)
            for item, of_branches, of_cells in zip(items, maps, cells, strict=True):
                event = int(numbers[item.index]) or None
                result = self._result(item, of_branches, of_cells, scores)
                yield ScoredFrame(self.info, result, self.picture(item.index), None, event)

    def picture(self, t: int) -> np.ndarray:
        """Frame t as uint8 [H, W, 3] RGB."""
        pixels = np.asarray(self._video[t])
        return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)

    def _result(
        self,
        item: FrameErrors,
        maps: np.ndarray,
        cells: np.ndarray,
        scores: ClipScores | Mapping[int, float],
    ) -> FrameResult:
        t = item.index
        alone: dict[str, float] = {}
        errors: dict[str, float] = {}
        if isinstance(scores, ClipScores):
            score = float(scores.scores[t])
            alone = {name: float(values[t]) for name, values in scores.branches.items()}
            errors = {name: float(values[t]) for name, values in scores.errors.items()}
        elif t in scores:
            score = scores[t]
            alone = {name: float(values[t]) for name, values in self.branch_scores.items()}
        else:
            score = 0.0
        regions, not_judged = self._of_frame(item.source)
        return FrameResult(
            index=t,
            number=int(self.numbers[t]),
            seconds=float(self.seconds[t]),
            score=score,
            alarmed=score > self.info.threshold,
            warming_up=False,  # the first frames of clips get the background that is learned from them
            source=item.source,
            # the foreground is that of the frame itself
            regions=replace(regions, foreground=self._regions[t].foreground),
            region_scores=self._calibration.region_scores(item, self.info.size, self.info.camera),
            cells=cells,
            branch_scores=alone,
            branch_errors=errors,
            shares=branch_shares(alone, self.info.branches) if alone else {},
            events=(),
            not_judged=not_judged,
            contributions=self._contributions.of_frame(maps, score, alone),
        )

    def _of_frame(self, t: int) -> tuple[Regions, Regions]:
        """The regions of frame t that are judged, and the others."""
        regions, judged = self._regions[t], self._judged[self._ends[t] : self._ends[t + 1]]
        return regions.select(judged), regions.select(~judged)


def session_info(
    clip: str,
    camera: str,
    fps: float,
    size: tuple[int, int],
    cell: int,
    calibration: Calibration,
    zones: CameraZones,
) -> SessionInfo:
    """A session on the extracted frames of a clip.

    Args:
        clip: id of the clip.
        camera: the camera that filmed it.
        fps: frames per second.
        size: (height, width) of a frame in pixels.
        cell: pixels of the frame per cell, in each direction.
        calibration: by which the clip was scored.
        zones: of the camera.
    """
    name = clip.partition("/")[2]
    return SessionInfo.of(
        calibration,
        source=name,
        name=name,
        camera=camera,
        fps=fps,
        size=size,
        picture_size=size,
        cell=cell,
        zones=zones,
    )
