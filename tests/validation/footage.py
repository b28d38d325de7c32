"""Footage for tests of the check without labels: a bright square that walks over a gray floor."""

import numpy as np

from vad.store.manifest import Clip
from vad.validation.footage import Footage

SIDE = 8


def walk(
    frames: int = 60,
    *,
    fps: float = 10.0,
    size: tuple[int, int] = (64, 48),
    color: bool = False,
    speed: float = 0.5,
    whole: bool = False,
    seed: int = 0,
) -> Footage:
    """A clip with one thing, which has a box in every frame.

    Args:
        frames: number of frames.
        fps: frames per second.
        size: width and height.
        color: whether frames are RGB.
        speed: of the thing, in pixels per frame to the right.
        whole: whether the regions are whole frames.
        seed: of the floor.
    """
    width, height = size
    floor = np.random.default_rng(seed).integers(90, 100, (height, width), np.uint8)
    video = np.repeat(floor[None], frames, axis=0)
    boxes = np.empty((frames, 4), int)
    for t in range(frames):
        x, y = 2 + int(speed * t) % (width - SIDE - 4), height // 2
        video[t, y : y + SIDE, x : x + SIDE] = 200 + t % 50
        boxes[t] = x, y, x + SIDE, y + SIDE
    if color:
        video = np.repeat(video[..., None], 3, axis=3)
    if whole:
        boxes[:] = 0, 0, width, height
    return Footage(video, fps, np.arange(frames), np.zeros(frames, int), boxes)


def row(clip: str, camera: str = "hall") -> Clip:
    """A row of the manifest."""
    return Clip(clip, "val", camera, "", f"{clip}.mp4", 0, 60, False, 60, 10.0, 64, 48, "h")
