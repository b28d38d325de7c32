"""The files that the stage `measure` writes: errors of a clip's regions and cells.

| file | content |
|---|---|
| <clip>.parquet | a row per window: `frame`, `region`, `track`, box `x0` to `y1`, `error_<branch>` float32 |
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
| `lookahead` | number of frames ahead that the errors of a frame need |
| `hash` | content hash of table and maps |
"""

from collections.abc import Mapping, Sequence
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
from vad.store.tables import BOX, hash_table, read_table, write_table
from vad.stream import FrameErrors

CARD = ("frames", "stride", "frame", "fps", "cell", "maps", "learned", "lookahead", "hash")
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
        self._maps: list[str] = []

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        return map_shape(self.card["frame"], self.card["cell"])

    def declare(self, branch: str, learned: bool) -> None:
        """Declares whether a branch learned from normal footage; others count as learned.

        The card lists branches in the order in which they were declared or added.

        Args:
            branch: name of the branch, before it is added.
            learned: whether it learned.
        """
        self._learned[branch] = learned

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
        write_json(Path(f"{self.stem}.json"), card)


def write_frame_errors(
    stem: Path, frames: Sequence[FrameErrors], learned: Mapping[str, bool], card: dict[str, Any]
) -> None:
    """Writes the errors of a short clip that are all in memory.

    Args:
        stem: path of the files to write, without suffix.
        frames: the errors of each frame, one at least.
        learned: whether a branch learned from normal footage, for all branches with errors of the frames.
        card: as of `ErrorWriter`.
    """
    measured = [frame for frame in frames if frame.index == frame.source]
    counts = [len(frame.regions) for frame in measured]
    boxes = np.concatenate([frame.regions.boxes for frame in measured]).astype(np.int32)
    columns = {
        "frame": np.repeat([frame.index for frame in measured], counts).astype(np.int32),
        "region": np.arange(sum(counts)),
        "track": np.concatenate([frame.regions.tracks for frame in measured]).astype(np.int32),
        **dict(zip(BOX, boxes.T, strict=True)),
    }
    with ErrorWriter(stem, pd.DataFrame(columns), card) as out:
        for name, learns in learned.items():
            out.declare(name, learns)
        for name in frames[0].maps:
            with out.add_map(name) as writer:
                for frame in frames:
                    writer.append(frame.maps[name])
        for name in frames[0].errors:
            out.add_column(name, np.concatenate([frame.errors[name] for frame in measured]))


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
