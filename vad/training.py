"""Fits an autoencoder to normal windows."""

import csv
import logging
import math
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from torch.utils.data import DataLoader, Sampler

from vad import UserError
from vad.inference import to_input
from vad.models import Autoencoder
from vad.params import Field, Section
from vad.windows import Windows


class TrainParams(Section):
    """`train`"""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0, le=1)
    lr_patience: int = Field(ge=0)
    lr_factor: float = Field(gt=0, lt=1)
    early_stopping: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**32)
    accelerator: Literal["auto", "cpu", "gpu", "mps"]


def fix_seed(seed: int) -> None:
    """Seeds every source of random numbers, for the weights that are drawn next."""
    lightning.seed_everything(seed, workers=True, verbose=False)


def fit(
    model: Autoencoder,
    train: Windows,
    val: Windows,
    params: TrainParams,
    history: Path,
    scratch: Path,
    log: Callable[[str], None],
) -> dict[str, float]:
    """Trains `model` in place and leaves it with the weights of the epoch of lowest validation loss.

    Adam; the learning rate is multiplied by `lr_factor` when the validation loss has not fallen for
    `lr_patience` epochs, and training ends when it has not for `early_stopping`. `history` (CSV) gets a
    row per epoch: epoch, train_loss, val_loss, learning_rate; losses are mean squared errors of pixels
    in [0, 1]. `scratch` holds the best checkpoint meanwhile.

    Returns {"epoch": best epoch from 0, "val_loss": its loss}. Raises UserError if the loss is not a
    finite number.
    """
    fix_seed(params.seed)
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder, warnings.catch_warnings():
        # a memory-mapped store needs no loader processes, and Lightning's own affairs are no user's concern
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", module="lightning")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        best = ModelCheckpoint(folder, monitor="val_loss", save_weights_only=True)
        callbacks = [
            best,
            EarlyStopping("val_loss", patience=params.early_stopping, check_finite=False),
            _History(history, log),
        ]
        terminal = sys.stderr.isatty()
        trainer = lightning.Trainer(
            max_epochs=params.epochs,
            accelerator=params.accelerator,
            devices=1,
            callbacks=[*callbacks, TQDMProgressBar(leave=False)] if terminal else callbacks,
            enable_progress_bar=terminal,
            logger=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            deterministic=True,
        )
        fitting = _Fitting(model, params)
        trainer.fit(fitting, _loader(train, params, True), _loader(val, params, False))
        saved = torch.load(best.best_model_path, weights_only=True)
        fitting.load_state_dict(saved["state_dict"])
        model.cpu().eval()
        return {"epoch": saved["epoch"], "val_loss": float(best.best_model_score)}


class _Fitting(lightning.LightningModule):
    """The autoencoder as Lightning wants it: one step, one optimiser."""

    def __init__(self, model: Autoencoder, params: TrainParams):
        super().__init__()
        self.model, self.params = model, params

    def training_step(self, windows: np.ndarray, batch: int) -> torch.Tensor:
        loss = self._loss(windows)
        if not torch.isfinite(loss.detach()):
            raise UserError(
                f"the training loss became {loss.item()} in epoch {self.current_epoch}, batch {batch}; "
                f"lower train.learning_rate (now {self.params.learning_rate})"
            )
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(windows))
        return loss

    def validation_step(self, windows: np.ndarray, batch: int) -> None:
        self.log("val_loss", self._loss(windows), prog_bar=True, batch_size=len(windows))

    def _loss(self, windows: np.ndarray) -> torch.Tensor:
        return self.model.error(to_input(windows, self.device)).mean()

    def configure_optimizers(self) -> dict:
        adam = torch.optim.Adam(self.model.parameters(), self.params.learning_rate)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            adam, factor=self.params.lr_factor, patience=self.params.lr_patience
        )
        return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}


class _History(Callback):
    """Writes a line per epoch, to the history and to the log."""

    def __init__(self, path: Path, log: Callable[[str], None]):
        self.path, self.say = path, log  # Callback has a `log` of its own
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write("w", ["epoch", "train_loss", "val_loss", "learning_rate"])

    def on_train_epoch_start(self, trainer: lightning.Trainer, fitting: _Fitting) -> None:
        self.start = time.monotonic()
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: lightning.Trainer, fitting: _Fitting) -> None:
        epoch, seen = trainer.current_epoch, trainer.callback_metrics
        train, val = float(seen["train_loss"]), float(seen["val_loss"])
        self._write("a", [epoch, f"{train:.8g}", f"{val:.8g}", f"{self.rate:.8g}"])
        seconds = time.monotonic() - self.start
        left = seconds * (trainer.max_epochs - epoch - 1)
        self.say(
            f"epoch {epoch + 1}/{trainer.max_epochs}: loss {train:.6f}, validation {val:.6f}, "
            f"{seconds:.1f} s; at most {left:.0f} s left"
        )

    def _write(self, mode: str, row: list) -> None:
        with open(self.path, mode, encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)


class _Batches(Sampler):
    """Indices of windows, a batch at a time; shuffled by seed and epoch, so that epochs can be repeated."""

    def __init__(self, n: int, batch_size: int, seed: int | None):
        self.n, self.batch_size, self.seed, self.epoch = n, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        order = np.arange(self.n)
        if self.seed is not None:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        return iter(np.array_split(order, range(self.batch_size, self.n, self.batch_size)))


def _loader(windows: Windows, params: TrainParams, shuffle: bool) -> DataLoader:
    batches = _Batches(len(windows), params.batch_size, params.seed if shuffle else None)
    # batch_size=None: `windows` is asked for a whole batch of indices at once
    return DataLoader(windows, sampler=batches, batch_size=None, collate_fn=lambda batch: batch)
