"""Batches of windows: shuffled per epoch by the seed, and shared out among distributed processes."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from vad.training.params import PseudoParams
from vad.training.pseudo_anomalies import Altered, alter
from vad.windows.dataset import Windows


class Batch(NamedTuple):
    """The windows of a step in a single process.

    Attributes:
        windows: normal windows, uint8 (B, C, T, h, w).
        pseudo: what the autoencoder is shown in their place; None for the windows themselves.
        weight: of the batch's loss: 1, unless the processes of a distributed run have batches of unequal
            length; 0 for a window that another process counts.
    """

    windows: np.ndarray
    pseudo: Altered | None
    weight: float


class Draw(NamedTuple):
    """What a loader asks `_Source` for.

    Attributes:
        indices: of the windows, int [B].
        weight: of the batch's loss.
        seed: of the random numbers for this batch.
    """

    indices: np.ndarray
    weight: float
    seed: list[int]


class Order(Sampler[Draw]):
    """The batches of an epoch, for a single process.

    All processes together see in a step the windows that a single process with a batch `processes` times as
    large would see.

    Args:
        n: number of windows.
        batch_size: windows per batch and process.
        seed: of the order; None for the order of the windows.
        rank: number of this process.
        processes: number of all.
    """

    def __init__(self, n: int, batch_size: int, seed: int | None, rank: int = 0, processes: int = 1):
        self.n, self.step_size, self.seed = n, batch_size * processes, seed
        self.rank, self.processes, self.epoch = rank, processes, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls it before each epoch."""
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
            # gradients are averaged over processes as if all had equally many windows
            weight = len(part) * self.processes / len(whole)
            seed = [self.seed or 0, self.epoch, step, self.rank]
            # the last step may have fewer windows than processes, but all must take part in it
            yield Draw(part if len(part) else whole[:1], weight, seed)


class _Source(Dataset[Batch]):
    """Windows as batches; some altered on the way, if `pseudo` asks for it."""

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
        windows: of a split.
        order: of its batches.
        pseudo: pseudo-anomalies among them.
    """
    # batch_size=None: a draw is a batch already. No worker processes: reading a memory map is fast enough
    return DataLoader(_Source(windows, pseudo), sampler=order, batch_size=None, collate_fn=_unchanged)


def _unchanged(batch: Any) -> Any:
    return batch
