"""Windows: regions become tensors.

A window belongs to one region, found in frame t, and consists of `window` frames, `step` apart, each cut
at the same box: around t, or up to t, as its `position` says. At the edges of a clip the first or the last
frame is repeated, so that every frame has its window. Windows are made for the regions of every
`stride`-th frame (`vad.windows.stride` says what frames between get).

On disk a cut-out picture ("plane") is stored once, however many windows it is part of.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from vad import UserError
from vad.store import arrays, cards, tables
from vad.windows.spec import _offsets


class Windows:
    """All windows of a split, read from memory maps as they are asked for.

    `len(windows)`; `windows[[3, 1, 2]]` gives uint8 [3, C, window, height, width]. Memory does not grow
    with the number of clips. Clips may be without windows, but a whole split without any is refused with
    UserError, as are clips that differ in shape.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None):
        if whole := names is None:
            names = sorted(p.stem for p in folder.glob("*.json"))
        self.folder, self.names = folder, list(names)
        cards = [cards.read_card(folder / name) for name in self.names]
        shapes = {(card["shape"][1], card["window"], *card["shape"][2:]) for card in cards}
        if len(shapes) > 1:
            raise UserError(f"{folder}: clips differ in shape: {sorted(shapes)}; `dvc repro resize`")
        self._ends = np.cumsum([card["windows"] for card in cards], dtype=np.int64)
        if not cards or (whole and not len(self)):
            raise UserError(
                f"{folder}: there is not a single window in it; see reports/preprocess for what was found, "
                "and lower resize.stride if it is above 1"
            )
        self.shape: tuple[int, int, int, int] = shapes.pop()  # C, window, height, width
        self.channels: list[str] = cards[0]["channels"]
        self._offsets = _offsets(*(cards[0][key] for key in ("window", "step", "position")))
        self._open = lru_cache(maxsize=512)(self._open_clip)  # files are limited, clips are not
        self._tracks = lru_cache(maxsize=512)(self._tracks_of_clip)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        return self._gather(np.asarray(indices), lambda clip, rows, _: self._open(clip)[1][rows])

    def skipping(self, indices: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Like `windows[indices]` with frames `steps` times as far apart; `steps` int [len].

        A frame is taken as the region's track was cut out there, so a box moves along with its person.
        Where the track is not in a frame, or the clip has ended, the nearest frame that has it is repeated.
        """
        steps = np.asarray(steps)

        def planes(clip: int, rows: np.ndarray, here: np.ndarray) -> np.ndarray:
            frames, tracks, known = self._tracks(clip)
            out = []
            for row, step in zip(rows, steps[here], strict=True):
                there, numbers = known[int(tracks[row])]
                wanted = frames[row] + self._offsets * step
                right = np.searchsorted(there, wanted).clip(1, max(len(there) - 1, 1))
                left = right - 1
                right = right.clip(0, len(there) - 1)
                nearer = np.where(np.abs(there[left] - wanted) <= np.abs(there[right] - wanted), left, right)
                out.append(numbers[nearer])
            return np.array(out)

        return self._gather(np.asarray(indices), planes)

    def _gather(
        self, indices: np.ndarray, planes_of: Callable[[int, np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Windows of the planes numbered by `planes_of(clip, rows of its table, their places in indices)`."""
        clips = np.searchsorted(self._ends, indices, side="right")
        channels, window, height, width = self.shape
        out = np.empty((len(indices), window, channels, height, width), np.uint8)
        for clip in np.unique(clips).tolist():
            here = np.flatnonzero(clips == clip)
            first = self._ends[clip - 1] if clip else 0
            out[here] = self._open(clip)[0][planes_of(clip, indices[here] - first, here)]
        return out.transpose(0, 2, 1, 3, 4)

    def _open_clip(self, clip: int) -> tuple[np.ndarray, np.ndarray]:
        stem = self.folder / self.names[clip]
        planes, card = arrays.open_array(stem)
        names = [f"plane_{i}" for i in range(card["window"])]
        return planes, tables.read_table(stem)[names].to_numpy()

    def _tracks_of_clip(self, clip: int) -> tuple[np.ndarray, np.ndarray, dict[int, tuple]]:
        """(frame and track of each window, {track: (frames that show it, their planes)})."""
        stem = self.folder / self.names[clip]
        table, length = tables.read_table(stem), cards.read_card(stem)["frames"]
        frames, tracks = table["frame"].to_numpy(), table["track"].to_numpy()
        # a region without a track has nothing but its own window
        tracks = np.where(tracks < 0, -1 - np.arange(len(table)), tracks)
        seen = pd.DataFrame(
            {
                "track": np.repeat(tracks, len(self._offsets)),
                "frame": (frames[:, None] + self._offsets).clip(0, length - 1).ravel(),
                "plane": self._open(clip)[1].ravel(),
                "away": np.tile(np.abs(self._offsets), len(table)),
            }
        )
        # a frame's own window has the box that was found there
        seen = seen.sort_values(["track", "frame", "away"], kind="stable").drop_duplicates(["track", "frame"])
        known = {t: (g["frame"].to_numpy(), g["plane"].to_numpy()) for t, g in seen.groupby("track")}
        return frames, tracks, known
