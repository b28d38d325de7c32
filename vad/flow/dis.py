"""Dense inverse search (DIS; Kroeger et al. 2016, arXiv:1603.03590), as in OpenCV."""

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
STEPS = 127  # counts of an int8, either way


@FLOW_METHODS.register
class Dis(FlowMethod):
    """Dense inverse search, streamed frame by frame."""

    class Params(Section):
        """`flow.dis`"""

        preset: Literal["ultrafast", "fast", "medium"] = Field(
            "medium", description="how thorough; medium takes about three times as long as fast"
        )
        height: int = Field(
            240,
            ge=16,
            le=2160,
            description="rows at which flow is computed and stored; frames are not enlarged",
        )
        limit: float = Field(
            16.0,
            gt=0,
            le=1000,
            description="largest displacement that is kept, in pixels of the extracted frame per frame; "
            "stored in steps of limit / 127",
        )

    params: Params

    def flow(self, stem: Path, frames: Path, *, threads: int) -> None:
        """The card says which share of the vectors was clipped to `limit`.

        Raises:
            UserError: if the frames are too small for DIS.
        """
        cv2.setNumThreads(threads)
        video, _ = open_array(frames)
        height, width = video.shape[1:3]
        h = min(height, self.params.height)
        w = max(1, round(width * h / height))
        if min(w, h) < 8 or max(w, h) < 12:  # a patch of DIS, and what its pyramid needs
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
                small = np.clip(counts, -STEPS, STEPS)
                if cv2.norm(counts, small):  # quick, and 0 of most frames
                    clipped += int(np.count_nonzero((small != counts).any(axis=2)))
                writer.append(small.astype(np.int8))
            writer.card["clipped"] = round(clipped / (len(video) * h * w), 6)


def displacements(video: np.ndarray, preset: str, width: int, height: int) -> Iterator[np.ndarray]:
    """Flow of each frame in pixels of the reduced picture, float32 [height, width, 2]; frame 0 as frame 1.

    `video` is uint8 [T, H, W] or [T, H, W, 3] RGB. A single frame does not move.
    """
    dis = cv2.DISOpticalFlow.create(PRESETS[preset])
    # a finest scale beyond the coarsest (as OpenCV derives it from the size) kills the process: opencv#14554
    coarsest = min(int(np.log2(max(width, height) / 32) + 0.5), int(np.log2(min(width, height) / 8)))
    dis.setFinestScale(min(dis.getFinestScale(), coarsest))
    before = _reduced(video[0], width, height)
    if len(video) == 1:
        yield np.zeros((height, width, 2), np.float32)
    for t in range(1, len(video)):
        now = _reduced(video[t], width, height)
        # where the pixels of this frame were; a flow in place of None would be the first guess
        backward = dis.calc(now, before, None)  # type: ignore[call-overload]  # OpenCV's stubs lack None
        np.negative(backward, out=backward)
        if t == 1:
            yield backward
        yield backward
        before = now


def _rounded(displacement: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
    """Displacements [h, w, 2] times a factor per axis, rounded to int16."""
    # for OpenCV, four numbers are a scalar of as many channels
    scalar = (*factors, 0.0, 0.0)
    return cv2.multiply(displacement, scalar, dtype=cv2.CV_16S)  # type: ignore[call-overload]  # no scalars


def _reduced(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    gray = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if gray.shape == (height, width):
        return np.ascontiguousarray(gray)
    return cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
