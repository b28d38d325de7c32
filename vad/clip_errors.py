"""The errors of a clip: one per window and, where asked for, maps of them in the frame."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from vad import UserError, store
from vad.inference import PREFIX, ScoreParams, pixel_errors, reduce_errors
from vad.maps import MapWriter, Tensor
from vad.models import Autoencoder
from vad.windows import Windows

BOX = ["x0", "y0", "x1", "y1"]


def score_clip(
    stem: Path, tensors: Path, regions: Path, model: Autoencoder, params: ScoreParams, *, threads: int
) -> None:
    """Work function: the errors of all windows of one clip, which may have none.

    Writes <stem>.parquet with a row per window: `frame`, `region`, `track`, its box `x0`, `y0`, `x1`, `y1`
    int32, and a column per branch of the model, such as `error_reconstruction`, float32. Its card holds the
    clip's number of `frames`, the `stride` of those with windows, and the [height, width] of a `frame`.

    With `params.maps` also <stem>.maps.npy (see `vad.maps`): the errors of the frame that the window belongs
    to, the mean of all branches.

    Raises UserError if tensors and regions are not of one run.
    """
    torch.set_num_threads(threads)
    windows, card = Windows(tensors.parent, [tensors.name]), store.read_card(tensors)
    table = store.read_table(tensors)[["frame", "region", "track"]]
    boxes = store.read_table(regions)
    boxes = boxes.reindex(table["region"])
    if (boxes["frame"].to_numpy() != table["frame"].to_numpy()).any():
        raise UserError(f"{tensors} was not made of {regions}, as they stand; run `dvc repro resize`")
    table[BOX] = boxes[BOX].to_numpy(np.int32)
    errors: dict[str, list[np.ndarray]] = {}
    rows = list(zip(table["frame"].tolist(), map(tuple, table[BOX].to_numpy().tolist()), strict=True))
    with ExitStack() as stack:
        if params.maps:
            tensor = Tensor(*card["shape"][2:], card["fit"])
            writer = MapWriter(
                Path(f"{stem}.maps"), card["frames"], card["stride"], card["frame"], tensor, params.map_step
            )
            stack.enter_context(writer)
        for start in range(0, len(windows), params.batch_size):
            batch = np.arange(start, min(start + params.batch_size, len(windows)))
            branches = pixel_errors(model, windows[batch])
            for name, pixels in branches.items():
                errors.setdefault(PREFIX + name, []).append(reduce_errors(pixels, params.reduce))
            if params.maps:
                own = torch.stack([pixels[:, model.own_frame] for pixels in branches.values()]).mean(0)
                for i, error in zip(batch, own.numpy(), strict=True):
                    writer.add(*rows[i], error)
    none = {PREFIX + name: np.empty(0, np.float32) for name in model.branches}
    table = table.assign(**none | {name: np.concatenate(parts) for name, parts in errors.items()})
    store.write_table(stem, table)
    kept = {key: card[key] for key in ("frames", "stride", "frame")}
    store.write_json(Path(f"{stem}.json"), kept | {"hash": store.hash_table(table)})
