"""The frames of a clip, as the stage `extract` stored them."""

from collections.abc import Iterator
from pathlib import Path

from vad.store.arrays import open_array
from vad.store.tables import read_table
from vad.stream.gaps import Gaps
from vad.stream.items import Frame
from vad.stream.processor import results


class StoredFrames:
    """The frames of a clip, with their `steps`; iterate over them, also more than once.

    Pixels are views of a memory map, so that a reference to them costs no memory.

    Args:
        stem: path of the clip's files, without suffix.

    Attributes:
        video: uint8 [T, H, W] or [T, H, W, 3].
        card: of the array.
        fps: frames per second.

    Raises:
        UserError: if a file is missing or broken.
    """

    def __init__(self, stem: Path):
        self.video, self.card = open_array(stem)
        self.fps: float = self.card["fps"]
        times = read_table(stem)
        self._numbers, self._seconds = times["source_frame"].to_numpy(), times["seconds"].to_numpy()

    def __len__(self) -> int:
        return len(self.video)

    @property
    def height(self) -> int:
        """Rows of a frame."""
        return self.video.shape[1]

    @property
    def width(self) -> int:
        """Columns of a frame."""
        return self.video.shape[2]

    def __iter__(self) -> Iterator[Frame]:
        return results(Gaps(self.fps), self._frames())

    def _frames(self) -> Iterator[Frame]:
        for number, seconds, pixels in zip(self._numbers, self._seconds, self.video, strict=True):
            yield Frame(int(number), float(seconds), pixels)
