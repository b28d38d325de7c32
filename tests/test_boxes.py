"""Boxes: counted pixel by pixel, grown and clipped as promised for any box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad.boxes import area, clip, crop_boxes, distinct, intersection, iou, large_enough

SIDE = 12
EDGE = st.integers(0, SIDE)
BOX = st.tuples(EDGE, EDGE, EDGE, EDGE)  # some of them empty, or inside out
DTYPES = st.sampled_from([np.int32, np.float32, np.float64])


def array(boxes: list, dtype: type = np.int32) -> np.ndarray:
    return np.array(boxes, dtype).reshape(-1, 4)


def boxes_of(max_size: int = 6) -> st.SearchStrategy[np.ndarray]:
    return st.builds(array, st.lists(BOX, max_size=max_size), DTYPES)


def pixels(box: np.ndarray) -> set[tuple[int, int]]:
    x0, y0, x1, y1 = (int(v) for v in box)
    return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}


@given(boxes_of())
def test_area_is_a_count_of_pixels(boxes):
    got = area(boxes)
    assert got.dtype == np.float64
    assert got.tolist() == [len(pixels(box)) for box in boxes]


@given(boxes_of(), boxes_of())
def test_intersection_and_iou_are_counts_of_pixels(a, b):
    shared, over = intersection(a, b), iou(a, b)
    assert shared.shape == over.shape == (len(a), len(b))
    for i, first in enumerate(a):
        for j, second in enumerate(b):
            both, either = pixels(first) & pixels(second), pixels(first) | pixels(second)
            assert shared[i, j] == len(both)
            assert over[i, j] == pytest.approx(len(both) / len(either) if either else 0)


@given(boxes_of(), boxes_of())
def test_iou_is_symmetric_and_at_most_one(a, b):
    np.testing.assert_array_equal(iou(a, b), iou(b, a).T)
    assert ((iou(a, b) >= 0) & (iou(a, b) <= 1)).all()
    np.testing.assert_array_equal(np.diag(iou(a, a)), area(a) > 0)


def test_large_boxes_do_not_overflow():
    big = array([(0, 0, 100_000, 100_000)])
    assert area(big)[0] == intersection(big, big)[0, 0] == 1e10
    assert iou(big, big)[0, 0] == 1


@given(boxes_of(), st.sampled_from([0, 0.3, 0.5, 1]))
def test_distinct_keeps_the_first_of_overlapping_boxes(boxes, limit):
    kept: list[set[tuple[int, int]]] = []
    expected = []
    for box in boxes:
        inside = pixels(box)
        expected.append(all(len(inside & k) <= limit * len(inside | k) for k in kept))
        if expected[-1]:
            kept.append(inside)
    got = distinct(boxes, limit)
    assert got.dtype == bool
    assert got.tolist() == expected


COORDINATE = st.integers(-30, 60) | st.floats(-30, 60, allow_nan=False, width=32)
SIZE = st.integers(0, 50) | st.floats(0, 50, allow_nan=False, width=32)
ANYWHERE = st.tuples(COORDINATE, COORDINATE, SIZE, SIZE).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
MARGIN = st.sampled_from([0, 0.1, 0.25, 1, 2])
CROPS = st.sampled_from(["box", "square"])


@given(st.lists(ANYWHERE, max_size=5), MARGIN, CROPS, st.integers(1, 40), st.integers(1, 40))
def test_a_crop_lies_in_the_frame_and_holds_the_box(boxes, margin, crop, width, height):
    """Also for boxes without area and boxes outside the frame."""
    got = crop_boxes(array(boxes, float), margin, crop, width, height)
    assert got.shape == (len(boxes), 4)
    assert got.dtype == np.int32
    for (x0, y0, x1, y1), (a0, b0, a1, b1) in zip(boxes, got.tolist(), strict=True):
        assert 0 <= a0 < a1 <= width
        assert 0 <= b0 < b1 <= height
        if x1 > 0 and x0 < width and y1 > 0 and y0 < height:
            assert a0 <= max(x0, 0)
            assert a1 >= min(x1, width)
            assert b0 <= max(y0, 0)
            assert b1 >= min(y1, height)


@given(ANYWHERE, MARGIN, st.integers(1, 40), st.integers(1, 40))
def test_a_square_crop_is_square_as_far_as_the_frame_allows(box, margin, width, height):
    got = crop_boxes(array([box], float), margin, "square", width, height)[0]
    w, h = (got[2:] - got[:2]).tolist()
    assert w == h or min(w, h) == (width if w < h else height)
    grown = max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * margin)
    assert min(grown, width) - 1e-3 <= w <= max(np.ceil(grown) + 2, 1)
    assert min(grown, height) - 1e-3 <= h <= max(np.ceil(grown) + 2, 1)


@given(
    st.tuples(*[st.integers(0, 20)] * 4).map(lambda b: (b[0], b[1], b[0] + b[2] + 1, b[1] + b[3] + 1)),
    st.integers(0, 2),
)
def test_a_margin_adds_its_share_on_every_side(box, margin):
    x0, y0, x1, y1 = box
    x, y = margin * (x1 - x0), margin * (y1 - y0)
    moved = array([box]) + 200
    assert crop_boxes(moved, margin, "box", 500, 500).tolist() == [
        [x0 - x + 200, y0 - y + 200, x1 + x + 200, y1 + y + 200]
    ]


@pytest.mark.parametrize(
    ("box", "margin", "crop", "expected"),
    [
        ((10, 10, 20, 30), 0, "box", [10, 10, 20, 30]),
        ((10, 10, 20, 30), 0.1, "box", [9, 8, 21, 32]),
        ((10.4, 10.6, 20.4, 30.6), 0, "box", [10, 10, 21, 31]),  # whole pixels, outwards
        ((10, 10, 20, 30), 0, "square", [5, 10, 25, 30]),
        ((10, 10, 15, 20), 0, "square", [8, 10, 18, 20]),  # an odd rest, and still a square
        ((10, 10, 15, 20), 0.5, "square", [3, 5, 23, 25]),
        ((0, 10, 4, 30), 0, "square", [0, 10, 20, 30]),  # moved inwards at the border
        ((46, 10, 50, 30), 0, "square", [30, 10, 50, 30]),
        ((10, 0, 14, 40), 0, "square", [0, 0, 40, 40]),  # as high as the frame
        ((0, 5, 50, 35), 0, "square", [0, 0, 50, 40]),  # wider than the frame is high
        ((-5, 5, 5, 15), 0, "box", [0, 5, 5, 15]),
        ((48, 38, 60, 60), 0.5, "box", [42, 27, 50, 40]),
        ((7, 7, 7, 7), 0.5, "box", [7, 7, 8, 8]),  # without area: one pixel
        ((50, 40, 50, 40), 0, "square", [49, 39, 50, 40]),
        ((-20, 10, -10, 20), 0, "box", [0, 10, 1, 20]),  # outside: the nearest line of pixels
    ],
)
def test_crops_in_a_frame_of_50x40(box, margin, crop, expected):
    assert crop_boxes(array([box], float), margin, crop, 50, 40).tolist() == [expected]


def test_without_boxes_there_are_no_crops():
    for crop in ("box", "square"):
        assert crop_boxes(array([], float), 0.1, crop, 50, 40).shape == (0, 4)
    assert large_enough(array([]), 1, 1).shape == (0,)


def test_crop_boxes_does_not_modify_its_input():
    boxes = array([(1, 2, 3, 9)], float)
    crop_boxes(boxes, 1, "square", 50, 40)
    assert boxes.tolist() == [[1, 2, 3, 9]]


@given(boxes_of(), st.integers(0, SIDE), st.integers(0, SIDE))
def test_large_enough_boxes_have_both_sides_and_an_area(boxes, width, height):
    for box, good in zip(boxes, large_enough(boxes, width, height), strict=True):
        w, h = box[2] - box[0], box[3] - box[1]
        assert good == (w >= width and h >= height and len(pixels(box)) > 0)


@given(
    st.builds(array, st.lists(ANYWHERE, max_size=5), st.just(float)), st.integers(1, 40), st.integers(1, 40)
)
def test_clip_cuts_boxes_at_the_border_of_the_frame(boxes, width, height):
    got = clip(boxes, width, height)
    assert got.dtype == boxes.dtype
    frame = array([(0, 0, width, height)], float)
    np.testing.assert_allclose(area(got), intersection(boxes, frame)[:, 0], atol=1e-9)
    assert (got >= 0).all()
    assert (got <= [width, height, width, height]).all()
