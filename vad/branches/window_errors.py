"""From windows to errors as a torch module, which the stages run and a deployed model holds as a graph."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vad.branches.network import NetworkErrors, Reduce, ReductionParams, require_shape
from vad.models.base import Autoencoder, fingerprint, load
from vad.pipeline import closure
from vad.store.digests import digest, digest_files
from vad.windows.planes import WHITE

DECIBELS = 100.0  # a peak signal-to-noise ratio above this counts as perfect, as error 0
LEAST_ERROR = 1e-12  # lower bound of the mean squared error in that ratio, avoids log(0)


class WindowErrors(nn.Module):
    """Normalises windows, runs an autoencoder and reduces its residuals. A `vad.branches.network.Network`.

    Args:
        model: the autoencoder, in eval mode.
        params: the reductions.

    Attributes:
        branches: names of the error branches.
        single_frame: those whose errors depend on a single frame.
        planes: names of the planes of a window.
        shape: of a window: planes, frames, height, width.
    """

    def __init__(self, model: Autoencoder, params: ReductionParams):
        super().__init__()
        self.model, self._params = model, params
        self.branches, self.single_frame = model.branches, model.single_frame
        self.planes, self.shape = model.channels, model.shape

    @classmethod
    def load(cls, folder: Path, params: ReductionParams) -> "WindowErrors":
        """Loads a stored autoencoder.

        Args:
            folder: of the autoencoder.
            params: the reductions.

        Raises:
            UserError: if a file is missing or broken.
        """
        return cls(load(folder)[0], params)

    def forward(
        self, windows: Tensor, judged: Tensor | None = None, pixels: bool = True
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Computes the errors, in the order of `branches`.

        Args:
            windows: uint8 (B, C, T, h, w).
            judged: the pixels that count for the errors of the windows, bool (B, h, w); None: all.
            pixels: whether the errors of pixels are wanted as well.

        Returns:
            The errors of the windows, float32 (B), and those of the pixels of each window's frame, (B, h, w).
        """
        residuals = self.model.residuals(windows.float() / WHITE)
        errors = [
            reduce_errors(r, self._params.reduction(name), self._params, judged)
            for name, r in residuals.items()
        ]
        return errors, [self._of_frame(r) for r in residuals.values()] if pixels else []

    def _of_frame(self, residual: Tensor) -> Tensor:
        """The errors of the pixels of the frame that the window belongs to."""
        # the output has all frames of the window, or only this one
        shown = self.model.scored_frame if residual.shape[2] > 1 else 0
        return pixel_errors(residual[:, :, shown : shown + 1])[:, 0]

    @torch.inference_mode()
    def measure(self, windows: np.ndarray, pixels: bool, judged: np.ndarray | None = None) -> NetworkErrors:
        """Measures windows; as `Network.measure`."""
        require_shape(self, windows.shape[1:])
        of_windows = None if judged is None else torch.from_numpy(judged)
        errors, of_pixels = self(torch.from_numpy(windows), of_windows, pixels)
        return NetworkErrors(
            {name: values.numpy() for name, values in zip(self.branches, errors, strict=True)},
            {name: values[None].numpy() for name, values in zip(self.branches, of_pixels, strict=False)},
        )

    def set_threads(self, threads: int) -> None:
        """Sets the maximum number of threads of torch, in the whole process."""
        torch.set_num_threads(threads)

    def hash(self, folder: Path) -> str:
        """Content hash of all that errors depend on besides windows, parameters and imported code.

        Args:
            folder: of the autoencoder.
        """
        code = closure.sources(type(self.model).__module__)  # no import statement names the chosen model
        return digest([fingerprint(folder), digest_files(closure.ROOT / file for file in sorted(code))])


def pixel_errors(residual: Tensor) -> Tensor:
    """The squared error of each pixel, averaged over planes: (B, C', T', h, w) -> (B, T', h, w)."""
    return residual.square().mean(1)


def reduce_errors(
    residual: Tensor, how: Reduce, params: ReductionParams, judged: Tensor | None = None
) -> Tensor:
    """Reduces the residuals of each window to an error.

    Args:
        residual: float32 (B, C', T', h, w).
        how: the reduction, described at `ReductionParams.reduce`.
        params: only `top_share` and `patch` are used.
        judged: the pixels that count, bool (B, h, w), at least one of each window; None: all. The others are
            left out of means over all pixels, and have error 0 in the other reductions.

    Returns:
        float32 (B), 0 or more.
    """
    scale: float | Tensor = 1.0
    if judged is not None:
        counted = judged.float()
        residual = residual * counted[:, None, None]
        scale = 1 / counted.mean((1, 2))
    if how == "mean_vector":
        return residual.mean((2, 3, 4)).norm(dim=1) * scale
    pixels = pixel_errors(residual)
    flat = pixels.flatten(1)
    if how == "top_k":
        return flat.topk(math.ceil(params.top_share * flat.shape[1])).values.mean(1)
    if how == "patch_max":
        patch = [min(params.patch, side) for side in pixels.shape[2:]]
        return F.avg_pool2d(pixels, patch, 1).flatten(1).amax(1)
    if how == "psnr":
        ratio = -10 * (flat.mean(1) * scale).clamp(min=LEAST_ERROR).log10()  # in dB, for values in [0, 1]
        return (DECIBELS - ratio).clamp(min=0)
    return flat.mean(1) * scale if how == "mean" else flat.amax(1)
