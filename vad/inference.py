"""Runs an autoencoder over windows: what it could not reproduce, one error per window.

Whoever applies an autoencoder comes through `window_errors`.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import torch

from vad import store
from vad.models import Autoencoder
from vad.params import Field, Section
from vad.windows import Windows

BRANCH = "error_reconstruction"


class ScoreParams(Section):
    """`score`: how the error of a window is made of the errors of its pixels."""

    reduce: Literal["mean", "max"]
    batch_size: int = Field(ge=1)


def to_input(windows: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (B, C, T, h, w) -> float32 in [0, 1], the normalisation of every model."""
    return torch.from_numpy(windows).to(device).float().div_(255)


@torch.inference_mode()
def window_errors(model: Autoencoder, windows: np.ndarray, reduce: str) -> np.ndarray:
    """Reconstruction error per window: float32 [B] for uint8 (B, C, T, h, w); 0 is perfect."""
    error = model.error(to_input(windows)).flatten(1)  # (B, T' * h * w)
    return (error.mean(1) if reduce == "mean" else error.amax(1)).numpy()


def score_clip(stem: Path, tensors: Path, model: Autoencoder, params: ScoreParams, *, threads: int) -> None:
    """Work function: the errors of all windows of one clip.

    Writes <stem>.parquet with a row per window: `frame`, `region`, `track` and a column per branch,
    here `error_reconstruction` float32; its card holds the clip's number of frames.
    """
    torch.set_num_threads(threads)
    windows = Windows(tensors.parent, [tensors.name])
    batches = np.split(np.arange(len(windows)), range(params.batch_size, len(windows), params.batch_size))
    errors = np.concatenate([window_errors(model, windows[batch], params.reduce) for batch in batches])
    table = store.read_table(tensors)[["frame", "region", "track"]].assign(**{BRANCH: errors})
    store.write_table(stem, table)
    frames = store.read_card(tensors)["frames"]
    store.write_json(Path(f"{stem}.json"), {"frames": frames, "hash": store.hash_table(table)})
