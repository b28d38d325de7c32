"""Overlays: parts of other frames that are laid over the frames of a stretch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

SOFT = 0.15  # width of the soft edge, as a share of half the width or height
EXPONENT = 8  # of the superellipse that is the outline: nearly a rectangle


@dataclass(frozen=True, eq=False)
class Overlay:
    """What is laid over the frames of a stretch: over each of them, the same part of some frame of the clip.

    Attributes:
        sources: the frame from which the part is taken, for each frame of the stretch, int [n].
        box: of the part, x0, y0, x1, y1 in pixels, end exclusive.
        corners: x and y of its upper left corner in each frame of the stretch, int [n, 2].
        size: width and height at which the part is shown, in pixels.
        upside_down: whether it is shown upside down.
        fade: number of frames in which it fades in, and out.
        outline: opacity of each pixel of the part, float32 [h, w], 0 to 1; None for the whole box with soft
            edges.
    """

    sources: np.ndarray
    box: Sequence[int]
    corners: np.ndarray
    size: tuple[int, int]
    upside_down: bool = False
    fade: int = 0
    outline: np.ndarray | None = None

    def paste(self, frame: np.ndarray, frames: np.ndarray, i: int) -> np.ndarray:
        """A copy of a frame with the overlay.

        Args:
            frame: uint8 [H, W] or [H, W, 3].
            frames: of the clip, uint8 [T, H, W] or [T, H, W, 3].
            i: index of the frame in the stretch.
        """
        x0, y0, x1, y1 = self.box
        pixels = self._shown(np.asarray(frames[self.sources[i], y0:y1, x0:x1])).astype(np.float32)
        (x, y), (width, height) = self.corners[i], self.size
        visible = min(1.0, (i + 1) / (self.fade + 1), (len(self.sources) - i) / (self.fade + 1))
        opacity = visible * (self._opacity if frame.ndim == 2 else self._opacity[..., None])
        out = np.array(frame)
        part = out[y : y + height, x : x + width]
        part[:] = np.rint(part + opacity * (pixels - part))
        return out

    @cached_property
    def _opacity(self) -> np.ndarray:
        """Opacity of each pixel of the overlay, float32 [height, width]."""
        if self.outline is not None:
            return self._shown(self.outline)
        x, y = (np.abs((np.arange(side) + 0.5) / side * 2 - 1) ** EXPONENT for side in self.size)
        radius = (y[:, None] + x[None]) ** (1 / EXPONENT)
        return ((1 - radius) / SOFT).clip(0, 1).astype(np.float32)

    def _shown(self, part: np.ndarray) -> np.ndarray:
        """A part at the size at which it is shown, perhaps upside down."""
        if part.shape[1::-1] != self.size:
            part = cv2.resize(part, self.size, interpolation=cv2.INTER_LINEAR)
        return part[::-1] if self.upside_down else part
