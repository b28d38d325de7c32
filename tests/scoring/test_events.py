"""Events compared with sets of frames that are marked frame by frame, as by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError
from vad.pipeline import params
from vad.scoring import events
from vad.scoring.items import Event
from vad.scoring.params import EventParams

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


@given(scored, st.integers(-1, 6), lengths, lengths, RATES)
@few
def test_news_of_events_come_as_soon_as_they_are_certain(scores, threshold, gap, shortest, fps):
    """An event is what the frames so far show; it ends when no later frame can belong to it."""
    told = events.Events(threshold, fps, seconds(gap, shortest, fps))
    before: set[int] = set()  # starts of the events that frames have shown so far
    for t, score in enumerate(scores):
        so_far = marked(scores[: t + 1], threshold, gap, shortest)
        (*_, last) = so_far or [set()]
        expected = []
        if t in last:
            expected = [("grow" if min(last) in before else "begin", min(last), t + 1)]
        elif last and t - max(last) == gap + 1:
            expected = [("end", min(last), max(last) + 1)]
        updates = told.process(SimpleNamespace(score=score, branches={}))
        assert [(u.kind, u.event.start, u.event.end) for u in updates] == expected
        for update in updates:
            assert update.event.score == max(scores[list(last)])
        before = {min(frames) for frames in so_far}
    going_on = bool(before) and len(scores) - 1 - max(last) <= gap
    assert [(u.kind, u.event.start) for u in told.finish()] == ([("end", min(last))] if going_on else [])


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


@pytest.mark.parametrize("key", ["merge_gap", "min_duration"])
def test_negative_durations_are_refused(key):
    raw = {"calibrate": {"events": {"merge_gap": 0.5, "min_duration": 0.2} | {key: -0.1}}}
    with pytest.raises(UserError, match=rf"calibrate\.events\.{key} = -0\.1: .*greater than or equal to 0"):
        params.load("calibrate.events", EventParams, raw)


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
