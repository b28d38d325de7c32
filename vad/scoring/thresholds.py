"""Alarm thresholds, set by normal footage alone."""

from collections.abc import Callable, Sequence
from math import ceil

import numpy as np

from vad import UserError
from vad.scoring.events import threshold_for
from vad.scoring.params import EventParams, ThresholdParams


def fit_threshold(
    params: ThresholdParams,
    normal: Sequence[tuple[np.ndarray, float]],
    events: EventParams,
    log: Callable[[str], None],
) -> float:
    """The threshold above which a frame is alarmed.

    Args:
        params: the policy and its number.
        normal: (scores [T], frames per second) of normal clips.
        events: how alarmed frames become events, for the policy false_alarms.
        log: takes a line for people.

    Raises:
        UserError: if there are too few frames for the percentile.
    """
    scores = np.concatenate([clip for clip, _ in normal])
    if params.policy == "fixed":
        return params.value
    if params.policy == "sigma":
        return float(scores.mean() + params.deviations * scores.std())
    if params.policy == "percentile":
        if len(scores) < (required := ceil(round(100 / (100 - params.percentile), 6))):
            raise UserError(
                f"{len(scores)} validation frames cannot tell calibrate.threshold.percentile = "
                f"{params.percentile:g}, for which {required} are needed; lower it, or hold out more by "
                "data.val_fraction"
            )
        return float(np.percentile(scores, params.percentile))
    hours = sum(len(clip) / fps for clip, fps in normal) / 3600
    if hours * params.per_hour < 1:
        log(
            f"{hours:.3g} hours of validation footage cannot show {params.per_hour:g} false alarms per "
            "hour: the threshold is the lowest that leaves none in it"
        )
    return threshold_for(normal, params.per_hour, events)
