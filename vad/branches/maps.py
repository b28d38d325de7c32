"""Maps: the errors of windows' pixels, pasted back into the frame they were cut from.

A map is a picture of a frame in cells of `step` x `step` pixels: 0 where no window looked, the mean error
of the pixels that a window has in the cell where one did, the highest of them where windows overlap.
Bars that a letterbox added count nowhere.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vad.store import arrays
from vad.windows.spec import Box, placement
from vad.windows.stride import nearest


@dataclass(frozen=True)
class Tensor:
    """What `windows.placement` wants to know of the tensor that boxes were resized to."""

    height: int
    width: int
    fit: str


def paste(canvas: np.ndarray, box: Box, error: np.ndarray, tensor: Tensor, step: int = 1) -> None:
    """Lays a window's errors [height, width] onto a canvas of cells, float [rows, columns], in place.

    `box` is where the window was cut, in pixels of the frame, inside it. An error stands for the part of
    the box that its pixel of the tensor shows, and a cell gets the mean of the errors over the part of the
    box within it.
    """
    x0, y0, x1, y1 = box
    left, top, width, height = placement(x1 - x0, y1 - y0, tensor)
    rows, down = _shares(y0, y1, height, step)
    columns, across = _shares(x0, x1, width, step)
    part = down @ error[top : top + height, left : left + width] @ across.T
    np.maximum(canvas[rows, columns], part, out=canvas[rows, columns])


def _shares(start: int, end: int, pixels: int, step: int) -> tuple[slice, np.ndarray]:
    """Along one axis: the cells that [start, end) touches, and the shares that the tensor's pixels have.

    float32 [touched cells, pixels], each row of sum 1.
    """
    first, last = start // step, -(-end // step)
    edges = np.arange(first, last + 1) * step
    edges = (np.clip(edges, start, end) - start) * (pixels / (end - start))  # in pixels of the tensor
    pixel = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    overlap = np.maximum(overlap, 0)
    return slice(first, last), (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)


class MapWriter:
    """Streams the maps of a clip to <stem>.npy: float16 [T, rows, columns], one for each frame.

    A frame between those that windows are made for has the map of the nearest of these. Memory does not
    depend on the clip's length. Errors below 3e-8 become 0, those above 65504 that number. The card holds
    `step` and the `frame`'s [height, width]. Use as a context manager; windows come in the order of frames.
    """

    def __init__(
        self, stem: Path, frames: int, stride: int, size: tuple[int, int], tensor: Tensor, step: int
    ):
        shape = tuple(-(-side // step) for side in size)
        self.stride, self.tensor, self.step = stride, tensor, step
        self._writer = arrays.ArrayWriter(stem, shape, np.float16, step=step, frame=list(size))
        self._repeats = np.bincount(nearest(frames, stride))  # frames per frame of the grid
        self._canvas = np.zeros(shape, np.float32)
        self._at = 0  # the frame of the grid that is being painted

    def add(self, frame: int, box: Box, error: np.ndarray) -> None:
        """Pastes a window's errors, float [height, width]. Raises ValueError for a frame that is done."""
        if frame // self.stride < self._at:
            raise ValueError(f"window of frame {frame} after one of frame {self._at * self.stride}")
        self._finish(frame // self.stride)
        paste(self._canvas, box, error, self.tensor, self.step)

    def _finish(self, until: int) -> None:
        """Writes the maps of all frames of the grid before number `until`."""
        while self._at < until:
            done = np.minimum(self._canvas, np.finfo(np.float16).max).astype(np.float16)
            for _ in range(self._repeats[self._at]):
                self._writer.append(done)
            self._canvas[:] = 0
            self._at += 1

    def __enter__(self) -> "MapWriter":
        self._writer.__enter__()
        return self

    def __exit__(self, kind: type | None, *rest: object) -> None:
        if kind is None:
            self._finish(len(self._repeats))
        self._writer.__exit__(kind, *rest)
