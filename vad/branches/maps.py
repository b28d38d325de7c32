"""Error maps: the errors of windows' pixels, painted where the windows were cut from the frame.

A map has cells of `cell` x `cell` pixels of the frame. The value of a cell is the mean error of a window's
pixels inside the cell, the highest of these means if windows overlap, and 0 if there is no window. Letterbox
bars do not count.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from vad.store.arrays import ArrayWriter
from vad.windows.spec import Box, placement
from vad.windows.stride import nearest


@dataclass(frozen=True)
class TensorShape:
    """The size of the tensor that boxes were resized to, and how they were fitted to it (`resize.fit`)."""

    height: int
    width: int
    fit: str


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


class MapPainter:
    """Paints a map for each frame of a clip, and streams the maps to a writer. A context manager.

    A frame without windows, because of `resize.stride`, gets the map of the nearest frame with windows. In
    float16, errors below 3e-8 become 0, and errors above 65504 become 65504. Memory does not grow with the
    clip.

    Args:
        writer: writer of float16 [rows, columns].
        card: card of the clip's tensors, with `frames`, `stride`, `fit`, `shape`.
        cell: pixels of the frame per cell.
    """

    def __init__(self, writer: ArrayWriter, card: dict[str, Any], cell: int):
        self.writer, self.cell, self.stride = writer, cell, card["stride"]
        height, width = card["shape"][2:]
        self.tensor = TensorShape(height, width, card["fit"])
        self._repeats = np.bincount(nearest(card["frames"], self.stride))  # how many frames share each map
        self._canvas = np.zeros(writer.item_shape, np.float32)
        self._at = 0  # index of the map that is being painted

    def add(self, frame: int, box: Box, error: np.ndarray) -> None:
        """Paints a window. Windows must be added in the order of frames.

        Args:
            frame: index of the frame that the window belongs to.
            box: box of the window in pixels of the frame.
            error: errors of the window's pixels, float [height, width].

        Raises:
            ValueError: if the map of this frame has already been written.
        """
        if frame // self.stride < self._at:
            raise ValueError(f"window of frame {frame} after a window of frame {self._at * self.stride}")
        self._write_until(frame // self.stride)
        paste(self._canvas, box, error, self.tensor, self.cell)

    def _write_until(self, number: int) -> None:
        """Writes all maps whose index is below `number`."""
        while self._at < number:
            done = np.minimum(self._canvas, np.finfo(np.float16).max).astype(np.float16)
            for _ in range(self._repeats[self._at]):
                self.writer.append(done)
            self._canvas[:] = 0
            self._at += 1

    def __enter__(self) -> "MapPainter":
        self.writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write_until(len(self._repeats))
        self.writer.__exit__(kind, error, trace)
