"""Ensembles: with folds, a branch that learns has a member per fold, and its error is the mean of theirs.

A clip that a fold leaves out is measured by that fold's members alone, which did not learn from it. Test
clips and live frames, from which none has learned, are measured by all members.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vad import UserError
from vad.branches.base import Branch, BranchErrors, BranchProcessor, ClipFormat
from vad.branches.graph import Graph
from vad.stream import WindowsOfFrame

Arrays = Mapping[str, np.ndarray]


def trained_folds(autoencoder: Path) -> list[int]:
    """Numbers of the folds whose autoencoders are in a folder, ascending.

    Args:
        autoencoder: folder of the autoencoders, with a folder per fold.

    Raises:
        UserError: if there are none.
    """
    folds = sorted(int(card.parent.name) for card in autoencoder.glob("[0-9]*/card.json"))
    if not folds:
        raise UserError(f"{autoencoder}: no autoencoder of any fold; run `dvc repro train`")
    return folds


def open_members(
    classes: Collection[tuple[type[Branch], Any]],
    folds: Sequence[int],
    autoencoder: Path | Graph,
    statistics: Path,
) -> tuple[list[Branch], list[str]]:
    """Opens the members of all branches. A branch that learns nothing has a single one.

    Args:
        classes: the class of every branch, and its parameters.
        folds: the folds whose models are opened, at least one.
        autoencoder: folder of the autoencoders, with a folder per fold; or the graph of a deployed model, a
            single member that gives the mean over the folds.
        statistics: folder of the statistics, with a folder per fold and in it one per branch.

    Returns:
        The members, those of a branch in the order of the folds, and the hashes of what they read.

    Raises:
        UserError: if a file is missing or broken.
    """
    members: list[Branch] = []
    hashes: list[str] = []
    graph = isinstance(autoencoder, Graph)
    for i, fold in enumerate(folds):
        of_fold = autoencoder if isinstance(autoencoder, Graph) else autoencoder / str(fold)
        for branch_class, params in classes:
            if i == 0 or (branch_class.learned and not (graph and branch_class.reads_autoencoder)):
                branch = branch_class(params)
                hashes.append(branch.open(of_fold, statistics / str(fold) / branch.name))
                members.append(branch)
    return members, hashes


def processors(
    members: Sequence[Branch], clip: ClipFormat, threads: int | None = None
) -> list[tuple[Branch, BranchProcessor]]:
    """A processor for each branch that applies to a clip, which gives the mean over its members.

    Args:
        members: opened branches; those with the same name are members of an ensemble.
        clip: what is the same for all frames.
        threads: maximum number of threads; None leaves their number as it is.

    Returns:
        The branch (its first member) and its processor, in the order of their first members.

    Raises:
        UserError: if a branch was made for other data.
    """
    by_name: defaultdict[str, list[Branch]] = defaultdict(list)
    for branch in members:
        by_name[branch.name].append(branch)
    out = []
    for of_name in by_name.values():
        made = [p for p in (branch.processor(clip, threads) for branch in of_name) if p is not None]
        if made:
            out.append((of_name[0], made[0] if len(made) == 1 else Mean(made)))
    return out


class Mean(BranchProcessor):
    """Gives the mean of the errors of several processors.

    Args:
        members: processors with the same lookahead, columns and maps.
    """

    def __init__(self, members: Sequence[BranchProcessor]):
        self._members = members
        self.lookahead = members[0].lookahead
        self.columns, self.maps = members[0].columns, members[0].maps
        self._results: list[deque[BranchErrors]] = [deque() for _ in members]

    def process(self, item: Sequence[WindowsOfFrame]) -> list[BranchErrors]:
        for results, member in zip(self._results, self._members, strict=True):
            results += member.process(item)
        return self._means()

    def finish(self) -> list[BranchErrors]:
        for results, member in zip(self._results, self._members, strict=True):
            results += member.finish()
        return self._means()

    def _means(self) -> list[BranchErrors]:
        """The errors of the frames that all members have measured."""
        out = []
        for _ in range(min(map(len, self._results))):
            parts = [results.popleft() for results in self._results]
            out.append(
                BranchErrors(mean([p.errors for p in parts]), mean([p.maps for p in parts], np.float16))
            )
        return out


def mean(parts: Sequence[Arrays], kind: type[np.floating] = np.float32) -> dict[str, np.ndarray]:
    """The mean by name, computed in float32, as the sum of float16 maps might overflow.

    Args:
        parts: at least one; arrays of any shape by name, the same names in each.
        kind: dtype of the result.
    """
    scale = np.float32(1 / len(parts))
    out = {}
    for name, first in parts[0].items():
        total = first.astype(np.float32)
        for part in parts[1:]:
            total += part[name]
        total *= scale
        out[name] = total.astype(kind, copy=False)
    return out
