"""What a training tells while it runs: files that `dvc plots` draws, lines of a log, a bar on a terminal.

| file | a row per | columns |
|---|---|---|
| history.csv | epoch | epoch, train_loss, val_loss, learning_rate |
| steps.csv | twentieth of an epoch | epoch (how many are done, with a fraction), loss, learning_rate |
| throughput.csv | twentieth of an epoch | epoch, samples_per_second |

The first two depend on nothing but parameters, data, code and machine. Speed never comes out twice the
same, so throughput.csv lies elsewhere, where neither git nor DVC keeps it.
"""

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from vad.training.batches import Batch
from vad.training.checkpoints import Checkpoints

COLUMNS = {
    "history": ["epoch", "train_loss", "val_loss", "learning_rate"],
    "steps": ["epoch", "loss", "learning_rate"],
    "throughput": ["epoch", "samples_per_second"],
}
SAID_EVERY = 30.0  # seconds between lines within a long epoch
SPACING = 20.0  # between two states lies so many times what it takes to save one: epochs may be short


class History(Callback):
    """Writes the files as the figures come; only the first process of a distributed run does."""

    def __init__(self, files: dict[str, Path], log: Callable[[str], None], first: bool):
        self.files, self.say, self.first = files, log, first  # Callback has a `log` of its own
        self.rows: dict[str, list[list[str]]] = {"history": [], "steps": []}

    def begin(self) -> None:
        """Writes the files anew, with what is known of an earlier part of this training."""
        if self.first:
            for name, path in self.files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "w", encoding="utf-8", newline="") as file:
                    rows = self.rows.get(name, [])
                    csv.writer(file, lineterminator="\n").writerows([COLUMNS[name], *rows])

    def on_train_start(self, trainer: lightning.Trainer, fitting: lightning.LightningModule) -> None:
        self.begin()
        self.every = max(1, trainer.num_training_batches // 20)
        self.began, self.began_at = time.monotonic(), trainer.current_epoch
        terminal = self.first and sys.stderr.isatty()
        total = trainer.max_epochs * trainer.num_training_batches
        self.bar = tqdm(
            total=total,
            initial=trainer.current_epoch * trainer.num_training_batches,
            desc="train",
            unit=" batches",
            leave=False,
            dynamic_ncols=True,
            disable=not terminal,
        )

    def on_train_epoch_start(self, trainer: lightning.Trainer, fitting: lightning.LightningModule) -> None:
        self.start = self.since = self.said = time.monotonic()
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.loss, self.seen, self.count, self.epoch_seen = 0.0, 0, 0, 0

    def on_train_batch_end(
        self, trainer: lightning.Trainer, fitting: Any, out: Any, batch: Batch, number: int
    ) -> None:
        n = len(batch.windows)
        self.loss, self.count = self.loss + n * fitting.last_loss, self.count + 1  # no wait for a GPU here
        self.seen += n
        last = number + 1 == trainer.num_training_batches
        if not last and (number + 1) % self.every:
            return
        now, loss = time.monotonic(), float(self.loss) / self.seen
        epoch = f"{trainer.current_epoch + (number + 1) / trainer.num_training_batches:.6g}"
        speed = self.seen * trainer.world_size / max(now - self.since, 1e-9)
        self._add("steps", [epoch, f"{loss:.8g}", f"{trainer.optimizers[0].param_groups[0]['lr']:.8g}"])
        self._add("throughput", [epoch, f"{speed:.1f}"])
        self.bar.update(self.count)
        self.bar.set_postfix_str(f"loss {loss:.5f}, {speed:.0f} windows/s")
        self.epoch_seen += self.seen * trainer.world_size
        self.loss, self.seen, self.count, self.since = 0.0, 0, 0, now
        if self.bar.disable and not last and now - self.said > SAID_EVERY:
            self.said = now
            share = (number + 1) / trainer.num_training_batches
            self._line(trainer, f", {share:.0%}: loss {loss:.6f}, {speed:.0f} windows/s", share)

    def on_train_epoch_end(self, trainer: lightning.Trainer, fitting: lightning.LightningModule) -> None:
        epoch, seen = trainer.current_epoch, trainer.callback_metrics
        train, val = float(seen["train_loss"]), float(seen["val_loss"])
        self._add("history", [str(epoch), f"{train:.8g}", f"{val:.8g}", f"{self.rate:.8g}"])
        seconds = time.monotonic() - self.start
        speed = self.epoch_seen / max(seconds, 1e-9)
        text = f": loss {train:.6f}, validation {val:.6f}, {seconds:.1f} s, {speed:.0f} windows/s"
        self._line(trainer, text, 1.0)

    def on_train_end(self, trainer: lightning.Trainer, fitting: lightning.LightningModule) -> None:
        self.bar.close()

    def on_exception(self, trainer: lightning.Trainer, fitting: Any, exception: BaseException) -> None:
        if hasattr(self, "bar"):
            self.bar.close()

    def _line(self, trainer: lightning.Trainer, text: str, share: float) -> None:
        """A line in the log, with the time left; `share` of the present epoch is done."""
        done = trainer.current_epoch + share - self.began_at
        left = (time.monotonic() - self.began) * (trainer.max_epochs - self.began_at - done) / done
        if self.first:
            with tqdm.external_write_mode(file=sys.stderr):  # above the bar
                epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
                self.say(f"{epoch}{text}; at most {left:.0f} s left")

    def _add(self, name: str, row: list[str]) -> None:
        if name in self.rows:
            self.rows[name].append(row)
        if self.first:
            with open(self.files[name], "a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(row)


class Keeper(Callback):
    """Keeps the weights of the epoch of lowest validation loss, ends training when none is lower for long,
    and the whole state in `kept` between epochs, to go on from `resumed`."""

    def __init__(self, patience: int, history: History, kept: Checkpoints | None):
        self.patience, self.history, self.kept = patience, history, kept
        self.best: dict[str, Any] = {"epoch": -1, "val_loss": np.inf, "weights": None}
        self.resumed: dict[str, Any] | None = None
        self.next_save = -np.inf

    def on_train_start(self, trainer: lightning.Trainer, fitting: lightning.LightningModule) -> None:
        # the first process alone can read it
        self.resumed = state = trainer.strategy.broadcast(self.resumed)
        if state is None:
            return
        self.best = state["best"]
        self.history.rows = state["rows"]
        fitting.model.load_state_dict(state["model"])
        trainer.optimizers[0].load_state_dict(state["optimizer"])
        for config in trainer.lr_scheduler_configs:
            config.scheduler.load_state_dict(state["schedule"])
        progress = trainer.fit_loop.epoch_progress.current
        progress.ready = progress.started = progress.processed = progress.completed = state["epochs"]

    def on_train_epoch_start(self, trainer: lightning.Trainer, fitting: lightning.LightningModule) -> None:
        # only now has the schedule, too, seen the epoch that ended
        first = self.resumed["epochs"] if self.resumed else 0
        if trainer.current_epoch > first and time.monotonic() >= self.next_save:
            self.save(trainer)

    def save(self, trainer: lightning.Trainer, finished: bool = False) -> None:
        """Keeps the state as it is between two epochs, or after the last."""
        if self.kept is None:
            return
        start, configs = time.monotonic(), trainer.lr_scheduler_configs
        self.kept.save(
            {
                "epochs": trainer.current_epoch,
                "finished": finished,
                "model": trainer.lightning_module.model.state_dict(),
                "optimizer": trainer.optimizers[0].state_dict(),
                "schedule": configs[0].scheduler.state_dict() if configs else {},
                "best": self.best,
                "rows": self.history.rows,
            }
        )
        now = time.monotonic()
        self.next_save = now + SPACING * (now - start)

    def on_train_epoch_end(self, trainer: lightning.Trainer, fitting: lightning.LightningModule) -> None:
        val = float(trainer.callback_metrics["val_loss"])
        if not np.isfinite(val):
            fitting.refuse(f"validation loss became {val} in epoch {trainer.current_epoch + 1}")
        if val < self.best["val_loss"]:
            weights = {k: v.detach().cpu().clone() for k, v in fitting.model.state_dict().items()}
            self.best = {"epoch": trainer.current_epoch, "val_loss": val, "weights": weights}
        elif trainer.current_epoch - self.best["epoch"] >= self.patience:
            trainer.should_stop = True
