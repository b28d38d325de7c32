"""Trainings small enough to run by the dozen."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tests.windows.tensors import cut_clip, tensor_spec
from vad.models import Autoencoder, create, save
from vad.models.conv2d import Conv2d
from vad.training.fit import fit, fix_seed
from vad.training.params import LossParams, PseudoParams, TrainParams
from vad.windows.dataset import Windows

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (1, 1, 16, 16)
SMALL = Conv2d.Params.model_validate({"window": {"frames": 1}, "channels": [4]})


def params(**changed: Any) -> TrainParams:
    """Few epochs of small batches, only the squared error; `pseudo` and `loss` change these sections."""
    plain = {"epochs": 2, "batch_size": 4, "learning_rate": 0.01, "schedule": "plateau", "lr_patience": 9}
    plain |= {"weight_decay": 0.0, "early_stopping": 9, "accelerator": "cpu"}
    loss = LossParams(**{"mse": 1.0, "l1": 0.0} | changed.pop("loss", {}))
    pseudo = PseudoParams(**{"kind": "none"} | changed.pop("pseudo", {}))
    return TrainParams(**plain | changed, loss=loss, pseudo=pseudo)


def model(seed: int = 0) -> Autoencoder:
    """An autoencoder for windows of 1x1x16x16."""
    fix_seed(seed)
    return create("conv2d", SMALL, SHAPE, ["gray"])


def tensors(folder: Path, frames: np.ndarray) -> Windows:
    """The windows of a clip of 16x16 pixels."""
    folder.mkdir(parents=True)
    return Windows(cut_clip(folder, frames, tensor_spec(16, 16)).parent)


def wandering_square(folder: Path, name: str, length: int, spec: Any) -> Windows:
    """A bright square that wanders over noise: the windows of a clip."""
    rng = np.random.default_rng(length)
    frames = rng.integers(0, 60, (length, spec.height, spec.height), np.uint8)
    for t in range(length):
        y = (t * 3) % (spec.height - 8)
        frames[t, y : y + 8, 4:12] = 220
    (folder / name).mkdir(parents=True)
    return Windows(cut_clip(folder / name, frames, spec).parent)


def ramps(length: int, light: int) -> np.ndarray:
    """Slanted brightness with a little noise: easy to learn."""
    slant = np.add.outer(np.arange(16), np.arange(16)) * 2 + light
    return (slant + np.random.default_rng(0).integers(0, 9, (length, 16, 16))).clip(0, 255).astype(np.uint8)


class Trained:
    """A finished training.

    Args:
        data: windows by name; those called `train` are learned.
        folder: folder of all outputs.
        val: name of the windows to validate with.
        model: the model to train; by default a small model.
        **changed: parameters that differ from `params()`.
    """

    def __init__(
        self,
        data: dict[str, Windows],
        folder: Path,
        val: str = "val",
        model: Autoencoder | None = None,
        **changed: Any,
    ):
        settings = params(**changed)
        fix_seed(settings.seed)
        self.model = model or create("conv2d", SMALL, data["train"].shape, ["gray"])
        self.log: list[str] = []
        where = folder / "reports", folder / "throughput.csv", folder / "cache"
        self.best = fit(self.model, data["train"], data[val], settings, *where, self.log.append)
        self.history = pd.read_csv(folder / "reports/history.csv")
        save(self.model, folder / "model")
        self.weights = (folder / "model/weights.safetensors").read_bytes()


class Failing(Autoencoder):
    """Fails in a chosen way from the second batch of the second epoch on, where an epoch has 3.

    Args:
        fails: makes something else of the output, or raises.
    """

    name = "conv2d"  # so that its weights can be loaded

    def __init__(self, fails: Any):
        super().__init__(SMALL, SHAPE, ["gray"])
        self.real = create("conv2d", SMALL, SHAPE, ["gray"])
        self.fails, self.batches = fails, 0

    def forward(self, x: Tensor) -> Tensor:
        self.batches += self.training
        return self.fails(self.real(x)) if self.batches > 4 else self.real(x)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.real.state_dict()

    def load_state_dict(self, state: Any, *args: Any, **kwargs: Any) -> Any:
        return self.real.load_state_dict(state)


def mean_error(model: Autoencoder, windows: Windows) -> float:
    """The mean squared error, computed in float64 over all pixels at once."""
    x = torch.from_numpy(np.stack([windows[[i]][0] for i in range(len(windows))])).float() / 255
    with torch.inference_mode():
        return (model(x) - x).double().square().mean().item()
