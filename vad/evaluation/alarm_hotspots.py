"""Hotspots: small parts of a camera's picture that raise most of its alarms, where a zone may be wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd

LEAST_TIME = 0.6  # share of a camera's alarmed time that comes from the hotspot
LARGEST = 0.05  # share of the picture that it covers
LEAST_EVENTS = 2  # number of events that it raises: a single one may well be what is looked for
REACH = 0.15  # largest distance from the median alarm, in shares of width and height
MARGIN = 0.01  # on each side, in shares of width and height
HOTSPOTS = ["camera", "x0", "y0", "x1", "y1", "seconds", "time_share", "events", "clips"]


@dataclass(frozen=True, eq=False)
class Alarms:
    """The alarmed frames of a clip that are not labelled anomalous, N of them.

    Attributes:
        camera: of the clip.
        clip: its name.
        fps: frames per second.
        boxes: what raised each alarm, float [N, 4]: x0, y0, x1, y1 in shares of width and height; NaN if it
            is unknown.
        events: number of the event that each frame belongs to, int [N]; -1 outside events.
    """

    camera: str
    clip: str
    fps: float
    boxes: np.ndarray
    events: np.ndarray


def alarm_hotspots(alarms: Sequence[Alarms]) -> pd.DataFrame:
    """The hotspot of each camera from which most of its alarms come.

    Args:
        alarms: of all clips.

    Returns:
        A row per camera that has such a hotspot, with the columns HOTSPOTS: its box in shares of width and
        height, the alarmed seconds from it and their share of all, its events and their clips.
    """
    rows = []
    for camera, group in groupby(sorted(alarms, key=lambda a: a.camera), key=lambda a: a.camera):
        if (hotspot := _hotspot(list(group))) is not None:
            rows.append((camera, *hotspot))
    return pd.DataFrame(rows, columns=HOTSPOTS)


def _hotspot(alarms: Sequence[Alarms]) -> tuple[float, ...] | None:
    """A row of the table, without the camera; None if there is no such hotspot."""
    boxes = np.concatenate([a.boxes for a in alarms])
    seconds = np.concatenate([np.full(len(a.boxes), 1 / a.fps) for a in alarms])
    known = np.isfinite(boxes[:, 0])
    if not known.any():
        return None
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    # if most alarms come from a hotspot, their median does, wherever the others are
    median = _quantile(centres[known], 0.5, seconds[known])
    near = known & (np.abs(centres - median) <= REACH).all(1)
    if not near.any():
        return None
    first, last = (
        _quantile(boxes[near, i : i + 2], share, seconds[near]) for i, share in ((0, 0.1), (2, 0.9))
    )
    corners = np.concatenate([np.floor(100 * (first - MARGIN)), np.ceil(100 * (last + MARGIN))]) / 100
    x0, y0, x1, y1 = np.clip(corners, 0, 1)
    if (x1 - x0) * (y1 - y0) > LARGEST:
        return None
    overlap = np.minimum(boxes[:, 2:], (x1, y1)) - np.maximum(boxes[:, :2], (x0, y0))
    shares = np.maximum(overlap, 0).prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1)
    inside = shares >= 0.5  # as zones have it; False where boxes are unknown
    number = np.repeat(np.arange(len(alarms)), [len(a.boxes) for a in alarms])
    events = np.concatenate([a.events for a in alarms])
    raised = np.unique(np.stack([number, events])[:, inside & (events >= 0)], axis=1)
    share = seconds[inside].sum() / seconds.sum()
    if share < LEAST_TIME or raised.shape[1] < LEAST_EVENTS:
        return None
    return (x0, y0, x1, y1, seconds[inside].sum(), share, raised.shape[1], len(np.unique(raised[0])))


def _quantile(values: np.ndarray, share: float, weights: np.ndarray) -> np.ndarray:
    """The quantile of each column of values, float [N, D], whose rows have weights."""
    return np.quantile(values, share, axis=0, weights=weights, method="inverted_cdf")
