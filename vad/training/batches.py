"""The order in which training sees its windows: shuffled per epoch, the same whenever it is repeated."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import DataLoader, Sampler

from vad.training import pseudo_anomalies
from vad.windows.dataset import Windows


class Batch(NamedTuple):
    """Windows of one step.

    `windows` uint8 (B, C, T, h, w); `shown` float32 of the same shape, what the autoencoder sees in their
    place, and `altered` bool [B], or None for both; `weight` of the loss: 1, unless processes of a
    distributed run have batches of unequal length.
    """

    windows: np.ndarray
    shown: np.ndarray | None
    altered: np.ndarray | None
    weight: float


class Order(Sampler):
    """Batches of indices, by epoch, for one of `world` processes; each asks the loader for one batch.

    All processes together see in a step what one process with a batch `world` times as large would see.
    """

    def __init__(self, n: int, batch_size: int, seed: int | None, rank: int = 0, world: int = 1):
        self.n, self.together, self.seed = n, batch_size * world, seed
        self.rank, self.world, self.epoch = rank, world, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning tells the epoch before it begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.n / self.together)

    def __iter__(self) -> Iterator[tuple[np.ndarray, float, list[int]]]:
        """(indices, weight of the loss, seed of what is drawn for this batch)"""
        order = np.arange(self.n)
        if self.seed is not None:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        for step in range(len(self)):
            whole = order[step * self.together : (step + 1) * self.together]
            mine = np.array_split(whole, self.world)[self.rank]
            # gradients are averaged over processes as if all had seen as many windows
            weight = len(mine) * self.world / len(whole)
            # the last step may have fewer windows than there are processes: one must still take part
            yield mine if len(mine) else whole[:1], weight, [self.seed or 0, self.epoch, step, self.rank]


class _Source:
    """What a loader indexes: windows, altered on the way where that is asked for."""

    def __init__(self, windows: Windows, alter: pseudo_anomalies.PseudoParams | None):
        self.windows, self.alter = windows, alter

    def __getitem__(self, asked: tuple[np.ndarray, float, list[int]]) -> Batch:
        indices, weight, seed = asked
        windows = self.windows[indices]
        if self.alter is None or self.alter.kind == "none":
            return Batch(windows, None, None, weight)
        rng = np.random.default_rng(seed)
        return Batch(
            windows, *pseudo_anomalies.alter(windows, indices, self.windows, self.alter, rng), weight
        )


def loader(windows: Windows, order: Order, alter: pseudo_anomalies.PseudoParams | None = None) -> DataLoader:
    """Batches in that order. A memory-mapped store needs no loader processes."""
    # batch_size=None: the source is asked for a whole batch of indices at once
    return DataLoader(_Source(windows, alter), sampler=order, batch_size=None, collate_fn=_as_it_is)


def _as_it_is(batch: Batch) -> Batch:
    return batch
