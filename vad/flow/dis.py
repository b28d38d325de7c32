"""Dense inverse search (DIS; Kroeger et al. 2016, arXiv:1603.03590), the implementation of OpenCV."""

from typing import Literal

import cv2
import numpy as np

from vad import UserError
from vad.flow.base import FLOW_METHODS, FlowMethod, FlowProcessor
from vad.pipeline.params import Field, Section
from vad.stream import Frame

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
COUNTS = 127  # the largest number that int8 holds in both directions


@FLOW_METHODS.register
class Dis(FlowMethod):
    """Dense inverse search."""

    class Params(Section):
        """`flow.dis`"""

        preset: Literal["ultrafast", "fast", "medium"] = Field(
            "medium", description="quality; medium takes four to five times as long as fast"
        )
        height: int = Field(
            240,
            ge=16,
            le=2160,
            description="rows to which frames are reduced before flow is computed; smaller frames are not "
            "enlarged",
        )
        limit: float = Field(
            16.0,
            gt=0,
            le=1000,
            description="displacements are clipped to this, in pixels of the extracted frame per frame, and "
            "stored in counts of limit / 127",
        )

    params: Params

    @property
    def scale(self) -> float:
        return self.params.limit / COUNTS

    def processor(self, height: int, width: int, *, threads: int = 1) -> FlowProcessor:
        h = min(height, self.params.height)
        w = max(1, round(width * h / height))
        if min(w, h) < 8 or max(w, h) < 12:  # DIS needs a patch of 8x8, and its pyramid 12 on the longer side
            raise UserError(
                f"frames of {width}x{height} become {w}x{h} at flow.dis.height = {self.params.height}, too "
                "small for flow, which needs 8x12 at least; raise flow.dis.height, or use larger frames"
            )
        cv2.setNumThreads(threads)
        return _DisProcessor(h, w, (width / w / self.scale, height / h / self.scale), self.params.preset)


class _DisProcessor(FlowProcessor):
    """Dense inverse search between each frame and the one before it.

    Args:
        height: rows to which frames are reduced.
        width: columns to which frames are reduced.
        to_counts: counts per pixel of the reduced frame, to the right and down.
        preset: a key of PRESETS.
    """

    def __init__(self, height: int, width: int, to_counts: tuple[float, float], preset: str):
        self.height, self.width = height, width
        self._to_counts = to_counts
        self._dis = cv2.DISOpticalFlow.create(PRESETS[preset])
        # OpenCV derives the coarsest scale from the size by this formula, and a finest scale above it crashes
        # the process: opencv#14554
        coarsest = min(int(np.log2(max(width, height) / 32) + 0.5), int(np.log2(min(width, height) / 8)))
        self._dis.setFinestScale(min(self._dis.getFinestScale(), coarsest))
        self._before: np.ndarray | None = None  # the frame before, reduced
        self._number = -1  # of that frame in its source
        self._intervals = 0  # for which resampling has repeated it
        self._is_first = True  # until there are two frames

    def process(self, item: Frame) -> list[np.ndarray | None]:
        current = _reduced(item.pixels, self.width, self.height)
        before, self._before = self._before, current
        # nothing moves while a frame is repeated; then it moves by what belongs to all these intervals
        intervals = self._intervals + item.steps
        self._intervals = intervals if item.number == self._number else 0
        self._number = item.number
        if before is None:
            self._intervals = 0
            return []
        # from the current frame to the one before, so that it refers to pixels of the current frame; None
        # stands for no initial flow
        backwards = self._dis.calc(current, before, None)  # type: ignore[call-overload]  # stubs lack None
        right, down = self._to_counts
        # from the direction back in time to that of the motion. OpenCV's scalars always have four numbers;
        # the last two are unused for two channels
        factors = (-right / intervals, -down / intervals, 0.0, 0.0)
        counts = cv2.multiply(backwards, factors, dtype=cv2.CV_16S)  # type: ignore[call-overload]  # no scalars
        limited = np.clip(counts, -COUNTS, COUNTS)
        out: list[np.ndarray | None] = [limited.astype(np.int8)] * (2 if self._is_first else 1)
        # the norm of the difference is faster than the count below, and 0 for most frames
        if cv2.norm(counts, limited):
            self.clipped += len(out) * int(np.count_nonzero((limited != counts).any(axis=2)))
        self._is_first = False
        return out

    def finish(self) -> list[np.ndarray | None]:
        waiting = self._before is not None and self._is_first
        return [np.zeros((self.height, self.width, 2), np.int8)] if waiting else []


def _reduced(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """The frame in gray and at reduced size, uint8 [height, width]."""
    gray = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if gray.shape == (height, width):
        return np.ascontiguousarray(gray)
    return cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
