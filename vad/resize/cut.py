"""Cuts the windows of the regions of a clip out of its frames: the work function of the stage `resize`."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from vad import UserError
from vad.resize.channels import Layers
from vad.store.arrays import ArrayWriter
from vad.store.tables import hash_table, read_table, write_table
from vad.windows.spec import Box, TensorSize, TensorSpec, placement

COLUMNS = ["frame", "region", "track", "x0", "y0", "x1", "y1"]  # read from the table of regions


def cut(stem: Path, frames: Path, regions: Path, flow: Path, spec: TensorSpec, *, threads: int) -> None:
    """Work function: writes the tensors of a clip in the form of `vad.windows.dataset`.

    <stem>.npy holds the cut-out pictures, uint8 [M, C, height, width]; a picture is stored once, even if it
    is part of several windows. <stem>.parquet has a row per window: `frame`, `region` (row in the table of
    regions), `track`, and `plane_0`, `plane_1`, …, the numbers of its pictures. For a clip without regions
    both are empty.

    Args:
        stem: path of the output files, without suffix.
        frames: stem of the clip's frames.
        regions: stem of the clip's regions.
        flow: stem of the clip's flow; read only for the channel `flow`.
        spec: size and channels of the tensors, and the frames of a window.
        threads: maximum number of threads.

    Raises:
        UserError: if the clip has fewer frames than a window, or lacks the source of a channel.
    """
    cv2.setNumThreads(threads)
    window = spec.window
    layers = Layers(spec.channels, frames, regions, flow, keep=window.frames)
    if layers.length < window.frames:
        raise UserError(
            f"has {layers.length} frames, fewer than a window's {window.frames}; lower window.frames of the "
            "model or leave the clip out"
        )
    with ArrayWriter(stem, (len(layers.names), spec.height, spec.width), np.uint8) as writer:
        windows = _cut_windows(read_table(regions), layers, spec, writer)
        writer.card |= {"fps": layers.fps, "frames": layers.length, "stride": spec.stride, "fit": spec.fit}
        writer.card |= {"channels": layers.names, "frame": list(layers.frame_shape), **layers.card}
        writer.card |= {**window.to_card(), "windows": len(windows), "windows_hash": hash_table(windows)}
    write_table(stem, windows)


def _cut_windows(table: pd.DataFrame, layers: Layers, spec: TensorSpec, writer: ArrayWriter) -> pd.DataFrame:
    """Appends the pictures of all windows to `writer`; returns the table of windows, all columns int32."""
    offsets = spec.window.offsets()
    table = table.assign(region=np.arange(len(table)))
    numbers: dict[tuple[int, Box], int] = {}  # (frame, box) -> number of the picture, if already written
    rows: list[tuple[int, ...]] = []
    for t, region, track, *corners in (
        table.loc[table["frame"] % spec.stride == 0, COLUMNS].to_numpy().tolist()
    ):
        box: Box = tuple(corners)
        # rows are in the order of frames, so no later window uses pictures of frames before this window
        if rows and rows[-1][0] != t:
            numbers = {key: n for key, n in numbers.items() if key[0] >= t + offsets[0]}
        pictures = []
        for frame in np.clip(t + offsets, 0, layers.length - 1).tolist():
            if (number := numbers.get((frame, box))) is None:
                number = numbers[frame, box] = writer.length
                parts = [resize(layer.picture(frame), box, spec, layer.padding) for layer in layers]
                writer.append(np.concatenate(parts))
            pictures.append(number)
        rows.append((t, region, track, *pictures))
    columns = [*COLUMNS[:3], *(f"plane_{i}" for i in range(len(offsets)))]
    return pd.DataFrame(np.array(rows, np.int32).reshape(-1, len(columns)), columns=columns)


def resize(picture: np.ndarray, box: Box, tensor: TensorSize, padding: int = 0) -> np.ndarray:
    """Cuts a box out of a picture and resizes it, with area averaging where it shrinks.

    Values are not rescaled: flow remains in pixels of the frame, whatever the size of the tensor.

    Args:
        picture: uint8 [H, W] or [H, W, C].
        box: x0, y0, x1, y1 in pixels of the picture, end exclusive.
        tensor: size of the tensor, and whether the box is stretched or letterboxed.
        padding: value of the bars of a letterbox.

    Returns:
        uint8 [C, height, width].
    """
    x0, y0, x1, y1 = box
    left, top, width, height = placement(x1 - x0, y1 - y0, tensor)
    patch = picture[y0:y1, x0:x1]
    # first the sides that shrink, by area averaging; then the sides that grow, by linear interpolation
    patch = cv2.resize(patch, (min(width, x1 - x0), min(height, y1 - y0)), interpolation=cv2.INTER_AREA)
    if patch.shape[:2] != (height, width):
        patch = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR)
    patch = patch[None] if patch.ndim == 2 else patch.transpose(2, 0, 1)
    if (height, width) == (tensor.height, tensor.width):
        return patch
    out = np.full((len(patch), tensor.height, tensor.width), padding, np.uint8)
    out[:, top : top + height, left : left + width] = patch
    return out
