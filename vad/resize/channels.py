"""Channels: the content of a tensor, made from a frame, its flow and its regions.

| channel | planes | content |
|---|---|---|
| picture | 1 to 4 | the result of preprocessing: the frame itself, or `silhouette.output` |
| gray | 1 | the frame in gray |
| rgb | 3 | the frame in colour; requires extract.color: rgb |
| difference | 1 | absolute difference in gray to the previous frame; frame 0 repeats frame 1 |
| flow | 2 | velocity to the right and down, in body heights per second: 128 + steps (`FlowUnits`) |
| silhouette | 1 | 255 in the foreground, 0 outside; requires preprocess.mode: silhouette |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from vad import UserError
from vad.flow import require_flow
from vad.store.body_heights import BodyHeight
from vad.stream import Observation
from vad.windows.planes import PLANES, STILL, WHITE, Channel


@dataclass(frozen=True)
class FlowUnits:
    """What counts of flow are in body heights per second.

    Attributes:
        scale: pixels of the frame per count (`FlowMethod.scale`).
        fps: frames per second.
        body_height: how tall people are in the frame.
    """

    scale: float
    fps: float
    body_height: BodyHeight

    def velocities(self, rows: np.ndarray) -> np.ndarray:
        """The velocity of a person whose flow is one count.

        Args:
            rows: lower edges of people's boxes in pixels, of any shape.

        Returns:
            Body heights per second, float64 of the same shape.
        """
        return self.scale * self.fps / self.body_height.at_feet(rows)


@dataclass(frozen=True)
class Sources:
    """What the planes of a clip are made from.

    Attributes:
        height, width: of a frame, in pixels.
        color: of the frames, `extract.color`.
        picture: content of the channel `picture`: `frame`, `masked`, `silhouette` (see `vad.regions.table`).
        flow: units of the flow; None without flow.
        silhouettes: whether regions come with their foreground.
    """

    height: int
    width: int
    color: Literal["gray", "rgb"] = "gray"
    picture: tuple[str, ...] = ("frame",)
    flow: FlowUnits | None = None
    silhouettes: bool = False


@dataclass(frozen=True)
class Layer:
    """Planes with a common source.

    Attributes:
        names: of the planes.
        make: function of the observation of a frame and of that before it that returns the planes in the size
            of the frame, uint8 [H, W] or [H, W, C]; those of flow are counts, int8 or float32.
        padding: value of the bars of a letterbox: black, or no motion.
        uses_previous: whether the planes show the change since the frame before; those of frame 0 then
            repeat those of frame 1.
        foreground: whether the planes need the foreground.
        units: of flow; None for other planes.
    """

    names: tuple[str, ...]
    make: Callable[[Observation, Observation], np.ndarray]
    padding: int = 0
    uses_previous: bool = False
    foreground: bool = False
    units: FlowUnits | None = None


def layers_of(channels: Sequence[Channel], sources: Sources) -> list[Layer]:
    """The layers of a clip, in the order of the channels.

    Args:
        channels: `resize.channels`.
        sources: what planes can be made from.

    Raises:
        UserError: if the source of a channel is missing, or two channels give the same plane.
    """
    layers = [layer for channel in channels for layer in _LAYERS[channel](sources)]
    names = [name for layer in layers for name in layer.names]
    if len(set(names)) < len(names):
        raise UserError(
            f"resize.channels = {list(channels)}: a tensor would hold {', '.join(names)}; "
            "name each source once (`picture` holds the frame already)"
        )
    return layers


def _picture(sources: Sources) -> list[Layer]:
    layers = {"frame": _frame, "masked": _masked, "silhouette": _silhouette}
    return [layer for part in sources.picture for layer in layers[part](sources)]


def _frame(sources: Sources) -> list[Layer]:
    return (_gray if sources.color == "gray" else _rgb)(sources)


def _gray(sources: Sources) -> list[Layer]:
    return [Layer(("gray",), lambda now, before: _gray_of(now))]


def _rgb(sources: Sources) -> list[Layer]:
    if sources.color == "gray":
        raise UserError("resize.channels asks for rgb, but frames are gray; set extract.color: rgb")
    return [Layer(PLANES["rgb"], lambda now, before: _pixels(now))]


def _difference(sources: Sources) -> list[Layer]:
    def difference(now: Observation, before: Observation) -> np.ndarray:
        return cv2.absdiff(_gray_of(now), _gray_of(before))

    return [Layer(("difference",), difference, uses_previous=True)]


def _flow(sources: Sources) -> list[Layer]:
    if sources.flow is None:
        require_flow("none", "resize.channels: flow")

    def displacement(now: Observation, before: Observation) -> np.ndarray:
        if now.flow is None:
            raise ValueError("an observation without flow")
        if now.flow.shape[:2] == (sources.height, sources.width):
            return now.flow
        # in float, since small or slow people move by only a few counts
        size = sources.width, sources.height
        return cv2.resize(now.flow.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)

    return [Layer(PLANES["flow"], displacement, padding=STILL, units=sources.flow)]


def _silhouette(sources: Sources) -> list[Layer]:
    _require_silhouettes(sources)
    return [Layer(("silhouette",), lambda now, before: _foreground(now), foreground=True)]


def _masked(sources: Sources) -> list[Layer]:
    _require_silhouettes(sources)
    (layer,) = _frame(sources)

    def masked(now: Observation, before: Observation) -> np.ndarray:
        return cv2.copyTo(layer.make(now, before), _foreground(now))

    return [Layer(tuple(f"masked_{name}" for name in layer.names), masked, foreground=True)]


_LAYERS: dict[Channel, Callable[[Sources], list[Layer]]] = {
    "picture": _picture,
    "gray": _gray,
    "rgb": _rgb,
    "difference": _difference,
    "flow": _flow,
    "silhouette": _silhouette,
}


def _require_silhouettes(sources: Sources) -> None:
    if not sources.silhouettes:
        raise UserError(
            "resize.channels asks for silhouettes, but there are none; set preprocess.mode: silhouette"
        )


def _pixels(observation: Observation) -> np.ndarray:
    if observation.frame is None:
        raise ValueError("an observation without its frame")
    return observation.frame.pixels


def _gray_of(observation: Observation) -> np.ndarray:
    pixels = _pixels(observation)
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def _foreground(observation: Observation) -> np.ndarray:
    """uint8 [H, W]: 255 in the foreground, 0 outside."""
    foreground = observation.regions.foreground
    if foreground is None:
        raise ValueError("an observation without foreground")
    return foreground.view(np.uint8) * np.uint8(WHITE)
