"""What processors hand from one to the next. All of it is about a single frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np


class Frame(NamedTuple):
    """A frame of a clip or a camera.

    Attributes:
        number: index of the frame in its source; resampling may leave out or repeat numbers.
        seconds: time since the first frame of the source.
        pixels: uint8 [H, W] gray or [H, W, 3] RGB. Where resampling repeats a frame, the same object again.
        steps: frame intervals since the frame before, repeats included; more than 1 after a gap in time
            (`vad.stream.gaps`).
    """

    number: int
    seconds: float
    pixels: np.ndarray
    steps: int = 1


FrameAndFlow = tuple[Frame, np.ndarray | None]  # the flow is int8 [h, w, 2]; None where none is needed


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of a frame, N of them.

    Attributes:
        boxes: int32 [N, 4], x0, y0, x1, y1 in pixels of the frame, end exclusive.
        tracks: int32 [N], number of the person or thing through time, -1 without a track.
        sources: text [N]: `frame`, `motion` or `detector`.
        confidence: float32 [N], 0 to 1.
        class_scores: float16 [N, C], the detector's probability of each class in the box; None without class
            maps.
        foreground: bool [H, W], what stands out from the background; None if the mode keeps no silhouettes.
        moving_share: share of the pixels that move or are foreground; None if the mode computes none.
    """

    boxes: np.ndarray
    tracks: np.ndarray
    sources: np.ndarray
    confidence: np.ndarray
    class_scores: np.ndarray | None = None
    foreground: np.ndarray | None = None
    moving_share: float | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, rows: np.ndarray) -> "Regions":
        """A copy with some of the regions only.

        Args:
            rows: whether to keep each region, bool [N].
        """
        scores = None if self.class_scores is None else self.class_scores[rows]
        columns = (self.boxes, self.tracks, self.sources, self.confidence)
        boxes, tracks, sources, confidence = (column[rows] for column in columns)
        return replace(
            self, boxes=boxes, tracks=tracks, sources=sources, confidence=confidence, class_scores=scores
        )


@dataclass(frozen=True, eq=False)
class Observation:
    """A frame with its flow and its regions.

    Attributes:
        frame: the frame; None in the stage `measure`, which reads no frames.
        flow: int8 [h, w, 2], as stored (`FlowMethod`); None without flow.
        regions: its regions.
    """

    frame: Frame | None
    flow: np.ndarray | None
    regions: Regions


@dataclass(frozen=True, eq=False)
class WindowsOfFrame:
    """The windows that count for a frame: its own, or those of the nearest frame that has windows.

    With `resize.stride` above 1 only every n-th frame has windows.

    Attributes:
        index: position t of the frame in the stream, from 0.
        observation: of the frame t.
        source: position of the frame whose windows these are; `index` if they are its own.
        regions: of the frame `source`.
        pictures: for each region, the pictures of its window in the order of time: uint8 [C, height, width]
            each. Windows of the same box share the picture of a frame: the same object.
        source_flow: flow of the frame `source`, int8 [h, w, 2]; None without flow. May be left out where
            `source` is `index`, whose flow is in `observation`.
    """

    index: int
    observation: Observation
    source: int
    regions: Regions
    pictures: tuple[tuple[np.ndarray, ...], ...]
    source_flow: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FrameErrors:
    """The errors of a frame's regions and cells.

    Attributes:
        index: position t of the frame in the stream, from 0.
        source: position of the frame whose regions these are (see `WindowsOfFrame`).
        regions: those regions, N of them.
        errors: errors of the regions by branch, float32 [N].
        maps: errors of the cells by branch, float16 [rows, columns], for branches that have maps.
        not_judged: regions of that frame that zones leave out; None without zones.
    """

    index: int
    source: int
    regions: Regions
    errors: Mapping[str, np.ndarray] = field(default_factory=dict)
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    not_judged: Regions | None = None
