"""The base class of all branches. A branch measures how far a clip is from normal footage in some respect.

The stage `statistics` calls `fit` of the branches that define it; the stage `measure` calls `open` once and
`processor` for every clip, as live use does for every camera. Neither names any branch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vad import UserError
from vad.branches.graph import Graph
from vad.branches.names import map_shape
from vad.pipeline.params import Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.body_heights import BodyHeight
from vad.store.cards import read_json, write_json
from vad.store.digests import digest_files
from vad.store.zones import ALL_JUDGED, CameraZones
from vad.stream import Processor, WindowsOfFrame

Log = Callable[[str], None]
Statistics = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class TensorShape:
    """The size of the tensor that boxes were resized to.

    Attributes:
        height: rows of the tensor.
        width: columns of the tensor.
        fit: how boxes were fitted to it, `resize.fit`: `stretch` or `letterbox`.
    """

    height: int
    width: int
    fit: str


@dataclass(frozen=True)
class ClipFormat:
    """What is the same for all frames of a clip.

    Attributes:
        frame: (height, width) of a frame in pixels.
        cell: pixels of the frame per cell of a map, in each direction.
        tensor: of the windows.
        flow_scale: pixels of the frame per count of the flow; None without flow.
        fps: frames per second.
        camera: name of the camera; "" if unknown.
        body_height: how tall people are in the frame.
        classes: number of class scores of a region; None without class scores.
        planes: names of the planes of a window; empty if unknown.
        frames: number of frames of a window; 0 if unknown.
        zones: of the camera.
    """

    frame: tuple[int, int]
    cell: int
    tensor: TensorShape
    fps: float
    body_height: BodyHeight
    camera: str = ""
    flow_scale: float | None = None
    classes: int | None = None
    planes: tuple[str, ...] = ()
    frames: int = 0
    zones: CameraZones = ALL_JUDGED

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        return map_shape(self.frame, self.cell)


@dataclass(frozen=True)
class NormalClip:
    """A normal clip that statistics are fitted to.

    Attributes:
        clip: id of the clip.
        camera: name of the camera.
        regions: stem of the clip's table of regions.
        flow: stem of the clip's flow.
        frame: (height, width) of a frame in pixels.
        frames: number of frames.
        fps: frames per second.
        body_height: how tall people are in the frame.
    """

    clip: str
    camera: str
    regions: Path
    flow: Path
    frame: tuple[int, int]
    frames: int
    fps: float
    body_height: BodyHeight


@dataclass(frozen=True, eq=False)
class BranchErrors:
    """The errors of a frame from a branch.

    Attributes:
        errors: of the frame's N regions by name, float32 [N], 0 or more.
        maps: of its cells by name, float16 [rows, columns], 0 or more.
    """

    errors: Mapping[str, np.ndarray] = field(default_factory=dict)
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)


class BranchProcessor(Processor[Sequence[WindowsOfFrame], BranchErrors]):
    """Measures the frames of a clip.

    Its items are chunks, one or more consecutive frames: many in the stage `measure`, where they are faster
    together, one in live use. A frame has the same errors whatever the chunks, and a result of its own.

    Attributes:
        lookahead: number of frames (not chunks) after a frame that its result needs.
        columns: names in `errors` of every result, in the order of the columns.
        maps: names in `maps` of every result.
    """

    columns: Sequence[str] = ()
    maps: Sequence[str] = ()


class WindowProcessor(BranchProcessor):
    """A branch processor whose errors depend on a frame's windows alone; subclasses define `measure`.

    Frames that share windows because of `resize.stride` also share the result.
    """

    def __init__(self) -> None:
        self._source = -1
        self._latest = BranchErrors()

    def measure(self, frames: list[WindowsOfFrame]) -> list[BranchErrors]:
        """Measures frames with different windows.

        Args:
            frames: one or more, without those that share the windows of the frame before.

        Returns:
            A result for each of them.
        """
        raise NotImplementedError

    def process(self, item: Sequence[WindowsOfFrame]) -> list[BranchErrors]:
        sources = [self._source, *(frame.source for frame in item)]
        new = [frame for frame, before in zip(item, sources, strict=False) if frame.source != before]
        measured = dict(zip((frame.source for frame in new), self.measure(new), strict=True)) if new else {}
        measured[self._source] = self._latest
        self._source = sources[-1]
        self._latest = measured[self._source]
        return [measured[frame.source] for frame in item]


class Branch(Plugin):
    """A source of errors: a column of regions, maps of cells, or both, under a name or several names.

    Attributes:
        learned: whether the branch learns from normal footage; a branch that does not is also a baseline.
        reads_flow: whether there are no errors without optical flow.
        reads_autoencoder: whether errors are those of the autoencoder, which a deployed model has as a graph.

    Args:
        params: the branch's sub-section of `branches`.
    """

    learned: ClassVar[bool] = True
    reads_flow: ClassVar[bool] = False
    reads_autoencoder: ClassVar[bool] = False
    statistics: Statistics | None = None  # set by `open`, if the branch has a `fit`

    def __init__(self, params: Section):
        self.params = params

    def fit(self, clips: Sequence[NormalClip], log: Log) -> Statistics | None:
        """Fits statistics to normal footage. Only branches that need statistics define it.

        Args:
            clips: all clips to learn from.
            log: writes a line of text.

        Returns:
            Arrays by name; None if the footage has no data for this branch.
        """
        raise NotImplementedError(f"the branch {self.name} is not fitted by the stage statistics")

    def open(self, autoencoder: Path | Graph, statistics: Path) -> str:
        """Loads what `processor` needs: by default the statistics. Called once, before the first clip.

        Args:
            autoencoder: folder of the trained autoencoder, or the graph of a deployed model.
            statistics: folder with the result of `fit` (see `load_statistics`), if the branch has a `fit`.

        Returns:
            A hash of everything that errors depend on besides the clip, the parameters and the code.

        Raises:
            UserError: if a file is missing or broken.
        """
        if type(self).fit is Branch.fit:
            return ""
        self.statistics = load_statistics(statistics)
        return hash_statistics(statistics)

    @classmethod
    def error_names(cls, autoencoder: Any) -> list[str]:
        """Names of the errors that the branch may give; by default its own name.

        Args:
            autoencoder: the model (`vad.models.base.Autoencoder`), whose error branches some have.
        """
        return [cls.name]

    @property
    def single_frame(self) -> Sequence[str]:
        """Names of the errors that depend on a single frame, without motion, so that a picture has them too.

        Known once the branch is opened; by default none.
        """
        return ()

    @property
    def batch_size(self) -> int:
        """Number of windows that are best measured together, in a chunk, where many are at hand."""
        return 256

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        """Makes a processor that measures a clip, or the stream of a camera.

        Args:
            clip: what is the same for all of its frames.
            threads: maximum number of threads; None leaves their number as it is.

        Returns:
            None if the branch does not apply to the clip, which then has no errors of this branch.

        Raises:
            UserError: if the branch was made for other data.
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

    Args:
        folder: with the files.

    Returns:
        Arrays by name; None if the branch was not fitted.

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
    """Content hash of the files that `save_statistics` wrote.

    Args:
        folder: with the files.
    """
    return digest_files(sorted(folder.iterdir()))
