"""The autoencoder as Lightning wants it: steps, optimiser, and what is written per epoch."""

import csv
import time
from collections.abc import Callable
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from vad import UserError
from vad.inference import to_input
from vad.models import Autoencoder
from vad.params import Section


class Fitting(lightning.LightningModule):
    """One optimiser, one schedule; the loss is the mean of the model's error. `params`: `TrainParams`."""

    def __init__(self, model: Autoencoder, params: Section):
        super().__init__()
        self.model, self.params = model, params

    def training_step(self, windows: np.ndarray, batch: int) -> torch.Tensor:
        loss = self._loss(windows)
        if not torch.isfinite(loss.detach()):
            self.refuse(f"training loss became {loss.item()} in epoch {self.current_epoch}, batch {batch}")
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(windows))
        return loss

    def validation_step(self, windows: np.ndarray, batch: int) -> None:
        self.log("val_loss", self._loss(windows), prog_bar=True, batch_size=len(windows))

    def refuse(self, what: str) -> None:
        rate = self.params.learning_rate
        raise UserError(f"the {what}; lower train.learning_rate (now {rate:g})")

    def _loss(self, windows: np.ndarray) -> torch.Tensor:
        return self.model.error(to_input(windows, self.device)).mean()

    def configure_optimizers(self) -> dict:
        adam = torch.optim.Adam(self.model.parameters(), self.params.learning_rate)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            adam, factor=self.params.lr_factor, patience=self.params.lr_patience
        )
        return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}


class History(Callback):
    """Writes a line per epoch, to the history and to the log."""

    def __init__(self, path: Path, log: Callable[[str], None]):
        self.path, self.say = path, log  # Callback has a `log` of its own
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write("w", ["epoch", "train_loss", "val_loss", "learning_rate"])

    def on_train_epoch_start(self, trainer: lightning.Trainer, fitting: Fitting) -> None:
        self.start = time.monotonic()
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: lightning.Trainer, fitting: Fitting) -> None:
        epoch, seen = trainer.current_epoch, trainer.callback_metrics
        train, val = float(seen["train_loss"]), float(seen["val_loss"])
        if not np.isfinite(val):
            fitting.refuse(f"validation loss became {val} in epoch {epoch}")
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
