"""Alarm thresholds, set on normal footage only."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from vad import UserError
from vad.scoring.events import TOLERANCE, in_frames
from vad.scoring.evidence import duration, number
from vad.scoring.params import EventParams, ThresholdParams

NormalScores = Sequence[tuple[np.ndarray, float]]  # scores [T] and frames per second of each normal clip


def fit_threshold(
    params: ThresholdParams,
    normal: NormalScores,
    events: EventParams,
    log: Callable[[str], None] = lambda line: None,
) -> float:
    """The threshold above which a frame is alarmed.

    Args:
        params: the section `calibrate.threshold`.
        normal: scores [T] and frames per second of each normal clip.
        events: the section `calibrate.events`, for the policy false_alarms.
        log: writes a line of text.

    Raises:
        UserError: if there are no frames.
    """
    if not sum(len(scores) for scores, _ in normal):
        raise UserError(
            "no normal frames to set a threshold with; set data.folds above 1, or raise data.val_fraction"
        )
    scores = np.concatenate([clip for clip, _ in normal])
    if params.policy == "fixed":
        return params.value
    if params.policy == "sigma":
        return float(scores.mean() + params.deviations * scores.std())
    if params.policy == "percentile":
        return float(np.percentile(scores, params.percentile))
    return false_alarm_threshold(normal, params.per_day, events, log)


def require_frames(params: ThresholdParams, frames: int) -> None:
    """Checks that there are enough normal frames for the threshold.

    Args:
        params: the section `calibrate.threshold`.
        frames: number of normal frames.

    Raises:
        UserError: if there are too few.
    """
    if frames < (required := params.required_frames):
        raise UserError(
            f"{frames} normal frames are too few for calibrate.threshold.percentile = "
            f"{params.percentile:g}, which needs {required}; lower it, add normal clips, or set data.folds "
            "above 1 if it is 1"
        )


def false_alarm_threshold(
    normal: NormalScores, per_day: float, events: EventParams, log: Callable[[str], None] = lambda line: None
) -> float:
    """The lowest threshold with at most `per_day` false alarms per day of normal footage.

    The lowest rate that footage can show is that of a single event in all of it; where `per_day` is lower,
    this rate is taken. Extrapolation by a tail fitted to the highest events would rest on the form of the
    tail alone: in short footage of different activities, the threshold may come out far above all scores.

    Args:
        normal: scores [T] and frames per second of each normal clip; at least a frame in all.
        per_day: number of events per day; 0 for the lowest threshold without any.
        events: the section `calibrate.events`.
        log: writes a line of text.
    """
    days = sum(len(scores) / fps for scores, fps in normal) / 86400
    allowed = days * per_day
    if 0 < allowed < 1 - TOLERANCE:
        log(
            f"{duration(24 * days)} of normal footage are too short to count false alarms at {per_day:g} per "
            f"day: the threshold is the lowest with one in all of them, which is {number(1 / days)} per day"
        )
        allowed = 1.0
    return NormalEvents(normal, events).lowest_threshold(allowed)


class NormalEvents:
    """The events in normal footage, at all thresholds.

    Args:
        normal: scores [T] and frames per second of each normal clip; at least a frame in all.
        events: the section `calibrate.events`.
    """

    def __init__(self, normal: NormalScores, events: EventParams):
        self._thresholds = np.unique(np.concatenate([scores for scores, _ in normal]))
        steps = [_steps(event_scores(scores, fps, events)) for scores, fps in normal]
        low, high = (np.sort(np.concatenate(part)) for part in zip(*steps, strict=True))
        # events at each threshold: steps whose low is at most the threshold, less those whose high is
        begun = np.searchsorted(low, self._thresholds, side="right")
        self._counts = begun - np.searchsorted(high, self._thresholds, side="right")

    def lowest_threshold(self, allowed: float) -> float:
        """The lowest threshold with at most `allowed` events.

        Raising the threshold may increase the number of events, as an event breaks into several. The result
        is the lowest frame score at which, and at all scores above which, there are at most `allowed` events.
        If this is below 1, it is the lowest score that leaves no event; with `min_duration` it may be below
        the highest score.

        Args:
            allowed: maximum number of events.
        """
        too_many = np.flatnonzero(self._counts > allowed + TOLERANCE)
        return float(self._thresholds[too_many[-1] + 1 if len(too_many) else 0])


def event_scores(scores: np.ndarray, fps: float, params: EventParams) -> np.ndarray:
    """Scores that have, above any threshold, as many runs as there are events at that threshold.

    The scores are dilated by the merge gap, then eroded by the gap and by the shortest event: the closing
    fills gaps and the opening drops short runs (J. Serra, Image Analysis and Mathematical Morphology, 1982);
    the last dilation of the opening is omitted, as it neither joins nor splits runs.

    Args:
        scores: scores of the frames, float [T].
        fps: frames per second.
        params: the section `calibrate.events`.

    Returns:
        float64 [n], n at most T; empty if the clip is too short for an event.
    """
    frames = len(scores)
    gap, shortest = in_frames(fps, params)
    gap, shortest = int(min(gap, frames)), max(1, int(np.ceil(min(shortest, frames + 1))))
    if shortest > frames:
        return np.zeros(0)
    # there is no alarm beyond the clip to merge with
    padded = np.pad(np.asarray(scores, float), gap, constant_values=-np.inf)
    # of the filters, only windows that lie inside the array are kept
    dilated = _inside(maximum_filter1d, padded, gap + 1)
    return _inside(minimum_filter1d, dilated, gap + shortest)


def _inside(filter1d: Callable[..., np.ndarray], values: np.ndarray, span: int) -> np.ndarray:
    return filter1d(values, span)[span // 2 : len(values) - (span - 1 - span // 2)]


def _steps(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arrays `low` and `high`: the events at a threshold are the pairs with low <= threshold < high.

    Each run above a threshold begins with a step up, from `low` to `high`.
    """
    before = np.r_[-np.inf, scores][:-1]
    up = scores > before
    return before[up], scores[up]
