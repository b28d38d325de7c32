"""The errors of a clip: one per window and branch, and maps of them in the frame."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from vad import UserError
from vad.branches import speed
from vad.branches.classes import Novelty, detected
from vad.branches.maps import MapWriter, Tensor
from vad.branches.reconstruction import ScoreParams, pixel_errors, reduce_errors, residuals
from vad.models import Autoencoder
from vad.scoring.pooling import MAP, PREFIX, SPEED
from vad.store import arrays, cards, tables
from vad.windows.dataset import Windows

BOX = ["x0", "y0", "x1", "y1"]
CLASSES = "classes"  # the branch of class novelty


def score_clip(
    stem: Path,
    tensors: Path,
    regions: Path,
    flow: Path,
    model: Autoencoder,
    novelty: Novelty | None,
    params: ScoreParams,
    *,
    threads: int,
) -> None:
    """Work function: the errors of all windows of one clip, which may have none.

    `tensors`, `regions` and `flow` are stems of its files. Writes <stem>.parquet with a row per window:
    `frame`, `region`, `track`, its box `x0`, `y0`, `x1`, `y1` int32, and float32 a column per branch: of the
    model, such as `error_reconstruction`, and `error_classes` where there is a `novelty`, 0 of regions that
    the detector did not find. Its card holds the clip's number of `frames`, the `stride` of those with
    windows, the [height, width] of a `frame`, `fps`, and the branches that have `maps` in cells of `cell`
    pixels.

    Maps are <stem>.map_<branch>.npy, float16 [T, rows, columns]: of `speed` where there is flow, and with
    `params.maps` of the model's branches (see `vad.branches.maps`), of the frame that a window belongs to.

    Raises UserError if tensors and regions are not of one run.
    """
    torch.set_num_threads(threads)
    windows, card = Windows(tensors.parent, [tensors.name]), cards.read_card(tensors)
    table = tables.read_table(tensors)[["frame", "region", "track"]]
    boxes = tables.read_table(regions)
    boxes = boxes.reindex(table["region"])
    if (boxes["frame"].to_numpy() != table["frame"].to_numpy()).any():
        raise UserError(f"{tensors} was not made of {regions}, as they stand; run `dvc repro resize`")
    table[BOX] = boxes[BOX].to_numpy(np.int32)
    errors: dict[str, list[np.ndarray]] = {PREFIX + name: [] for name in model.branches}
    rows = list(zip(table["frame"].tolist(), map(tuple, table[BOX].to_numpy().tolist()), strict=True))
    mapped = list(model.branches) if params.maps else []
    with ExitStack() as stack:
        tensor = Tensor(*card["shape"][2:], card["fit"])
        writers = {
            name: stack.enter_context(
                MapWriter(
                    Path(f"{stem}{MAP}{name}"),
                    card["frames"],
                    card["stride"],
                    card["frame"],
                    tensor,
                    params.cell,
                )
            )
            for name in mapped
        }
        for start in range(0, len(windows), params.batch_size):
            batch = np.arange(start, min(start + params.batch_size, len(windows)))
            for name, residual in residuals(model, windows[batch]).items():
                errors[PREFIX + name].append(reduce_errors(residual, params.how(name), params))
                if name in writers:
                    at = model.own_frame if residual.shape[2] > 1 else 0
                    for i, error in zip(batch, pixel_errors(residual[:, :, at : at + 1])[:, 0], strict=True):
                        writers[name].add(*rows[i], error.numpy())
    none = np.empty(0, np.float32)
    table = table.assign(**{name: np.concatenate(parts) if parts else none for name, parts in errors.items()})
    if novelty is not None:
        found, _ = arrays.open_array(Path(f"{regions}.classes"))
        unlike = novelty.errors(found[table["region"].to_numpy()])
        table[PREFIX + CLASSES] = np.where(detected(boxes), unlike, np.float32(0))
    if cards.read_card(flow)["method"] != "none":
        speed.write(Path(f"{stem}{MAP}{SPEED}"), flow, tuple(card["frame"]), params.cell, params.speed)
        mapped.append(SPEED)
    tables.write_table(stem, table)
    kept = {key: card[key] for key in ("frames", "stride", "frame", "fps")}
    kept |= {"maps": mapped, "cell": params.cell, "hash": tables.hash_table(table)}
    cards.write_json(Path(f"{stem}.json"), kept)
