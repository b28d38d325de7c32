"""Alarm thresholds, set on normal footage only."""

from collections.abc import Callable, Sequence
from math import ceil

import numpy as np
import pandas as pd

from vad import UserError
from vad.scoring.events import TOLERANCE, in_frames
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


def threshold_for(clips: Sequence[tuple[np.ndarray, float]], per_hour: float, params: EventParams) -> float:
    """The lowest threshold with at most `per_hour` events per hour of normal footage.

    Raising the threshold may increase the number of events, as an event breaks into several. The result is
    the lowest frame score at which, and at all thresholds above which, the rate is at most `per_hour`. If the
    footage is so short that no event is allowed (hours * per_hour < 1), the result is the lowest score that
    leaves no event; with `min_duration` it may be below the highest score.

    Args:
        clips: scores [T] and frames per second of each normal clip.
        per_hour: maximum number of events per hour.
        params: the section `calibrate.events`.

    Raises:
        UserError: if there are no frames.
    """
    hours = sum(len(scores) / fps for scores, fps in clips) / 3600
    if not hours:
        raise UserError(
            "no normal frames to set a threshold with; raise data.val_fraction or add a val folder"
        )
    steps = [_steps(np.asarray(scores, float), fps, params) for scores, fps in clips]
    low, high = (np.sort(np.concatenate(part)) for part in zip(*steps, strict=True))
    candidates = np.unique(np.concatenate([scores for scores, _ in clips]))
    # events at each candidate: steps whose low is at most the candidate, less those whose high is
    begun = np.searchsorted(low, candidates, side="right")
    ended = np.searchsorted(high, candidates, side="right")
    too_many = np.flatnonzero(begun - ended > hours * per_hour + TOLERANCE)
    return float(candidates[too_many[-1] + 1 if len(too_many) else 0])


def _steps(scores: np.ndarray, fps: float, params: EventParams) -> tuple[np.ndarray, np.ndarray]:
    """Arrays `low` and `high`: the events at a threshold are the pairs with low <= threshold < high.

    The scores are dilated by the merge gap, then eroded by the gap and by the shortest event. The result is
    above a threshold in as many runs as there are events, since the closing fills gaps and the opening drops
    short runs (J. Serra, Image Analysis and Mathematical Morphology, 1982); the last dilation of the opening
    is omitted, as it neither joins nor splits runs. Each run begins with a step up, from `low` to `high`.
    """
    frames = len(scores)
    gap, shortest = in_frames(fps, params)
    gap, shortest = int(min(gap, frames)), max(1, int(np.ceil(min(shortest, frames + 1))))
    # NaN after the end: there is no alarm beyond the clip to merge with
    padded = pd.Series(np.pad(scores, (0, gap), constant_values=np.nan))
    dilated = padded.rolling(gap + 1, min_periods=1).max()
    level = dilated.rolling(gap + shortest).min().to_numpy()[gap + shortest - 1 :]
    before = np.r_[-np.inf, level][:-1]
    up = level > before
    return before[up], level[up]
