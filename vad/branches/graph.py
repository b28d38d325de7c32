"""The graph of a deployed model, which gives errors of windows without torch."""

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vad import UserError
from vad.branches.network import NetworkErrors, require_shape
from vad.store.graphs import open_graph

if TYPE_CHECKING:
    import onnxruntime

WINDOWS, JUDGED = "windows", "judged"  # names of the inputs
PIXELS = "pixels_"  # prefix of the outputs with the errors of pixels
PLANES, SINGLE_FRAME = "planes", "single_frame"  # entries of the graph's metadata: lists of names, as JSON


class Graph:
    """The networks of all folds as an ONNX graph. A `vad.branches.network.Network`.

    Its inputs are `windows`, uint8 [B, planes, frames, height, width], and `judged`, bool [B, height, width],
    the pixels that count. For each error branch it has the outputs <branch>, float32 [B], the mean error over
    folds, and pixels_<branch>, float32 [folds, B, height, width]. Several sessions may share it.

    Args:
        path: the ONNX file.
        threads: maximum number of threads.

    Attributes:
        branches: names of the error branches.
        single_frame: those whose errors depend on a single frame.
        planes: names of the planes of a window.
        shape: of a window: planes, frames, height, width.

    Raises:
        UserError: if the file is not such a graph.
    """

    def __init__(self, path: Path, threads: int = 1):
        self._session = open_graph(path, threads)
        try:
            windows, _ = self._session.get_inputs()
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.planes: list[str] = json.loads(metadata[PLANES])
            self.single_frame: list[str] = json.loads(metadata[SINGLE_FRAME])
        except (KeyError, ValueError):
            raise UserError(f"{path}: not the graph of a deployed model; run `dvc repro export`") from None
        self.shape: tuple[int, ...] = tuple(windows.shape[1:])
        names = [output.name for output in self._session.get_outputs()]
        self.branches = [name for name in names if not name.startswith(PIXELS)]

    @cached_property
    def _options(self) -> "onnxruntime.RunOptions":
        import onnxruntime

        options = onnxruntime.RunOptions()
        # nothing is computed for outputs that are not asked for
        options.add_run_config_entry("only_execute_path_to_fetches", "1")
        return options

    def measure(self, windows: np.ndarray, pixels: bool, judged: np.ndarray | None = None) -> NetworkErrors:
        """Measures windows; as `Network.measure`."""
        require_shape(self, windows.shape[1:])
        names = [*self.branches, *(PIXELS + name for name in self.branches if pixels)]
        if judged is None:
            judged = np.ones((len(windows), *windows.shape[3:]), bool)
        inputs = {WINDOWS: windows, JUDGED: judged}
        values = dict(zip(names, self._session.run(names, inputs, self._options), strict=True))
        return NetworkErrors(
            {name: values[name] for name in self.branches},
            {name: values[PIXELS + name] for name in self.branches if pixels},
        )

    def set_threads(self, threads: int) -> None:
        """Does nothing, since the number of threads is fixed when the graph is opened."""
