"""Applies an autoencoder to windows: what it could not reproduce, pixel by pixel and as one error.

Whoever applies an autoencoder comes through `pixel_errors`.
"""

from typing import Any, Literal

import numpy as np
import torch

from vad import UserError
from vad.models import Autoencoder
from vad.params import Field, Section

PREFIX = "error_"  # of the column of a branch
Reduce = Literal["mean", "max"]


class ScoreParams(Section):
    """`score`: how the error of a window is made of the errors of its pixels, and whether these are kept.

    `maps`: write maps of the errors per frame, in cells of `map_step` x `map_step` pixels (`vad.maps`).
    """

    reduce: Reduce
    batch_size: int = Field(ge=1)
    maps: bool
    map_step: int = Field(ge=1, le=64)

    def active(self) -> dict[str, Any]:
        values = super().active()
        return values if self.maps else values | {"map_step": None}


def to_input(windows: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (B, C, T, h, w) -> float32 in [0, 1], the normalisation of every model."""
    return torch.from_numpy(windows).to(device).float().div_(255)


@torch.inference_mode()
def pixel_errors(model: Autoencoder, windows: np.ndarray) -> dict[str, torch.Tensor]:
    """Per branch the error of each pixel, float32 (B, T', h, w) for uint8 (B, C, T, h, w); 0 is perfect.

    Raises UserError for windows of another shape than the model was made for.
    """
    if windows.shape[1:] != model.shape:
        made, got = ("x".join(map(str, shape)) for shape in (model.shape, windows.shape[1:]))
        raise UserError(
            f"the autoencoder was made for windows of {made} (planes, frames, height, width), these are "
            f"{got}; run `dvc repro train`"
        )
    return model.errors(to_input(windows))


def reduce_errors(errors: torch.Tensor, reduce: Reduce) -> np.ndarray:
    """Mean or maximum over the pixels of each window: (B, T', h, w) -> float32 [B]."""
    flat = errors.flatten(1)
    return (flat.mean(1) if reduce == "mean" else flat.amax(1)).numpy()
