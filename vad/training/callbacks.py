"""Callbacks of the training loop: reports, best weights, early stopping, checkpoints."""

import math
import time
from collections.abc import Callable
from typing import Any

import lightning
from lightning import LightningModule
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from vad.models import Autoencoder
from vad.training.batches import Batch
from vad.training.checkpoints import Checkpoints
from vad.training.failures import diverged
from vad.training.module import TrainingModule
from vad.training.params import TrainParams
from vad.training.progress import Progress
from vad.training.reports import Reports

ROWS_PER_EPOCH = 20  # of steps.csv and throughput.csv
SAVE_SPACING = 20.0  # least time between checkpoints, as a multiple of the time that saving takes
MIN_SECONDS = 1e-9  # avoids division by zero


class History(Callback):
    """Records losses and speed in the training reports, and shows progress.

    Args:
        reports: writer of the training reports.
        log: writes a line of text.
        first: whether this is the first (or only) process of the run.
        alone: whether no other training runs beside it; otherwise there is no bar, and there are fewer lines.
    """

    def __init__(self, reports: Reports, log: Callable[[str], None], first: bool, alone: bool):
        # not self.log: Callback has a method of this name
        self._reports, self._say, self._first, self._alone = reports, log, first, alone
        self._progress: Progress | None = None
        self._row_loss: float | Tensor = 0.0
        self._row_windows, self._row_batches = 0, 0

    def on_train_start(self, trainer: lightning.Trainer, module: LightningModule) -> None:
        self._reports.begin()
        self._epochs, self._batches = trainer.max_epochs or 0, int(trainer.num_training_batches)
        self._row_interval = max(1, self._batches // ROWS_PER_EPOCH)
        done = trainer.current_epoch
        self._progress = Progress(self._say, self._epochs, self._batches, done, self._first, self._alone)

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: LightningModule) -> None:
        self._epoch_start = time.monotonic()
        self._epoch_windows = 0
        self._epoch_rate = _learning_rate(trainer)
        self._start_row()
        self._shown().start_epoch()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: LightningModule, outputs: Any, batch: Batch, number: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        n = len(batch.windows)
        self._row_loss = self._row_loss + n * module.last_loss  # a tensor, so that no step waits for the GPU
        self._row_windows += n
        self._row_batches += 1
        done = number + 1
        if done % self._row_interval == 0 or done == self._batches:
            self._finish_row(trainer, done / self._batches)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: LightningModule) -> None:
        train_loss, val_loss = (float(trainer.callback_metrics[f"{s}_loss"]) for s in ("train", "val"))
        self._reports.add_epoch(trainer.current_epoch, train_loss, val_loss, self._epoch_rate)
        seconds = time.monotonic() - self._epoch_start
        speed = self._epoch_windows / max(seconds, MIN_SECONDS)
        self._shown().finish_epoch(trainer.current_epoch, train_loss, val_loss, seconds, speed)

    def on_train_end(self, trainer: lightning.Trainer, module: LightningModule) -> None:
        self._shown().close()

    def on_exception(
        self, trainer: lightning.Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        if self._progress is not None:
            self._progress.close()

    def _shown(self) -> Progress:
        assert self._progress is not None  # set in on_train_start
        return self._progress

    def _start_row(self) -> None:
        self._row_start = time.monotonic()
        self._row_loss, self._row_windows, self._row_batches = 0.0, 0, 0

    def _finish_row(self, trainer: lightning.Trainer, share: float) -> None:
        """Reports the batches since the last row, when `share` of the epoch is done."""
        seconds = time.monotonic() - self._row_start
        loss = float(self._row_loss) / self._row_windows
        windows = self._row_windows * trainer.world_size
        speed = windows / max(seconds, MIN_SECONDS)
        epochs_done = trainer.current_epoch + share
        self._reports.add_step(epochs_done, loss, _learning_rate(trainer))
        self._reports.add_speed(epochs_done, speed)
        self._shown().advance(self._row_batches, trainer.current_epoch, share, loss, speed)
        self._epoch_windows += windows
        self._start_row()


class BestWeights(Callback):
    """Keeps the weights with the lowest validation loss, and stops training early.

    Args:
        model: the model to train.
        params: the section `train`.

    Attributes:
        best: index of the best `epoch`, its `val_loss`, and its `weights` on the CPU (None before the first
            epoch has ended).
    """

    def __init__(self, model: Autoencoder, params: TrainParams):
        self._model, self._params = model, params
        self.best: dict[str, Any] = {"epoch": -1, "val_loss": math.inf, "weights": None}

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: LightningModule) -> None:
        val_loss = float(trainer.callback_metrics["val_loss"])
        if not math.isfinite(val_loss):
            what = f"validation loss became {val_loss} in epoch {trainer.current_epoch + 1}"
            raise diverged(what, self._params)
        if val_loss < self.best["val_loss"]:
            weights = {k: v.detach().cpu().clone() for k, v in self._model.state_dict().items()}
            self.best = {"epoch": trainer.current_epoch, "val_loss": val_loss, "weights": weights}
        elif trainer.current_epoch - self.best["epoch"] >= self._params.early_stopping:
            trainer.should_stop = True

    def apply(self) -> None:
        """Loads the best weights into the model."""
        self._model.load_state_dict(self.best["weights"])

    def summary(self) -> dict[str, Any]:
        """The index of the best epoch and its validation loss: `epoch` and `val_loss`."""
        return {key: self.best[key] for key in ("epoch", "val_loss")}


class Checkpointing(Callback):
    """Saves the state of the training between epochs, and resumes from the last saved state.

    Args:
        checkpoints: storage of the state; None in the helper processes of a distributed run.
        model: the model to train.
        best: its best weights, which are part of the state.
        reports: the training reports, whose rows are part of the state.
    """

    def __init__(
        self, checkpoints: Checkpoints | None, model: Autoencoder, best: BestWeights, reports: Reports
    ):
        self._checkpoints, self._model, self._best, self._reports = checkpoints, model, best, reports
        self._state = checkpoints.load() if checkpoints else None
        self._next_save = -math.inf

    def resume_finished(self) -> bool:
        """Restores a training that was interrupted after its last epoch, but before its weights were stored.

        Returns:
            Whether the saved state is of a finished training.
        """
        if self._state is None or not self._state["finished"]:
            return False
        self._best.best, self._reports.rows = self._state["best"], self._state["rows"]
        self._reports.begin()
        return True

    def on_train_start(self, trainer: lightning.Trainer, module: LightningModule) -> None:
        # only the first process has loaded it
        self._state = state = trainer.strategy.broadcast(self._state)
        if state is None:
            return
        self._best.best, self._reports.rows = state["best"], state["rows"]
        self._model.load_state_dict(state["model"])
        trainer.optimizers[0].load_state_dict(state["optimizer"])
        for config in trainer.lr_scheduler_configs:
            config.scheduler.load_state_dict(state["schedule"])
        counts = ("ready", "started", "processed", "completed")
        trainer.fit_loop.epoch_progress.current.load_state_dict(dict.fromkeys(counts, state["epochs"]))

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: LightningModule) -> None:
        # saved at the start of an epoch, not at the end, where the schedule has not taken its step yet
        resumed_at = self._state["epochs"] if self._state else 0
        if trainer.current_epoch > resumed_at and time.monotonic() >= self._next_save:
            self.save(trainer)

    def save(self, trainer: lightning.Trainer, finished: bool = False) -> None:
        """Saves the state.

        Args:
            trainer: whose epochs, optimiser and schedule are saved.
            finished: whether the last epoch has ended.
        """
        if self._checkpoints is None:
            return
        start, schedules = time.monotonic(), trainer.lr_scheduler_configs
        self._checkpoints.save(
            {
                "epochs": trainer.current_epoch,
                "finished": finished,
                "model": self._model.state_dict(),
                "optimizer": trainer.optimizers[0].state_dict(),
                "schedule": schedules[0].scheduler.state_dict() if schedules else {},
                "best": self._best.best,
                "rows": self._reports.rows,
            }
        )
        now = time.monotonic()
        # epochs may be much shorter than saving a checkpoint
        self._next_save = now + SAVE_SPACING * (now - start)


def _learning_rate(trainer: lightning.Trainer) -> float:
    return trainer.optimizers[0].param_groups[0]["lr"]
