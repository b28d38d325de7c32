"""Tracking: people who walk on keep their track; after a long absence or a jump they get a new track."""

import numpy as np
import pytest
from pydantic import ValidationError

from vad.detection.tracking import Tracker, TrackParams, interpolate

WIDE, HIGH = 20, 50  # pixels of a person


def params(max_gap=5, min_iou=0.3, confirm=2) -> TrackParams:
    return TrackParams(max_gap=max_gap, min_iou=min_iou, confirm=confirm)


def person(x: float, y: float) -> list[float]:
    return [x, y, x + WIDE, y + HIGH]


def track(frames: list[list[list[float]]], **how: float) -> list[list[int]]:
    """Track numbers of all boxes, frame by frame."""
    tracker = Tracker(params(**how))
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


@pytest.mark.parametrize("confirm", [1, 0])
def test_confirm_must_be_at_least_2(confirm):
    with pytest.raises(ValidationError):
        params(confirm=confirm)


@pytest.mark.parametrize(("min_iou", "jump", "kept"), [(0.3, 8, True), (0.3, 12, False), (0.7, 8, False)])
def test_a_jump_beyond_min_iou_is_another_track(min_iou, jump, kept):
    """Boxes 20 wide, moved by 8 or 12 across: overlap 0.43 or 0.25."""
    frames = [[person(100, 50)]] * 10 + [[person(100 + jump, 50)]] * 5
    got = track(frames, min_iou=min_iou)
    assert got[9] == [0]
    assert got[10] == ([0] if kept else [-1])
    assert got[-1] == ([0] if kept else [1])


@pytest.mark.parametrize(("steps", "speed"), [(2, 3), (3, 6), (5, 6), (8, 1), (4, -5)])
def test_interpolated_boxes_move_with_the_walkers(steps, speed):
    def at(t: int) -> np.ndarray:
        """Two people with their confidence; the detector returns them in a different order each time."""
        both = np.array([[*person(100 + speed * t, 50), 0.4], [*person(300 - speed * t, 60), 0.8]])
        return both if t == 0 else both[::-1]

    got = interpolate(at(0), at(steps), steps)
    assert len(got) == steps - 1
    for t, boxes in enumerate(got, 1):
        expected = at(0) + t * (at(steps)[::-1] - at(0)) / steps
        np.testing.assert_allclose(boxes[boxes[:, 4].argsort()], expected)


def test_an_unpaired_box_stays_for_half_of_the_frames():
    came, went = np.array([[*person(10, 10), 0.5]]), np.array([[*person(200, 10), 0.6]])
    got = interpolate(came, went, 4)
    assert [boxes.tolist() for boxes in got] == [came.tolist(), went.tolist(), went.tolist()]
    nobody = np.zeros((0, 5))
    assert [len(boxes) for boxes in interpolate(came, nobody, 4)] == [1, 0, 0]
    assert [len(boxes) for boxes in interpolate(nobody, came, 5)] == [0, 0, 1, 1]
    assert [boxes.shape for boxes in interpolate(nobody, nobody, 3)] == [(0, 5), (0, 5)]
    assert interpolate(came, went, 1) == []


def test_without_boxes_there_are_no_tracks():
    tracker = Tracker(params())
    for _ in range(5):
        assert tracker.update(np.zeros((0, 4))).shape == (0,)


def test_integer_boxes_are_tracked_too():
    tracker = Tracker(params())
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
