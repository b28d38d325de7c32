"""Thresholds: each policy compared with its definition."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.test_events import PLAIN, RATES, digits, lengths, marked, scored, seconds
from vad import UserError
from vad.scoring import events
from vad.scoring.params import EventParams, ThresholdParams
from vad.scoring.thresholds import fit_threshold, threshold_for

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
EVENTS = EventParams(merge_gap=1.0, min_duration=0.2)


def params(policy="percentile", **changed) -> ThresholdParams:
    values = {"percentile": 90.0, "deviations": 2.0, "value": 1.5, "per_hour": 60.0} | changed
    return ThresholdParams(policy=policy, **values)


def normal(*lengths: int, fps: float = 10.0) -> list[tuple[np.ndarray, float]]:
    return [(RNG.gamma(2, 1, n), fps) for n in lengths]


def threshold(chosen: ThresholdParams, clips: list, log: list | None = None) -> float:
    return fit_threshold(chosen, clips, EVENTS, (log if log is not None else []).append)


@given(st.floats(1, 99), st.lists(st.integers(50, 200), min_size=2, max_size=3))
@few
def test_the_percentile_leaves_this_share_of_frames_below(percentile, lengths):
    clips = normal(*lengths)
    scores = np.sort(np.concatenate([clip for clip, _ in clips]))
    at = threshold(params(percentile=percentile), clips)
    assert at == pytest.approx(np.interp(percentile / 100 * (len(scores) - 1), range(len(scores)), scores))
    assert (scores < at).mean() == pytest.approx(percentile / 100, abs=1 / len(scores))


@pytest.mark.parametrize(
    ("percentile", "required"),
    [(50.0, 2), (90.0, 10), (99.0, 100), (99.9, 1000), (99.99, 10_000), (98.5, 67)],
)
def test_a_percentile_needs_enough_frames_to_have_a_frame_above_it(percentile, required):
    chosen = params(percentile=percentile)
    threshold(chosen, normal(1, required - 1))
    with pytest.raises(UserError) as caught:
        threshold(chosen, normal(required - 1))
    assert str(caught.value) == (
        f"{required - 1} validation frames are too few for calibrate.threshold.percentile = {percentile:g}, "
        f"which needs {required}; lower it, or hold out more clips by data.val_fraction"
    )


@pytest.mark.parametrize("policy", ["sigma", "fixed", "false_alarms"])
def test_other_policies_need_no_number_of_frames(policy):
    threshold(params(policy, percentile=99.9), normal(3))


def test_sigma_is_deviations_above_the_mean_of_all_frames():
    clips = normal(30, 70)
    scores = np.concatenate([clip for clip, _ in clips]).tolist()
    mean = sum(scores) / 100
    deviation = (sum((s - mean) ** 2 for s in scores) / 100) ** 0.5
    for n in (0.0, 2.0, 3.5):
        assert threshold(params("sigma", deviations=n), clips) == pytest.approx(mean + n * deviation)


def test_fixed_is_the_value():
    assert threshold(params("fixed", value=-0.25), normal(5, 5)) == -0.25


@given(st.integers(0, 1000), st.sampled_from([0.0, 30.0, 60.0, 600.0]))
@few
def test_false_alarms_are_at_most_as_frequent_as_per_hour(seed, per_hour):
    """At the next lower score they would be too frequent; durations follow from the frame rates of clips."""
    rng = np.random.default_rng(seed)
    clips = [(rng.integers(0, 30, n).astype(float), fps) for n, fps in ((200, 10.0), (300, 5.0))]
    log: list[str] = []
    lowest = threshold(params("false_alarms", per_hour=per_hour), clips, log)
    hours = (200 / 10 + 300 / 5) / 3600

    def rate(at: float) -> float:
        return sum(len(events.find(clip, at, fps, EVENTS)) for clip, fps in clips) / hours

    assert rate(lowest) <= per_hour * (1 + 1e-9)
    if lowest > 0:  # else no score is lower
        assert rate(lowest - 1) > per_hour
    assert lowest == threshold_for(clips, per_hour, EVENTS)
    # a single event in 80 seconds is 45 an hour
    assert len(log) == (per_hour < 45)
    if log:
        assert log[0].startswith("0.0222 hours of validation footage are too short to measure")
        assert f"measure {per_hour:g} false alarms per hour" in log[0]


def test_only_keys_that_the_policy_uses_are_active():
    """So a change of an unused key re-runs nothing; the threshold of cells always uses the percentile."""
    for policy, key in (("sigma", "deviations"), ("fixed", "value"), ("false_alarms", "per_hour")):
        assert set(params(policy).active()) == {"policy", "percentile", key}
    assert set(params().active()) == {"policy", "percentile"}


def test_a_minute_of_footage_allows_an_event_at_60_per_hour():
    """Nine clips of 100 frames at 15 per second, whose sum in floating point is slightly below a minute."""
    clips = [(np.zeros(100), 15.0)] * 8 + [(np.r_[np.zeros(50), 3, 2, np.zeros(48)], 15.0)]
    assert threshold_for(clips, 60.0, PLAIN) == 0
    assert threshold_for(clips, 59.9, PLAIN) == 3


def rate(clips, threshold: float, gap: int, shortest: int) -> float:
    """Events per hour, counted by marking frames."""
    hours = sum(len(scores) / fps / 3600 for scores, fps in clips)
    return sum(len(marked(scores, threshold, gap, shortest)) for scores, _ in clips) / hours


@given(st.lists(scored, min_size=1, max_size=4), lengths, lengths, RATES, st.integers(0, 5), st.booleans())
@few
def test_the_threshold_is_the_lowest_from_which_on_the_rate_holds(clips, gap, shortest, fps, allowed, more):
    frames = sum(map(len, clips))
    if not frames:
        return
    clips = [(scores, fps) for scores in clips]
    per_hour = (allowed + 0.5 * more) / (frames / fps / 3600)
    threshold = threshold_for(clips, per_hour, seconds(gap, shortest, fps))
    for candidate in sorted({float(s) for scores, _ in clips for s in scores}, reverse=True):
        if rate(clips, candidate, gap, shortest) > per_hour * (1 + 1e-9):
            break
        expected = candidate
    assert threshold == expected


def test_clips_of_different_rates_have_the_limits_in_seconds():
    slow, fast = digits("00900900"), digits("0000900009000000")
    both = EventParams(merge_gap=2.0, min_duration=0)  # 2 frames of the slow clip, 4 of the fast
    hours = (8 / 1 + 16 / 2) / 3600
    assert threshold_for([(slow, 1.0), (fast, 2.0)], 2 / hours, both) == 0  # an event in each
    assert threshold_for([(slow, 1.0), (fast, 2.0)], 1 / hours, both) == 9
    assert threshold_for([(slow, 1.0), (fast, 1.0)], 2 / (24 / 3600), both) == 9  # two in the fast


def test_the_rate_must_hold_at_all_higher_thresholds_too():
    """At threshold 0 there is a single event, at threshold 1 it breaks into three."""
    clips = [(digits("11511511511"), 1.0)]
    hourly = 1 / (11 / 3600)  # of a single event
    assert len(events.find(clips[0][0], 0, 1.0, PLAIN)) == 1
    assert threshold_for(clips, hourly, PLAIN) == 5
    assert threshold_for(clips, 3 * hourly, PLAIN) == 1


def test_where_no_event_is_allowed_the_threshold_is_the_highest_score():
    assert threshold_for([(digits("0137"), 25.0), (digits("02"), 25.0)], 1.0, PLAIN) == 7
    lasting = EventParams(merge_gap=0, min_duration=2 / 25)  # a single frame is no event
    assert threshold_for([(digits("0137"), 25.0), (digits("02"), 25.0)], 1.0, lasting) == 3


@pytest.mark.parametrize("clips", [[], [(np.zeros(0), 25.0)]])
def test_a_threshold_without_frames_is_refused(clips):
    with pytest.raises(UserError, match=r"no normal frames .* raise data\.val_fraction"):
        threshold_for(clips, 1.0, PLAIN)


def test_the_threshold_of_an_hour_of_frames_is_computed_quickly():
    clips = [(np.convolve(RNG.normal(size=10_000), np.ones(9) / 9, "same"), 25.0) for _ in range(10)]
    for limits in (EventParams(merge_gap=2, min_duration=1), EventParams(merge_gap=1e300, min_duration=9e3)):
        start = time.perf_counter()
        threshold = threshold_for(clips, 20.0, limits)
        assert time.perf_counter() - start < 2
        number = sum(len(events.find(scores, threshold, fps, limits)) for scores, fps in clips)
        assert number <= 20 * 100_000 / 25 / 3600
