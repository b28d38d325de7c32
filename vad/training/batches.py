"""Batches of windows: shuffled each epoch by the seed, and divided among distributed processes."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from vad.training.params import PseudoParams
from vad.training.pseudo_anomalies import Altered, alter
from vad.windows.dataset import Windows


class Batch(NamedTuple):
    """The windows of a training step in a single process.

    Attributes:
        windows: normal windows, uint8 (B, C, T, h, w).
        pseudo: the input of the autoencoder in place of `windows`; None to use `windows`.
        weight: factor of the batch's loss: 1, unless the processes of a distributed run have batches of
            unequal length; 0 for a batch that only repeats a window of another process.
    """

    windows: np.ndarray
    pseudo: Altered | None
    weight: float


class Draw(NamedTuple):
    """The request for a batch that `Order` hands to `_Source`.

    Attributes:
        indices: indices of the windows, int [B].
        weight: factor of the batch's loss.
        seed: seed of the random numbers for this batch.
    """

    indices: np.ndarray
    weight: float
    seed: list[int]


class Order(Sampler[Draw]):
    """The batches of an epoch, for a single process.

    In each step, all processes together get the windows that a single process with `processes` times the
    batch size would get.

    Args:
        n: number of windows.
        batch_size: windows per batch and process.
        seed: seed of the shuffling; None to keep the order of the windows.
        rank: index of this process.
        processes: number of processes.
    """

    def __init__(self, n: int, batch_size: int, seed: int | None, rank: int = 0, processes: int = 1):
        self.n, self.step_size, self.seed = n, batch_size * processes, seed
        self.rank, self.processes, self.epoch = rank, processes, 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the index of the epoch; Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.n / self.step_size)

    def __iter__(self) -> Iterator[Draw]:
        order = np.arange(self.n)
        if self.seed is not None:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        for step in range(len(self)):
            whole = order[step * self.step_size : (step + 1) * self.step_size]
            part = np.array_split(whole, self.processes)[self.rank]
            # gradients are averaged over processes without regard to the lengths of their batches
            weight = len(part) * self.processes / len(whole)
            seed = [self.seed or 0, self.epoch, step, self.rank]
            # in a last step with fewer windows than processes, a process without windows repeats another's
            # window with weight 0, as all processes must take part in every step
            yield Draw(part if len(part) else whole[:1], weight, seed)


class _Source(Dataset[Batch]):
    """Reads batches of windows, and alters some windows if `pseudo` says so."""

    def __init__(self, windows: Windows, pseudo: PseudoParams | None):
        self.windows = windows
        self.pseudo = None if pseudo is None or pseudo.kind == "none" else pseudo

    def __getitem__(self, draw: Draw) -> Batch:
        windows = self.windows[draw.indices]
        if self.pseudo is None:
            return Batch(windows, None, draw.weight)
        rng = np.random.default_rng(draw.seed)
        return Batch(windows, alter(windows, draw.indices, self.windows, self.pseudo, rng), draw.weight)


def loader(windows: Windows, order: Order, pseudo: PseudoParams | None = None) -> DataLoader[Batch]:
    """A loader of `Batch`es in the given order.

    Args:
        windows: the windows of a split.
        order: the batches of an epoch.
        pseudo: pseudo-anomalies among the windows; None for no pseudo-anomalies.
    """
    # batch_size=None, as a draw is already a batch; no worker processes, as reading a memory map is fast
    return DataLoader(_Source(windows, pseudo), sampler=order, batch_size=None, collate_fn=_unchanged)


def _unchanged(batch: Any) -> Any:
    return batch
