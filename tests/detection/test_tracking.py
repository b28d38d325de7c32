"""Tracking: people who walk on keep their track; after a long absence or a jump they get a new track."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from supervision import Detections
from trackers import SORTTracker

from vad.detection.tracking import Tracker, TrackLimits, TrackParams

WIDE, HIGH = 20, 50  # pixels of a person


def limits(max_gap=5, min_iou=0.3, confirm=2) -> TrackLimits:
    return TrackLimits(max_gap, min_iou, confirm)


def reference(how: TrackLimits) -> Callable[[np.ndarray], list[int]]:
    """SORT of the library `trackers`: a function from the boxes of the next frame to their track numbers."""
    # at a frame rate of 30, the library takes the length of its buffer in frames
    sort = SORTTracker(
        lost_track_buffer=how.max_gap,
        frame_rate=30.0,
        track_activation_threshold=0.0,
        minimum_consecutive_frames=how.confirm,
        minimum_iou_threshold=how.min_iou,
    )

    def update(boxes: np.ndarray) -> list[int]:
        ones = np.ones(len(boxes), np.float32)
        return sort.update(Detections(xyxy=boxes.astype(np.float32), confidence=ones)).tracker_id.tolist()

    return update


def person(x: float, y: float) -> list[float]:
    return [x, y, x + WIDE, y + HIGH]


def track(frames: list[list[list[float]]], **how: float) -> list[list[int]]:
    """Track numbers of all boxes, frame by frame."""
    tracker = Tracker(limits(**how))
    out = []
    for boxes in frames:
        got = tracker.update(np.array(boxes, float).reshape(-1, 4))
        assert got.dtype == np.int32
        assert got.shape == (len(boxes),)
        out.append(got.tolist())
    return out


@pytest.mark.parametrize("step", [(0, 0), (2, 0), (-6, 0), (0, 5), (4, -4)])
@pytest.mark.parametrize("min_iou", [0.1, 0.3, 0.5])
def test_straight_motion_keeps_its_number(step, min_iou):
    got = track([[person(300 + step[0] * t, 300 + step[1] * t)] for t in range(40)], min_iou=min_iou)
    assert got == [[-1]] + [[0]] * 39


def test_two_people_who_pass_each_other_at_different_rows_keep_their_numbers():
    """They overlap for some time, by up to 20 of 50 rows; the order of boxes is random."""
    frames, order = [], []
    for t in range(50):
        boxes = [person(10 + 4 * t, 100), person(210 - 4 * t, 130)]
        order.append([0, 1] if t % 3 else [1, 0])
        frames.append([boxes[i] for i in order[-1]])
    got = track(frames)
    first = dict(zip(order[1], got[1], strict=True))  # person -> number
    assert set(first.values()) == {0, 1}
    for who, numbers in zip(order[1:], got[1:], strict=True):
        assert numbers == [first[i] for i in who]


def test_boxes_that_shake_keep_their_numbers():
    rng = np.random.default_rng(0)
    frames = [
        [
            np.array(person(20 + 3 * t, 50)) + rng.normal(0, 1.5, 4),
            np.array(person(400 - 2 * t, 60)) + rng.normal(0, 1.5, 4),
        ]
        for t in range(60)
    ]
    got = track(frames)
    assert got[1:] == [[0, 1]] * 59


def test_many_side_by_side_keep_their_numbers():
    frames = [[person(40 * i + 2 * t, 10) for i in range(15)] for t in range(10)]
    got = track(frames)
    assert got[1:] == [list(range(15))] * 9


@pytest.mark.parametrize("max_gap", [0, 1, 3, 10])
@pytest.mark.parametrize("step", [0, 3])
def test_a_gap_up_to_max_gap_keeps_the_number_and_a_longer_one_does_not(max_gap, step):
    for gap in {0, 1, max_gap, max_gap + 1, max_gap + 5}:
        frames = [[person(50 + step * t, 50)] for t in range(30 + gap)]
        frames[15 : 15 + gap] = [[]] * gap
        got = track(frames, max_gap=max_gap)
        before, after = got[14], got[-1]
        assert before == [0]
        assert after == ([0] if gap <= max_gap else [1]), f"gap of {gap}"
        if gap <= max_gap:
            assert got[15 + gap] == [0]  # at once


@pytest.mark.parametrize("confirm", [2, 3, 5])
def test_a_track_has_a_number_from_its_confirming_box_on(confirm):
    got = track([[person(50 + t, 50)] for t in range(10)], confirm=confirm)
    assert got == [[-1]] * (confirm - 1) + [[0]] * (11 - confirm)


@pytest.mark.parametrize("confirm", [2, 3])
def test_boxes_that_never_occur_twice_in_a_row_are_no_track(confirm):
    """Noise gets no track numbers, and max_gap does not connect it."""
    frames = [[person(50, 50)] if t % 2 else [person(300, 50)] for t in range(20)]
    assert track(frames, confirm=confirm) == [[-1]] * 20
    frames = frames + [[person(50, 50)]] * 4
    assert track(frames, confirm=confirm)[-1] == [0]


@pytest.mark.parametrize(
    ("fps", "gap", "boxes"),
    [(1.0, 1, 2), (9.0, 7, 2), (10.0, 8, 2), (12.5, 10, 2), (15.0, 12, 3), (25.0, 20, 4), (30.0, 24, 4)],
)
def test_durations_are_rounded_to_frames_halves_up_and_two_boxes_are_needed(fps, gap, boxes):
    """0.1 s at 15 and 25 frames per second are 1.5 and 2.5 frames."""
    assert TrackParams(max_gap=0.8, confirm=0.1).at(fps) == (gap, 0.2, boxes)
    assert TrackParams(max_gap=0.0, confirm=0.0).at(fps) == (0, 0.2, 2)


def test_times_before_the_start_are_refused():
    with pytest.raises(ValidationError):
        TrackParams(max_gap=-1.0)


@pytest.mark.parametrize(("min_iou", "jump", "kept"), [(0.3, 8, True), (0.3, 12, False), (0.7, 8, False)])
def test_a_jump_beyond_min_iou_is_another_track(min_iou, jump, kept):
    """Boxes 20 wide, moved by 8 or 12 across: overlap 0.43 or 0.25."""
    frames = [[person(100, 50)]] * 10 + [[person(100 + jump, 50)]] * 5
    got = track(frames, min_iou=min_iou)
    assert got[9] == [0]
    assert got[10] == ([0] if kept else [-1])
    assert got[-1] == ([0] if kept else [1])


@pytest.mark.parametrize("max_gap", [0, 3])
@pytest.mark.parametrize("missing", [1, 3, 4, 10**12])
def test_missing_frames_count_as_frames_without_boxes(max_gap, missing):
    """Two people walk on while frames are missing, others come and go; numbers are as for empty frames."""
    rng = np.random.default_rng(missing)
    frames = [
        [
            person(50 + 3 * t, 50),
            person(400 - 2 * t, 60),
            *([person(*rng.uniform(0, 300, 2))] if t % 3 else []),
        ]
        for t in range(20)
    ]
    gaps, empty = Tracker(limits(max_gap=max_gap)), Tracker(limits(max_gap=max_gap))
    for t, boxes in enumerate(frames):
        if t == 10:
            for _ in range(min(missing, 10)):
                empty.update(np.zeros((0, 4)))
        got = gaps.update(np.array(boxes), steps=missing + 1 if t == 10 else 1)
        assert got.tolist() == empty.update(np.array(boxes)).tolist()


BOX = st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 20)] * 2).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


@given(
    st.lists(st.lists(BOX, max_size=6), max_size=15),
    st.integers(0, 4),
    st.sampled_from([0.05, 0.2, 0.5, 1.0]),
    st.integers(2, 4),
)
def test_any_boxes_have_the_tracks_of_the_library(frames, max_gap, min_iou, confirm):
    """Small whole numbers give many equal overlaps."""
    sort = reference(limits(max_gap, min_iou, confirm))
    tracker = Tracker(limits(max_gap, min_iou, confirm))
    for boxes in frames:
        array = np.array(boxes, float).reshape(-1, 4)
        assert tracker.update(array).tolist() == sort(array)


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_has_the_tracks_of_the_library(seed):
    """Ten people who walk, shake, hide and meet, for 300 frames."""
    rng = np.random.default_rng(seed)
    start, speed, size = rng.uniform(0, 300, (10, 2)), rng.normal(0, 2, (10, 2)), rng.uniform(10, 60, (10, 2))
    sort, tracker = reference(limits()), Tracker(limits())
    tracks = set()
    for t in range(300):
        corner = (start + t * speed) % 300 + rng.normal(0, 1, (10, 2))
        seen = rng.permutation(10)[: rng.integers(6, 11)]
        boxes = np.concatenate([corner, corner + size], axis=1)[seen]
        numbers = tracker.update(boxes).tolist()
        assert numbers == sort(boxes), t
        tracks.update(numbers)
    assert len(tracks) > 10


def test_without_boxes_there_are_no_tracks():
    tracker = Tracker(limits())
    for _ in range(5):
        assert tracker.update(np.zeros((0, 4))).shape == (0,)


def test_integer_boxes_are_tracked_too():
    tracker = Tracker(limits())
    got = [tracker.update(np.array([person(50 + t, 50)], np.int32)).tolist() for t in range(3)]
    assert got == [[-1], [0], [0]]


def test_tracks_of_a_clip_do_not_depend_on_other_clips():
    rng = np.random.default_rng(3)
    frames = []
    for t in range(60):
        boxes = [person(30 * i + 2 * t + rng.normal(), 40 + rng.normal()) for i in range(8)]
        frames.append([box for box in boxes if rng.random() < 0.8])
    first = track(frames)
    track([[person(0, 0)]] * 5)
    assert track(frames) == first
    assert {n for numbers in first for n in numbers} >= {-1, 0, 1}


def test_a_track_has_at_most_a_single_box_per_frame():
    rng = np.random.default_rng(4)
    for numbers in track([[person(*rng.uniform(0, 150, 2)) for _ in range(10)] for _ in range(40)]):
        tracks = [n for n in numbers if n >= 0]
        assert len(set(tracks)) == len(tracks)
