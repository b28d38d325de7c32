"""The file of class scores: which classes a detector sees in each region, where its export says so."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from vad.detection.detector import Detections
from vad.store.arrays import ArrayWriter
from vad.store.cards import read_card


class ClassScoresWriter:
    """Writes <stem>.classes.npy, float16 [N, C], a row per region: the probability of each class in its box.

    The card has the names of the classes as `classes`. Nothing is written for exports without class maps.
    A context manager; `hashes` then holds the hash of the file, if there is one.
    """

    def __init__(self, stem: Path, names: Sequence[str]):
        self.stem, self.names = Path(f"{stem}.classes"), names
        self.hashes: list[str] = []
        self._writer: ArrayWriter | None = None

    def append(self, boxes: np.ndarray, detections: Detections | None) -> None:
        """Adds the regions of a frame.

        Args:
            boxes: [N, 4] in pixels of the frame.
            detections: the latest ones; None without a detector.
        """
        if detections is None or detections.class_maps is None:
            return
        if self._writer is None:
            self._writer = ArrayWriter(self.stem, (len(self.names),), np.float16, classes=list(self.names))
        for box in boxes:
            self._writer.append(detections.class_scores_in(box).astype(np.float16))

    def __enter__(self) -> "ClassScoresWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)
            if kind is None:
                self.hashes = [read_card(self.stem)["hash"]]
