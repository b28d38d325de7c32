"""Fits an autoencoder to normal windows."""

import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vad.models import Autoencoder, to_input
from vad.pipeline import closure
from vad.pipeline.stage import is_first_process
from vad.store import digests
from vad.store.cards import read_card
from vad.training import initial_weights
from vad.training.at_once import fit_at_once
from vad.training.checkpoints import FOLD, Checkpoints, remove
from vad.training.params import TrainParams
from vad.training.reports import Reports
from vad.windows.dataset import Windows

# Lightning takes seconds to import, so it is imported inside the functions that train with it

LONG = 60.0  # seconds of a training from which on a hint about its speed is worth a line
ADAPT_WINDOWS = 4096  # maximum number of windows for `Autoencoder.adapt`, spread evenly


def fix_seed(seed: int) -> None:
    """Seeds all random number generators; to be called before a model draws its initial weights."""
    import lightning

    lightning.seed_everything(seed, workers=True, verbose=False)


def fit(
    model: Autoencoder,
    train: Windows,
    val: Windows,
    params: TrainParams,
    folder: Path,
    throughput: Path,
    cache: Path,
    log: Callable[[str], None],
    afterwards: Callable[[Callable[[], None]], None] = lambda action: action(),
    *,
    fold: int = 0,
    alone: bool = True,
) -> dict[str, Any] | None:
    """Trains `model` in place; it ends with the weights of the epoch with the lowest validation loss.

    Training ends early when the validation loss has not fallen for `params.early_stopping` epochs. The state
    is saved between epochs below <cache>/checkpoints: a call with the same arguments resumes an interrupted
    training and ends with the same weights.

    Args:
        model: the model to train, with its initial weights.
        train: training windows, all normal.
        val: validation windows, all normal.
        params: the section `train`.
        folder: folder of history.csv and steps.csv (`vad.training.reports`).
        throughput: path of throughput.csv.
        cache: folder for downloads and checkpoints.
        log: writes a line of text.
        afterwards: receives the function that removes the checkpoint, and calls it when the weights have been
            stored; by default it is called at once.
        fold: number of the fold, for the reports and `params.init_from`.
        alone: whether no other training runs beside it; otherwise there is no bar, and there are fewer lines.

    Returns:
        `epoch`, the index of the best epoch, and its `val_loss`; None in the helper processes of a
        distributed run, which write nothing.

    Raises:
        UserError: if the windows lack what the training needs, a loss is not finite, memory runs out, or the
            accelerator does not exist.
    """
    params.require(train.channels, train.shape[1])
    if model.fit_at_once is not None:
        params.require_plain(model.name)
    reports = Reports(folder, throughput, fold, writes=is_first_process())
    model.prepare(cache, log)
    if model.fit_at_once is not None:
        return fit_at_once(model, train, val, params, reports, log)
    if params.init_from is not None:
        initial_weights.take_over(initial_weights.find_folder(params.init_from, fold), model)
    else:
        _adapt(model, train)

    from vad.training.loop import train_epochs

    identity = _identity(model, train, val, params) | {FOLD: fold}  # before training changes the weights
    if not is_first_process():
        return train_epochs(model, train, val, params, reports, None, log, alone)
    began = time.monotonic()
    with Checkpoints(cache / "checkpoints", identity, log) as checkpoints:
        best = train_epochs(model, train, val, params, reports, checkpoints, log, alone)
    if fold == 0 and time.monotonic() - began > LONG:  # once, and where it would matter
        _recommend_bf16(params, log)
    afterwards(partial(remove, checkpoints.folder))  # can be sent to another process
    return best


def _adapt(model: Autoencoder, train: Windows) -> None:
    """Lets a model fit its normalisation to training windows, if it has a method `adapt`."""
    if type(model).adapt is not Autoencoder.adapt:  # reading thousands of windows takes a while
        indices = np.unique(np.linspace(0, len(train) - 1, ADAPT_WINDOWS).round().astype(int))
        model.adapt(to_input(train[indices]))


def _identity(model: Autoencoder, train: Windows, val: Windows, params: TrainParams) -> dict[str, Any]:
    """Everything that decides the result of a training, by readable names."""
    # no import statement of `fit` names the module of the chosen model
    code = sorted(closure.sources(fit.__module__, type(model).__module__))
    weights = digests.new()
    for name, value in model.state_dict().items():
        weights.update(name.encode())
        weights.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return {
        **{f"train.{key}": value for key, value in params.model_dump(mode="json").items()},
        **{f"model.{model.name}.{key}": v for key, v in model.params.model_dump(mode="json").items()},
        "model.name": model.name,
        "shape of a window": model.shape,
        "planes": model.channels,
        "training data": _data(train),
        "validation data": _data(val),
        "code": digests.digest_files([closure.ROOT / file for file in code]),
        "weights at the start": weights.hexdigest(),
        "version of torch": torch.__version__,
    }


def _data(windows: Windows) -> str:
    # the cards hold content hashes, so the arrays need not be read
    return digests.digest([[name, read_card(windows.folder / name)] for name in windows.names])


def _recommend_bf16(params: TrainParams, log: Callable[[str], None]) -> None:
    """Logs a hint if the processor supports bf16.

    bf16 is not chosen automatically, as DVC could not tell results of different processors apart.
    """
    if params.precision != 32 or params.accelerator == "gpu" or torch.cuda.is_available():
        return
    if platform.system() == "Linux" and {"avx512_bf16", "amx_bf16"} & set(
        Path("/proc/cpuinfo").read_text("utf-8").partition("flags")[2].partition("\n")[0].split()
    ):
        log("this processor computes in bf16: train.precision: bf16-mixed may be faster")
