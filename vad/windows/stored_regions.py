"""The regions of a clip, as the stage `preprocess` stored them, frame by frame."""

from pathlib import Path

import numpy as np

from vad.store.arrays import open_array
from vad.store.bitmasks import open_masks
from vad.store.tables import BOX, read_table
from vad.stream import Regions


class StoredRegions:
    """The regions of a clip: `regions[t]` are those of frame t.

    Args:
        stem: path of the clip's regions, without suffix.
        frames: number of frames of the clip.
        silhouettes: whether to read the silhouettes, if the clip has any.

    Attributes:
        table: the table of regions, a row per region in the order of the frames.
        has_silhouettes: whether the mode kept silhouettes.
        classes: number of classes of the detector; None without class scores.

    Raises:
        UserError: if a file is broken.
    """

    def __init__(self, stem: Path, frames: int, *, silhouettes: bool = False):
        self.table = read_table(stem)
        # an object of numpy for each frame would cost more than slices of these
        self._boxes = self.table[BOX].to_numpy(np.int32)
        self._tracks = self.table["track"].to_numpy(np.int32)
        self._sources = self.table["source"].to_numpy().astype(str)
        self._confidence = self.table["confidence"].to_numpy(np.float32)
        self._ends = np.searchsorted(self.table["frame"], np.arange(frames), side="right").tolist()
        masks, scores = Path(f"{stem}.silhouette"), Path(f"{stem}.classes")
        self.has_silhouettes = Path(f"{masks}.json").is_file()
        self._masks = open_masks(masks) if silhouettes and self.has_silhouettes else None
        self._scores = np.asarray(open_array(scores)[0]) if Path(f"{scores}.json").is_file() else None
        self.classes = None if self._scores is None else self._scores.shape[1]

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, t: int) -> Regions:
        rows = slice(self._ends[t - 1] if t else 0, self._ends[t])
        return Regions(
            self._boxes[rows],
            self._tracks[rows],
            self._sources[rows],
            self._confidence[rows],
            class_scores=None if self._scores is None else self._scores[rows],
            foreground=None if self._masks is None else self._masks[t],
        )

    def rows(self, stride: int) -> np.ndarray:
        """Rows of the regions that have windows: those of the frames 0, stride, 2 * stride, …

        Args:
            stride: `resize.stride`, at least 1.

        Returns:
            int32 [N].
        """
        return np.flatnonzero(self.table["frame"] % stride == 0).astype(np.int32)
