"""Alarm thresholds, set on normal footage only."""

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
        params: the section `calibrate.threshold`.
        normal: scores [T] and frames per second of each normal clip.
        events: the section `calibrate.events`, for the policy false_alarms.
        log: writes a line of text.

    Raises:
        UserError: if there are too few frames for the percentile.
    """
    scores = np.concatenate([clip for clip, _ in normal])
    if params.policy == "fixed":
        return params.value
    if params.policy == "sigma":
        return float(scores.mean() + params.deviations * scores.std())
    if params.policy == "percentile":
        # at least a frame must lie above the percentile
        if len(scores) < (required := ceil(round(100 / (100 - params.percentile), 6))):
            raise UserError(
                f"{len(scores)} validation frames are too few for calibrate.threshold.percentile = "
                f"{params.percentile:g}, which needs {required}; lower it, or hold out more clips by "
                "data.val_fraction"
            )
        return float(np.percentile(scores, params.percentile))
    hours = sum(len(clip) / fps for clip, fps in normal) / 3600
    if hours * params.per_hour < 1:
        log(
            f"{hours:.3g} hours of validation footage are too short to measure {params.per_hour:g} false "
            "alarms per hour: the threshold is the lowest without any false alarm in them"
        )
    return threshold_for(normal, params.per_hour, events)
