"""What all branches have in common. A branch says how unlike normal footage a clip is, in one respect.

`python -m stages.statistics` calls `fit` of the branches that have it; `python -m stages.measure` calls
`open` once and `errors` for every clip. Neither knows any branch by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vad import UserError
from vad.branches.error_files import ErrorWriter
from vad.pipeline.params import Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.cards import read_json, write_json
from vad.store.digests import digest_files

Log = Callable[[str], None]
Statistics = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class ClipData:
    """What branches may read of a clip.

    Attributes:
        tensors, regions, flow: stems of its files.
        card: the card of its tensors.
        windows: a row per window: `frame`, `region` (row in the table of regions), `track`, and the box
            `x0`, `y0`, `x1`, `y1` in pixels of the frame.
        sources: of the window's region, `frame`, `motion` or `detector`, text [N].
        cell: pixels per cell of a map.
        threads: at most so many.
    """

    tensors: Path
    regions: Path
    flow: Path
    card: dict[str, Any]
    windows: pd.DataFrame
    sources: np.ndarray
    cell: int
    threads: int


class Branch(Plugin):
    """A source of error, or of several, such as one of appearance and one of flow, each with a name.

    Attributes:
        learned: whether it learns from normal footage; one that does not is also a baseline.

    Args:
        params: its sub-section of `branches`.
    """

    learned: ClassVar[bool] = True

    def __init__(self, params: Section):
        self.params = params

    def fit(self, regions: Sequence[Path], log: Log) -> Statistics | None:
        """Learns what is normal. Branches that define it are fitted by the stage `statistics`.

        Args:
            regions: stems of the region tables of all training clips.
            log: takes a line of text for the terminal.

        Returns:
            arrays by name; None if the footage holds nothing to fit to.
        """
        raise NotImplementedError(f"the branch {self.name} is not fitted by the stage statistics")

    def open(self, autoencoder: Path, statistics: Path) -> str:
        """Loads what was learned; called once, before any clip.

        Args:
            autoencoder: folder of the trained autoencoder.
            statistics: folder with what `fit` returned (see `load_statistics`), if the branch has a `fit`.

        Returns:
            a hash of everything that `errors` depends on besides the clip, the parameters and the code.

        Raises:
            UserError: if it is missing or broken.
        """
        return ""

    def errors(self, clip: ClipData, out: ErrorWriter) -> None:
        """Writes the errors of a clip: columns of regions, maps of cells, or both.

        A branch that does not apply to the clip writes nothing.

        Args:
            clip: what may be read.
            out: takes columns and maps; a second branch of the same name is refused.
        """
        raise NotImplementedError


BRANCHES = Registry("vad.branches", Branch)


def save_statistics(folder: Path, statistics: Statistics | None) -> None:
    """Writes what `fit` returned.

    Args:
        folder: made if need be; holds card.json and, unless there are no statistics, weights.safetensors.
        statistics: arrays by name, or None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card: dict[str, Any] = {"fitted": statistics is not None}
    if statistics is not None:
        # safetensors takes an array's memory as it lies, so it must be in C order
        save_file({k: np.ascontiguousarray(v) for k, v in statistics.items()}, folder / "weights.safetensors")
        card["shapes"] = {name: list(array.shape) for name, array in statistics.items()}
    write_json(folder / "card.json", card)


def load_statistics(folder: Path) -> Statistics | None:
    """Reads what `save_statistics` wrote.

    Raises:
        UserError: if it is missing or broken.
    """
    try:
        card = read_json(folder / "card.json")
        if not card["fitted"]:
            return None
        statistics = load_file(folder / "weights.safetensors")
        if {name: list(array.shape) for name, array in statistics.items()} != card["shapes"]:
            raise ValueError("arrays and card differ")
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as e:
        raise UserError(f"{folder}: no usable statistics ({e!r}); run `dvc repro statistics`") from None
    return statistics


def hash_statistics(folder: Path) -> str:
    """Content hash of what `save_statistics` wrote."""
    return digest_files(sorted(folder.iterdir()))
