"""Applies an autoencoder to windows: what it could not reproduce, and one error of it per window.

Whoever applies an autoencoder comes through `residuals`.
"""

import math
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional as F

from vad import UserError
from vad.branches.speed import SpeedParams
from vad.models import Autoencoder
from vad.pipeline.params import Field, Section

Reduce = Literal["mean", "max", "top_k", "patch_max", "psnr", "mean_vector"]
DECIBELS = 100.0  # a peak signal-to-noise ratio above it counts as perfect


class ScoreParams(Section):
    """`score`: how the error of a window is made of its pixels' residuals, and which maps are written.

    `reduce`, over the squared errors of a window's pixels: their `mean`; `max`; `top_k`, the mean of the
    share `top_share` of them that is highest; `patch_max`, the highest mean of a patch of `patch` x `patch`
    pixels; `psnr`, 100 dB minus the peak signal-to-noise ratio for a peak of 1. `mean_vector` is the length
    of the residual's mean over all pixels, a vector with an entry per plane: noise cancels, what all pixels
    have in common stays. `reduce_flow`: the same for a branch whose target is flow.

    `maps`: write maps of the pixels' errors; these and the maps of speed are in cells of `cell` pixels.
    """

    reduce: Reduce
    reduce_flow: Reduce
    top_share: float = Field(gt=0, le=1)
    patch: int = Field(ge=1, le=1024)
    batch_size: int = Field(ge=1)
    maps: bool
    cell: int = Field(ge=1, le=64)
    speed: SpeedParams

    def how(self, branch: str) -> Reduce:
        """The reduction for a branch."""
        return self.reduce_flow if branch in ("flow", "translation") else self.reduce

    def active(self) -> dict[str, Any]:
        used = {self.reduce, self.reduce_flow}
        off = {"top_k": "top_share", "patch_max": "patch"}
        return self.model_dump(mode="json", exclude={key for how, key in off.items() if how not in used})


def to_input(windows: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (B, C, T, h, w) -> float32 in [0, 1], the normalisation of every model."""
    return torch.from_numpy(windows).to(device).float().div_(255)


@torch.inference_mode()
def residuals(model: Autoencoder, windows: np.ndarray) -> dict[str, torch.Tensor]:
    """Per branch target minus output, float32 (B, C', T', h, w) for uint8 (B, C, T, h, w); 0 is perfect.

    Raises UserError for windows of another shape than the model was made for.
    """
    if windows.shape[1:] != model.shape:
        made, got = ("x".join(map(str, shape)) for shape in (model.shape, windows.shape[1:]))
        raise UserError(
            f"the autoencoder was made for windows of {made} (planes, frames, height, width), these are "
            f"{got}; run `dvc repro train`"
        )
    return model.residuals(to_input(windows))


def pixel_errors(residual: torch.Tensor) -> torch.Tensor:
    """The squared error of each pixel, averaged over planes: (B, C', T', h, w) -> (B, T', h, w)."""
    return residual.square().mean(1)


def reduce_errors(residual: torch.Tensor, how: Reduce, params: ScoreParams) -> np.ndarray:
    """One error per window, not negative: (B, C', T', h, w) -> float32 [B]; see `ScoreParams`."""
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
        ratio = -10 * flat.mean(1).clamp(min=1e-12).log10()
        return (DECIBELS - ratio).clamp(min=0).numpy()
    return (flat.mean(1) if how == "mean" else flat.amax(1)).numpy()
