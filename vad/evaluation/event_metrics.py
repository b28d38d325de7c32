"""Metrics of events: agreement with labelled events, delay, false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from vad.scoring.events import TOLERANCE, alarms
from vad.scoring.items import Event
from vad.scoring.poisson import poisson_interval
from vad.store.intervals import intervals_of

IOU = (20, 30, 40, 50)  # percent; the least temporal IoU of an event and a labelled event that agree


@dataclass(frozen=True)
class ClipEvents:
    """The events and the labels of a clip.

    Attributes:
        events: the events, in extracted frames.
        anomalous: labels of the frames, bool [T].
        fps: frames per second.
        wait: seconds from the start of an event until it is known live: the lookahead of scores, and the
            shortest duration of an event.
    """

    events: Sequence[Event]
    anomalous: np.ndarray
    fps: float
    wait: float = 0.0


def event_level(clips: Sequence[ClipEvents], max_delay: float) -> dict[str, Any]:
    """Compares the events of labelled clips with the labels.

    A labelled event is a maximal run of anomalous frames.

    Args:
        clips: events and labels of each labelled clip.
        max_delay: maximum difference in seconds between the starts of an event and of a labelled event for
            the event to be on time.

    Returns:
        Undefined figures are omitted.

        - `labelled`: number of labelled events; `found`: number of them that an event overlaps; `on_time`:
          number of them that an event overlaps that is on time.
        - `delay_median`, `delay_mean`: seconds from the start of a labelled event to its first frame inside
          an event.
        - `on_time_delivered`, `delay_median_delivered`, `delay_mean_delivered`: the same if an event counts
          from when it is known live; on time are those of `on_time` that are also known in time.
        - `f1`: `iou_20`, …, one for each of IOU: F1 of events that agree with labelled events one to one,
          with a temporal IoU of at least 20 %; pairs, events and labelled events are summed over clips.
        - `false_alarms`: number of events that overlap no anomalous frame; `hours`: hours of normal frames;
          `false_alarms_per_hour` with the bounds `false_alarms_per_hour_low` and `_high` of its confidence
          interval (`poisson_interval`).
        - `alarm_fraction`, `alarm_fraction_normal`: share of all frames, and of normal frames, inside events;
          without it, an event that never ends would look perfect.
    """
    labelled = detected = on_time = on_time_delivered = false_alarms = 0
    delays: list[float] = []
    delivered: list[float] = []
    pairs = np.zeros(len(IOU), int)
    for clip in clips:
        runs = np.array(intervals_of(clip.anomalous), int).reshape(-1, 2, 1)
        events = np.array([(e.start, e.end) for e in clip.events], int).reshape(-1, 2)
        late = events[:, 0] - runs[:, 0]  # frames from the start of a run to that of an event, [runs, events]
        overlap = (events[:, 0] < runs[:, 1]) & (events[:, 1] > runs[:, 0])
        timely = overlap & (np.abs(late) <= max_delay * clip.fps + TOLERANCE)
        labelled += len(runs)
        detected += int(overlap.any(1).sum())
        on_time += int(timely.any(1).sum())
        if overlap.any():
            pairs += matches(runs[:, :, 0], events)
        known = late + clip.wait * clip.fps  # frames from the start of a run until an event is known
        in_time = timely & (known <= max_delay * clip.fps + TOLERANCE)
        on_time_delivered += int(in_time.any(1).sum())
        false_alarms += int((~overlap.any(0)).sum())
        for seconds, frames in ((delays, late), (delivered, known)):
            # an event that starts, or is known, before the run has delay 0
            first = np.where(overlap, np.maximum(frames, 0), np.inf).min(1, initial=np.inf)
            seconds.extend(first[np.isfinite(first)] / clip.fps)
    hours = sum(float((~clip.anomalous).sum()) / clip.fps for clip in clips) / 3600
    inside = np.concatenate([np.zeros(0, bool), *(alarms(c.events, len(c.anomalous)) for c in clips)])
    normal = ~np.concatenate([np.zeros(0, bool), *(clip.anomalous for clip in clips)])
    figures: dict[str, Any] = {"labelled": labelled}
    if labelled:
        figures |= {"found": detected, "on_time": on_time, "on_time_delivered": on_time_delivered}
        both = labelled + sum(len(clip.events) for clip in clips)
        figures["f1"] = {f"iou_{percent}": float(2 * n / both) for percent, n in zip(IOU, pairs, strict=True)}
    for suffix, seconds in (("", delays), ("_delivered", delivered)):
        if seconds:
            figures |= {
                f"delay_median{suffix}": float(np.median(seconds)),
                f"delay_mean{suffix}": float(np.mean(seconds)),
            }
    figures |= {"false_alarms": false_alarms, "hours": hours}
    if hours:
        low, high = poisson_interval(false_alarms)
        figures |= {
            "false_alarms_per_hour": false_alarms / hours,
            "false_alarms_per_hour_low": low / hours,
            "false_alarms_per_hour_high": high / hours,
        }
        figures["alarm_fraction_normal"] = float(inside[normal].mean())
    if len(inside):
        figures["alarm_fraction"] = float(inside.mean())
    return figures


def matches(labelled: np.ndarray, events: np.ndarray) -> list[int]:
    """The numbers of pairs of a labelled event and an event that agree, each in at most one pair.

    Of all ways to pair them, one with the most pairs counts, so the order does not matter.

    Args:
        labelled: starts and ends (exclusive) of the labelled events of a clip, int [N, 2].
        events: those of its events, int [M, 2].

    Returns:
        The number for each of IOU: the least intersection over union of a pair.
    """
    (a0, a1), (b0, b1) = labelled.T[:, :, None], events.T[:, None]
    common = np.maximum(np.minimum(a1, b1) - np.maximum(a0, b0), 0)
    union = (a1 - a0) + (b1 - b0) - common
    agree = (csr_array(100 * common >= percent * union) for percent in IOU)  # in integers, so exact
    return [int((maximum_bipartite_matching(pairs) >= 0).sum()) for pairs in agree]
