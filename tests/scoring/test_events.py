"""Events against sets of frames: an event is what somebody would mark by hand, frame by frame."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError
from vad.evaluation import event_metrics
from vad.evaluation.event_metrics import Watched
from vad.pipeline import params
from vad.scoring import events
from vad.scoring.events import Event, EventParams
from vad.store.intervals import frame_labels, intervals_of

RNG = np.random.default_rng(0)
PLAIN = EventParams(merge_gap=0.0, min_duration=0.0)
RATES = st.sampled_from([1.0, 12.5, 25.0, 30000 / 1001, 30.0, 0.2])

few = settings(max_examples=50, deadline=None)
lengths = st.integers(0, 4)


def at(text: str) -> np.ndarray:
    """Scores from digits: one frame each."""
    return np.array([int(c) for c in text], float)


def spans(found: list[Event]) -> list[tuple[int, int]]:
    return [(event.start, event.end) for event in found]


def seconds(gap: int, shortest: int, fps: float, extra: float = 0.0) -> EventParams:
    """Parameters for lengths given in frames."""
    return EventParams(merge_gap=(gap + extra) / fps, min_duration=max(0.0, shortest - extra) / fps)


def marked(scores: np.ndarray, threshold: float, gap: int, shortest: int) -> list[set[int]]:
    """Events as sets of frames: every alarmed frame joins the set of any that is near enough to it."""
    groups: list[set[int]] = []
    for t in (t for t, score in enumerate(scores) if score > threshold):
        near = [g for g in groups if min(abs(t - other) for other in g) - 1 <= gap]
        groups = [g for g in groups if g not in near] + [{t}.union(*near)]
    filled = [set(range(min(g), max(g) + 1)) for g in groups]
    return sorted((g for g in filled if len(g) >= shortest), key=min)


scored = st.lists(st.integers(0, 6), min_size=0, max_size=40).map(lambda x: np.array(x, float))


@given(scored, st.integers(-1, 6), lengths, lengths, RATES, st.sampled_from([0.0, 0.4]))
@few
def test_events_are_the_marked_frames(scores, threshold, gap, shortest, fps, extra):
    found = events.find(scores, threshold, fps, seconds(gap, shortest, fps, extra))
    expected = marked(scores, threshold, gap, shortest)
    assert [set(range(*span)) for span in spans(found)] == expected
    for event, own in zip(found, expected, strict=True):
        assert event.score == max(scores[t] for t in own)
        assert event.peak == min(t for t in own if scores[t] == event.score)
    inside = events.alarms(found, len(scores))
    assert inside.dtype == bool
    assert set(np.flatnonzero(inside)) == set().union(*expected)
    assert len(inside) == len(scores)


def test_by_hand():
    scores = at("0020030000500104")
    # 10 frames per second: gaps of two frames at most are merged, what is below three frames is dropped
    found = events.find(scores, 1, 10.0, EventParams(merge_gap=0.2, min_duration=0.3))
    assert found == [Event(2, 6, 5, 3.0)]
    assert spans(events.find(scores, 1, 10.0, PLAIN)) == [(2, 3), (5, 6), (10, 11), (15, 16)]
    assert spans(events.find(scores, 0, 10.0, PLAIN)) == [(2, 3), (5, 6), (10, 11), (13, 14), (15, 16)]


@pytest.mark.parametrize(("frames", "expected"), [(3, [(1, 2), (6, 7)]), (4, [(1, 7)]), (5, [(1, 7)])])
def test_a_gap_that_is_just_the_limit_is_merged(frames, expected):
    assert spans(events.find(at("010000100"), 0, 25.0, seconds(frames, 0, 25.0))) == expected


@pytest.mark.parametrize(("frames", "expected"), [(2, [(1, 4)]), (3, [(1, 4)]), (4, [])])
def test_an_event_that_just_lasts_is_kept(frames, expected):
    assert spans(events.find(at("011100000"), 0, 25.0, seconds(0, frames, 25.0))) == expected


def test_short_runs_merge_before_they_are_measured():
    assert spans(events.find(at("10101000"), 0, 1.0, EventParams(merge_gap=1, min_duration=5))) == [(0, 5)]


def test_lengths_in_seconds_are_not_spoilt_by_binary_fractions():
    """0.29 s * 100 is below 29 frames in floating point, 0.28 s * 25 above 7."""
    scores = np.r_[1, np.zeros(29), 1]
    assert spans(events.find(scores, 0, 100.0, EventParams(merge_gap=0.29, min_duration=0))) == [(0, 31)]
    assert spans(events.find(np.ones(7), 0, 25.0, EventParams(merge_gap=0, min_duration=0.28))) == [(0, 7)]
    assert events.find(np.ones(6), 0, 25.0, EventParams(merge_gap=0, min_duration=0.28)) == []
    late = Watched([Event(29, 40, 29, 1.0)], np.arange(50) < 40, 100.0)
    assert event_metrics.event_level([late], 0.29)["on_time"] == 1
    assert event_metrics.event_level([late], 0.28)["on_time"] == 0


def test_a_minute_allows_an_event_at_sixty_per_hour():
    """Nine clips of 100 frames at 15 per second: added up in floating point, a little below a minute."""
    clips = [(np.zeros(100), 15.0)] * 8 + [(np.r_[np.zeros(50), 3, 2, np.zeros(48)], 15.0)]
    assert events.threshold_for(clips, 60.0, PLAIN) == 0
    assert events.threshold_for(clips, 59.9, PLAIN) == 3


@pytest.mark.parametrize("key", ["merge_gap", "min_duration"])
def test_negative_durations_are_refused(key):
    raw = {"calibrate": {"events": {"merge_gap": 0.5, "min_duration": 0.2} | {key: -0.1}}}
    with pytest.raises(UserError, match=rf"calibrate\.events\.{key} = -0\.1: .*greater than or equal to 0"):
        params.load("calibrate.events", EventParams, raw)


def rate(clips, threshold: float, gap: int, shortest: int) -> float:
    """Events per hour, by marking."""
    hours = sum(len(scores) / fps / 3600 for scores, fps in clips)
    return sum(len(marked(scores, threshold, gap, shortest)) for scores, _ in clips) / hours


@given(st.lists(scored, min_size=1, max_size=4), lengths, lengths, RATES, st.integers(0, 5), st.booleans())
@few
def test_the_threshold_is_the_lowest_that_keeps_the_rate_from_there_on(
    clips, gap, shortest, fps, allowed, more
):
    frames = sum(map(len, clips))
    if not frames:
        return
    clips = [(scores, fps) for scores in clips]
    per_hour = (allowed + 0.5 * more) / (frames / fps / 3600)
    got = events.threshold_for(clips, per_hour, seconds(gap, shortest, fps))
    for candidate in sorted({float(s) for scores, _ in clips for s in scores}, reverse=True):
        if rate(clips, candidate, gap, shortest) > per_hour * (1 + 1e-9):
            break
        expected = candidate
    assert got == expected


def test_clips_of_different_rates_have_the_limits_in_seconds():
    slow, fast = at("00900900"), at("0000900009000000")
    both = EventParams(merge_gap=2.0, min_duration=0)  # 2 frames of the slow clip, 4 of the fast
    hours = (8 / 1 + 16 / 2) / 3600
    assert events.threshold_for([(slow, 1.0), (fast, 2.0)], 2 / hours, both) == 0  # one event in each
    assert events.threshold_for([(slow, 1.0), (fast, 2.0)], 1 / hours, both) == 9
    assert events.threshold_for([(slow, 1.0), (fast, 1.0)], 2 / (24 / 3600), both) == 9  # two in the fast


def test_a_low_threshold_with_few_events_is_none_that_keeps_the_rate():
    """Above 0 all is one event, above 1 it breaks into three: 0 alone would keep one."""
    clips = [(at("11511511511"), 1.0)]
    one = 1 / (11 / 3600)
    assert len(events.find(clips[0][0], 0, 1.0, PLAIN)) == 1
    assert events.threshold_for(clips, one, PLAIN) == 5
    assert events.threshold_for(clips, 3 * one, PLAIN) == 1


def test_where_no_event_is_allowed_the_threshold_is_the_highest_score():
    assert events.threshold_for([(at("0137"), 25.0), (at("02"), 25.0)], 1.0, PLAIN) == 7
    lasting = EventParams(merge_gap=0, min_duration=2 / 25)  # one frame alone is no event
    assert events.threshold_for([(at("0137"), 25.0), (at("02"), 25.0)], 1.0, lasting) == 3


@pytest.mark.parametrize("clips", [[], [(np.zeros(0), 25.0)]])
def test_no_frames_tell_no_threshold(clips):
    with pytest.raises(UserError, match=r"no normal frames .* raise data\.val_fraction"):
        events.threshold_for(clips, 1.0, PLAIN)


def test_an_hour_of_frames_takes_no_time_however_long_the_limits_are():
    clips = [(np.convolve(RNG.normal(size=10_000), np.ones(9) / 9, "same"), 25.0) for _ in range(10)]
    for limits in (EventParams(merge_gap=2, min_duration=1), EventParams(merge_gap=1e300, min_duration=9e3)):
        start = time.perf_counter()
        threshold = events.threshold_for(clips, 20.0, limits)
        assert time.perf_counter() - start < 2
        found = sum(len(events.find(scores, threshold, fps, limits)) for scores, fps in clips)
        assert found <= 20 * 100_000 / 25 / 3600


@st.composite
def watched(draw: st.DrawFn) -> tuple[Watched, int]:
    """A labelled clip with events from scores of its own, and a tolerance in frames."""
    frames = draw(st.integers(1, 40))
    scores, labels = (
        np.array(draw(st.lists(st.integers(0, 1), min_size=frames, max_size=frames))) for _ in range(2)
    )
    fps = draw(RATES)
    found = events.find(scores, 0, fps, seconds(draw(lengths), draw(lengths), fps))
    return Watched(found, labels.astype(bool), fps), draw(lengths)


def by_sets(clip: Watched, tolerance: int) -> dict:
    """Figures of a clip in frames, from sets of frames."""
    runs = [set(range(a, b)) for a, b in intervals_of(clip.anomalous)]
    own = [set(range(e.start, e.end)) for e in clip.events]
    inside, normal = set().union(*own), set(np.flatnonzero(~clip.anomalous).tolist())
    near = [[bool(e & run) and abs(min(e) - min(run)) <= tolerance for e in own] for run in runs]
    delays = [min(run & inside) - min(run) for run in runs if run & inside]
    false = [e for e in own if e <= normal]
    return {
        "labelled": len(runs),
        "found": sum(bool(run & inside) for run in runs),
        "on_time": sum(map(any, near)),
        "delays": [delay / clip.fps for delay in delays],
        "false_alarms": len(false),
        "hours": len(normal) / clip.fps / 3600,
        "inside": len(inside),
        "inside_normal": len(inside & normal),
        "frames": len(clip.anomalous),
        "normal": len(normal),
    }


@given(st.lists(watched(), max_size=4), lengths)
@few
def test_figures_are_those_of_the_sets_of_frames(cases, delay):
    # one tolerance in seconds, on a whole number of frames in every clip where that is possible
    clips = [clip for clip, _ in cases]
    max_delay = delay / clips[0].fps if clips else 1.0
    each = [by_sets(clip, int(max_delay * clip.fps + 1e-6)) for clip in clips]
    total = {key: sum(one[key] for one in each) for key in set().union(*each) - {"delays"}}
    delays = [d for one in each for d in one["delays"]]
    expected = {key: total.get(key, 0) for key in ("labelled", "false_alarms", "hours")}
    if total.get("labelled"):
        expected |= {"found": total["found"], "on_time": total["on_time"]}
    if delays:
        expected |= {"delay_median": np.median(delays), "delay_mean": sum(delays) / len(delays)}
    if total.get("normal"):
        expected["false_alarms_per_hour"] = total["false_alarms"] / total["hours"]
        expected["alarm_fraction_normal"] = total["inside_normal"] / total["normal"]
    if clips:
        expected["alarm_fraction"] = total["inside"] / total["frames"]
    assert event_metrics.event_level(clips, max_delay) == pytest.approx(expected)


LABELS = np.zeros(100, bool)
LABELS[20:30] = LABELS[60:70] = True


def meet(*own: tuple[int, int], max_delay: float = 0.5, labels: np.ndarray = LABELS) -> dict:
    """Figures of a clip at 10 frames per second, with anomalous frames 20 to 29 and 60 to 69."""
    return event_metrics.event_level(
        [Watched([Event(a, b, a, 1.0) for a, b in own], labels, 10.0)], max_delay
    )


def test_figures_by_hand():
    got = meet((22, 24), (26, 28), (40, 44), (50, 65))
    assert got == {
        "labelled": 2,
        "found": 2,
        "on_time": 1,  # the second event starts 10 frames before its run
        "delay_median": pytest.approx(0.1),  # 0.2 s and 0 s
        "delay_mean": pytest.approx(0.1),
        "false_alarms": 1,
        "hours": pytest.approx(8 / 3600),
        "false_alarms_per_hour": pytest.approx(450),
        "alarm_fraction_normal": pytest.approx(14 / 80),
        "alarm_fraction": pytest.approx(23 / 100),
    }


@pytest.mark.parametrize(
    ("event", "found", "on_time", "false_alarms"),
    [
        ((14, 20), 0, 0, 1),  # 6 frames early, ends as the run begins
        ((15, 20), 0, 0, 1),  # it sees nothing of the run
        ((15, 21), 1, 1, 0),
        ((14, 21), 1, 0, 0),
        ((25, 26), 1, 1, 0),
        ((26, 27), 1, 0, 0),
        ((29, 40), 1, 0, 0),
        ((30, 40), 0, 0, 1),
    ],
)
def test_a_frame_decides(event, found, on_time, false_alarms):
    got = meet(event)
    assert (got["found"], got["on_time"], got["false_alarms"]) == (found, on_time, false_alarms)


@pytest.mark.parametrize(("start", "delay"), [(10, 0.0), (20, 0.0), (21, 0.1), (29, 0.9)])
def test_the_delay_counts_from_the_run_s_start(start, delay):
    assert meet((start, 31), (90, 95))["delay_mean"] == pytest.approx(delay)


def test_an_alarm_that_never_ends_finds_all_and_shows():
    got = meet((0, 100))
    assert (got["found"], got["on_time"], got["delay_mean"], got["false_alarms"]) == (2, 0, 0, 0)
    assert got["alarm_fraction_normal"] == got["alarm_fraction"] == 1


def test_what_is_undefined_is_left_out():
    normal = meet((3, 5), labels=np.zeros(10, bool))
    assert not {"found", "on_time", "delay_median", "delay_mean"} & set(normal)
    assert (normal["labelled"], normal["false_alarms"]) == (0, 1)
    fall = meet((3, 5), labels=np.ones(10, bool))
    assert not {"false_alarms_per_hour", "alarm_fraction_normal"} & set(fall)
    assert fall["hours"] == 0
    missed = meet()
    assert (missed["found"], missed["false_alarms_per_hour"]) == (0, 0)
    assert not {"delay_median", "delay_mean"} & set(missed)
    assert event_metrics.event_level([], 1.0) == {"labelled": 0, "false_alarms": 0, "hours": 0.0}


def test_the_table_is_in_source_frames_and_reads_like_labels():
    source, times = 100 + 5 * np.arange(20), 4 + np.arange(20) / 5  # every fifth of 25 frames per second
    found = events.find(at("00120000000000000003"), 0.5, 5.0, PLAIN)
    got = events.table("fall 1", found, 5.0, source, times)
    assert got.columns.tolist() == events.COLUMNS
    assert got["clip"].tolist() == ["fall 1"] * 2
    assert got[["start", "end", "peak"]].to_numpy().tolist() == [[110, 116, 115], [195, 196, 195]]
    assert got["start_seconds"].tolist() == pytest.approx([4.4, 7.8])
    assert got["end_seconds"].tolist() == pytest.approx([4.8, 8.0])
    assert got["score"].tolist() == [2.0, 3.0]
    intervals = list(zip(got["start"], got["end"], strict=True))
    assert frame_labels(intervals, source).tolist() == events.alarms(found, 20).tolist()


def test_a_clip_without_events_has_the_columns_alone():
    got = events.table("a", [], 25.0, np.arange(5), np.arange(5) / 25)
    assert got.empty
    assert got.columns.tolist() == events.COLUMNS
