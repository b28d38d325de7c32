"""Cuts regions out of frames."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from vad import UserError
from vad.resize.channels import Layers
from vad.store import arrays, tables
from vad.windows.spec import Box, ResizeParams, WindowParams, _offsets, placement


def cut(stem: Path, frames: Path, regions: Path, flow: Path, params: WindowParams, *, threads: int) -> None:
    """Work function: one clip's planes, and the table of its windows.

    Writes <stem>.npy, uint8 [M, C, height, width], and <stem>.parquet with a row per window: `frame`,
    `region` (row in the table of regions), `track`, and `plane_0` … the numbers of its planes. A clip
    without regions has none of either.
    Raises UserError if the clip has fewer frames than a window, or lacks what a channel is made of.
    """
    cv2.setNumThreads(threads)
    layers = Layers(params.channels, frames, regions, flow, keep=params.window)
    length, height, width = layers.length, *layers.frame
    if length < params.window:
        raise UserError(
            f"has {length} frames, fewer than a window's {params.window}; "
            "lower the model's `window` or leave the clip out"
        )
    table = tables.read_table(regions)
    table = table.assign(region=np.arange(len(table)))
    table = table[table["frame"] % params.stride == 0]
    offsets = _offsets(params.window, params.step, params.position)
    numbers: dict[tuple[int, Box], int] = {}
    rows = []
    with arrays.ArrayWriter(stem, (len(layers.names), params.height, params.width), np.uint8) as writer:
        for row in table.itertuples():
            box = (row.x0, row.y0, row.x1, row.y1)
            planes = []
            # rows come in the order of frames: what lies before this window is not needed again
            if rows and rows[-1][0] != row.frame:
                numbers = {key: n for key, n in numbers.items() if key[0] >= row.frame + offsets[0]}
            for frame in np.clip(row.frame + offsets, 0, length - 1).tolist():
                if (number := numbers.get((frame, box))) is None:
                    number = numbers[frame, box] = writer.length
                    parts = [resize(layer.picture(frame), box, params, layer.empty) for layer in layers]
                    writer.append(np.concatenate(parts))
                planes.append(number)
            rows.append((row.frame, row.region, row.track, *planes))
        names = ["frame", "region", "track", *(f"plane_{i}" for i in range(params.window))]
        windows = pd.DataFrame(np.array(rows, np.int32).reshape(-1, len(names)), columns=names)
        writer.card |= {"fps": layers.fps, "frames": length, "stride": params.stride, "fit": params.fit}
        writer.card |= {"window": params.window, "step": params.step, "position": params.position}
        writer.card |= {"channels": layers.names, "frame": [height, width], **layers.card}
        writer.card |= {"windows": len(windows), "windows_hash": tables.hash_table(windows)}
    tables.write_table(stem, windows)


def resize(picture: np.ndarray, box: Box, params: ResizeParams, empty: int = 0) -> np.ndarray:
    """Cuts a box out of a picture, uint8 [H, W] or [H, W, C]; returns uint8 [C, height, width].

    Averages areas when shrinking. `letterbox` keeps the aspect and fills the rest with `empty`. The values
    stay what they were: flow is still in pixels of the frame, whatever the size of the tensor.
    """
    x0, y0, x1, y1 = box
    left, top, width, height = placement(x1 - x0, y1 - y0, params)
    patch = picture[y0:y1, x0:x1]
    # sides that shrink first, by area; then those that grow, by linear interpolation
    patch = cv2.resize(patch, (min(width, x1 - x0), min(height, y1 - y0)), interpolation=cv2.INTER_AREA)
    if patch.shape[:2] != (height, width):
        patch = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR)
    patch = patch[None] if patch.ndim == 2 else patch.transpose(2, 0, 1)
    if (height, width) == (params.height, params.width):
        return patch
    out = np.full((len(patch), params.height, params.width), empty, np.uint8)
    out[:, top : top + height, left : left + width] = patch
    return out
