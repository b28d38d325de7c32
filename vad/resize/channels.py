"""Channels: what of a frame goes into a tensor.

| channel | planes | what |
|---|---|---|
| picture | 1 to 4 | what preprocessing makes of the frame: the frame itself, or `silhouette.output` |
| gray | 1 | the frame in gray |
| rgb | 3 | the frame in colour; needs extract.color: rgb |
| difference | 1 | absolute difference of gray to the frame before; frame 0 repeats frame 1 |
| flow | 2 | displacement since the frame before, right and down: 128 is none, a count is `scale` pixels |
| silhouette | 1 | 255 where something stands out from the background; needs preprocess.mode: silhouette |
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
from vad.store import arrays, cards
from vad.store.bitmasks import open_masks
from vad.windows.planes import PLANES, STILL, Channel


@dataclass(frozen=True)
class Layer:
    """Planes that come from one source.

    `picture(t)` is uint8 [H, W] or [H, W, C] in the size of the frame; `empty` is the value that stands
    for nothing, to fill a letterbox with.
    """

    names: list[str]
    picture: Callable[[int], np.ndarray]
    empty: int = 0


class Layers:
    """The layers of a clip, in the order of the channels asked for; iterate to get them.

    `names` are those of all planes, `length` the clip's frames, `frame` their (height, width), `fps` their
    rate, `card` what a reader of the tensors must know. `keep` is the number of pictures that each layer
    holds on to, the frames of a window. Raises UserError where the clip lacks what a channel is made of.
    """

    def __init__(self, channels: Sequence[Channel], frames: Path, regions: Path, flow: Path, keep: int = 8):
        self.video, card = arrays.open_array(frames)
        self.fps: float = card["fps"]
        self.length, self.frame = len(self.video), self.video.shape[1:3]
        self.card: dict[str, Any] = {}
        self._regions, self._flow_stem = regions, flow
        # windows overlap in time, and a frame has many boxes: what was made last is asked for again
        self._keep = lru_cache(maxsize=keep)
        self._layers: list[Layer] = []
        for channel in channels:
            self._layers += getattr(self, f"_{channel}")()
        self.names = [name for layer in self._layers for name in layer.names]
        if len(set(self.names)) < len(self.names):
            raise UserError(
                f"resize.channels = {list(channels)}: a tensor would hold {', '.join(self.names)}; "
                "name each source once (`picture` holds the frame already)"
            )

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    def _picture(self) -> list[Layer]:
        made = {"frame": self._as_filmed, "masked": self._masked, "silhouette": self._silhouette}
        return [layer for part in cards.read_card(self._regions)["picture"] for layer in made[part]()]

    def _as_filmed(self) -> list[Layer]:
        return self._gray() if self.video.ndim == 3 else self._rgb()

    def _gray(self) -> list[Layer]:
        return [Layer(["gray"], self._gray_frame if self.video.ndim == 3 else self._keep(self._gray_frame))]

    def _rgb(self) -> list[Layer]:
        if self.video.ndim == 3:
            raise UserError("resize.channels asks for rgb, but frames are gray; set extract.color: rgb")
        return [Layer(PLANES["rgb"], self.video.__getitem__)]

    def _difference(self) -> list[Layer]:
        def difference(t: int) -> np.ndarray:
            if self.length == 1:
                return np.zeros(self.frame, np.uint8)
            t = max(t, 1)
            return cv2.absdiff(self._gray_frame(t), self._gray_frame(t - 1))

        return [Layer(["difference"], self._keep(difference))]

    def _flow(self) -> list[Layer]:
        counts, card = open_flow(self._flow_stem, "resize.channels: flow")
        self.card["flow"] = {"scale": card["scale"], "still": STILL}
        size = self.frame[::-1]

        def moved(t: int) -> np.ndarray:
            shifted = counts[t].view(np.uint8) ^ STILL  # int8 c -> c + 128
            if shifted.shape[:2] != self.frame:
                shifted = cv2.resize(shifted, size, interpolation=cv2.INTER_LINEAR)
            return shifted

        return [Layer(PLANES["flow"], self._keep(moved), STILL)]

    def _silhouette(self) -> list[Layer]:
        return [Layer(["silhouette"], self._keep(self._standing_out()))]

    def _masked(self) -> list[Layer]:
        (layer,), outline = self._as_filmed(), self._standing_out()

        def masked(t: int) -> np.ndarray:
            return cv2.copyTo(layer.picture(t), outline(t))

        return [Layer([f"masked_{name}" for name in layer.names], self._keep(masked))]

    def _standing_out(self) -> Callable[[int], np.ndarray]:
        stem = Path(f"{self._regions}.silhouette")
        if not Path(f"{stem}.json").is_file():
            raise UserError(
                "resize.channels asks for silhouettes, but there are none; set preprocess.mode: silhouette"
            )
        masks = open_masks(stem)
        return lambda t: masks[t].view(np.uint8) * np.uint8(255)

    def _gray_frame(self, t: int) -> np.ndarray:
        frame = self.video[t]
        return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
