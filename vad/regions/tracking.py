"""Tracks: which boxes of different frames show the same person or thing.

SORT (Bewley et al. 2016, arXiv:1602.00763), from the library `trackers`: a Kalman filter of constant
velocity per track, boxes assigned to predictions by overlap.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from vad.pipeline.params import Field, Section

REACH = 0.75  # diagonals that somebody moves at most between two frames that a detector is shown


class TrackParams(Section):
    """How tracks are kept together.

    `max_gap`: frames that a track may be without a box before it ends; `min_iou`: overlap of a box with
    the predicted one that continues a track, so that no identity jumps further; `confirm`: boxes in a row
    after which it counts as a track, and those before have no number.
    """

    max_gap: int = Field(ge=0)
    min_iou: float = Field(gt=0, le=1)
    confirm: int = Field(ge=2)  # SORT never numbers the first


class Tracker:
    """The tracks of one clip, frame by frame."""

    def __init__(self, params: TrackParams):
        from trackers import SORTTracker  # takes a second

        # 30 frames per second mean that its buffer counts frames
        self._sort = SORTTracker(
            lost_track_buffer=params.max_gap,
            frame_rate=30.0,
            track_activation_threshold=0.0,
            minimum_consecutive_frames=params.confirm,
            minimum_iou_threshold=params.min_iou,
        )

    def update(self, boxes: np.ndarray) -> np.ndarray:
        """Takes the boxes [N, 4] of the next frame; returns their track numbers, int32 [N], -1 where unknown.

        A box belongs to a track once that is confirmed. To be called for every frame, also without boxes.
        """
        from supervision import Detections

        ones = np.ones(len(boxes), np.float32)
        found = Detections(xyxy=np.asarray(boxes, np.float32).reshape(-1, 4), confidence=ones)
        return np.asarray(self._sort.update(found).tracker_id, np.int32)


def between(first: np.ndarray, second: np.ndarray, steps: int) -> list[np.ndarray]:
    """Boxes of the `steps` - 1 frames between two frames in which boxes were found.

    `first` [N, 4 + K] and `second` [M, 4 + K] are boxes and any other numbers of them; so are the results.
    A box of the second frame continues the one of the first that is nearest to it, if their centres are
    nearer than REACH of their diagonals; what lies between is interpolated. A box without counterpart
    stays where it is for the half of the time that is nearer to its frame.
    """
    distance = np.linalg.norm(_centres(first)[:, None] - _centres(second)[None], axis=2)
    diagonal = (_diagonals(first)[:, None] + _diagonals(second)[None]) / 2
    cost = np.minimum(np.divide(distance, diagonal, out=np.ones_like(distance), where=diagonal > 0), REACH)
    a, b = linear_sum_assignment(cost)
    near = cost[a, b] < REACH
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
