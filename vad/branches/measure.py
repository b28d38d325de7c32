"""Measures the errors of a clip with all branches."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vad import UserError
from vad.branches.base import Branch, ClipData
from vad.branches.error_files import BOX, ErrorWriter
from vad.branches.params import MeasureParams
from vad.store.cards import read_card
from vad.store.tables import read_table


def measure_clip(
    stem: Path,
    tensors: Path,
    regions: Path,
    flow: Path,
    branches: Sequence[Branch],
    params: MeasureParams,
    *,
    threads: int,
) -> None:
    """Work function: writes the errors of a clip, which may have no windows (see `error_files`).

    Args:
        stem: path of the files to write, without suffix.
        tensors, regions, flow: stems of the clip's files.
        branches: the opened branches, in the order of their columns.
        params: the section `measure`.
        threads: maximum number of threads.

    Raises:
        UserError: if the tensors were made from other regions.
    """
    card = read_card(tensors)
    windows = read_table(tensors)[["frame", "region", "track"]]
    boxes = read_table(regions).reindex(windows["region"])
    if (boxes["frame"].to_numpy() != windows["frame"].to_numpy()).any():
        raise UserError(f"{tensors} was not made from {regions} as they are now; run `dvc repro resize`")
    windows[BOX] = boxes[BOX].to_numpy(np.int32)
    clip = ClipData(
        tensors, regions, flow, card, windows, boxes["source"].to_numpy(), params.cell, threads=threads
    )
    card_of_errors = {key: card[key] for key in ("frames", "stride", "frame", "fps")}
    with ErrorWriter(stem, windows, card_of_errors | {"cell": params.cell}) as out:
        for branch in branches:
            out.learned = branch.learned
            branch.errors(clip, out)
