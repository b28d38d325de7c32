"""Motion masks, the moving pixels of each frame: from foreground, frame differences or optical flow."""

from collections.abc import Iterator
from typing import Any, Literal

import cv2
import numpy as np

from vad import UserError
from vad.detection.background import foreground_masks
from vad.detection.foreground_params import ForegroundSettings
from vad.pipeline.params import Field, Section

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
    frames: np.ndarray,
    flow: tuple[np.ndarray, dict[str, Any]] | None,
    params: MotionParams,
    foreground: ForegroundSettings | None,
) -> Iterator[np.ndarray]:
    """Computes the moving pixels of each frame; memory does not grow with the clip.

    Args:
        frames: uint8 [T, H, W] or [T, H, W, 3].
        flow: for the source `flow`, int8 [T, h, w, 2] and its card (`FlowMethod.flow`); otherwise None.
        params: source of motion and its threshold.
        foreground: for the source `foreground`, its settings; otherwise None.

    Returns:
        Iterator over the masks of the frames, bool [H, W].

    Raises:
        UserError: if the source is `flow` but `flow` is None.
    """
    if params.source == "difference":
        return _difference_masks(frames, params.difference_threshold)
    if params.source == "flow":
        if flow is None:
            raise UserError(
                "motion.source is flow, but flow.method is none; set flow.method: dis, or choose "
                "motion.source: foreground or difference"
            )
        counts, card = flow
        height, width = frames.shape[1:3]
        return _flow_masks(counts, card["scale"], height, width, params.flow_threshold)
    assert foreground is not None
    return foreground_masks(frames, foreground)


def _difference_masks(frames: np.ndarray, threshold: float) -> Iterator[np.ndarray]:
    """Pixels of the smoothed frame that differ from the previous frame, by the colour that differs most.

    After HF2-VAD (Liu et al. 2021, arXiv:2108.06852), which makes boxes from temporal gradients. The first
    frame is compared with the second.
    """
    previous = _smooth(frames[min(1, len(frames) - 1)])
    for frame in frames:
        current = _smooth(frame)
        change = np.asarray(cv2.absdiff(current, previous))
        yield (change if change.ndim == 2 else change.max(2)) > threshold
        previous = current


def _smooth(frame: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(frame, (BLUR, BLUR), 0)


def _flow_masks(
    counts: np.ndarray, scale: float, height: int, width: int, threshold: float
) -> Iterator[np.ndarray]:
    """Pixels whose speed is above `threshold` pixels per frame and above half the maximum around them.

    Dense flow is smooth, so the speed falls gradually from a moving person to the still ground, over a
    distance that grows with the speed. The outline of the person is about where half the speed is left.
    """
    square = np.ones((NEIGHBOURHOOD, NEIGHBOURHOOD), np.uint8)
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BLUR, BLUR))
    for displacement in counts:
        right, down = (displacement[..., axis].astype(np.float32) for axis in (0, 1))
        speed = cv2.resize(
            scale * cv2.magnitude(right, down), (width, height), interpolation=cv2.INTER_LINEAR
        )
        speed = cv2.blur(speed, (BLUR, BLUR))
        fast = np.asarray((speed > threshold) & (speed > cv2.dilate(speed, square) / 2))
        yield cv2.morphologyEx(fast.view(np.uint8), cv2.MORPH_OPEN, ellipse).view(bool)
