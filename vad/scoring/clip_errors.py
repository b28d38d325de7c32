"""The errors of a clip as calibration and scoring use them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vad.branches.error_files import BOX, PREFIX, branches_of, read_error_files
from vad.windows.stride import nearest


@dataclass(frozen=True)
class ClipErrors:
    """Errors of a clip's regions and cells.

    Windows exist for every `stride`-th frame from 0 on; other frames have the regions of the nearest.

    Attributes:
        clip: id.
        frames: length T of the clip.
        stride: of the frames that have windows.
        size: (height, width) of a frame in pixels.
        table: a row per region: frame, region, track, x0, y0, x1, y1, error_<branch> float32.
        fps: frames per second.
        cell: pixels per cell of a map, each way.
        maps: by branch, float16 [T, rows, columns].
        camera: "" stands for all cameras together.
        learned: the branches that learned from normal footage.
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

    @property
    def region_branches(self) -> list[str]:
        """The branches with errors of regions."""
        return branches_of(self.table)

    @property
    def branches(self) -> list[str]:
        """All branches, those of regions first."""
        return list(dict.fromkeys([*self.region_branches, *self.maps]))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        height, width = self.size
        return -(-height // self.cell), -(-width // self.cell)

    @property
    def nearest(self) -> np.ndarray:
        """For each frame, the number k of the nearest frame k * stride, which has windows: int [T]."""
        return nearest(self.frames, self.stride)

    @property
    def numbers(self) -> np.ndarray:
        """For each region, the number k of its frame k * stride: int [N]."""
        return self.table["frame"].to_numpy() // self.stride

    @property
    def boxes(self) -> np.ndarray:
        """Of the regions, in pixels of the frame: int [N, 4]."""
        return self.table[BOX].to_numpy()

    def errors(self, branch: str) -> np.ndarray:
        """The errors of the regions in a branch, float32 [N]."""
        return self.table[PREFIX + branch].to_numpy(np.float32)

    def counts(self) -> np.ndarray:
        """How many regions each frame has: int [T]."""
        return np.bincount(self.numbers, minlength=-(-self.frames // self.stride))[self.nearest]

    def whole_frames(self) -> np.ndarray:
        """Which regions are the whole frame: bool [N]."""
        height, width = self.size
        return (self.boxes == (0, 0, width, height)).all(1)

    def select(self, rows: ArrayLike) -> "ClipErrors":
        """The clip with only some of its regions; `rows` bool [N]."""
        return replace(self, table=self.table[np.asarray(rows)])


def read_errors(folder: Path, cameras: Mapping[str, str]) -> list[ClipErrors]:
    """The errors of clips that the stage `measure` wrote.

    Args:
        folder: data/errors.
        cameras: camera by clip id.

    Raises:
        UserError: if a file is missing, or has values that are not finite.
    """
    return [read_clip(folder / clip, clip, camera) for clip, camera in cameras.items()]


def read_clip(stem: Path, clip: str, camera: str) -> ClipErrors:
    """The errors of a clip.

    Args:
        stem: of its files.
        clip: its id.
        camera: that filmed it.

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
    )
