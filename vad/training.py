"""Fits an autoencoder to normal windows."""

import logging
import math
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from vad import UserError
from vad.models import Autoencoder
from vad.params import Field, Section
from vad.windows import Windows

# Lightning takes seconds to import, so only those who train do (inside `fit`)


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
    import lightning

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

    Returns {"epoch": best epoch from 0, "val_loss": its loss}. Raises UserError if a loss is not a
    finite number, or if the accelerator is not there.
    """
    import lightning
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar

    from vad.fitting import Fitting, History

    fix_seed(params.seed)
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder, warnings.catch_warnings():
        # a memory-mapped store needs no loader processes, and Lightning's own affairs are no user's concern
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", module="lightning")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        best = ModelCheckpoint(folder, monitor="val_loss", save_weights_only=True)
        terminal = sys.stderr.isatty()
        callbacks = [
            History(history, log),
            best,
            EarlyStopping("val_loss", patience=params.early_stopping, check_finite=False),
            *([TQDMProgressBar(leave=False)] if terminal else []),
        ]
        try:
            trainer = lightning.Trainer(
                max_epochs=params.epochs,
                accelerator=params.accelerator,
                devices=1,
                callbacks=callbacks,
                enable_progress_bar=terminal,
                logger=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                deterministic=True,
            )
        except MisconfigurationException as e:
            reason = str(e).splitlines()[0]
            raise UserError(f"train.accelerator = {params.accelerator!r} cannot be had: {reason}") from None
        # every element is written before it is read, so results repeat without this, which costs time
        torch.utils.deterministic.fill_uninitialized_memory = False
        fitting = Fitting(model, params)
        before = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(fitting, _loader(train, params, True), _loader(val, params, False))
        except SystemExit:  # what Lightning makes of Ctrl-C
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt from None
        saved = torch.load(best.best_model_path, weights_only=True)
        fitting.load_state_dict(saved["state_dict"])
        model.cpu().eval()
        return {"epoch": saved["epoch"], "val_loss": float(best.best_model_score)}


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
