"""The footage that is altered: the frames of a clip, and what moves in them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vad.store.arrays import open_array
from vad.store.tables import BOX, read_table

SAMPLES = 15  # frames from which the background is computed


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The boxes of a track in a span of frames.

    Attributes:
        numbers: frames in which the track has a box, int [n], ascending.
        boxes: the boxes, int [n, 4]: x0, y0, x1, y1 in pixels, end exclusive.
    """

    numbers: np.ndarray
    boxes: np.ndarray

    @property
    def displacement(self) -> np.ndarray:
        """From the centre of the first box to that of the last: pixels to the right and down, float [2]."""
        centres = (self.boxes[[0, -1], :2] + self.boxes[[0, -1], 2:]) / 2
        return centres[1] - centres[0]

    @property
    def velocity(self) -> np.ndarray:
        """Pixels per frame to the right and down, float [2]."""
        return self.displacement / max(1, self.numbers[-1] - self.numbers[0])

    @property
    def sides(self) -> np.ndarray:
        """Median width and height of the boxes in pixels, float [2]."""
        return np.median(self.boxes[:, 2:] - self.boxes[:, :2], axis=0)


@dataclass(frozen=True, eq=False)
class Footage:
    """The frames of a clip and the regions in them.

    Attributes:
        frames: uint8 [T, H, W] or [T, H, W, 3].
        fps: frames per second.
        numbers: index of the frame of each region, int [N], ascending.
        tracks: track of each region, int [N]; -1 without a track.
        boxes: of the regions, int [N, 4], x0, y0, x1, y1 in pixels, end exclusive.
    """

    frames: np.ndarray
    fps: float
    numbers: np.ndarray
    tracks: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a frame in pixels."""
        return self.frames.shape[2], self.frames.shape[1]

    @cached_property
    def whole_frames(self) -> bool:
        """Whether all regions are whole frames, and so do not say where things are."""
        return len(self.boxes) > 0 and bool((self.boxes == (0, 0, *self.size)).all())

    @cached_property
    def background(self) -> np.ndarray:
        """The median of SAMPLES frames spread over the clip, uint8 [H, W] or [H, W, 3]."""
        chosen = np.linspace(0, len(self) - 1, min(SAMPLES, len(self))).astype(int)
        return np.median(self.frames[chosen], axis=0).astype(np.uint8)

    def trajectories(self, start: int, end: int) -> dict[int, Trajectory]:
        """The trajectories in a span of frames, by track.

        Args:
            start: the first of the frames; may be below 0.
            end: after the last of them; may be beyond the clip.
        """
        rows = slice(*np.searchsorted(self.numbers, (start, end)))
        tracks = self.tracks[rows]
        return {
            int(track): Trajectory(self.numbers[rows][tracks == track], self.boxes[rows][tracks == track])
            for track in np.unique(tracks[tracks >= 0])
        }


def open_footage(frames: Path, regions: Path) -> Footage:
    """Opens what the stages `extract` and `preprocess` wrote of a clip.

    Args:
        frames: stem of the clip's frames.
        regions: stem of its regions.

    Raises:
        UserError: if a file is missing or broken.
    """
    (video, card), table = open_array(frames), read_table(regions)
    columns = table["frame"].to_numpy(), table["track"].to_numpy(), table[BOX].to_numpy()
    return Footage(video, card["fps"], *columns)
