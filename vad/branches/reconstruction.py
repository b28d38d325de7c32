"""Reconstruction error: the difference between a window and the output of the trained autoencoder.

It gives the error branches of the autoencoder: `reconstruction`, `prediction` or `translation`, depending on
the objective; or `appearance` and `flow`. The networks behind it (`vad.branches.network`) are torch modules
in the stages and a graph in a deployed model, which runs without torch.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vad import UserError
from vad.branches.base import BRANCHES, Branch, BranchErrors, BranchProcessor, ClipFormat, WindowProcessor
from vad.branches.ensemble import mean
from vad.branches.graph import Graph
from vad.branches.maps import error_map
from vad.branches.network import Network, ReductionParams, require_shape
from vad.branches.zone_mask import ZoneMask
from vad.pipeline.params import Field
from vad.stream import WindowsOfFrame
from vad.windows.arrays import stack

if TYPE_CHECKING:  # loads torch
    from vad.models.base import Autoencoder


@BRANCHES.register
class Reconstruction(Branch):
    """Runs the autoencoder on all windows, and reduces the residuals of each window to an error."""

    class Params(ReductionParams):
        """`branches.reconstruction`"""

        batch_size: int = Field(256, ge=1, description="windows per batch; changes no error")
        maps: bool = Field(
            False, description="also write maps of the pixels' errors, in cells of `measure.cell` pixels"
        )

        def active(self) -> dict[str, Any]:
            used = {self.reduce, self.reduce_flow}
            parameters = {"top_k": "top_share", "patch_max": "patch"}
            unused = {key for how, key in parameters.items() if how not in used}
            return self.model_dump(mode="json", exclude=unused)

    params: Params
    network: Network
    reads_autoencoder = True

    @classmethod
    def error_names(cls, autoencoder: "Autoencoder") -> list[str]:
        return autoencoder.branches

    def open(self, autoencoder: Path | Graph, statistics: Path) -> str:
        if isinstance(autoencoder, Graph):
            self.network = autoencoder
            return ""
        from vad.branches.window_errors import WindowErrors  # loads torch

        self.network = network = WindowErrors.load(autoencoder, self.params)
        return network.hash(autoencoder)

    @property
    def single_frame(self) -> Sequence[str]:
        return self.network.single_frame

    @property
    def batch_size(self) -> int:
        return self.params.batch_size

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        if threads is not None:
            self.network.set_threads(threads)
        planes = tuple(self.network.planes)
        if clip.planes and clip.planes != planes:
            raise UserError(
                f"the autoencoder was made for the planes {', '.join(planes)}, these are "
                f"{', '.join(clip.planes)}; run `dvc repro train`"
            )
        if clip.frames:
            shape = len(clip.planes), clip.frames, clip.tensor.height, clip.tensor.width
            require_shape(self.network, shape)
        return _Residuals(self.network, self.params, clip)


class _Residuals(WindowProcessor):
    """Gives errors for each error branch of the network; with `maps`, also maps of the windows' frames."""

    def __init__(self, network: Network, params: Reconstruction.Params, clip: ClipFormat):
        super().__init__()
        self._network, self._params, self._clip = network, params, clip
        self.columns = network.branches
        self.maps = network.branches if params.maps else []
        self._zones = ZoneMask(clip.zones, clip.frame, clip.cell) if clip.zones else None

    def measure(self, frames: list[WindowsOfFrame]) -> list[BranchErrors]:
        windows = [pictures for frame in frames for pictures in frame.pictures]
        judged = self._judged(frames)
        errors: dict[str, list[np.ndarray]] = {name: [np.empty(0, np.float32)] for name in self.columns}
        pixels: dict[str, list[np.ndarray]] = {name: [] for name in self.maps}
        batches = math.ceil(len(windows) / self._params.batch_size)
        for k in range(batches):
            # of about the same size, since a small rest would cost nearly as much
            batch = slice(k * len(windows) // batches, (k + 1) * len(windows) // batches)
            counted = None if judged is None else judged[batch]
            measured = self._network.measure(stack(windows[batch]), self._params.maps, counted)
            for name in self.columns:
                errors[name].append(measured.errors[name])
            for name in self.maps:
                pixels[name] += list(measured.pixels[name].swapaxes(0, 1))
        joined = {name: np.concatenate(parts) for name, parts in errors.items()}
        out, start = [], 0
        for frame in frames:
            rows = slice(start, start + len(frame.pictures))
            start = rows.stop
            of_windows = {name: values[rows] for name, values in joined.items()}
            of_pixels = {name: parts[rows] for name, parts in pixels.items()}
            out.append(BranchErrors(of_windows, self._maps(frame, of_pixels)))
        return out

    def _judged(self, frames: list[WindowsOfFrame]) -> np.ndarray | None:
        """The pixels of windows that count, bool [N, height, width]: all, but for windows of whole frames."""
        if self._zones is None:
            return None
        whole = np.concatenate([self._zones.whole(frame.regions.boxes) for frame in frames])
        return ~whole[:, None, None] | self._zones.window(self._clip.tensor)

    def _maps(self, frame: WindowsOfFrame, pixels: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
        """The maps of a frame from the errors of its windows' pixels, float32 [folds, height, width] each.

        Where windows overlap, a map has the highest of their errors, so folds are averaged only afterwards.
        """
        folds = next((len(windows[0]) for windows in pixels.values() if windows), 1)
        boxes, clip = frame.regions.boxes, self._clip
        maps = [
            {name: error_map(boxes, [w[k] for w in windows], clip) for name, windows in pixels.items()}
            for k in range(folds)
        ]
        return mean(maps, np.float16) if folds > 1 else maps[0]
