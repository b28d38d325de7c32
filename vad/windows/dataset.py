"""The windows of a split, read from the tensors that `resize` wrote.

A window belongs to a region in frame t, and consists of frames around t or up to t (`WindowSpec`), each cut
at the same box. At the edges of a clip the first or the last frame is repeated, so that every frame has its
window. Windows are made for the regions of every `stride`-th frame (`vad.windows.stride` says which of them
the frames between take).

On disk a cut-out picture of C planes is stored once, however many windows it is part of: <clip>.npy holds the
pictures, uint8 [M, C, height, width], and <clip>.parquet a row per window with the numbers of its pictures.
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

OPEN_CLIPS = 512  # kept open at a time: files are limited, clips are not


class Windows:
    """All windows of a split, read from memory maps as they are asked for.

    `len(windows)` is their number; `windows[[3, 1, 2]]` gives uint8 [3, C, frames, height, width]. Memory
    does not grow with the number of clips.

    Attributes:
        folder: of the tensors.
        names: of the clips, in the order of their windows.
        shape: of a window: planes, frames, height, width.
        channels: names of the planes.

    Args:
        folder: of the tensors of a split.
        names: of the clips wanted, which may all be without windows; None for all clips of the folder, which
            may not.

    Raises:
        UserError: if the folder holds no window, or clips differ in shape.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None):
        self.folder = folder
        self.names = sorted(p.stem for p in folder.glob("*.json")) if names is None else list(names)
        cards = [read_card(folder / name) for name in self.names]
        shapes = {(card["shape"][1], card["window"], *card["shape"][2:]) for card in cards}
        if len(shapes) > 1:
            raise UserError(f"{folder}: clips differ in shape: {sorted(shapes)}; `dvc repro resize`")
        self._ends = np.cumsum([card["windows"] for card in cards], dtype=np.int64)
        if not cards or (names is None and not len(self)):
            raise UserError(
                f"{folder}: there is not a single window in it; see reports/preprocess for the regions of "
                "its clips, and lower resize.stride if it is above 1"
            )
        self.shape: tuple[int, int, int, int] = shapes.pop()
        self.channels: list[str] = cards[0]["channels"]
        self._offsets = WindowSpec.from_card(cards[0]).offsets()
        self._open = lru_cache(maxsize=OPEN_CLIPS)(self._open_clip)
        self._tracks = lru_cache(maxsize=OPEN_CLIPS)(self._read_tracks)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        return self._gather(np.asarray(indices), lambda clip, rows, _: self._open(clip)[1][rows])

    def skipping(self, indices: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Like `windows[indices]`, with frames further apart.

        A frame is taken as the region's track was cut out there, so a box moves along with its person. Where
        the track is not in a frame, or the clip has ended, the nearest frame that has it is repeated.

        Args:
            indices: of windows, int [N].
            steps: how many times as far apart the frames of each are, int [N].

        Returns:
            uint8 [N, C, frames, height, width].
        """

        def pictures(clip: int, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
            tracks = self._tracks(clip)
            return np.array(
                [
                    tracks.pictures(row, self._offsets * step)
                    for row, step in zip(rows, steps[places], strict=True)
                ]
            )

        steps = np.asarray(steps)
        return self._gather(np.asarray(indices), pictures)

    def _gather(
        self, indices: np.ndarray, pictures: Callable[[int, np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Windows uint8 [N, C, frames, height, width], read clip by clip.

        Args:
            indices: of windows, int [N].
            pictures: of a clip's number, rows of its table [n] and their places in `indices` [n] makes the
                numbers of their pictures, int [n, frames].
        """
        clips = np.searchsorted(self._ends, indices, side="right")
        channels, frames, height, width = self.shape
        out = np.empty((len(indices), frames, channels, height, width), np.uint8)
        for clip in np.unique(clips).tolist():
            places = np.flatnonzero(clips == clip)
            first = self._ends[clip - 1] if clip else 0
            out[places] = self._open(clip)[0][pictures(clip, indices[places] - first, places)]
        return out.transpose(0, 2, 1, 3, 4)

    def _open_clip(self, clip: int) -> tuple[np.ndarray, np.ndarray]:
        """(its pictures, the numbers of those of each window: int [windows, frames])."""
        stem = self.folder / self.names[clip]
        pictures, card = open_array(stem)
        columns = [f"plane_{i}" for i in range(card["window"])]
        return pictures, read_table(stem)[columns].to_numpy()

    def _read_tracks(self, clip: int) -> "_Tracks":
        stem = self.folder / self.names[clip]
        return _Tracks(read_table(stem), self._open(clip)[1], self._offsets, read_card(stem)["frames"])


class _Tracks:
    """In which frames of a clip its tracks were cut out, and as which pictures.

    Args:
        table: of the windows, with the columns `frame` and `track`.
        numbers: of their pictures, int [windows, frames].
        offsets: of their frames, int [frames].
        length: frames of the clip.
    """

    def __init__(self, table: pd.DataFrame, numbers: np.ndarray, offsets: np.ndarray, length: int):
        self._frames, tracks = table["frame"].to_numpy(), table["track"].to_numpy()
        # a region without a track (-1) has only its own window: a track for each of them
        self._tracks = np.where(tracks < 0, -1 - np.arange(len(table)), tracks)
        shown = pd.DataFrame(
            {
                "track": np.repeat(self._tracks, len(offsets)),
                "frame": (self._frames[:, None] + offsets).clip(0, length - 1).ravel(),
                "picture": numbers.ravel(),
                "distance": np.tile(np.abs(offsets), len(table)),
            }
        )
        # windows overlap: of a frame's pictures that of the nearest window has the box nearest to the track
        shown = shown.sort_values(["track", "frame", "distance"], kind="stable")
        shown = shown.drop_duplicates(["track", "frame"])
        self._pictures = {
            track: (rows["frame"].to_numpy(), rows["picture"].to_numpy())
            for track, rows in shown.groupby("track")
        }

    def pictures(self, row: int, offsets: np.ndarray) -> np.ndarray:
        """Numbers of the pictures that show a window's track at, or nearest to, offsets from its frame."""
        frames, pictures = self._pictures[int(self._tracks[row])]
        wanted = self._frames[row] + offsets
        right = np.searchsorted(frames, wanted).clip(max=len(frames) - 1)
        left = (right - 1).clip(min=0)
        return pictures[
            np.where(np.abs(frames[left] - wanted) <= np.abs(frames[right] - wanted), left, right)
        ]
