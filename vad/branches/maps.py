"""Error maps: the errors of windows' pixels, painted where the windows were cut from the frame.

A map has cells of `cell` x `cell` pixels of the frame. The value of a cell is the mean error of a window's
pixels inside the cell, the highest of these means if windows overlap, and 0 if there is no window. Letterbox
bars do not count.
"""

from collections.abc import Sequence

import numpy as np

from vad.branches.base import ClipFormat, TensorShape
from vad.windows.spec import Box, placement


def paste(canvas: np.ndarray, box: Box, error: np.ndarray, tensor: TensorShape, cell: int = 1) -> None:
    """Paints the errors of a window's pixels onto a canvas of cells, in place.

    A pixel of the tensor stands for the part of the box that it was resized from; a cell gets the mean error
    over the part of the box inside it, unless it already has a higher value.

    Args:
        canvas: float [rows, columns].
        box: box of the window, in pixels of the frame, inside the frame.
        error: errors of the tensor's pixels, float [height, width].
        tensor: size of the tensor, and how boxes were fitted to it.
        cell: pixels of the frame per cell.
    """
    x0, y0, x1, y1 = box
    left, top, width, height = placement(x1 - x0, y1 - y0, tensor)
    rows, down = _shares(y0, y1, height, cell)
    columns, across = _shares(x0, x1, width, cell)
    part = down @ error[top : top + height, left : left + width] @ across.T
    np.maximum(canvas[rows, columns], part, out=canvas[rows, columns])


def _shares(start: int, end: int, pixels: int, cell: int) -> tuple[slice, np.ndarray]:
    """Along an axis: the cells that [start, end) touches, and how the tensor's pixels contribute to each.

    The weights of pixels are float32 [cells, pixels]; each row sums to 1.
    """
    first, last = start // cell, -(-end // cell)
    borders = np.clip(np.arange(first, last + 1) * cell, start, end)
    edges = (borders - start) * (pixels / (end - start))  # in pixels of the tensor
    pixel = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    overlap = np.maximum(overlap, 0)
    return slice(first, last), (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)


def error_map(boxes: np.ndarray, errors: Sequence[np.ndarray], clip: ClipFormat) -> np.ndarray:
    """The map of a frame.

    In float16, errors below 3e-8 become 0, and errors above 65504 become 65504.

    Args:
        boxes: of the windows, int [N, 4] in pixels of the frame.
        errors: of the pixels of each window, float [height, width].
        clip: the size of maps and tensors.

    Returns:
        float16 [rows, columns].
    """
    canvas = np.zeros(clip.shape, np.float32)
    for (x0, y0, x1, y1), error in zip(boxes.tolist(), errors, strict=True):
        paste(canvas, (x0, y0, x1, y1), error, clip.tensor, clip.cell)
    return np.minimum(canvas, np.finfo(np.float16).max).astype(np.float16)
