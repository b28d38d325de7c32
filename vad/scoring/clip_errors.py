"""The errors of a clip as calibration and scoring use them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vad.branches.error_files import read_error_files
from vad.branches.names import PREFIX, branches_of, map_shape
from vad.store.tables import BOX
from vad.stream import FrameErrors, Regions
from vad.windows.stride import nearest


@dataclass(frozen=True)
class ClipErrors:
    """Errors of a clip's regions and cells.

    Every `stride`-th frame from 0 on has windows; the other frames have the regions of the nearest of these.

    Attributes:
        clip: id of the clip.
        frames: number of frames T.
        stride: distance between frames that have windows.
        size: (height, width) of a frame in pixels.
        table: a row per region, in the order of frames: frame, region, track, x0, y0, x1, y1,
            error_<branch> float32.
        fps: frames per second.
        cell: pixels of the frame per cell of a map, in each direction.
        maps: maps of errors by branch, float16 [T, rows, columns].
        camera: the camera that filmed the clip; "" uses the standardisation of all cameras.
        learned: the branches that learned from normal footage.
        lookahead: number of frames ahead that the errors of a frame depend on.
    """

    clip: str
    frames: int
    stride: int
    size: tuple[int, int]
    table: pd.DataFrame
    fps: float = 25.0
    cell: int = 8
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    camera: str = ""
    learned: tuple[str, ...] = ()
    lookahead: int = 0

    @property
    def region_branches(self) -> list[str]:
        """The branches with errors of regions."""
        return branches_of(self.table)

    @property
    def branches(self) -> list[str]:
        """All branches; those with errors of regions first."""
        return list(dict.fromkeys([*self.region_branches, *self.maps]))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        return map_shape(self.size, self.cell)

    @property
    def nearest(self) -> np.ndarray:
        """For each frame, the k of the nearest frame k * stride, which has windows: int [T]."""
        return nearest(self.frames, self.stride)

    @property
    def numbers(self) -> np.ndarray:
        """For each region, the k of its frame k * stride: int [N]."""
        return self.table["frame"].to_numpy() // self.stride

    @property
    def boxes(self) -> np.ndarray:
        """Boxes of the regions, in pixels of the frame: int [N, 4]."""
        return self.table[BOX].to_numpy()

    def errors(self, branch: str) -> np.ndarray:
        """The regions' errors of a branch, float32 [N].

        Args:
            branch: one of `region_branches`.
        """
        return self.table[PREFIX + branch].to_numpy(np.float32)

    def counts(self) -> np.ndarray:
        """Number of regions of each frame: int [T]."""
        return np.bincount(self.numbers, minlength=-(-self.frames // self.stride))[self.nearest]

    def whole_frames(self) -> np.ndarray:
        """Whether each region is the whole frame: bool [N]."""
        height, width = self.size
        return (self.boxes == (0, 0, width, height)).all(1)

    def frame_maximum(self, values: ArrayLike) -> np.ndarray:
        """The highest value of each frame's regions.

        Args:
            values: of the regions, float [N].

        Returns:
            float64 [T], 0 for frames without regions.
        """
        out = np.full(-(-self.frames // self.stride), -np.inf)
        np.maximum.at(out, self.numbers, np.asarray(values, np.float64))
        return np.where(np.isneginf(out), 0.0, out)[self.nearest]

    def each_frame(self, first: int = 0, end: int | None = None) -> Iterator[FrameErrors]:
        """The errors frame by frame, in the order of time.

        The files of errors keep neither source nor confidence of the regions: these are "" and 1.

        Args:
            first: index of the first frame.
            end: index after the last frame; by default the end of the clip.
        """
        branches, numbers = self.region_branches, self.nearest[first:end].tolist()
        if not numbers:
            return
        borders = np.searchsorted(self.numbers, np.arange(numbers[0], numbers[-1] + 2)).tolist()
        boxes, tracks = self.boxes.astype(np.int32), self.table["track"].to_numpy(np.int32)
        sources, confidence = np.zeros(len(boxes), "U1"), np.ones(len(boxes), np.float32)
        errors = {branch: self.errors(branch) for branch in branches}
        maps = {branch: np.asarray(values) for branch, values in self.maps.items()}  # views, not memory maps
        number, regions, region_errors = -1, None, {}
        for t, k in enumerate(numbers, first):
            if k != number:
                rows = slice(borders[k - numbers[0]], borders[k - numbers[0] + 1])
                regions = Regions(boxes[rows], tracks[rows], sources[rows], confidence[rows])
                region_errors = {branch: values[rows] for branch, values in errors.items()}
                number = k
            assert regions is not None
            cell_errors = {branch: values[t] for branch, values in maps.items()}
            yield FrameErrors(t, k * self.stride, regions, region_errors, cell_errors)

    def select(self, rows: ArrayLike) -> "ClipErrors":
        """A copy with some of the regions only.

        Args:
            rows: whether to keep each region, bool [N].
        """
        return replace(self, table=self.table[np.asarray(rows)])


def read_errors(folder: Path, cameras: Mapping[str, str]) -> list[ClipErrors]:
    """Reads the errors of clips, which the stage `measure` wrote.

    Args:
        folder: folder of the errors, data/errors.
        cameras: camera by clip id.

    Raises:
        UserError: if a file is missing, or has values that are not finite.
    """
    return [read_clip(folder / clip, clip, camera) for clip, camera in cameras.items()]


def read_clip(stem: Path, clip: str, camera: str) -> ClipErrors:
    """Reads the errors of a clip.

    Args:
        stem: path of the files without suffix.
        clip: id of the clip.
        camera: the camera that filmed it.

    Raises:
        UserError: if a file is missing, or has values that are not finite.
    """
    table, maps, card = read_error_files(stem)
    return ClipErrors(
        clip=clip,
        frames=card["frames"],
        stride=card["stride"],
        size=tuple(card["frame"]),
        table=table,
        fps=card["fps"],
        cell=card["cell"],
        maps=maps,
        camera=camera,
        learned=tuple(card["learned"]),
        lookahead=card["lookahead"],
    )
