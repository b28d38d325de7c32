"""Maps: the errors of windows' pixels, painted into the frame that they were cut from.

A map has cells of `cell` x `cell` pixels of the frame: 0 where there was no window, the mean error of a
window's pixels in the cell where there was one, the highest of these means where windows overlap. Letterbox
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
    """What `placement` needs to know of the tensor that boxes were resized to."""

    height: int
    width: int
    fit: str


def paste(canvas: np.ndarray, box: Box, error: np.ndarray, tensor: TensorShape, cell: int = 1) -> None:
    """Paints the errors of a window's pixels onto a canvas of cells, in place.

    An error stands for the part of the box that its pixel of the tensor shows; a cell gets the mean of the
    errors over the part of the box within it.

    Args:
        canvas: float [rows, columns].
        box: where the window was cut, in pixels of the frame, inside it.
        error: [height, width] of the tensor.
        tensor: its size, and how boxes were fitted to it.
        cell: pixels of the frame per cell.
    """
    x0, y0, x1, y1 = box
    left, top, width, height = placement(x1 - x0, y1 - y0, tensor)
    rows, down = _shares(y0, y1, height, cell)
    columns, across = _shares(x0, x1, width, cell)
    part = down @ error[top : top + height, left : left + width] @ across.T
    np.maximum(canvas[rows, columns], part, out=canvas[rows, columns])


def _shares(start: int, end: int, pixels: int, cell: int) -> tuple[slice, np.ndarray]:
    """Along one axis: the cells that [start, end) touches, and the weights of the tensor's pixels in each.

    The weights are float32 [cells, pixels], each row of sum 1.
    """
    first, last = start // cell, -(-end // cell)
    borders = np.clip(np.arange(first, last + 1) * cell, start, end)
    edges = (borders - start) * (pixels / (end - start))  # in pixels of the tensor
    pixel = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    overlap = np.maximum(overlap, 0)
    return slice(first, last), (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)


class MapPainter:
    """Paints the maps of a clip, one for each frame, and streams them to a writer. A context manager.

    A frame between those that have windows gets the map of the nearest of these. As float16, errors below
    3e-8 become 0, those above 65504 that number. Memory does not grow with the clip.

    Args:
        writer: of float16 [rows, columns].
        card: of the clip's tensors: `frames`, `stride`, `fit`, `shape`.
        cell: pixels of the frame per cell.
    """

    def __init__(self, writer: ArrayWriter, card: dict[str, Any], cell: int):
        self.writer, self.cell, self.stride = writer, cell, card["stride"]
        height, width = card["shape"][2:]
        self.tensor = TensorShape(height, width, card["fit"])
        self._repeats = np.bincount(nearest(card["frames"], self.stride))  # frames that share a map
        self._canvas = np.zeros(writer.item_shape, np.float32)
        self._at = 0  # number of the map that is being painted

    def add(self, frame: int, box: Box, error: np.ndarray) -> None:
        """Paints a window. Windows come in the order of frames.

        Args:
            frame: that the window belongs to.
            box: in pixels of the frame.
            error: of the window's pixels, float [height, width].

        Raises:
            ValueError: for a frame that is written already.
        """
        if frame // self.stride < self._at:
            raise ValueError(f"window of frame {frame} after one of frame {self._at * self.stride}")
        self._write_until(frame // self.stride)
        paste(self._canvas, box, error, self.tensor, self.cell)

    def _write_until(self, number: int) -> None:
        """Writes all maps before this number."""
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
