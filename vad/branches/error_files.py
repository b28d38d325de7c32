"""The files that the stage `measure` writes: errors of a clip's regions and cells.

| file | content |
|---|---|
| <clip>.parquet | a row per window: `frame`, `region`, `track`, `x0` to `y1`, `source`, `error_<branch>` float32 |
| <clip>.map_<branch>.npy | float16 [T, rows, columns]: errors of the cells of each frame |
| <clip>.json | the card, with the entries below |

| entry | content |
|---|---|
| `frames` | number of frames T of the clip |
| `stride` | every `stride`-th frame has windows |
| `frame` | [height, width] in pixels |
| `fps` | frames per second |
| `cell` | pixels of the frame per cell of a map, in each direction |
| `maps` | the branches that have maps |
| `learned` | the branches that learned from normal footage |
| `single_frame` | the branches whose errors depend on a single frame |
| `lookahead` | number of frames ahead that the errors of a frame need |
| `hash` | content hash of table and maps |
"""

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from vad import UserError
from vad.branches.names import PREFIX, branches_of, map_shape
from vad.store.arrays import ArrayWriter, open_array
from vad.store.cards import read_card, write_json
from vad.store.digests import digest
from vad.store.tables import hash_table, read_table, write_table

CARD = ("frames", "stride", "frame", "fps", "cell", "maps", "learned", "single_frame", "lookahead", "hash")
CHUNK = 512  # frames whose maps are checked at a time


class ErrorWriter:
    """Writes the errors of a clip. A context manager that writes table and card on leaving without error.

    Args:
        stem: path of the files without suffix.
        windows: the first columns of the table.
        card: `frames`, `stride`, `frame`, `fps`, `cell` and `lookahead` of the clip.
    """

    def __init__(self, stem: Path, windows: pd.DataFrame, card: dict[str, Any]):
        self.stem, self.table, self.card = stem, windows, card
        self._learned: dict[str, bool] = {}  # by branch
        self._single_frame: list[str] = []
        self._maps: list[str] = []

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        return map_shape(self.card["frame"], self.card["cell"])

    def declare(self, branch: str, learned: bool, single_frame: bool = False) -> None:
        """Declares what a branch depends on; others count as learned, and as of several frames.

        The card lists branches in the order in which they were declared or added.

        Args:
            branch: name of the branch, before it is added.
            learned: whether it learned from normal footage.
            single_frame: whether its errors depend on a single frame (`Branch.single_frame`).
        """
        self._learned[branch] = learned
        if single_frame:
            self._single_frame.append(branch)

    def add_column(self, branch: str, errors: np.ndarray) -> None:
        """Adds the errors of all windows.

        Args:
            branch: name of the branch.
            errors: float [N], 0 or more.

        Raises:
            ValueError: if a branch of this name already has a column.
        """
        if PREFIX + branch in self.table:
            raise ValueError(f"two branches are called {branch}")
        self._learned.setdefault(branch, True)
        self.table = self.table.assign(**{PREFIX + branch: errors.astype(np.float32)})

    def add_map(self, branch: str) -> ArrayWriter:
        """Adds maps of a branch.

        Args:
            branch: name of the branch.

        Returns:
            A writer that must get a map, float16 [rows, columns], for every frame of the clip.

        Raises:
            ValueError: if a branch of this name already has maps.
        """
        if branch in self._maps:
            raise ValueError(f"two branches are called {branch}")
        self._learned.setdefault(branch, True)
        self._maps.append(branch)
        card = {key: self.card[key] for key in ("cell", "frame")}
        return ArrayWriter(_map(self.stem, branch), self.shape, np.float16, **card)

    def __enter__(self) -> "ErrorWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        write_table(self.stem, self.table)
        hashes = [read_card(_map(self.stem, branch))["hash"] for branch in self._maps]
        card = self.card | {"maps": self._maps, "hash": digest([hash_table(self.table), hashes])}
        card["learned"] = [branch for branch, learned in self._learned.items() if learned]
        card["single_frame"] = self._single_frame
        write_json(Path(f"{self.stem}.json"), card)


def read_error_files(stem: Path) -> tuple[pd.DataFrame, dict[str, np.ndarray], dict[str, Any]]:
    """Reads the errors of a clip.

    Args:
        stem: path of the files without suffix.

    Returns:
        The table, the maps by branch (memory maps), and the card.

    Raises:
        UserError: if a file is missing or has values that are not finite.
    """
    table, card = read_table(stem), read_card(stem)
    if lacking := sorted(set(CARD) - set(card)):
        raise UserError(f"{stem}.json: lacks {', '.join(lacking)}; run `dvc repro measure`")
    finite = np.isfinite(table[[PREFIX + branch for branch in branches_of(table)]].to_numpy()).all(1)
    if not finite.all():
        raise UserError(
            f"{stem}: the error of frame {table['frame'][(~finite).argmax()]} is not a finite number; the "
            "autoencoder is broken, train it again with a lower train.learning_rate"
        )
    maps = {branch: open_array(_map(stem, branch))[0] for branch in card["maps"]}
    for branch, values in maps.items():
        _check_finite(stem, branch, values)
    return table, maps, card


def _map(stem: Path, branch: str) -> Path:
    return Path(f"{stem}.map_{branch}")


def _check_finite(stem: Path, branch: str, maps: np.ndarray) -> None:
    for start in range(0, len(maps), CHUNK):
        finite = np.isfinite(maps[start : start + CHUNK]).all((1, 2))
        if not finite.all():
            raise UserError(
                f"{stem}: the map of {branch} in frame {start + (~finite).argmax()} has values that are not "
                "finite; run `dvc repro measure`, or train again with a lower train.learning_rate"
            )
