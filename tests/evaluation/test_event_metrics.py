"""Metrics of events, compared with sets of frames and with figures by hand."""

from fractions import Fraction
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.scoring.test_events import RATES, lengths, seconds
from vad.evaluation.event_metrics import IOU, ClipEvents, event_level
from vad.scoring import events
from vad.scoring.items import Event
from vad.store.intervals import intervals_of

few = settings(max_examples=50, deadline=None)


@st.composite
def labelled_clips(draw: st.DrawFn) -> ClipEvents:
    """A labelled clip with events that do not depend on the labels."""
    frames = draw(st.integers(1, 40))
    scores, labels = (
        np.array(draw(st.lists(st.integers(0, 1), min_size=frames, max_size=frames))) for _ in range(2)
    )
    fps = draw(RATES)
    happened = events.find(scores, 0, fps, seconds(draw(lengths), draw(lengths), fps))
    return ClipEvents(happened, labels.astype(bool), fps, draw(st.integers(0, 6)) / fps)


def by_sets(clip: ClipEvents, tolerance: int) -> dict:
    """Figures of a clip in frames, from sets of frames."""
    runs = [set(range(a, b)) for a, b in intervals_of(clip.anomalous)]
    happened = [set(range(e.start, e.end)) for e in clip.events]
    inside, normal = set().union(*happened), set(np.flatnonzero(~clip.anomalous).tolist())
    near = [[bool(e & run) and abs(min(e) - min(run)) <= tolerance for e in happened] for run in runs]
    delays = [min(run & inside) - min(run) for run in runs if run & inside]
    # as delivered: events that are known `wait` frames after their start
    wait = round(clip.wait * clip.fps)
    starts = [[min(e) + wait - min(run) for e in happened if e & run] for run in runs]
    in_time = [
        any(
            near_run and min(e) + wait - min(run) <= tolerance
            for e, near_run in zip(happened, row, strict=True)
        )
        for run, row in zip(runs, near, strict=True)
    ]
    false = [e for e in happened if e <= normal]
    pairs = {f"pairs_{percent}": most_pairs(runs, happened, Fraction(percent, 100)) for percent in IOU}
    return {
        **pairs,
        "events": len(happened),
        "labelled": len(runs),
        "found": sum(bool(run & inside) for run in runs),
        "on_time": sum(map(any, near)),
        "on_time_delivered": sum(in_time),
        "delays": [delay / clip.fps for delay in delays],
        "delivered": [max(0, min(known)) / clip.fps for known in starts if known],
        "false_alarms": len(false),
        "hours": len(normal) / clip.fps / 3600,
        "inside": len(inside),
        "inside_normal": len(inside & normal),
        "frames": len(clip.anomalous),
        "normal": len(normal),
    }


def most_pairs(runs: list[set], events: list[set], least: Fraction) -> int:
    """The most pairs with intersection over union of at least `least`, among all ways to pair."""
    agree = {
        (i, j)
        for i, run in enumerate(runs)
        for j, event in enumerate(events)
        if Fraction(len(run & event), len(run | event)) >= least
    }
    for number in range(min(len(runs), len(events)), 0, -1):
        rows, columns = {i for i, _ in agree}, {j for _, j in agree}
        for some in combinations(sorted(rows), number):
            if any(set(zip(some, order, strict=True)) <= agree for order in permutations(columns, number)):
                return number
    return 0


@given(st.lists(labelled_clips(), max_size=4), lengths)
@few
def test_figures_are_those_of_the_sets_of_frames(clips, delay):
    # the same tolerance in seconds for all clips, of the first a whole number of frames
    max_delay = delay / clips[0].fps if clips else 1.0
    each = [by_sets(clip, int(max_delay * clip.fps + 1e-6)) for clip in clips]
    total = {
        key: sum(figures[key] for figures in each) for key in set().union(*each) - {"delays", "delivered"}
    }
    delays, delivered = ([d for figures in each for d in figures[key]] for key in ("delays", "delivered"))
    expected = {key: total.get(key, 0) for key in ("labelled", "false_alarms", "hours")}
    if total.get("labelled"):
        expected |= {key: total[key] for key in ("found", "on_time", "on_time_delivered")}
        both = total["events"] + total["labelled"]
        f1 = {f"iou_{percent}": 2 * total[f"pairs_{percent}"] / both for percent in IOU}
    for suffix, of_kind in (("", delays), ("_delivered", delivered)):
        if of_kind:
            expected[f"delay_median{suffix}"] = np.median(of_kind)
            expected[f"delay_mean{suffix}"] = sum(of_kind) / len(of_kind)
    if total.get("normal"):
        expected["false_alarms_per_hour"] = total["false_alarms"] / total["hours"]
        expected["alarm_fraction_normal"] = total["inside_normal"] / total["normal"]
    if clips:
        expected["alarm_fraction"] = total["inside"] / total["frames"]
    figures = event_level(clips, max_delay)
    bounds = [figures.pop(f"false_alarms_per_hour_{end}", None) for end in ("low", "high")]
    if total.get("normal"):
        assert_bounds(total["false_alarms"], *(bound * total["hours"] for bound in bounds))
    else:
        assert bounds == [None, None]
    assert figures.pop("f1", None) == (pytest.approx(f1) if total.get("labelled") else None)
    assert figures == pytest.approx(expected)


def assert_bounds(count: int, low: float, high: float) -> None:
    """With the mean `low`, `count` or more happen with a probability of 2.5 %, as with `high` so few.

    None happens with a probability of 5 %, as then there is a single bound.
    """
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025 if count else 0.05)
    assert low == 0 if count == 0 else stats.poisson.sf(count - 1, low) == pytest.approx(0.025)


@given(st.integers(0, 3000))
@few
def test_the_interval_of_the_rate_of_false_alarms_is_exact(count):
    events = [Event(2 * i, 2 * i + 1, 2 * i, 1.0) for i in range(count)]
    figures = event_level([ClipEvents(events, np.zeros(7200, bool), 1.0)], 1.0)  # two hours
    low, high = (2 * figures[f"false_alarms_per_hour_{end}"] for end in ("low", "high"))
    assert_bounds(count, low, high)
    assert low <= 2 * figures["false_alarms_per_hour"] == count < high
    if count == 0:
        assert (low, high) == (0, pytest.approx(2.995732, abs=1e-6))


LABELS = np.zeros(100, bool)
LABELS[20:30] = LABELS[60:70] = True


@pytest.mark.parametrize(
    ("spans", "pairs"),
    [
        ([(20, 30), (60, 70)], [2, 2, 2, 2]),
        ([(20, 70)], [1, 0, 0, 0]),  # an event over both, with 10 of 50 frames: one pair
        ([(18, 24), (24, 35)], [1, 1, 1, 0]),  # two events of a run: 4 of 12 and 6 of 15 frames
        ([(20, 22), (28, 30)], [1, 0, 0, 0]),
        ([(20, 25), (62, 65), (90, 99)], [2, 2, 1, 1]),  # exactly 50 %, exactly 30 %, and a false alarm
        ([(0, 100)], [0, 0, 0, 0]),
        ([], [0, 0, 0, 0]),
    ],
)
def test_events_are_paired_one_to_one(spans, pairs):
    f1 = figures_of(*spans)["f1"]
    assert f1 == {f"iou_{p}": 2 * n / (2 + len(spans)) for p, n in zip(IOU, pairs, strict=True)}


def figures_of(*spans: tuple[int, int], max_delay: float = 0.5, labels: np.ndarray = LABELS) -> dict:
    """Figures of a clip at 10 frames per second, with anomalous frames 20 to 29 and 60 to 69."""
    happened = [Event(start, end, start, 1.0) for start, end in spans]
    return event_level([ClipEvents(happened, labels, 10.0)], max_delay)


def test_figures_of_events_by_hand():
    figures = figures_of((22, 24), (26, 28), (40, 44), (50, 65))
    assert figures == {
        "f1": {"iou_20": 4 / 6, "iou_30": 0, "iou_40": 0, "iou_50": 0},  # 2 of 10 and 5 of 20 frames
        "labelled": 2,
        "found": 2,
        "on_time": 1,  # the second event starts 10 frames before its run
        "delay_median": pytest.approx(0.1),  # 0.2 s and 0 s
        "delay_mean": pytest.approx(0.1),
        "on_time_delivered": 1,
        "delay_median_delivered": pytest.approx(0.1),  # nothing has to be waited for
        "delay_mean_delivered": pytest.approx(0.1),
        "false_alarms": 1,
        "hours": pytest.approx(8 / 3600),
        "false_alarms_per_hour": pytest.approx(450),
        "false_alarms_per_hour_low": pytest.approx(0.0253178 * 450, rel=1e-5),  # of tables, for one event
        "false_alarms_per_hour_high": pytest.approx(5.571643 * 450, rel=1e-5),
        "alarm_fraction_normal": pytest.approx(14 / 80),
        "alarm_fraction": pytest.approx(23 / 100),
    }


@pytest.mark.parametrize(
    ("event", "found", "on_time", "false_alarms"),
    [
        ((14, 20), 0, 0, 1),  # 6 frames early, ends as the run begins
        ((15, 20), 0, 0, 1),  # overlaps no frame of the run
        ((15, 21), 1, 1, 0),
        ((14, 21), 1, 0, 0),
        ((25, 26), 1, 1, 0),
        ((26, 27), 1, 0, 0),
        ((29, 40), 1, 0, 0),
        ((30, 40), 0, 0, 1),
    ],
)
def test_a_frame_more_or_less_decides_whether_an_event_is_detected(event, found, on_time, false_alarms):
    figures = figures_of(event)
    assert (figures["found"], figures["on_time"], figures["false_alarms"]) == (found, on_time, false_alarms)


@pytest.mark.parametrize(("start", "delay"), [(10, 0.0), (20, 0.0), (21, 0.1), (29, 0.9)])
def test_the_delay_counts_from_the_start_of_the_labelled_event(start, delay):
    assert figures_of((start, 31), (90, 95))["delay_mean"] == pytest.approx(delay)


@pytest.mark.parametrize(
    ("start", "wait", "on_time", "delay"),
    [
        (22, 0.3, 1, 0.5),  # 0.2 s late, and known 0.3 s later
        (22, 0.4, 0, 0.6),
        (17, 0.2, 1, 0.0),  # known before the labelled event
        (15, 0.9, 1, 0.4),
        (14, 0.9, 0, 0.3),  # starts too early to be on time, whenever it is known
    ],
)
def test_as_delivered_an_event_counts_from_when_it_is_known(start, wait, on_time, delay):
    labels = np.arange(100) // 10 == 2
    figures = event_level([ClipEvents([Event(start, 40, start, 1.0)], labels, 10.0, wait)], 0.5)
    assert figures["on_time_delivered"] == on_time
    assert figures["delay_median_delivered"] == figures["delay_mean_delivered"] == pytest.approx(delay)


def test_an_alarm_that_never_ends_detects_all_events_but_has_a_high_alarm_fraction():
    figures = figures_of((0, 100))
    assert (figures["found"], figures["on_time"], figures["delay_mean"], figures["false_alarms"]) == (
        2,
        0,
        0,
        0,
    )
    assert figures["alarm_fraction_normal"] == figures["alarm_fraction"] == 1


def test_what_is_undefined_is_left_out():
    normal = figures_of((3, 5), labels=np.zeros(10, bool))
    assert not {"found", "on_time", "delay_median", "delay_mean", "f1"} & set(normal)
    assert (normal["labelled"], normal["false_alarms"]) == (0, 1)
    fall = figures_of((3, 5), labels=np.ones(10, bool))
    rates = {f"false_alarms_per_hour{end}" for end in ("", "_low", "_high")}
    assert not {*rates, "alarm_fraction_normal"} & set(fall)
    assert fall["hours"] == 0
    missed = figures_of()
    assert (missed["found"], missed["false_alarms_per_hour"]) == (0, 0)
    assert not {"delay_median", "delay_mean"} & set(missed)
    assert event_level([], 1.0) == {"labelled": 0, "false_alarms": 0, "hours": 0.0}


def test_a_delay_equal_to_the_limit_is_on_time():
    """0.29 s * 100 is below 29 frames in floating point."""
    late = ClipEvents([Event(29, 40, 29, 1.0)], np.arange(50) < 40, 100.0)
    assert event_level([late], 0.29)["on_time"] == 1
    assert event_level([late], 0.28)["on_time"] == 0
