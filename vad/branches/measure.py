"""The errors of a clip, from all branches."""

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
        stem: of the files to be written.
        tensors, regions, flow: stems of the clip's files.
        branches: opened, in the order of their columns.
        params: the section `measure`.
        threads: at most so many.

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
    described = {key: card[key] for key in ("frames", "stride", "frame", "fps")} | {"cell": params.cell}
    with ErrorWriter(stem, windows, described) as out:
        for branch in branches:
            out.learned = branch.learned
            branch.errors(clip, out)
