"""Motion masks, the moving pixels of each frame: from foreground, frame differences or optical flow."""

from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np

from vad import UserError
from vad.detection.background import foreground
from vad.detection.foreground_params import ForegroundSettings
from vad.detection.lazy import LazyProcessor
from vad.pipeline.params import Field, Section
from vad.stream import FrameAndFlow

BLUR = 5  # px; side of the kernel that smooths before a threshold
NEIGHBOURHOOD = 21  # px; side of the square in which speeds are compared


class MotionParams(Section):
    """`preprocess.person_crop.motion`: which pixels move, and which of their blobs become boxes."""

    source: Literal["foreground", "difference", "flow"] = Field(
        "foreground",
        description="moving pixels are the foreground of a background model, pixels that differ from the "
        "previous frame, or pixels with fast optical flow",
    )
    difference_threshold: float = Field(
        8.0, ge=0, le=255, description="`difference`: gray levels between neighbouring frames"
    )
    flow_threshold: float = Field(
        0.4,
        ge=0,
        description="`flow`: pixels per frame; a pixel must also have half the highest speed in its "
        "neighbourhood",
    )
    close: int = Field(
        24,
        ge=0,
        description="pixels; gaps of up to this length within a column are filled: about a third of a "
        "person's height. Gaps within a row are not, since people side by side should stay apart",
    )
    min_area: int = Field(50, ge=1, description="pixels; smaller blobs are dropped")
    min_width: int = Field(6, ge=1, description="pixels; narrower blobs are dropped")
    min_height: int = Field(10, ge=1, description="pixels; lower blobs are dropped")
    split: float = Field(
        0.4,
        ge=0,
        lt=1,
        description="0: blobs are never split; otherwise they are cut between heads, and at necks thinner "
        "than this share of the thinner part",
    )


def motion_masks(
    params: MotionParams,
    settings: ForegroundSettings | None,
    fps: float,
    flow_scale: float | None,
    *,
    skip_warm_up: bool = False,
) -> LazyProcessor[FrameAndFlow, np.ndarray]:
    """Makes the processor that computes the moving pixels of each frame, bool [H, W].

    Args:
        params: source of motion and its threshold.
        settings: for the source `foreground`, those of background subtraction; otherwise None.
        fps: frames per second.
        flow_scale: for the source `flow`, pixels of the frame per count of the flow; otherwise None.
        skip_warm_up: as for `vad.detection.background.foreground`.

    Raises:
        UserError: if the source is `flow` but `flow_scale` is None.
    """
    if params.source == "difference":
        return _Difference(params.difference_threshold)
    if params.source == "flow":
        if flow_scale is None:
            raise UserError(
                "preprocess.person_crop.motion.source is flow, but flow.method is none; set flow.method: "
                "dis, or choose motion.source: foreground or difference"
            )
        return _Flow(flow_scale, params.flow_threshold)
    assert settings is not None
    return _Foreground(settings, fps, skip_warm_up)


class _Foreground(LazyProcessor[FrameAndFlow, np.ndarray]):
    """The foreground of a background model."""

    def __init__(self, settings: ForegroundSettings, fps: float, skip_warm_up: bool):
        self._foreground = foreground(settings, fps, skip_warm_up=skip_warm_up)
        self.lookahead = self._foreground.lookahead

    def stream(self, item: FrameAndFlow) -> Iterator[np.ndarray]:
        return self._foreground.stream(item[0])

    def rest(self) -> Iterator[np.ndarray]:
        return self._foreground.rest()


class _Difference(LazyProcessor[FrameAndFlow, np.ndarray]):
    """Pixels of the smoothed frame that differ from the previous frame, by the colour that differs most.

    After HF2-VAD (Liu et al. 2021, arXiv:2108.06852), which makes boxes from temporal gradients. The first
    frame is compared with the second, and it alone waits for the next frame.
    """

    def __init__(self, threshold: float):
        self.threshold = threshold
        self._previous: np.ndarray | None = None
        self._first = True  # the result of the first frame is due

    def stream(self, item: FrameAndFlow) -> Iterator[np.ndarray]:
        current = cv2.GaussianBlur(item[0].pixels, (BLUR, BLUR), 0)
        previous, self._previous = self._previous, current
        if previous is None:
            return
        change = np.asarray(cv2.absdiff(current, previous))
        mask = (change if change.ndim == 2 else change.max(2)) > self.threshold
        if self._first:
            self._first = False
            yield mask
        yield mask

    def rest(self) -> Iterator[np.ndarray]:
        """Nothing moves in a clip of a single frame."""
        if self._first and self._previous is not None:
            self._first = False
            yield np.zeros(self._previous.shape[:2], bool)


class _Flow(LazyProcessor[FrameAndFlow, np.ndarray]):
    """Pixels whose speed is above `threshold` pixels per frame and above half the maximum around them.

    Dense flow is smooth, so the speed falls gradually from a moving person to the still ground, over a
    distance that grows with the speed. The outline of the person is about where half the speed is left.
    """

    def __init__(self, scale: float, threshold: float):
        self.scale, self.threshold = scale, threshold
        self._square = np.ones((NEIGHBOURHOOD, NEIGHBOURHOOD), np.uint8)
        self._ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BLUR, BLUR))

    def stream(self, item: FrameAndFlow) -> Iterator[np.ndarray]:
        frame, flow = item
        assert flow is not None
        height, width = frame.pixels.shape[:2]
        right, down = (flow[..., axis].astype(np.float32) for axis in (0, 1))
        speed = cv2.resize(
            self.scale * cv2.magnitude(right, down), (width, height), interpolation=cv2.INTER_LINEAR
        )
        speed = cv2.blur(speed, (BLUR, BLUR))
        fast = np.asarray((speed > self.threshold) & (speed > cv2.dilate(speed, self._square) / 2))
        yield cv2.morphologyEx(fast.view(np.uint8), cv2.MORPH_OPEN, self._ellipse).view(bool)
