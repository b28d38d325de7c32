"""Trains an autoencoder with Lightning's loop. Importing this module takes seconds, as Lightning does."""

import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback

from vad import UserError, models
from vad.models import Autoencoder
from vad.training.callbacks import BestWeights, Checkpointing, History
from vad.training.checkpoints import Checkpoints
from vad.training.failures import explained
from vad.training.module import TrainingModule
from vad.training.params import TrainParams
from vad.training.reports import Reports
from vad.windows.dataset import Windows


def train_epochs(
    model: Autoencoder,
    train: Windows,
    val: Windows,
    params: TrainParams,
    reports: Reports,
    checkpoints: Checkpoints | None,
    log: Callable[[str], None],
    alone: bool = True,
) -> dict[str, Any] | None:
    """Trains `model` in place; it ends on the CPU with the weights of the best epoch.

    Args:
        model: the model to train.
        train: training windows.
        val: validation windows.
        params: the section `train`.
        reports: writer of the training reports.
        checkpoints: entered by this process; None in the helper processes of a distributed run.
        log: writes a line of text.
        alone: whether no other training runs beside it; otherwise there is no bar, and there are fewer lines.

    Returns:
        `epoch`, the index of the best epoch, and its `val_loss`; None in helper processes.

    Raises:
        UserError: as `vad.training.fit.fit` does.
    """
    best = BestWeights(model, params)
    checkpointing = Checkpointing(checkpoints, model, best, reports)
    if not checkpointing.resume_finished():
        history = History(reports, log, first=checkpoints is not None, alone=alone)
        with _quiet_lightning():
            trainer = _trainer(params, [checkpointing, best, history])
            # costs time and is not needed for determinism, as all memory is written before it is read
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property
            if params.compile:
                model.compile()
            with (
                _keyboard_interrupt(),
                _explained_errors(model, len(train), params),
                _best_weights_kept(model, best, checkpoints),
            ):
                trainer.fit(TrainingModule(model, train, val, params))
            if trainer.world_size == 1:  # helper processes would not learn that the training has finished
                checkpointing.save(trainer, finished=True)
    best.apply()
    model.cpu().eval()
    return best.summary() if checkpoints else None


def _trainer(params: TrainParams, callbacks: list[Callback]) -> lightning.Trainer:
    try:
        return lightning.Trainer(
            max_epochs=params.epochs,
            accelerator=params.accelerator,
            devices=params.devices,
            num_nodes=params.num_nodes,
            strategy=params.strategy,
            precision="32-true" if params.precision == 32 else params.precision,
            accumulate_grad_batches=params.accumulate,
            gradient_clip_val=params.clip_gradient,
            use_distributed_sampler=False,  # `vad.training.batches.Order` divides the windows
            sync_batchnorm=params.accelerator != "cpu" and torch.cuda.is_available(),  # not supported on CPUs
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_checkpointing=False,
            logger=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            deterministic="warn",  # not True: some operations have no deterministic form on a GPU
        )
    except (MisconfigurationException, RuntimeError, ValueError) as e:
        reason = str(e).splitlines()[0]
        how = f"train.accelerator = {params.accelerator!r} with train.devices = {params.devices!r}"
        raise UserError(f"{how} cannot be had: {reason}") from None


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Hides Lightning's warnings and messages that users cannot act on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", ".*does not have a deterministic implementation.*")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        yield


@contextmanager
def _keyboard_interrupt() -> Iterator[None]:
    """Raises KeyboardInterrupt again, which Lightning turns into SystemExit."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        signal.signal(signal.SIGINT, handler)  # Lightning leaves the signal ignored
        raise KeyboardInterrupt from None


@contextmanager
def _explained_errors(model: Autoencoder, windows: int, params: TrainParams) -> Iterator[None]:
    """Raises UserError in place of errors of torch that the user can fix."""
    try:
        yield
    except (MemoryError, RuntimeError, ValueError) as e:
        if error := explained(e, model, windows, params):
            raise error from None
        raise


@contextmanager
def _best_weights_kept(
    model: Autoencoder, best: BestWeights, checkpoints: Checkpoints | None
) -> Iterator[None]:
    """Stores the best weights when training fails with a UserError, and adds their path to the message."""
    try:
        yield
    except UserError as e:
        if checkpoints is None or best.best["weights"] is None:
            raise
        best.apply()
        folder = checkpoints.folder / "best"
        models.save(model, folder, best=best.summary())
        number = best.best["epoch"] + 1
        raise UserError(f"{e}; the best weights so far, of epoch {number}, are in {folder}") from None
