"""Events compared with sets of frames that are marked frame by frame, as by hand."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError
from vad.pipeline import params
from vad.scoring import events
from vad.scoring.events import Event
from vad.scoring.params import EventParams
from vad.store.intervals import frame_labels

RNG = np.random.default_rng(0)
PLAIN = EventParams(merge_gap=0.0, min_duration=0.0)
RATES = st.sampled_from([1.0, 12.5, 25.0, 30000 / 1001, 30.0, 0.2])

few = settings(max_examples=50, deadline=None)
lengths = st.integers(0, 4)


def digits(text: str) -> np.ndarray:
    """Scores: a digit per frame."""
    return np.array([int(c) for c in text], float)


def spans(happened: list[Event]) -> list[tuple[int, int]]:
    return [(event.start, event.end) for event in happened]


def seconds(gap: int, shortest: int, fps: float, extra: float = 0.0) -> EventParams:
    """Parameters with durations in frames."""
    return EventParams(merge_gap=(gap + extra) / fps, min_duration=max(0.0, shortest - extra) / fps)


def marked(scores: np.ndarray, threshold: float, gap: int, shortest: int) -> list[set[int]]:
    """Events as sets of frames: every alarmed frame joins the set of an alarmed frame near enough."""
    groups: list[set[int]] = []
    for t in (t for t, score in enumerate(scores) if score > threshold):
        near = [g for g in groups if min(abs(t - other) for other in g) - 1 <= gap]
        groups = [g for g in groups if g not in near] + [{t}.union(*near)]
    filled = [set(range(min(g), max(g) + 1)) for g in groups]
    return sorted((g for g in filled if len(g) >= shortest), key=min)


scored = st.lists(st.integers(0, 6), min_size=0, max_size=40).map(lambda x: np.array(x, float))


@given(scored, st.integers(-1, 6), lengths, lengths, RATES, st.sampled_from([0.0, 0.4]))
@few
def test_events_equal_sets_of_frames_marked_one_by_one(scores, threshold, gap, shortest, fps, extra):
    happened = events.find(scores, threshold, fps, seconds(gap, shortest, fps, extra))
    expected = marked(scores, threshold, gap, shortest)
    assert [set(range(*span)) for span in spans(happened)] == expected
    for event, frames in zip(happened, expected, strict=True):
        assert event.score == max(scores[t] for t in frames)
        assert event.peak == min(t for t in frames if scores[t] == event.score)
    inside = events.alarms(happened, len(scores))
    assert inside.dtype == bool
    assert set(np.flatnonzero(inside)) == set().union(*expected)
    assert len(inside) == len(scores)


def test_events_of_small_examples_by_hand():
    scores = digits("0020030000500104")
    # 10 frames per second: gaps of two frames at most are merged, what is below three frames is dropped
    happened = events.find(scores, 1, 10.0, EventParams(merge_gap=0.2, min_duration=0.3))
    assert happened == [Event(2, 6, 5, 3.0)]
    assert spans(events.find(scores, 1, 10.0, PLAIN)) == [(2, 3), (5, 6), (10, 11), (15, 16)]
    assert spans(events.find(scores, 0, 10.0, PLAIN)) == [(2, 3), (5, 6), (10, 11), (13, 14), (15, 16)]


@pytest.mark.parametrize(("frames", "expected"), [(3, [(1, 2), (6, 7)]), (4, [(1, 7)]), (5, [(1, 7)])])
def test_a_gap_equal_to_the_limit_is_merged(frames, expected):
    assert spans(events.find(digits("010000100"), 0, 25.0, seconds(frames, 0, 25.0))) == expected


@pytest.mark.parametrize(("frames", "expected"), [(2, [(1, 4)]), (3, [(1, 4)]), (4, [])])
def test_an_event_of_exactly_the_minimum_duration_is_kept(frames, expected):
    assert spans(events.find(digits("011100000"), 0, 25.0, seconds(0, frames, 25.0))) == expected


def test_short_runs_are_merged_before_durations_are_compared():
    assert spans(events.find(digits("10101000"), 0, 1.0, EventParams(merge_gap=1, min_duration=5))) == [
        (0, 5)
    ]


def test_lengths_in_seconds_tolerate_floating_point_errors():
    """0.29 s * 100 is below 29 frames in floating point, 0.28 s * 25 above 7."""
    scores = np.r_[1, np.zeros(29), 1]
    assert spans(events.find(scores, 0, 100.0, EventParams(merge_gap=0.29, min_duration=0))) == [(0, 31)]
    assert spans(events.find(np.ones(7), 0, 25.0, EventParams(merge_gap=0, min_duration=0.28))) == [(0, 7)]
    assert events.find(np.ones(6), 0, 25.0, EventParams(merge_gap=0, min_duration=0.28)) == []


def test_a_minute_of_footage_allows_an_event_at_60_per_hour():
    """Nine clips of 100 frames at 15 per second, whose sum in floating point is slightly below a minute."""
    clips = [(np.zeros(100), 15.0)] * 8 + [(np.r_[np.zeros(50), 3, 2, np.zeros(48)], 15.0)]
    assert events.threshold_for(clips, 60.0, PLAIN) == 0
    assert events.threshold_for(clips, 59.9, PLAIN) == 3


@pytest.mark.parametrize("key", ["merge_gap", "min_duration"])
def test_negative_durations_are_refused(key):
    raw = {"calibrate": {"events": {"merge_gap": 0.5, "min_duration": 0.2} | {key: -0.1}}}
    with pytest.raises(UserError, match=rf"calibrate\.events\.{key} = -0\.1: .*greater than or equal to 0"):
        params.load("calibrate.events", EventParams, raw)


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
    threshold = events.threshold_for(clips, per_hour, seconds(gap, shortest, fps))
    for candidate in sorted({float(s) for scores, _ in clips for s in scores}, reverse=True):
        if rate(clips, candidate, gap, shortest) > per_hour * (1 + 1e-9):
            break
        expected = candidate
    assert threshold == expected


def test_clips_of_different_rates_have_the_limits_in_seconds():
    slow, fast = digits("00900900"), digits("0000900009000000")
    both = EventParams(merge_gap=2.0, min_duration=0)  # 2 frames of the slow clip, 4 of the fast
    hours = (8 / 1 + 16 / 2) / 3600
    assert events.threshold_for([(slow, 1.0), (fast, 2.0)], 2 / hours, both) == 0  # an event in each
    assert events.threshold_for([(slow, 1.0), (fast, 2.0)], 1 / hours, both) == 9
    assert events.threshold_for([(slow, 1.0), (fast, 1.0)], 2 / (24 / 3600), both) == 9  # two in the fast


def test_the_rate_must_hold_at_all_higher_thresholds_too():
    """At threshold 0 there is a single event, at threshold 1 it breaks into three."""
    clips = [(digits("11511511511"), 1.0)]
    hourly = 1 / (11 / 3600)  # of a single event
    assert len(events.find(clips[0][0], 0, 1.0, PLAIN)) == 1
    assert events.threshold_for(clips, hourly, PLAIN) == 5
    assert events.threshold_for(clips, 3 * hourly, PLAIN) == 1


def test_where_no_event_is_allowed_the_threshold_is_the_highest_score():
    assert events.threshold_for([(digits("0137"), 25.0), (digits("02"), 25.0)], 1.0, PLAIN) == 7
    lasting = EventParams(merge_gap=0, min_duration=2 / 25)  # a single frame is no event
    assert events.threshold_for([(digits("0137"), 25.0), (digits("02"), 25.0)], 1.0, lasting) == 3


@pytest.mark.parametrize("clips", [[], [(np.zeros(0), 25.0)]])
def test_a_threshold_without_frames_is_refused(clips):
    with pytest.raises(UserError, match=r"no normal frames .* raise data\.val_fraction"):
        events.threshold_for(clips, 1.0, PLAIN)


def test_the_threshold_of_an_hour_of_frames_is_computed_quickly():
    clips = [(np.convolve(RNG.normal(size=10_000), np.ones(9) / 9, "same"), 25.0) for _ in range(10)]
    for limits in (EventParams(merge_gap=2, min_duration=1), EventParams(merge_gap=1e300, min_duration=9e3)):
        start = time.perf_counter()
        threshold = events.threshold_for(clips, 20.0, limits)
        assert time.perf_counter() - start < 2
        number = sum(len(events.find(scores, threshold, fps, limits)) for scores, fps in clips)
        assert number <= 20 * 100_000 / 25 / 3600


def test_the_table_of_events_counts_source_frames_like_labels():
    source, times = 100 + 5 * np.arange(20), 4 + np.arange(20) / 5  # every fifth of 25 frames per second
    scores = digits("00120000000000000003")
    happened = events.find(scores, 0.5, 5.0, PLAIN, {"look": scores * 0.25, "move": scores * 0.75})
    table = events.table("fall 1", happened, 5.0, source, times)
    assert table.columns.tolist() == events.COLUMNS
    assert table["clip"].tolist() == ["fall 1"] * 2
    assert table[["start", "end", "peak"]].to_numpy().tolist() == [[110, 116, 115], [195, 196, 195]]
    assert table["start_seconds"].tolist() == pytest.approx([4.4, 7.8])
    assert table["end_seconds"].tolist() == pytest.approx([4.8, 8.0])
    assert table[["from", "to"]].to_numpy().tolist() == [["0:04", "0:05"], ["0:07", "0:08"]]
    assert table["score"].tolist() == [2.0, 3.0]
    assert table["branches"].tolist() == ["move 75%, look 25%"] * 2
    intervals = list(zip(table["start"], table["end"], strict=True))
    assert frame_labels(intervals, source).tolist() == events.alarms(happened, 20).tolist()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (9, "0:09"), (60, "1:00"), (754, "12:34"), (3600, "60:00")]
)
def test_times_are_minutes_and_seconds(seconds, text):
    assert events.minutes(seconds) == text


def test_a_log_lists_the_first_events_and_counts_the_rest():
    scores = np.zeros(100)
    scores[::4] = 2.0
    happened = events.find(scores, 0.5, 1.0, PLAIN, {"look": scores})
    table = events.table("fall", happened, 1.0, np.arange(100), np.arange(100.0))
    lines = events.event_lines(table)
    assert lines[0] == "fall: 0:00 to 0:01, score 2.00 (look 100%)"
    assert (len(lines), lines[-1]) == (21, "… and 5 more, in data/scores/events.csv")
    assert len(events.event_lines(table.head(20))) == 20


def test_the_table_of_a_clip_without_events_has_only_columns():
    table = events.table("a", [], 25.0, np.arange(5), np.arange(5) / 25)
    assert table.empty
    assert table.columns.tolist() == events.COLUMNS


def test_shares_are_those_of_the_branches_at_the_peak():
    """Only positive shares, the largest first; a branch below the median has no share."""
    scores = digits("0150")
    branches = {
        "low": -digits("0010"),
        "look": digits("0920"),
        "none": digits("0900"),
        "move": digits("0060"),
    }
    (event,) = events.find(scores, 0.5, 5.0, PLAIN, branches)
    assert event == Event(1, 3, 2, 5.0, {"move": 0.75, "look": 0.25})
    assert list(event.shares) == ["move", "look"]


@given(scored, st.integers(-1, 6), st.integers(0, 999))
@few
def test_shares_sum_to_1_unless_no_branch_is_positive(scores, threshold, seed):
    rng = np.random.default_rng(seed)
    branches = {name: rng.normal(size=len(scores)) for name in "abc"}
    for event in events.find(scores, threshold, 5.0, PLAIN, branches):
        positive = {name: values[event.peak] for name, values in branches.items() if values[event.peak] > 0}
        assert set(event.shares) == set(positive)
        assert sum(event.shares.values()) == pytest.approx(1 if positive else 0)
        assert list(event.shares.values()) == sorted(event.shares.values(), reverse=True)
