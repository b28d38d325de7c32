"""Writes the class scores of regions: the probability of each class of a detector in each region."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from vad.store.arrays import ArrayWriter
from vad.store.cards import read_card


class ClassScoresWriter:
    """Writes <stem>.classes.npy, float16 [N, C]: a row per region, the probability of each class in its box.

    The key `classes` of its card holds the names of the classes. Without class scores, no file is
    written. Use as a context manager.

    Args:
        stem: path of the files of the regions, without suffix.
        names: of the C classes.

    Attributes:
        hashes: after the context has ended, the content hash of the file; empty if none was written.
    """

    def __init__(self, stem: Path, names: Sequence[str]):
        self.stem, self.names = Path(f"{stem}.classes"), names
        self.hashes: list[str] = []
        self._writer: ArrayWriter | None = None

    def append(self, scores: np.ndarray | None) -> None:
        """Adds the regions of a frame.

        Args:
            scores: float16 [N, C]; None without class maps.
        """
        if scores is None:
            return
        if self._writer is None:
            self._writer = ArrayWriter(self.stem, (len(self.names),), np.float16, classes=list(self.names))
        for row in scores:
            self._writer.append(row)

    def __enter__(self) -> "ClassScoresWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)
            if kind is None:
                self.hashes = [read_card(self.stem)["hash"]]
