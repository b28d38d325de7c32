"""Dense inverse search (DIS; Kroeger et al. 2016, arXiv:1603.03590), the implementation of OpenCV."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from vad import UserError
from vad.flow.base import FLOW_METHODS, FlowMethod
from vad.pipeline.params import Field, Section
from vad.store.arrays import ArrayWriter, open_array

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
STEPS = 127  # the largest displacement that int8 holds in both directions, in steps


@FLOW_METHODS.register
class Dis(FlowMethod):
    """Dense inverse search, streamed frame by frame."""

    class Params(Section):
        """`flow.dis`"""

        preset: Literal["ultrafast", "fast", "medium"] = Field(
            "medium", description="quality; medium takes about three times as long as fast"
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
            "stored in steps of limit / 127",
        )

    params: Params

    def flow(self, stem: Path, frames: Path, *, threads: int) -> None:
        """Computes the flow; the card's key `clipped` is the share of displacements clipped to `limit`.

        Raises:
            UserError: if the frames are too small for DIS.
        """
        cv2.setNumThreads(threads)
        video, _ = open_array(frames)
        height, width = video.shape[1:3]
        h = min(height, self.params.height)
        w = max(1, round(width * h / height))
        if min(w, h) < 8 or max(w, h) < 12:  # DIS needs a patch of 8x8, and its pyramid 12 on the longer side
            raise UserError(
                f"its frames of {width}x{height} are {w}x{h} at flow.dis.height = {self.params.height}, too "
                "small for flow, which needs 8x12 at least; raise flow.dis.height, or use larger frames"
            )
        scale = self.params.limit / STEPS
        to_counts = (width / w / scale, height / h / scale)
        clipped = 0
        card = {"method": "dis", "scale": scale, "frame": [height, width]}
        with ArrayWriter(stem, (h, w, 2), np.int8, **card) as writer:
            for displacement in displacements(video, self.params.preset, w, h):
                counts = _rounded(displacement, to_counts)
                limited = np.clip(counts, -STEPS, STEPS)
                # the norm of the difference is faster than the count below, and 0 for most frames
                if cv2.norm(counts, limited):
                    clipped += int(np.count_nonzero((limited != counts).any(axis=2)))
                writer.append(limited.astype(np.int8))
            writer.card["clipped"] = round(clipped / (len(video) * h * w), 6)


def displacements(video: np.ndarray, preset: str, width: int, height: int) -> Iterator[np.ndarray]:
    """Computes the flow of all frames at reduced size.

    Args:
        video: uint8 [T, H, W] or [T, H, W, 3] RGB.
        preset: a key of PRESETS.
        width: to which frames are reduced, in pixels.
        height: to which frames are reduced, in pixels.

    Yields:
        Displacements in pixels of the reduced frame, float32 [height, width, 2]. Frame 0 repeats frame 1; it
        is all 0 if there is no other frame.
    """
    dis = cv2.DISOpticalFlow.create(PRESETS[preset])
    # OpenCV derives the coarsest scale from the size by this formula, and a finest scale above it crashes the
    # process: opencv#14554
    coarsest = min(int(np.log2(max(width, height) / 32) + 0.5), int(np.log2(min(width, height) / 8)))
    dis.setFinestScale(min(dis.getFinestScale(), coarsest))
    previous = _reduced(video[0], width, height)
    if len(video) == 1:
        yield np.zeros((height, width, 2), np.float32)
    for t in range(1, len(video)):
        current = _reduced(video[t], width, height)
        # from the current frame to the previous, so that it refers to pixels of the current frame; None
        # stands for no initial flow
        flow = dis.calc(current, previous, None)  # type: ignore[call-overload]  # OpenCV's stubs lack None
        np.negative(flow, out=flow)  # from the direction back in time to that of the motion
        if t == 1:
            yield flow
        yield flow
        previous = current


def _rounded(displacement: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
    """Displacements, float32 [h, w, 2], multiplied by a factor per axis and rounded to int16."""
    # OpenCV's scalars always have four numbers; the last two are unused for two channels
    scalar = (*factors, 0.0, 0.0)
    return cv2.multiply(displacement, scalar, dtype=cv2.CV_16S)  # type: ignore[call-overload]  # no scalars


def _reduced(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """The frame in gray and at reduced size, uint8 [height, width]."""
    gray = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if gray.shape == (height, width):
        return np.ascontiguousarray(gray)
    return cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
