"""The base class of all branches. A branch measures how far a clip is from normal footage in some respect.

The stage `statistics` calls `fit` of the branches that define it; the stage `measure` calls `open` once and
`errors` for every clip. Neither names any branch.
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
    """The data of a clip that branches may read.

    Attributes:
        tensors, regions, flow: stems of the clip's files.
        card: the card of its tensors.
        windows: a row per window: `frame`, `region` (row in the table of regions), `track`, and the box
            `x0`, `y0`, `x1`, `y1` in pixels of the frame.
        sources: source of each window's region, text [N]: `frame`, `motion` or `detector`.
        cell: pixels of the frame per cell of a map, in each direction.
        threads: maximum number of threads.
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
    """A source of errors: a column of regions, maps of cells, or both, under a name or several names.

    Attributes:
        learned: whether the branch learns from normal footage; a branch that does not is also a baseline.

    Args:
        params: the branch's sub-section of `branches`.
    """

    learned: ClassVar[bool] = True
    statistics: Statistics | None = None  # set by `open`, if the branch has a `fit`

    def __init__(self, params: Section):
        self.params = params

    def fit(self, regions: Sequence[Path], log: Log) -> Statistics | None:
        """Fits statistics to normal footage. Only branches that need statistics define it.

        Args:
            regions: stems of the region tables of all training clips.
            log: writes a line of text.

        Returns:
            Arrays by name; None if the footage has no data for this branch.
        """
        raise NotImplementedError(f"the branch {self.name} is not fitted by the stage statistics")

    def open(self, autoencoder: Path, statistics: Path) -> str:
        """Loads what `errors` needs: by default the statistics. Called once, before the first clip.

        Args:
            autoencoder: folder of the trained autoencoder.
            statistics: folder with the result of `fit` (see `load_statistics`), if the branch has a `fit`.

        Returns:
            A hash of everything that `errors` depends on besides the clip, the parameters and the code.

        Raises:
            UserError: if a file is missing or broken.
        """
        if type(self).fit is Branch.fit:
            return ""
        self.statistics = load_statistics(statistics)
        return hash_statistics(statistics)

    @classmethod
    def error_names(cls, autoencoder: Any) -> list[str]:
        """Names of the errors that the branch may write; by default its own name.

        Args:
            autoencoder: the model (`vad.models.base.Autoencoder`), whose error branches some have.
        """
        return [cls.name]

    def errors(self, clip: ClipData, out: ErrorWriter) -> None:
        """Writes the errors of a clip: columns of regions, maps of cells, or both.

        A branch that does not apply to the clip writes nothing.

        Args:
            clip: the data of the clip.
            out: writer of columns and maps; it refuses a name that another branch has used.
        """
        raise NotImplementedError


BRANCHES = Registry("vad.branches", Branch)


def save_statistics(folder: Path, statistics: Statistics | None) -> None:
    """Writes the statistics of a branch: card.json and, unless they are None, weights.safetensors.

    Args:
        folder: created if it does not exist.
        statistics: the result of `Branch.fit`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card: dict[str, Any] = {"fitted": statistics is not None}
    if statistics is not None:
        # safetensors writes the memory of an array as it is, so it must be in C order
        save_file({k: np.ascontiguousarray(v) for k, v in statistics.items()}, folder / "weights.safetensors")
        card["shapes"] = {name: list(array.shape) for name, array in statistics.items()}
    write_json(folder / "card.json", card)


def load_statistics(folder: Path) -> Statistics | None:
    """Reads the statistics that `save_statistics` wrote.

    Raises:
        UserError: if a file is missing or broken.
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
    """Content hash of the files that `save_statistics` wrote."""
    return digest_files(sorted(folder.iterdir()))
