"""Cuts the windows of regions out of a stream of frames."""

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from vad.resize.channels import Sources, layers_of
from vad.stream import Frame, Observation, Processor, Regions, WindowsOfFrame
from vad.windows import stride
from vad.windows.planes import STILL
from vad.windows.spec import Box, TensorSize, TensorSpec, placement

Windows = tuple[tuple[np.ndarray, ...], ...]  # the pictures of each window
NO_REGIONS = Regions(
    np.empty((0, 4), np.int32), np.empty(0, np.int32), np.empty(0, str), np.empty(0, np.float32)
)


@dataclass
class _BufferedFrame:
    """A frame in the ring, with the planes that were made of it so far, by the number of their layer."""

    observation: Observation
    planes: dict[int, np.ndarray] = field(default_factory=dict)


class Cutter(Processor[Observation, WindowsOfFrame]):
    """Gives the windows of each frame: pictures of the frames around it, cut out at its boxes.

    Before the first frame it is repeated, after the last that one. With `spec.stride` above 1, frames in
    between get the windows of the nearest frame that has windows (`vad.windows.stride`). Memory holds the
    frames that a window spans.

    The channel `difference` of the first frame repeats that of the second, so windows of the first frame wait
    for it, whatever the lookahead.

    Args:
        spec: size and channels of the tensors, and the frames of a window.
        sources: what the planes are made from.

    Attributes:
        names: of the planes.

    Raises:
        UserError: if the source of a channel is missing, or two channels give the same plane.
    """

    def __init__(self, spec: TensorSpec, sources: Sources):
        self.spec = spec
        self.layers = layers_of(spec.channels, sources)
        self.names = [name for layer in self.layers for name in layer.names]
        # for each layer of flow, the steps of a tensor per count by the lower edge of the box
        rows = np.arange(sources.height + 1)
        self._steps = [
            None if layer.units is None else (layer.units.velocities(rows) / spec.flow_step).tolist()
            for layer in self.layers
        ]
        self._offsets: list[int] = spec.window.offsets().tolist()
        self.lookahead = spec.window.lookahead + stride.lookahead(spec.stride)
        self._uses_previous = any(layer.uses_previous for layer in self.layers)
        self._foreground = any(layer.foreground for layer in self.layers)
        self._ring: deque[_BufferedFrame] = deque()
        self._start = 0  # position of the first frame in the ring
        self._observed = 0  # number of frames whose regions have come
        self._index = 0  # position of the next frame to give
        self._pictures: dict[tuple[int, Box], np.ndarray] = {}  # by frame and box
        # the frame whose windows were cut last, its regions, its windows and its flow
        self._latest: tuple[int, Regions, Windows, np.ndarray | None] = (-1, NO_REGIONS, (), None)

    def preview(self, frame: Frame, flow: np.ndarray | None) -> list[WindowsOfFrame]:
        """Takes a frame before its regions have come, so that the lookaheads of both overlap.

        Every frame may be previewed, in order; `process` takes its observation later.

        Args:
            frame: the next frame that neither `preview` nor `process` has taken.
            flow: its flow, int8 [h, w, 2].

        Returns:
            The results that have become ready, as from `process`.
        """
        self._ring.append(_BufferedFrame(Observation(frame, flow, NO_REGIONS)))
        return self._ready()

    def process(self, item: Observation) -> list[WindowsOfFrame]:
        position = self._observed - self._start
        if position < len(self._ring):
            self._ring[position].observation = item
        else:
            self._ring.append(_BufferedFrame(item))
        self._observed += 1
        return self._ready()

    def finish(self) -> list[WindowsOfFrame]:
        return self._ready(last=stride.last_multiple(self._observed, self.spec.stride))

    def _ready(self, last: int | None = None) -> list[WindowsOfFrame]:
        """The windows of all frames that need no further ones.

        Args:
            last: position of the last frame that has windows, at the end of the stream.
        """
        out = []
        length = self._start + len(self._ring)
        if self._foreground:  # which comes with the regions
            length = self._observed
        while self._index < self._observed:
            source = stride.nearest_frame(self._index, self.spec.stride)
            if last is not None:
                source = min(source, last)
            elif self._wait(source, length):
                break
            if source != self._latest[0]:
                observation = self._at(source)
                windows = self._cut(source, length)
                self._latest = source, observation.regions, windows, observation.flow
            out.append(WindowsOfFrame(self._index, self._at(self._index), *self._latest))
            self._index += 1
        self._drop()
        return out

    def _wait(self, source: int, length: int) -> bool:
        """Whether windows of frame `source` need frames that are still to come."""
        incomplete = source >= self._observed or source + self._offsets[-1] >= length
        return incomplete or (self._uses_previous and length == 1)

    def _drop(self) -> None:
        """Drops the frames that no further windows need."""
        source = stride.nearest_frame(self._index, self.spec.stride)
        needed = min(self._index, source + self._offsets[0] - self._uses_previous)
        while self._start < needed:
            self._ring.popleft()
            self._start += 1

    def _at(self, t: int) -> Observation:
        return self._ring[t - self._start].observation

    def _cut(self, t: int, length: int) -> Windows:
        """The windows of frame t. `length` is the number of frames so far."""
        # no later window shows frames before this one
        self._pictures = {key: p for key, p in self._pictures.items() if key[0] >= t + self._offsets[0]}
        frames = [min(max(t + offset, 0), length - 1) for offset in self._offsets]
        return tuple(
            tuple(self._picture(frame, tuple(box), length) for frame in frames)
            for box in self._at(t).regions.boxes.tolist()
        )

    def _picture(self, frame: int, box: Box, length: int) -> np.ndarray:
        """uint8 [C, height, width], made when first needed."""
        if (picture := self._pictures.get((frame, box))) is None:
            parts = []
            for i, (layer, steps) in enumerate(zip(self.layers, self._steps, strict=True)):
                gain = None if steps is None else steps[box[3]]
                parts.append(resize(self._planes(i, frame, length), box, self.spec, layer.padding, gain))
            picture = self._pictures[frame, box] = np.concatenate(parts)
        return picture

    def _planes(self, layer: int, t: int, length: int) -> np.ndarray:
        """The planes of a layer in the size of the frame, made when first needed."""
        if self.layers[layer].uses_previous and t == 0:
            t = min(1, length - 1)
        buffered = self._ring[t - self._start]
        if (planes := buffered.planes.get(layer)) is None:
            before = self._at(max(t - 1, 0)) if self.layers[layer].uses_previous else buffered.observation
            planes = buffered.planes[layer] = self.layers[layer].make(buffered.observation, before)
        return planes


def resize(
    picture: np.ndarray, box: Box, tensor: TensorSize, padding: int = 0, gain: float | None = None
) -> np.ndarray:
    """Cuts a box out of a picture and resizes it, with area averaging where it shrinks.

    Args:
        picture: [H, W] or [H, W, C], uint8; counts of flow are int8 or float32.
        box: x0, y0, x1, y1 in pixels of the picture, end exclusive.
        tensor: size of the tensor, and whether the box is stretched or letterboxed.
        padding: value of the bars of a letterbox.
        gain: for flow, the steps of the tensor per count; None for other planes, whose values stay.

    Returns:
        uint8 [C, height, width].
    """
    x0, y0, x1, y1 = box
    left, top, width, height = placement(x1 - x0, y1 - y0, tensor)
    patch = picture[y0:y1, x0:x1]
    if gain is not None:
        patch = patch.astype(np.float32)  # rounded only once, at the end
    # first the sides that shrink, by area averaging; then the sides that grow, by linear interpolation
    patch = cv2.resize(patch, (min(width, x1 - x0), min(height, y1 - y0)), interpolation=cv2.INTER_AREA)
    if patch.shape[:2] != (height, width):
        patch = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR)
    if gain is not None:
        # adds STILL, rounds and clips to 0..255; with factors of 1, all machines round alike
        patch = cv2.addWeighted(patch * np.float32(gain), 1, patch, 0, STILL, dtype=cv2.CV_8U)
    patch = patch[None] if patch.ndim == 2 else patch.transpose(2, 0, 1)
    if (height, width) == (tensor.height, tensor.width):
        return patch
    out = np.full((len(patch), tensor.height, tensor.width), padding, np.uint8)
    out[:, top : top + height, left : left + width] = patch
    return out
