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
from vad.scoring.thresholds import NormalEvents, fit_threshold, require_frames

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
EVENTS = EventParams(merge_gap=1.0, min_duration=0.2)


def params(policy="percentile", **changed) -> ThresholdParams:
    values = {"percentile": 90.0, "deviations": 2.0, "value": 1.5, "per_day": 1440.0} | changed
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
    require_frames(chosen, required)
    with pytest.raises(UserError) as caught:
        require_frames(chosen, required - 1)
    assert str(caught.value) == (
        f"{required - 1} normal frames are too few for calibrate.threshold.percentile = {percentile:g}, "
        f"which needs {required}; lower it, add normal clips, or set data.folds above 1 if it is 1"
    )


@pytest.mark.parametrize("policy", ["sigma", "fixed", "false_alarms"])
def test_other_policies_need_no_number_of_frames(policy):
    require_frames(params(policy, percentile=99.9), 1)
    threshold(params(policy, percentile=99.9), normal(1))


def test_sigma_is_deviations_above_the_mean_of_all_frames():
    clips = normal(30, 70)
    scores = np.concatenate([clip for clip, _ in clips]).tolist()
    mean = sum(scores) / 100
    deviation = (sum((s - mean) ** 2 for s in scores) / 100) ** 0.5
    for n in (0.0, 2.0, 3.5):
        assert threshold(params("sigma", deviations=n), clips) == pytest.approx(mean + n * deviation)


def test_fixed_is_the_value():
    assert threshold(params("fixed", value=-0.25), normal(5, 5)) == -0.25


@given(st.integers(0, 1000), st.sampled_from([0.0, 500.0, 1440.0, 20_000.0]))
@few
def test_false_alarms_are_at_most_as_frequent_as_per_day(seed, per_day):
    """At the next lower score they would be too frequent; durations follow from the frame rates of clips."""
    rng = np.random.default_rng(seed)
    clips = [(rng.integers(0, 30, n).astype(float), fps) for n, fps in ((200, 10.0), (300, 5.0))]
    log: list[str] = []
    at = threshold(params("false_alarms", per_day=per_day), clips, log)
    days = (200 / 10 + 300 / 5) / 86400

    def rate(at: float) -> float:
        return sum(len(events.find(clip, at, fps, EVENTS)) for clip, fps in clips) / days

    # a single event in 80 seconds is 1080 a day
    limit = max(per_day, 1080.0) if per_day else 0.0
    assert rate(at) <= limit * (1 + 1e-9)
    assert at == 0 or rate(at - 1) > limit  # no score is below 0
    assert len(log) == (0 < per_day < 1080)
    if log:
        assert log[0] == (
            f"80 seconds of normal footage are too short to count false alarms at {per_day:g} per day: the "
            "threshold is the lowest with one in all of them, which is 1080 per day"
        )


@given(
    st.integers(0, 1000), st.sampled_from([0.0, 1.5]), st.lists(st.floats(0, 20_000), min_size=2, max_size=2)
)
@few
def test_more_false_alarms_need_no_higher_threshold(seed, min_duration, rates):
    rng = np.random.default_rng(seed)
    clips = [(np.convolve(rng.gamma(2, 1, 400), np.ones(5), "valid"), 4.0) for _ in range(2)]
    limits = EventParams(merge_gap=1.0, min_duration=min_duration)
    low, high = (fit_threshold(params("false_alarms", per_day=rate), clips, limits) for rate in sorted(rates))
    assert low >= high


def test_footage_that_is_too_short_for_the_rate_has_a_single_event():
    """Whatever is asked between none and one: there is no lower rate that the footage could show."""
    clips = [(np.random.default_rng(11).gamma(2, 1, 5000), 10.0)]
    days = 500 / 86400
    single = NormalEvents(clips, EVENTS).lowest_threshold(1)
    for per_day in (1e-9, 1.0, 0.99 / days):
        log: list[str] = []
        assert threshold(params("false_alarms", per_day=per_day), clips, log) == single
        assert log[0].endswith("the lowest with one in all of them, which is 173 per day")
    for per_day, allowed in ((0.0, 0), (1 / days, 1), (2 / days, 2)):
        log = []
        at = threshold(params("false_alarms", per_day=per_day), clips, log)
        assert at == NormalEvents(clips, EVENTS).lowest_threshold(allowed)
        assert not log


def test_only_keys_that_the_policy_uses_are_active():
    """So a change of an unused key re-runs nothing; the threshold of cells always uses the percentile."""
    for policy, key in (("sigma", "deviations"), ("fixed", "value"), ("false_alarms", "per_day")):
        assert set(params(policy).active()) == {"policy", "percentile", key}
    assert set(params().active()) == {"policy", "percentile"}


def lowest(clips: list, allowed: float, limits: EventParams) -> float:
    """The lowest threshold with so many events in all, where at least one is allowed."""
    days = sum(len(scores) / fps for scores, fps in clips) / 86400
    return fit_threshold(params("false_alarms", per_day=allowed / days), clips, limits)


def test_a_minute_of_footage_allows_an_event_at_one_a_minute():
    """Nine clips of 100 frames at 15 per second, whose sum in floating point is slightly below a minute."""
    clips = [(np.zeros(100), 15.0)] * 8 + [(np.r_[np.zeros(50), 3, 2, np.zeros(48)], 15.0)]
    for per_day, short in ((1440.0, False), (1439.0, True)):
        log: list[str] = []
        assert fit_threshold(params("false_alarms", per_day=per_day), clips, PLAIN, log.append) == 0
        assert bool(log) == short


@given(st.lists(scored, min_size=1, max_size=4), lengths, lengths, RATES, st.integers(0, 5), st.booleans())
@few
def test_the_threshold_is_the_lowest_from_which_on_so_many_are_left(clips, gap, shortest, fps, number, more):
    if not any(map(len, clips)):
        return
    allowed = number + 0.5 * more
    footage = NormalEvents([(scores, fps) for scores in clips], seconds(gap, shortest, fps))
    for candidate in sorted({float(s) for scores in clips for s in scores}, reverse=True):
        if sum(len(marked(scores, candidate, gap, shortest)) for scores in clips) > allowed:
            break
        expected = candidate
    assert footage.lowest_threshold(allowed) == expected


def test_clips_of_different_rates_have_the_limits_in_seconds():
    slow, fast = digits("00900900"), digits("0000900009000000")
    both = EventParams(merge_gap=2.0, min_duration=0)  # 2 frames of the slow clip, 4 of the fast
    assert lowest([(slow, 1.0), (fast, 2.0)], 2, both) == 0  # an event in each
    assert lowest([(slow, 1.0), (fast, 2.0)], 1, both) == 9
    assert lowest([(slow, 1.0), (fast, 1.0)], 2, both) == 9  # two in the fast


def test_the_rate_must_hold_at_all_higher_thresholds_too():
    """At threshold 0 there is a single event, at threshold 1 it breaks into three."""
    clips = [(digits("11511511511"), 1.0)]
    assert len(events.find(clips[0][0], 0, 1.0, PLAIN)) == 1
    assert lowest(clips, 1, PLAIN) == 5
    assert lowest(clips, 3, PLAIN) == 1


def test_where_no_event_is_allowed_the_threshold_is_the_highest_score():
    clips = [(digits("0137"), 25.0), (digits("02"), 25.0)]
    assert lowest(clips, 0, PLAIN) == 7
    lasting = EventParams(merge_gap=0, min_duration=2 / 25)  # a single frame is no event
    assert lowest(clips, 0, lasting) == 3


@pytest.mark.parametrize("clips", [[], [(np.zeros(0), 25.0)]])
def test_a_threshold_without_frames_is_refused(clips):
    with pytest.raises(UserError, match=r"no normal frames .* set data\.folds"):
        threshold(params("false_alarms"), clips)


def test_the_threshold_of_an_hour_of_frames_is_computed_quickly():
    clips = [(np.convolve(RNG.normal(size=10_000), np.ones(9) / 9, "same"), 25.0) for _ in range(10)]
    for limits in (EventParams(merge_gap=2, min_duration=1), EventParams(merge_gap=1e300, min_duration=9e3)):
        start = time.process_time()
        at = fit_threshold(params("false_alarms", per_day=480.0), clips, limits)
        assert time.process_time() - start < 2
        number = sum(len(events.find(scores, at, fps, limits)) for scores, fps in clips)
        assert number <= 480 * 100_000 / 25 / 86400
