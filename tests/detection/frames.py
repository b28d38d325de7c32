"""Frames from arrays, for the tests of processors."""

from collections.abc import Iterator, Sequence

import numpy as np

from vad.detection.background import foreground
from vad.detection.foreground_params import ForegroundSettings
from vad.stream import Frame, results

FPS = 10.0


def items(frames: Sequence[np.ndarray] | np.ndarray) -> Iterator[Frame]:
    for t, pixels in enumerate(frames):
        yield Frame(t, t / FPS, pixels)


def foreground_masks(frames: np.ndarray, settings: ForegroundSettings) -> Iterator[np.ndarray]:
    """Foreground of each frame."""
    return results(foreground(settings, FPS), items(frames))
