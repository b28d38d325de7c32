"""Tracks: which boxes of different frames show the same person or thing.

SORT (Bewley et al. 2016, arXiv:1602.00763), from the library `trackers`: a Kalman filter of constant
velocity per track, boxes assigned to predictions by overlap.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from vad.pipeline.params import Field, Section

MAX_STEP = 0.75  # diagonals of its box that a person moves at most between two frames given to the detector


class TrackParams(Section):
    """`preprocess.person_crop.track`: how boxes are joined to tracks."""

    max_gap: int = Field(10, ge=0, description="frames without a box after which a track ends")
    min_iou: float = Field(
        0.2,
        gt=0,
        le=1,
        description="overlap with the predicted box that continues a track; the higher, the fewer wrong "
        "identities and the more broken tracks",
    )
    # SORT never numbers the first box
    confirm: int = Field(
        2, ge=2, description="boxes in a row that confirm a track; earlier boxes have no number"
    )


class Tracker:
    """The tracks of a clip, frame by frame."""

    def __init__(self, params: TrackParams):
        from trackers import SORTTracker  # here, since the import takes a second

        # 30 frames per second mean that its buffer counts frames
        self._sort = SORTTracker(
            lost_track_buffer=params.max_gap,
            frame_rate=30.0,
            track_activation_threshold=0.0,
            minimum_consecutive_frames=params.confirm,
            minimum_iou_threshold=params.min_iou,
        )

    def update(self, boxes: np.ndarray) -> np.ndarray:
        """Assigns the boxes of the next frame to tracks; to be called for every frame, also without boxes.

        Args:
            boxes: [N, 4], x0, y0, x1, y1.

        Returns:
            Numbers of their tracks, int32 [N]; -1 before a track is confirmed.
        """
        from supervision import Detections

        ones = np.ones(len(boxes), np.float32)
        detections = Detections(xyxy=np.asarray(boxes, np.float32).reshape(-1, 4), confidence=ones)
        return np.asarray(self._sort.update(detections).tracker_id, np.int32)


def interpolate(first: np.ndarray, second: np.ndarray, steps: int) -> list[np.ndarray]:
    """Boxes of the frames between two frames whose boxes were detected.

    A box of the second frame continues the nearest of the first, if their centres are nearer than MAX_STEP of
    their diagonals. A box without counterpart stays where it is for the half of the time that is nearer to
    its frame.

    Args:
        first: [N, 4 + K], boxes and K further numbers of each, such as the confidence.
        second: [M, 4 + K].
        steps: frames from the first to the second.

    Returns:
        `steps` - 1 arrays like `first`.
    """
    distance = np.linalg.norm(_centres(first)[:, None] - _centres(second)[None], axis=2)
    diagonal = (_diagonals(first)[:, None] + _diagonals(second)[None]) / 2
    relative = np.divide(distance, diagonal, out=np.ones_like(distance), where=diagonal > 0)
    cost = np.minimum(relative, MAX_STEP)
    a, b = linear_sum_assignment(cost)
    near = cost[a, b] < MAX_STEP
    a, b = a[near], b[near]
    gone, new = np.delete(first, a, axis=0), np.delete(second, b, axis=0)
    shares = np.arange(1, steps) / steps
    return [
        np.concatenate([first[a] + share * (second[b] - first[a]), gone if share < 0.5 else new])
        for share in shares
    ]


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:4]) / 2


def _diagonals(boxes: np.ndarray) -> np.ndarray:
    return np.linalg.norm(boxes[:, 2:4] - boxes[:, :2], axis=1)
