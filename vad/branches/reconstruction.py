"""Reconstruction error: the difference between a window and the output of the trained autoencoder.

It gives the error branches of the autoencoder: `reconstruction`, `prediction` or `translation`, depending on
the objective; or `appearance` and `flow`.
"""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional as F

from vad import UserError
from vad.branches.base import BRANCHES, Branch, BranchErrors, BranchProcessor, ClipFormat, WindowProcessor
from vad.branches.maps import error_map
from vad.models.base import Autoencoder, fingerprint, load, to_input
from vad.pipeline import closure
from vad.pipeline.params import Field, Section
from vad.store.digests import digest, digest_files
from vad.stream import WindowsOfFrame
from vad.windows.arrays import stack

Reduce = Literal["mean", "max", "top_k", "patch_max", "psnr", "mean_vector"]
OF_FLOW = ("flow", "translation")  # error branches whose target is flow
DECIBELS = 100.0  # a peak signal-to-noise ratio above this counts as perfect, as error 0
LEAST_ERROR = 1e-12  # lower bound of the mean squared error in that ratio, avoids log(0)


@BRANCHES.register
class Reconstruction(Branch):
    """Runs the autoencoder on all windows, and reduces the residuals of each window to an error."""

    class Params(Section):
        """`branches.reconstruction`"""

        reduce: Reduce = Field(
            "mean",
            description="reduction of the pixels' squared errors to the error of a window: `mean`; `max`; "
            "`top_k`, the mean of the `top_share` highest; `patch_max`, the highest mean over a patch; "
            "`psnr`, 100 dB minus the peak signal-to-noise ratio for a peak of 1; `mean_vector`, the length "
            "of the mean residual, a vector over planes, in which noise cancels",
        )
        reduce_flow: Reduce = Field("mean_vector", description="the reduction if the target is flow")
        top_share: float = Field(0.05, gt=0, le=1, description="top_k: share of the pixels that count")
        patch: int = Field(8, ge=1, le=1024, description="patch_max: side of a patch in pixels")
        batch_size: int = Field(256, ge=1, description="windows per batch; changes no error")
        maps: bool = Field(
            False, description="also write maps of the pixels' errors, in cells of `measure.cell` pixels"
        )

        def reduction(self, branch: str) -> Reduce:
            """The reduction for an error branch."""
            return self.reduce_flow if branch in OF_FLOW else self.reduce

        def active(self) -> dict[str, Any]:
            used = {self.reduce, self.reduce_flow}
            parameters = {"top_k": "top_share", "patch_max": "patch"}
            unused = {key for how, key in parameters.items() if how not in used}
            return self.model_dump(mode="json", exclude=unused)

    params: Params
    model: Autoencoder

    @classmethod
    def error_names(cls, autoencoder: Autoencoder) -> list[str]:
        return autoencoder.branches

    def open(self, autoencoder: Path, statistics: Path) -> str:
        self.model, _ = load(autoencoder)
        code = closure.sources(type(self.model).__module__)  # no import statement names the chosen model
        return digest([fingerprint(autoencoder), digest_files(closure.ROOT / file for file in sorted(code))])

    @property
    def single_frame(self) -> list[str]:
        return self.model.single_frame

    @property
    def batch_size(self) -> int:
        return self.params.batch_size

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        if threads is not None:
            torch.set_num_threads(threads)
        channels = tuple(self.model.channels)
        if clip.planes and clip.planes != channels:
            raise UserError(
                f"the autoencoder was made for the planes {', '.join(channels)}, these are "
                f"{', '.join(clip.planes)}; run `dvc repro train`"
            )
        if clip.frames:
            _require_shape(self.model, (len(clip.planes), clip.frames, clip.tensor.height, clip.tensor.width))
        return _Residuals(self.model, self.params, clip)


class _Residuals(WindowProcessor):
    """Gives errors for each error branch of the model; with `maps`, also maps of the windows' frames."""

    def __init__(self, model: Autoencoder, params: Reconstruction.Params, clip: ClipFormat):
        super().__init__()
        self._model, self._params, self._clip = model, params, clip
        self.columns = model.branches
        self.maps = model.branches if params.maps else []

    def measure(self, frames: list[WindowsOfFrame]) -> list[BranchErrors]:
        windows = [pictures for frame in frames for pictures in frame.pictures]
        errors: dict[str, list[np.ndarray]] = {name: [np.empty(0, np.float32)] for name in self.columns}
        pixels: dict[str, list[np.ndarray]] = {name: [] for name in self.maps}
        batches = math.ceil(len(windows) / self._params.batch_size)
        for k in range(batches):
            # of about the same size, since a small rest would cost nearly as much
            batch = windows[k * len(windows) // batches : (k + 1) * len(windows) // batches]
            for name, residual in residuals(self._model, stack(batch)).items():
                errors[name].append(reduce_errors(residual, self._params.reduction(name), self._params))
                if name in pixels:
                    # of several frames in the output, the map shows the frame that the window belongs to
                    shown = self._model.scored_frame if residual.shape[2] > 1 else 0
                    pixels[name] += list(pixel_errors(residual[:, :, shown : shown + 1])[:, 0].numpy())
        joined = {name: np.concatenate(parts) for name, parts in errors.items()}
        out, start = [], 0
        for frame in frames:
            rows = slice(start, start + len(frame.pictures))
            start = rows.stop
            maps = {name: self._map(frame, parts[rows]) for name, parts in pixels.items()}
            out.append(BranchErrors({name: values[rows] for name, values in joined.items()}, maps))
        return out

    def _map(self, frame: WindowsOfFrame, pixels: list[np.ndarray]) -> np.ndarray:
        return error_map(frame.regions.boxes, pixels, self._clip)


@torch.inference_mode()
def residuals(model: Autoencoder, windows: np.ndarray) -> dict[str, torch.Tensor]:
    """Target minus output of the model, by error branch.

    Args:
        model: the autoencoder, in eval mode.
        windows: uint8 (B, C, T, h, w).

    Returns:
        float32 (B, C', T', h, w) by branch; 0 is a perfect reconstruction.

    Raises:
        UserError: if the windows have another shape than the windows the model was trained on.
    """
    _require_shape(model, windows.shape[1:])
    return model.residuals(to_input(windows))


def _require_shape(model: Autoencoder, shape: tuple[int, ...]) -> None:
    if shape != model.shape:
        expected, given = ("x".join(map(str, sides)) for sides in (model.shape, shape))
        raise UserError(
            f"the autoencoder was made for windows of {expected} (planes, frames, height, width), these are "
            f"{given}; run `dvc repro train`"
        )


def pixel_errors(residual: torch.Tensor) -> torch.Tensor:
    """The squared error of each pixel, averaged over planes: (B, C', T', h, w) -> (B, T', h, w)."""
    return residual.square().mean(1)


def reduce_errors(residual: torch.Tensor, how: Reduce, params: Reconstruction.Params) -> np.ndarray:
    """Reduces the residuals of each window to an error.

    Args:
        residual: float32 (B, C', T', h, w).
        how: the reduction, described at `Reconstruction.Params.reduce`.
        params: only `top_share` and `patch` are used.

    Returns:
        float32 [B], 0 or more.
    """
    if how == "mean_vector":
        return residual.mean((2, 3, 4)).norm(dim=1).numpy()
    pixels = pixel_errors(residual)
    flat = pixels.flatten(1)
    if how == "top_k":
        return flat.topk(math.ceil(params.top_share * flat.shape[1])).values.mean(1).numpy()
    if how == "patch_max":
        patch = [min(params.patch, side) for side in pixels.shape[2:]]
        return F.avg_pool2d(pixels, patch, 1).flatten(1).amax(1).numpy()
    if how == "psnr":
        ratio = -10 * flat.mean(1).clamp(min=LEAST_ERROR).log10()  # in dB, for values in [0, 1]
        return (DECIBELS - ratio).clamp(min=0).numpy()
    return (flat.mean(1) if how == "mean" else flat.amax(1)).numpy()
