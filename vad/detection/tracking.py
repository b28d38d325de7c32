"""Tracking: assigns boxes that show the same person or thing in different frames to a track.

SORT (Bewley et al. 2016, arXiv:1602.00763), as implemented by the library `trackers`: a Kalman filter with
constant velocity per track; boxes are assigned to the predicted boxes by their overlap.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from vad.pipeline.params import Field, Section

MAX_STEP = 0.75  # diagonals of a box; the farthest that it moves between two frames given to the detector


class TrackParams(Section):
    """`preprocess.person_crop.track`: how boxes are assigned to tracks."""

    max_gap: int = Field(10, ge=0, description="frames without a box after which a track ends")
    min_iou: float = Field(
        0.2,
        gt=0,
        le=1,
        description="smallest IoU with the predicted box for a box to continue a track; higher values give "
        "fewer wrong identities but more broken tracks",
    )
    # at least 2, since SORT never assigns the first box to a track
    confirm: int = Field(
        2, ge=2, description="boxes in consecutive frames that confirm a track; earlier boxes have no track"
    )


class Tracker:
    """Tracks the boxes of a clip, frame by frame.

    Args:
        params: how boxes are assigned to tracks.
    """

    def __init__(self, params: TrackParams):
        from trackers import SORTTracker  # here, since the import takes a second

        # at a frame rate of 30, the library takes the length of its buffer in frames
        self._sort = SORTTracker(
            lost_track_buffer=params.max_gap,
            frame_rate=30.0,
            track_activation_threshold=0.0,
            minimum_consecutive_frames=params.confirm,
            minimum_iou_threshold=params.min_iou,
        )

    def update(self, boxes: np.ndarray) -> np.ndarray:
        """Assigns the boxes of the next frame to tracks; must be called for every frame, also without boxes.

        Args:
            boxes: [N, 4], x0, y0, x1, y1.

        Returns:
            Track number of each box, int32 [N]; -1 before a track is confirmed.
        """
        from supervision import Detections

        ones = np.ones(len(boxes), np.float32)
        detections = Detections(xyxy=np.asarray(boxes, np.float32).reshape(-1, 4), confidence=ones)
        return np.asarray(self._sort.update(detections).tracker_id, np.int32)


def interpolate(first: np.ndarray, second: np.ndarray, steps: int) -> list[np.ndarray]:
    """Interpolates the boxes of the frames between two frames with detected boxes.

    Boxes of the two frames are paired so that the distances of their centres are small; pairs further apart
    than MAX_STEP times their diagonal are not used. An unpaired box keeps its position in the half of the
    frames that is nearer to its frame, and is absent in the other half.

    Args:
        first: [N, 4 + K], boxes with K further values each, for example the confidence.
        second: [M, 4 + K].
        steps: number of frames from the first to the second.

    Returns:
        `steps` - 1 arrays of the same form.
    """
    distance = np.linalg.norm(_centres(first)[:, None] - _centres(second)[None], axis=2)
    diagonal = (_diagonals(first)[:, None] + _diagonals(second)[None]) / 2
    relative = np.divide(distance, diagonal, out=np.ones_like(distance), where=diagonal > 0)
    # capped, so that pairs too far apart to be used do not influence the others
    cost = np.minimum(relative, MAX_STEP)
    i, j = linear_sum_assignment(cost)
    near = cost[i, j] < MAX_STEP
    i, j = i[near], j[near]
    ending, starting = np.delete(first, i, axis=0), np.delete(second, j, axis=0)
    shares = np.arange(1, steps) / steps
    return [
        np.concatenate([first[i] + share * (second[j] - first[i]), ending if share < 0.5 else starting])
        for share in shares
    ]


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:4]) / 2


def _diagonals(boxes: np.ndarray) -> np.ndarray:
    return np.linalg.norm(boxes[:, 2:4] - boxes[:, :2], axis=1)
