"""Channels: the content of a tensor.

| channel | planes | content |
|---|---|---|
| picture | 1 to 4 | the result of preprocessing: the frame itself, or `silhouette.output` |
| gray | 1 | the frame in gray |
| rgb | 3 | the frame in colour; requires extract.color: rgb |
| difference | 1 | absolute difference in gray to the previous frame; frame 0 repeats frame 1 |
| flow | 2 | displacement since the previous frame, right and down: 128 + number of steps of `scale` pixels |
| silhouette | 1 | 255 in the foreground, 0 outside; requires preprocess.mode: silhouette |
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vad import UserError
from vad.flow import open_flow
from vad.store.arrays import open_array
from vad.store.bitmasks import open_masks
from vad.store.cards import read_card
from vad.windows.planes import PLANES, STILL, WHITE, Channel

Picture = Callable[[int], np.ndarray]  # frame number -> uint8 [H, W] or [H, W, C]


@dataclass(frozen=True)
class Layer:
    """Planes with a common source.

    Attributes:
        names: of the planes.
        picture: function of a frame number that returns the planes in the size of the frame, uint8 [H, W] or
            [H, W, C].
        padding: value of the bars of a letterbox: black, or no motion.
    """

    names: tuple[str, ...]
    picture: Picture
    padding: int = 0


class Layers:
    """The layers of a clip, in the order of the channels; iterate over them.

    Args:
        channels: `resize.channels`.
        frames: stem of the clip's frames, uint8 [T, H, W] or [T, H, W, 3].
        regions: stem of the clip's regions, whose card describes the channel `picture`.
        flow: stem of the clip's flow; read only for the channel `flow`.
        keep: number of pictures that each layer caches; the frames of a window.

    Attributes:
        names: of all planes.
        length: number of frames of the clip.
        frame_shape: (height, width) of a frame.
        fps: frames per second.
        card: entries for the card of the tensors.

    Raises:
        UserError: if the clip lacks the source of a channel, or two channels give the same plane.
    """

    def __init__(self, channels: Sequence[Channel], frames: Path, regions: Path, flow: Path, keep: int = 8):
        self._video, card = open_array(frames)
        self.length = len(self._video)
        self.frame_shape: tuple[int, int] = self._video.shape[1:3]
        self.fps: float = card["fps"]
        self.card: dict[str, Any] = {}
        self._regions, self._flow_stem = regions, flow
        self._is_gray = self._video.ndim == 3
        # windows overlap in time and a frame has several boxes, so the latest pictures are used again
        self._cached = lru_cache(maxsize=keep)
        layers_of: dict[Channel, Callable[[], list[Layer]]] = {
            "picture": self._preprocessed,
            "gray": self._gray,
            "rgb": self._rgb,
            "difference": self._difference,
            "flow": self._flow,
            "silhouette": self._silhouette,
        }
        self._layers = [layer for channel in channels for layer in layers_of[channel]()]
        self.names = [name for layer in self._layers for name in layer.names]
        if len(set(self.names)) < len(self.names):
            raise UserError(
                f"resize.channels = {list(channels)}: a tensor would hold {', '.join(self.names)}; "
                "name each source once (`picture` holds the frame already)"
            )

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def _preprocessed(self) -> list[Layer]:
        layers_of = {"frame": self._original, "masked": self._masked, "silhouette": self._silhouette}
        return [layer for part in read_card(self._regions)["picture"] for layer in layers_of[part]()]

    def _original(self) -> list[Layer]:
        return self._gray() if self._is_gray else self._rgb()

    def _gray(self) -> list[Layer]:
        # a gray frame is used as it is on disk, so caching would gain nothing
        return [Layer(("gray",), self._gray_frame if self._is_gray else self._cached(self._gray_frame))]

    def _rgb(self) -> list[Layer]:
        if self._is_gray:
            raise UserError("resize.channels asks for rgb, but frames are gray; set extract.color: rgb")
        return [Layer(PLANES["rgb"], self._video.__getitem__)]

    def _difference(self) -> list[Layer]:
        def difference(t: int) -> np.ndarray:
            if self.length == 1:
                return np.zeros(self.frame_shape, np.uint8)
            t = max(t, 1)
            return cv2.absdiff(self._gray_frame(t), self._gray_frame(t - 1))

        return [Layer(("difference",), self._cached(difference))]

    def _flow(self) -> list[Layer]:
        counts, card = open_flow(self._flow_stem, "resize.channels: flow")
        self.card["flow"] = {"scale": card["scale"], "still": STILL}
        height, width = self.frame_shape

        def displacement(t: int) -> np.ndarray:
            # int8 to uint8: flipping the highest bit of two's complement adds 128
            shifted = counts[t].view(np.uint8) ^ STILL
            if shifted.shape[:2] != (height, width):
                shifted = cv2.resize(shifted, (width, height), interpolation=cv2.INTER_LINEAR)
            return shifted

        return [Layer(PLANES["flow"], self._cached(displacement), padding=STILL)]

    def _silhouette(self) -> list[Layer]:
        return [Layer(("silhouette",), self._cached(self._foreground()))]

    def _masked(self) -> list[Layer]:
        (layer,), foreground = self._original(), self._foreground()

        def masked(t: int) -> np.ndarray:
            return cv2.copyTo(layer.picture(t), foreground(t))

        return [Layer(tuple(f"masked_{name}" for name in layer.names), self._cached(masked))]

    def _foreground(self) -> Picture:
        """Function of a frame number that returns the silhouettes, uint8 [H, W]: 255 inside, 0 outside."""
        stem = Path(f"{self._regions}.silhouette")
        if not Path(f"{stem}.json").is_file():
            raise UserError(
                "resize.channels asks for silhouettes, but there are none; set preprocess.mode: silhouette"
            )
        masks = open_masks(stem)
        return lambda t: masks[t].view(np.uint8) * np.uint8(WHITE)

    def _gray_frame(self, t: int) -> np.ndarray:
        frame = self._video[t]
        return frame if self._is_gray else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
