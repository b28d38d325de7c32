"""Scored frames: the results for frames together with their pictures, as they go to the outputs."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from vad.scoring.calibration import Calibration
from vad.scoring.items import FrameResult
from vad.scoring.params import EventParams
from vad.store.zones import ALL_JUDGED, CameraZones


@dataclass(frozen=True)
class SessionInfo:
    """A session: what its frames come from, and what their scores are compared with.

    Attributes:
        source: the source as text, without credentials.
        name: of the source, safe as a file name.
        camera: name of the camera; "" if unknown.
        fps: frames per second of the session, above 0.
        size: (height, width) of the frames in the session, to which boxes refer.
        picture_size: (height, width) of the pictures of the source, upright.
        threshold: frames with a higher score are alarmed.
        cell: pixels of the frame per cell, in each direction.
        branches: names of the fused branches.
        events: how alarmed frames become events.
        zones: what of the picture is judged.
    """

    source: str
    name: str
    camera: str
    fps: float
    size: tuple[int, int]
    picture_size: tuple[int, int]
    threshold: float
    cell: int
    branches: tuple[str, ...]
    events: EventParams
    zones: CameraZones = ALL_JUDGED

    @classmethod
    def of(
        cls,
        calibration: Calibration,
        *,
        source: str,
        name: str,
        camera: str,
        fps: float,
        size: tuple[int, int],
        picture_size: tuple[int, int],
        cell: int,
        zones: CameraZones,
    ) -> "SessionInfo":
        """A session whose scores are those of `calibration`; other arguments as the attributes."""
        return cls(
            source=source,
            name=name,
            camera=camera,
            fps=fps,
            size=size,
            picture_size=picture_size,
            threshold=calibration.threshold,
            cell=cell,
            branches=tuple(calibration.branches),
            events=calibration.params.events,
            zones=zones,
        )

    @property
    def undecided(self) -> int:
        """Number of frames after which it is certain whether a frame belongs to an event."""
        return round((self.events.min_duration + self.events.merge_gap) * self.fps) + 2

    def on_picture(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes in pixels of the picture of the source.

        Args:
            boxes: [N, 4] in pixels of the frame.

        Returns:
            float64 [N, 4].
        """
        (height, width), (rows, columns) = self.picture_size, self.size
        return np.asarray(boxes, np.float64).reshape(-1, 4) * np.tile([width / columns, height / rows], 2)


class ScoredFrame(NamedTuple):
    """The result for a frame, with its picture.

    Attributes:
        info: of the session.
        result: of the session.
        picture: uint8 [H, W, 3] RGB, upright, in the size of the source; None if no output wants pictures.
        time: of the frame by the wall clock, with offset; None for files.
        event: number of the event that has begun and not ended with this frame; None outside of events.
    """

    info: SessionInfo
    result: FrameResult
    picture: np.ndarray | None = None
    time: datetime | None = None
    event: int | None = None
