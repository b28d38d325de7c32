"""Trains an autoencoder for each fold: it learns from the other folds and is validated with its own.

Without folds there is one, number 0, with the training and validation clips of the footage.
"""

import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import joblib
import torch
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from vad import UserError
from vad.models import create, save
from vad.models.base import AutoencoderParams
from vad.training import initial_weights, reports
from vad.training.fit import fit, fix_seed
from vad.training.params import TrainParams
from vad.windows.dataset import Windows

Log = Callable[[str], None]
# after an error joblib warns of the trainings that it cancels; the error itself is reported anyway
warnings.filterwarnings("ignore", ".*tasks which were still being processed.*")
TABLES = ("history.csv", "steps.csv")


class Clips(NamedTuple):
    """Clips with tensors in a folder: their names without the split, or None for all of them."""

    folder: Path
    names: Sequence[str] | None = None


class FoldClips(NamedTuple):
    """What the model of a fold learns from, and what it is validated with."""

    train: Clips
    val: Clips


@dataclass(frozen=True)
class Training:
    """What the trainings of all folds have in common; it can be sent to another process.

    Attributes:
        name: of the model.
        model: its sub-section of `model`.
        params: the section `train`.
        reports: folder of history.csv and steps.csv.
        throughput: path of throughput.csv.
        cache: folder for downloads and checkpoints.
    """

    name: str
    model: AutoencoderParams
    params: TrainParams
    reports: Path
    throughput: Path
    cache: Path


def fold_clips(train: Path, val: Path, folds: Mapping[str, int]) -> dict[int, FoldClips]:
    """The clips that each fold's model learns from and is validated with.

    Args:
        train, val: folders of the tensors.
        folds: clip id -> fold; empty without folds.

    Returns:
        The clips by number of the fold.

    Raises:
        UserError: if only one fold has clips, or a fold has no windows.
    """
    if not folds:
        return {0: FoldClips(Clips(train), Clips(val))}
    numbers = sorted(set(folds.values()))
    if len(numbers) == 1:
        raise UserError(
            f"of all folds only fold {numbers[0]} has clips, so none is left to learn from; "
            "set data.folds: 1, or add normal clips"
        )
    out = {}
    for number in numbers:
        left_out = [Path(clip).name for clip in sorted(folds) if folds[clip] == number]
        others = [Path(clip).name for clip in sorted(folds) if folds[clip] != number]
        if not len(Windows(train, left_out)):
            more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
            raise UserError(
                f"fold {number} has no windows: no region in train/{left_out[0]}{more}; see "
                "reports/preprocess, and lower data.folds, or add normal clips"
            )
        out[number] = FoldClips(Clips(train, others), Clips(train, left_out))
    return out


def train_folds(
    parts: Mapping[int, FoldClips],
    training: Training,
    out: Path,
    workers: int,
    log: Log,
    afterwards: Callable[[Callable[[], None]], None],
) -> None:
    """Trains and stores the models of all folds, several at once.

    With several folds, each is trained in one thread, so that the number of processes changes no result. With
    a single one training may be distributed; then only the first process stores the model.

    Args:
        parts: from `fold_clips`.
        training: what the trainings have in common.
        out: folder for the models, one folder per fold; replaced when all are trained.
        workers: maximum number of processes.
        log: writes a line of text.
        afterwards: receives functions that remove checkpoints, and calls them when the models are stored.

    Raises:
        UserError: as `fit`, naming the fold; the other trainings are stopped, and resume in the next run.
    """
    temporary = out.with_name(out.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    actions: list[Callable[[], None]] = []
    if len(parts) == 1:
        ((fold, part),) = parts.items()
        if train_fold(fold, part, training, temporary, log, actions.append) is None:
            return
    else:
        training.params.require_one_device()
        actions = _train_several(parts, training, temporary, workers, log)
    shutil.rmtree(out, ignore_errors=True)
    temporary.replace(out)
    for action in actions:
        afterwards(action)


def train_fold(
    fold: int,
    part: FoldClips,
    training: Training,
    out: Path,
    log: Log,
    afterwards: Callable[[Callable[[], None]], None],
    alone: bool = True,
) -> dict[str, Any] | None:
    """Trains and stores the model of a fold; arguments as for `train_folds`.

    Returns:
        As `fit`.
    """
    train, val = (Windows(clips.folder, clips.names) for clips in part)
    fix_seed(training.params.seed)  # before `create`, which draws the initial weights
    model = create(training.name, training.model, train.shape, train.channels)
    log(f"{model.describe()} on {len(train)} windows, {len(val)} for validation")
    where = training.reports, training.throughput, training.cache
    best = fit(model, train, val, training.params, *where, log, afterwards, fold=fold, alone=alone)
    if best is not None:
        log(f"kept epoch {best['epoch'] + 1}, validation loss {best['val_loss']:.6f}")
        save(model, out / str(fold), best=best)
    return best


def _train_several(
    parts: Mapping[int, FoldClips],
    training: Training,
    out: Path,
    workers: int,
    log: Log,
) -> list[Callable[[], None]]:
    """Trains several folds; returns functions that remove their checkpoints."""
    _warn_of_initial_weights(parts, training, log)
    folders = {fold: training.reports / str(fold) for fold in parts}
    tasks = []
    for fold, part in parts.items():
        of_fold = replace(
            training, reports=folders[fold], throughput=folders[fold] / training.throughput.name
        )
        tasks.append(joblib.delayed(_in_one_thread)(fold, part, of_fold, out, log, os.getpid()))
    if torch.cuda.is_available() and training.params.accelerator in ("auto", "gpu"):
        workers = 1  # the folds would share the GPU
    if (workers := min(workers, len(tasks))) == 1:
        results = (call(*args) for call, args, _ in tasks)
    else:
        results = joblib.Parallel(workers, batch_size=1, return_as="generator_unordered")(tasks)
    log(f"{len(tasks)} folds, {workers} at a time")  # the first lines of the folds take a while
    all_actions = []
    try:
        for fold, actions, error in results:
            if error is not None:
                raise UserError(f"fold {fold}: {error}")
            all_actions += actions
    except TerminatedWorkerError:
        raise UserError(
            "a process that trained a fold was killed, most likely because memory ran out; lower "
            f"compute.workers (now {workers})"
        ) from None
    except BaseException:  # an error or Ctrl-C: the other trainings are not to go on in the background
        if workers > 1:
            get_reusable_executor().shutdown(wait=True, kill_workers=True)
        raise
    for name in TABLES:
        reports.join([folder / name for folder in folders.values()], training.reports / name)
    speeds = [folder / training.throughput.name for folder in folders.values()]
    reports.join(speeds, training.throughput)
    for folder in folders.values():
        shutil.rmtree(folder)
    return all_actions


def _in_one_thread(
    fold: int, part: FoldClips, training: Training, out: Path, log: Log, first: int
) -> tuple[int, list[Callable[[], None]], str | None]:
    """Trains a fold, perhaps in a helper process; `first` is the id of the first process.

    Returns:
        (the fold, functions for `afterwards`, error message or None).
    """
    is_first = os.getpid() == first
    if not is_first:  # Ctrl-C reaches the first process, which ends this one
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        tqdm.set_lock(RLock())  # by default a semaphore, which would outlive a process that is killed

    def say(line: str) -> None:
        if not is_first and os.getppid() != first:
            os._exit(1)  # the first process was killed, and nobody waits for this training
        log(f"fold {fold}: {line}")

    actions: list[Callable[[], None]] = []
    try:
        with _one_thread():
            train_fold(fold, part, training, out, say, actions.append, alone=False)
    except UserError as e:
        return fold, [], str(e)
    return fold, actions, None


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _warn_of_initial_weights(parts: Mapping[int, FoldClips], training: Training, log: Log) -> None:
    """Warns of initial weights that may have been trained on the clips that a fold leaves out."""
    folder = training.params.init_from
    if folder is None:
        return
    if any(initial_weights.find_folder(folder, fold).name != str(fold) for fold in parts):
        log(
            f"WARNING: the weights in train.init_from = {folder!r} are not of folds; if they learned from "
            "these clips, the clips that a fold leaves out are not new to it, and thresholds are too low"
        )
