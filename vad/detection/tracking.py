"""Tracking: assigns boxes that show the same person or thing in different frames to a track.

SORT (Bewley et al. 2016, arXiv:1602.00763), with the corners of a box as the state, as in the library
`trackers`: a Kalman filter with constant velocity per track; boxes are assigned to the predicted boxes by
their overlap.
"""

from typing import NamedTuple

import numpy as np

from vad.boxes import iou
from vad.detection.assignment import assign
from vad.durations import count_frames
from vad.pipeline.params import Field, Section

# The filter's model of a coordinate of a box, position and velocity; noise as in the library `trackers`
TRANSITION = np.array([[1.0, 1.0], [0.0, 1.0]])
PROCESS_NOISE = 0.01 * np.eye(2)  # variance that a frame adds to position and velocity
MEASUREMENT_NOISE = 0.1  # variance of the coordinates of boxes, in pixels squared


class TrackParams(Section):
    """`preprocess.person_crop.track`: how boxes are assigned to tracks."""

    max_gap: float = Field(0.8, ge=0, le=3600, description="seconds without a box after which a track ends")
    min_iou: float = Field(
        0.2,
        gt=0,
        le=1,
        description="smallest IoU with the predicted box for a box to continue a track; higher values give "
        "fewer wrong identities but more broken tracks",
    )
    confirm: float = Field(
        0.1,
        ge=0,
        le=3600,
        description="seconds from the first to the last of the boxes in consecutive frames that confirm a "
        "track, two boxes at least; earlier boxes have no track",
    )

    def at(self, fps: float) -> "TrackLimits":
        """The parameters at a frame rate; durations are rounded to whole frames, halves up.

        Args:
            fps: frames per second.
        """
        # two boxes at least, since SORT never assigns the first box to a track
        boxes = 1 + count_frames(self.confirm, fps, least=1)
        return TrackLimits(count_frames(self.max_gap, fps), self.min_iou, boxes)


class TrackLimits(NamedTuple):
    """Limits of tracks in frames.

    Attributes:
        max_gap: frames without a box after which a track ends, 0 or more.
        min_iou: smallest IoU with the predicted box for a box to continue a track.
        confirm: number of boxes in consecutive frames that confirm a track, at least 2.
    """

    max_gap: int
    min_iou: float
    confirm: int


class Tracker:
    """Tracks the boxes of a clip, frame by frame.

    Args:
        limits: how boxes are assigned to tracks.
    """

    def __init__(self, limits: TrackLimits):
        self.limits = limits
        self._next = 0  # number of the next track
        # of each of the K tracks, also of those without a number yet
        self._state = np.zeros((0, 2, 4))  # the box and its change per frame
        # of position and velocity, equal for the four coordinates, since the noise is
        self._covariance = np.zeros((0, 2, 2))
        self._number = np.zeros(0, np.int32)  # -1 before it is confirmed
        self._boxes = np.zeros(0, int)  # boxes so far
        self._gap = np.zeros(0, int)  # frames since its latest box

    def update(self, boxes: np.ndarray, steps: int = 1) -> np.ndarray:
        """Assigns the boxes of the next frame to tracks; must be called for every frame, also without boxes.

        Args:
            boxes: [N, 4], x0, y0, x1, y1.
            steps: frame intervals since the frame before; the frames missing in between count as frames
                without boxes.

        Returns:
            Track number of each box, int32 [N]; -1 before a track is confirmed.
        """
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4).astype(float)
        for _ in range(min(steps - 1, self.limits.max_gap + 1)):  # after that, no track is left
            self._predict()
            self._end_tracks()
        self._predict()
        # in single precision, in which the library compares: nearly equal overlaps count as equal
        overlap = iou(self._state[:, 0], boxes).astype(np.float32)
        tracks, matches = assign(overlap, maximize=True)
        same = overlap[tracks, matches] >= self.limits.min_iou
        tracks, matches = tracks[same], matches[same]
        self._correct(tracks, boxes[matches])
        confirmed = tracks[(self._boxes[tracks] >= self.limits.confirm) & (self._number[tracks] < 0)]
        self._number[confirmed] = np.arange(self._next, self._next + len(confirmed))
        self._next += len(confirmed)
        numbers = np.full(len(boxes), -1, np.int32)
        numbers[matches] = self._number[tracks]
        self._end_tracks()
        self._begin_tracks(np.delete(boxes, matches, axis=0))
        return numbers

    def _predict(self) -> None:
        self._state = TRANSITION @ self._state
        self._covariance = TRANSITION @ self._covariance @ TRANSITION.T + PROCESS_NOISE
        self._gap += 1

    def _correct(self, tracks: np.ndarray, boxes: np.ndarray) -> None:
        """Updates the filters of the tracks, int [M], by their boxes [M, 4]."""
        state, covariance = self._state[tracks], self._covariance[tracks]
        gain = covariance[:, :, 0] * (1 / (covariance[:, 0, 0] + MEASUREMENT_NOISE))[:, None]
        self._state[tracks] = state + gain[:, :, None] * (boxes - state[:, 0])[:, None]
        # Joseph's form, which keeps the covariance positive: (I - K H) P (I - K H)' + K R K'
        rest = np.repeat(np.eye(2)[None], len(tracks), axis=0)
        rest[:, :, 0] -= gain
        self._covariance[tracks] = (
            rest @ covariance @ rest.transpose(0, 2, 1) + MEASUREMENT_NOISE * gain[:, :, None] * gain[:, None]
        )
        self._boxes[tracks] += 1
        self._gap[tracks] = 0

    def _end_tracks(self) -> None:
        """Ends the tracks that had no box for too long, or none in this frame before they were confirmed."""
        alive = (self._gap <= self.limits.max_gap) & ((self._gap == 0) | (self._boxes >= self.limits.confirm))
        if not alive.all():
            self._state, self._covariance = self._state[alive], self._covariance[alive]
            self._number, self._boxes, self._gap = self._number[alive], self._boxes[alive], self._gap[alive]

    def _begin_tracks(self, boxes: np.ndarray) -> None:
        """Begins a track with each of these boxes [M, 4], at rest."""
        new = len(boxes)
        if not new:
            return
        self._state = np.concatenate([self._state, np.stack([boxes, np.zeros_like(boxes)], axis=1)])
        self._covariance = np.concatenate([self._covariance, np.repeat(np.eye(2)[None], new, axis=0)])
        self._number = np.concatenate([self._number, np.full(new, -1, np.int32)])
        self._boxes = np.concatenate([self._boxes, np.ones(new, int)])
        self._gap = np.concatenate([self._gap, np.zeros(new, int)])
