"""Reads the windows of a split from the tensors that `resize` wrote.

A window belongs to a region in frame t. It consists of frames around t or up to t (`WindowSpec`), all cut out
at the same box. At the ends of a clip the first or last frame is repeated, so that windows exist for all
frames. Windows are made for the regions of every `stride`-th frame (`vad.windows.stride`).

On disk, a cut-out picture of C planes is stored only once, even if it is part of several windows: <clip>.npy
holds the pictures, uint8 [M, C, height, width], and <clip>.parquet a row per window with the numbers of its
pictures.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from vad import UserError
from vad.store.arrays import open_array
from vad.store.cards import read_card
from vad.store.tables import read_table
from vad.windows.spec import WindowSpec

OPEN_CLIPS = 512  # maximum number of clips kept open, since the number of open files is limited


class Windows:
    """The windows of a split, read from memory maps on access.

    `len(windows)` is their number; `windows[[3, 1, 2]]` is uint8 [3, C, frames, height, width]. Memory does
    not grow with the number of clips.

    Args:
        folder: of the tensors of a split.
        names: of the clips to read, which may have no windows; None for all clips of the folder, which must
            have some.

    Attributes:
        folder: of the tensors.
        names: of the clips, in the order of their windows.
        shape: of a window: planes, frames, height, width.
        channels: names of the planes.

    Raises:
        UserError: if there are no clips, no windows (unless `names` is given), or clips differ in shape.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None):
        self.folder = folder
        self.names = sorted(p.stem for p in folder.glob("*.json")) if names is None else list(names)
        cards = [read_card(folder / name) for name in self.names]
        shapes = {(card["shape"][1], card["window"], *card["shape"][2:]) for card in cards}
        if len(shapes) > 1:
            raise UserError(f"{folder}: clips differ in shape: {sorted(shapes)}; `dvc repro resize`")
        # the windows of all clips are numbered consecutively; clip i has those from _ends[i - 1] to _ends[i]
        self._ends = np.cumsum([card["windows"] for card in cards], dtype=np.int64)
        if not cards or (names is None and not len(self)):
            raise UserError(
                f"{folder}: contains no windows; see reports/preprocess for the regions of its clips, and "
                "lower resize.stride if it is above 1"
            )
        self.shape: tuple[int, int, int, int] = shapes.pop()
        self.channels: list[str] = cards[0]["channels"]
        self._open = lru_cache(maxsize=OPEN_CLIPS)(self._open_clip)
        self._tracks = lru_cache(maxsize=OPEN_CLIPS)(self._read_tracks)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        return self._gather(np.asarray(indices), lambda clip, rows, _: self._open(clip)[1][rows])

    def skipping(self, indices: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """Like `windows[indices]`, but with frames further apart.

        Each frame is cut out at the box of the region's track in that frame, so that the box follows the
        person. Where there is no such picture, because the track has no region there or the clip has ended,
        the nearest picture of the track is repeated.

        Args:
            indices: of windows, int [N].
            factors: by which the distance between frames is increased, for each window, int [N].

        Returns:
            uint8 [N, C, frames, height, width].
        """

        def pictures(clip: int, rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
            tracks = self._tracks(clip)
            return np.array(
                [
                    tracks.pictures(row, tracks.offsets * factor)
                    for row, factor in zip(rows, factors[positions], strict=True)
                ]
            )

        factors = np.asarray(factors)
        return self._gather(np.asarray(indices), pictures)

    def _gather(
        self, indices: np.ndarray, pictures: Callable[[int, np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Reads windows clip by clip.

        Args:
            indices: of windows, int [N].
            pictures: function of (number of a clip, rows of its table [n], positions of these windows in
                `indices` [n]) that returns the numbers of their pictures, int [n, frames].

        Returns:
            uint8 [N, C, frames, height, width].
        """
        clips = np.searchsorted(self._ends, indices, side="right")
        channels, frames, height, width = self.shape
        # frames before channels, as pictures lie on disk; the order is changed without copying at the end
        windows = np.empty((len(indices), frames, channels, height, width), np.uint8)
        for clip in np.unique(clips).tolist():
            positions = np.flatnonzero(clips == clip)
            first = self._ends[clip - 1] if clip else 0
            numbers = pictures(clip, indices[positions] - first, positions)
            windows[positions] = self._open(clip)[0][numbers]
        return windows.transpose(0, 2, 1, 3, 4)

    def _open_clip(self, clip: int) -> tuple[np.ndarray, np.ndarray]:
        """Opens a clip: (its pictures, the numbers of the pictures of each window, int [windows, frames])."""
        stem = self.folder / self.names[clip]
        pictures, card = open_array(stem)
        columns = [f"plane_{i}" for i in range(card["window"])]
        return pictures, read_table(stem)[columns].to_numpy()

    def _read_tracks(self, clip: int) -> "_Tracks":
        stem = self.folder / self.names[clip]
        card = read_card(stem)
        # clips may differ in frame rate, and so in the distance between frames
        offsets = WindowSpec.from_card(card).offsets()
        return _Tracks(read_table(stem), self._open(clip)[1], offsets, card["frames"])


class _Tracks:
    """The frames in which the tracks of a clip were cut out, with the numbers of the pictures.

    Args:
        table: a row per window, with the columns `frame` and `track`.
        numbers: of the pictures of each window, int [windows, frames].
        offsets: of the frames of a window relative to its frame, int [frames].
        length: number of frames of the clip.

    Attributes:
        offsets: as given.
    """

    def __init__(self, table: pd.DataFrame, numbers: np.ndarray, offsets: np.ndarray, length: int):
        self.offsets = offsets
        self._frames, tracks = table["frame"].to_numpy(), table["track"].to_numpy()
        # each region without a track (-1) becomes a separate track with a negative number
        self._tracks = np.where(tracks < 0, -1 - np.arange(len(table)), tracks)
        pictures = pd.DataFrame(
            {
                "track": np.repeat(self._tracks, len(offsets)),
                "frame": (self._frames[:, None] + offsets).clip(0, length - 1).ravel(),
                "picture": numbers.ravel(),
                "distance": np.tile(np.abs(offsets), len(table)),
            }
        )
        # windows overlap, so a frame may have several pictures of a track; that of the window whose frame is
        # nearest is kept, since its box fits best
        pictures = pictures.sort_values(["track", "frame", "distance"], kind="stable")
        pictures = pictures.drop_duplicates(["track", "frame"])
        self._pictures = {
            track: (rows["frame"].to_numpy(), rows["picture"].to_numpy())
            for track, rows in pictures.groupby("track")
        }

    def pictures(self, row: int, offsets: np.ndarray) -> np.ndarray:
        """Pictures of the track of a window in other frames, or in the nearest frames that have pictures.

        Args:
            row: of the window in the table.
            offsets: of the frames relative to the frame of the window, int [n].

        Returns:
            Numbers of the pictures, int [n].
        """
        frames, pictures = self._pictures[int(self._tracks[row])]
        targets = self._frames[row] + offsets
        # the neighbours of each target among the sorted frames; the nearer is taken
        right = np.searchsorted(frames, targets).clip(max=len(frames) - 1)
        left = (right - 1).clip(min=0)
        return pictures[
            np.where(np.abs(frames[left] - targets) <= np.abs(frames[right] - targets), left, right)
        ]
