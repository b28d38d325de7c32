"""Boxes of moving things: against brute force, on drawn shapes, on rendered clips."""

import tracemalloc
from itertools import pairwise, repeat
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from benchmarks.sample_regions import Count, moving
from tests.detection.frames import FPS, foreground_masks, items
from vad import UserError
from vad import boxes as box_arrays
from vad.detection.blobs import MotionBoxes, boxes
from vad.detection.foreground_params import MOTION_BOXES, ForegroundParams
from vad.detection.motion import MotionParams, motion_masks
from vad.stream import results
from vad.synthetic import CLIPS, instances, render

EVERY = {"close": 0, "min_area": 1, "min_width": 1, "min_height": 1, "split": 0.0}
SPLIT = {"close": 0, "min_area": 50, "min_width": 6, "min_height": 10, "split": 0.4}
MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=20))
SMALL = st.integers(1, 6)


def params(source="foreground", **changes) -> MotionParams:
    keys = {"source": source, "difference_threshold": 8.0, "flow_threshold": 0.4}
    return MotionParams(**(keys | EVERY | changes))


def fit(truth, predicted) -> float:
    """The lowest IoU of a true box with the best of the others."""
    return box_arrays.iou(np.array(truth, float), np.asarray(predicted)).max(axis=1).min()


def filled(mask: np.ndarray, close: int) -> np.ndarray:
    """Brute force: column by column, gaps of up to `close` px between two moving pixels."""
    out = mask.copy()
    for column in out.T:
        rows = np.flatnonzero(column)
        for a, b in pairwise(rows):
            if b - a - 1 <= close:
                column[a:b] = True
    return out


def blobs(mask: np.ndarray, how: MotionParams) -> list[np.ndarray]:
    """Brute force: the blobs that are large enough, each as a mask of the frame."""
    labels, number = ndimage.label(filled(mask, how.close), np.ones((3, 3)))
    every = [labels == i for i in range(1, number + 1)]
    sizes = [(blob.any(0).sum(), blob.any(1).sum(), blob.sum()) for blob in every]
    least = (how.min_width, how.min_height, how.min_area)
    return [blob for blob, size in zip(every, sizes, strict=True) if np.all(np.array(size) >= least)]


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


# Boxes of a mask


@given(MASKS, st.integers(0, 6), SMALL, SMALL, SMALL)
def test_boxes_surround_the_blobs_that_are_large_enough(mask, close, area, width, height):
    how = params(close=close, min_area=area, min_width=width, min_height=height)
    assert [tuple(box) for box in boxes(mask, how)] == sorted(bounds(blob) for blob in blobs(mask, how))


@given(MASKS, st.integers(0, 4), SMALL, st.sampled_from([0.0, 0.2, 0.5, 0.9]))
def test_boxes_cover_the_moving_pixels(mask, close, area, split):
    """Every pixel of a large enough blob is in a box, and every box lies in the bounds of its blob."""
    how = params(close=close, min_area=area, split=split)
    got = boxes(mask, how)
    assert got.dtype == np.int32
    assert got.shape == (len(got), 4)
    x0, y0, x1, y1 = got.T
    assert ((x0 >= 0) & (x0 < x1) & (x1 <= mask.shape[1])).all()
    assert ((y0 >= 0) & (y0 < y1) & (y1 <= mask.shape[0])).all()
    assert ((x1 - x0) * (y1 - y0) >= area).all()
    covered = np.zeros(mask.shape, bool)
    for a, b, c, d in got:
        covered[b:d, a:c] = True
    whole = blobs(mask, how)
    assert covered[np.any(whole or [np.zeros_like(mask)], axis=0)].all()
    for a, b, c, d in got:
        frames = [bounds(blob) for blob in whole]
        assert any(a >= f[0] and b >= f[1] and c <= f[2] and d <= f[3] for f in frames)


def test_a_mask_may_be_uint8():
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:11] = True
    for same in (mask, mask.astype(np.uint8), mask.astype(np.uint8) * 255):
        assert boxes(same, params(close=2, split=0.4)).tolist() == [[4, 3, 11, 9]]


@pytest.mark.parametrize("split", [0.0, 0.4])
def test_empty_masks_have_no_box_and_full_ones_a_single_box(split):
    how = params(**SPLIT | {"close": 12, "split": split})
    assert boxes(np.zeros((132, 176), bool), how).shape == (0, 4)
    assert boxes(np.ones((132, 176), bool), how).tolist() == [[0, 0, 176, 132]]


DIRECTIONS = {"beside": (50, 0), "below": (0, 50), "askew": (29, 29)}


def discs(way: str, bridge: int) -> tuple[np.ndarray, list[tuple[int, int, int, int]]]:
    """Two discs of radius 15 with a bridge between them, as a mask, and their boxes."""
    mask = np.zeros((90, 90), np.uint8)
    dx, dy = DIRECTIONS[way]
    truth = []
    for x, y in ((20, 20), (20 + dx, 20 + dy)):
        cv2.circle(mask, (x, y), 15, 1, -1)
        truth.append((x - 15, y - 15, x + 16, y + 16))
    cv2.line(mask, (20, 20), (20 + dx, 20 + dy), 1, bridge)
    return mask.astype(bool), truth


@pytest.mark.parametrize("way", DIRECTIONS)
def test_a_thin_bridge_is_cut(way):
    mask, truth = discs(way, bridge=3)
    assert len(boxes(mask, params())) == 1
    got = boxes(mask, params(**SPLIT | {"min_width": 10}))
    assert len(got) == 2
    assert fit(truth, got) > 0.7


@pytest.mark.parametrize("way", DIRECTIONS)
def test_a_thick_bridge_is_not_cut(way):
    """It is as thick as the discs, so that there are neither dips nor necks."""
    mask, _ = discs(way, bridge=29)
    assert len(boxes(mask, params(**SPLIT))) == 1


def test_split_is_the_relative_thickness_at_which_necks_are_cut():
    """A disc above another, without heads: the bridge is 9 px thick, the discs are 31 px."""
    mask, _ = discs("below", bridge=9)
    counts = [len(boxes(mask, params(**SPLIT | {"split": split}))) for split in (0.0, 0.2, 0.4, 0.8)]
    assert counts == [1, 1, 1, 2]


def person(mask: np.ndarray, x: int, feet: int, height: int = 60) -> tuple[int, int, int, int]:
    """Draws an upright person, 14 px wide for a height of 60 px; returns the box."""
    u = height / 60
    figure = np.zeros(mask.shape, np.uint8)

    def part(x0: float, y0: float, x1: float, y1: float) -> None:
        figure[round(feet - y1 * u) : round(feet - y0 * u), round(x + x0 * u) : round(x + x1 * u)] = 1

    cv2.circle(figure, (x, round(feet - 55.5 * u)), round(4 * u), 1, -1)
    part(-2, 48, 2, 54)
    part(-7, 24, 7, 50)
    part(-6, 0, -1, 25)
    part(1, 0, 6, 25)
    mask |= figure.astype(bool)
    return bounds(figure)


@pytest.mark.parametrize(("second", "feet"), [(13, 80), (14, 80), (12, 84), (-13, 76)])
def test_people_side_by_side_are_split_between_their_heads(second, feet):
    mask = np.zeros((100, 120), bool)
    truth = [person(mask, 60, 80), person(mask, 60 + second, feet)]
    assert len(boxes(mask, params())) == 1
    got = boxes(mask, params(**SPLIT))
    assert len(got) == 2
    assert fit(truth, got) > 0.6


@pytest.mark.parametrize("height", [30, 60, 120])
def test_a_single_person_is_not_split(height):
    mask = np.zeros((140, 100), bool)
    truth = person(mask, 50, 130, height)
    noise = np.random.default_rng(0).random(mask.shape) < 0.3  # ragged by a pixel, as masks are
    edge = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    for ragged in (mask, mask ^ (edge & noise)):
        got = boxes(ragged, params(**SPLIT | {"close": 2}))
        assert len(got) == 1
        assert fit([truth], got) > 0.7


def test_a_lying_person_is_not_cut_at_bumps():
    """Head, hip and feet are bumps in the outline, but cuts would leave parts wider than tall."""
    mask = np.zeros((60, 100), bool)
    mask[40:52, 10:90] = True
    for x in (14, 44, 76):
        mask[34:40, x : x + 10] = True
    assert boxes(mask, params(**SPLIT)).tolist() == [[10, 34, 90, 52]]


def test_fragments_of_a_person_are_joined_and_neighbours_are_not():
    mask = np.zeros((100, 120), bool)
    truth = [person(mask, 40, 90), person(mask, 56, 90)]
    mask[50:58] = False  # the shirts are as gray as the wall
    assert len(boxes(mask, params(min_area=20))) == 4
    assert boxes(mask, params(close=8, min_area=20)).tolist() == [list(box) for box in truth]


def test_blobs_near_the_border_do_not_grow_to_it():
    mask = np.zeros((40, 30), bool)
    mask[4:36, 5:15] = True
    assert boxes(mask, params(close=12)).tolist() == [[5, 4, 15, 36]]


def test_boxes_do_not_depend_on_the_number_of_threads():
    """The order of blobs may differ, but boxes are sorted from left to right."""
    mask = cv2.blur(np.random.default_rng(0).random((240, 360)), (9, 9)) > 0.5
    got = []
    before = cv2.getNumThreads()
    for threads in (1, 4):
        cv2.setNumThreads(threads)
        got.append(boxes(mask, params(close=3, min_area=20, split=0.4)).tolist())
    cv2.setNumThreads(before)
    assert got[0] == got[1] == sorted(got[0])
    assert len(got[0]) > 20


# Boxes of one mask after the other


def crossing(gap: int = 1) -> list[tuple[np.ndarray, list[tuple[int, int, int, int]]]]:
    """Masks and boxes of two people who cross, at slightly different depths."""
    out = []
    for t in range(0, 61, gap):
        mask = np.zeros((100, 140), bool)
        out.append((mask, [person(mask, 40 + t, 90), person(mask, 100 - t, 84, 54)]))
    return out


def boxes_of_clip(clip, how: MotionParams) -> list[np.ndarray]:
    finder = MotionBoxes(how)
    return [finder.next(mask) for mask, _ in clip]


def apart(people: list[tuple[int, int, int, int]], got: np.ndarray) -> bool:
    return len(got) == 2 and fit(people, got) > 0.5


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_people_who_cross_are_kept_apart(gap):
    """While they are a single blob, both have boxes where their motion leads, except when one is hidden."""
    clip, how = crossing(gap), params(**SPLIT)
    middle = len(clip) // 2
    alone = [apart(people, boxes(mask, how)) for mask, people in clip]
    kept = [apart(people, got) for (_, people), got in zip(clip, boxes_of_clip(clip, how), strict=True)]
    assert not all(alone[:middle])
    assert all(kept[:middle])
    assert kept[-middle // 2 :] == alone[-middle // 2 :] == [True] * -(-middle // 2)


def test_without_splitting_people_who_cross_share_a_box():
    how = params(**SPLIT | {"split": 0.0})
    for (mask, _), got in zip(crossing(), boxes_of_clip(crossing(), how), strict=True):
        assert got.tolist() == boxes(mask, how).tolist()


def test_the_first_mask_has_no_predicted_boxes():
    mask, _ = crossing()[30]
    for _ in range(3):
        assert (MotionBoxes(params(**SPLIT)).next(mask) == boxes(mask, params(**SPLIT))).all()


def test_a_blob_with_much_outside_the_predicted_boxes_is_not_divided():
    """Two people meet where a third thing, larger than both, appears."""
    finder = MotionBoxes(params(**SPLIT))
    for t in range(20):
        mask = np.zeros((100, 140), bool)
        person(mask, 30 + t, 90)
        person(mask, 100 - t, 90)
        finder.next(mask)
    mask[30:95, 40:95] = True
    assert finder.next(mask).tolist() == boxes(mask, params(**SPLIT)).tolist()


def test_an_almost_hidden_person_has_no_box():
    """A post 7 px wide moves behind another until only 5 px of it are visible."""
    finder = MotionBoxes(params(**SPLIT))
    for x in range(60, 27, -1):
        mask = np.zeros((60, 80), bool)
        mask[10:50, 10:30] = mask[10:50, x : x + 7] = True
        mask[:, 33:] &= x > 28
        got = finder.next(mask)
        assert len(got) == (1 if x == 28 else 2)


@pytest.mark.parametrize(("gap", "first", "missing"), [(1, 22, 3), (2, 9, 2), (3, 7, 2)])
def test_a_gap_in_time_is_not_taken_for_speed(gap, first, missing):
    """Before people cross, frames are missing; told of that, boxes are predicted where people are now."""
    clip, how = crossing(gap), params(**SPLIT)

    def kept(intervals: int) -> bool:
        finder, before = MotionBoxes(how), clip[: len(clip) // 2]
        del before[first : first + missing]
        steps = [intervals if t == first else 1 for t in range(len(before))]
        return all(
            apart(people, finder.next(mask, n)) for (mask, people), n in zip(before, steps, strict=True)
        )

    assert kept(missing + 1)
    assert not kept(1)


@given(st.lists(arrays(bool, (16, 20)), max_size=8), st.sampled_from([0.0, 0.4, 0.9]), SMALL)
def test_boxes_of_any_masks_lie_in_the_frame(clip, split, least):
    how = params(close=2, split=split, min_width=least, min_height=least)
    finder = MotionBoxes(how)
    for mask in clip:
        got = finder.next(mask)
        assert got.dtype == np.int32
        assert got.tolist() == sorted(got.tolist())
        assert box_arrays.large_enough(got, least, least).all()
        assert (got == box_arrays.clip(got, 20, 16)).all()


# Masks of what moves

FOREGROUND = ForegroundParams().resolve(MOTION_BOXES)


def masks_of(frames: np.ndarray, how: MotionParams, flow=None) -> np.ndarray:
    counts, scale = flow or (repeat(None), None)
    processor = motion_masks(how, FOREGROUND, FPS, scale)
    moving = list(results(processor, zip(items(frames), counts, strict=False)))
    assert all(mask.dtype == bool for mask in moving)
    return np.array(moving)


def square(*places: tuple[int, int]) -> np.ndarray:
    """Frames that each show a bright square of 12 px at the next position."""
    frames = np.full((len(places), 48, 64), 80, np.uint8)
    for frame, (x, y) in zip(frames, places, strict=True):
        frame[y : y + 12, x : x + 12] = 160
    return frames


def test_difference_marks_where_something_appeared_or_disappeared():
    moving_pixels = masks_of(square((10, 10), (10, 10), (40, 20)), params("difference"))
    assert not moving_pixels[:2].any()
    assert moving_pixels[2][10:22, 10:22].all()
    assert moving_pixels[2][20:32, 40:52].all()
    assert not moving_pixels[2][:, 26:36].any()


def test_the_first_frame_is_compared_with_the_second():
    moving_pixels = masks_of(square((10, 10), (40, 20)), params("difference"))
    assert (moving_pixels[0] == moving_pixels[1]).all()
    assert moving_pixels[0].any()
    assert not masks_of(square((10, 10)), params("difference")).any()


@pytest.mark.parametrize(("step", "moves"), [(9, True), (8, False), (7, False)])
def test_difference_is_above_its_threshold(step, moves):
    frames = np.stack([np.full((20, 20), 100, np.uint8), np.full((20, 20), 100 + step, np.uint8)])
    assert masks_of(frames, params("difference", difference_threshold=8.0)).all() == moves
    assert masks_of(frames, params("difference", difference_threshold=8.0)).any() == moves


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_change_of_colour_alone_is_motion(channel):
    frames = np.full((2, 20, 30, 3), 100, np.uint8)
    frames[1, 5:15, 5:15, channel] = 130
    moving_pixels = masks_of(frames, params("difference"))
    assert moving_pixels.shape == (2, 20, 30)
    assert moving_pixels[1, 5:15, 5:15].all()
    assert not moving_pixels[1, :, 20:].any()


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_flow_is_scaled_to_the_frame(factor):
    """A motion of 3 px of the frame, in smaller flow with steps of 0.1 px."""
    height, width = 96, 128
    counts = np.zeros((2, height // factor, width // factor, 2), np.int8)
    box = np.array([40, 24, 80, 72]) // factor
    counts[:, box[1] : box[3], box[0] : box[2]] = (-24, 18)  # 3 px
    frames = np.zeros((2, height, width), np.uint8)
    moving_pixels = masks_of(frames, params("flow", flow_threshold=1.0), (counts, 0.1))
    assert moving_pixels.shape == frames.shape
    for mask in moving_pixels:
        got = boxes(mask, params())
        assert len(got) == 1
        assert np.abs(got[0] - [40, 24, 80, 72]).max() <= max(1, factor // 2)


@pytest.mark.parametrize(("scale", "moves"), [(0.021, True), (0.019, False)])
def test_flow_is_above_its_threshold(scale, moves):
    """30 and 40 steps in x and y are 50 steps, about 1 px."""
    counts = np.full((1, 20, 30, 2), (30, 40), np.int8)
    moving_pixels = masks_of(
        np.zeros((1, 20, 30), np.uint8), params("flow", flow_threshold=1.0), (counts, scale)
    )
    assert moving_pixels.all() == moving_pixels.any() == moves


def test_flow_is_cut_at_half_the_speed_nearby():
    """Dense flow falls off gradually: of a peak of speed, the upper half is motion."""
    hill = np.abs(np.arange(101) - 50)
    counts = np.zeros((1, 60, 101, 2), np.int8)
    counts[..., 0] = np.clip(120 - 10 * np.clip(hill - 10, 0, None), 0, None)
    how = params("flow", flow_threshold=0.4)
    (moving_pixels,) = masks_of(np.zeros((1, 60, 101), np.uint8), how, (counts, 0.1))
    x0, _, x1, _ = boxes(moving_pixels, params())[0]
    assert abs(x0 - (50 - 16)) <= 2
    assert abs(x1 - (50 + 17)) <= 2


def test_missing_flow_is_refused_at_once():
    with pytest.raises(UserError, match=r"flow.method is none; set flow.method: dis"):
        motion_masks(params("flow"), FOREGROUND, FPS, None)


def test_the_source_foreground_takes_the_masks_of_the_background_model():
    frames = np.concatenate([square(*[(10, 10)] * 20), square((30, 10))])
    moving_pixels = masks_of(frames, params("foreground"))
    assert (moving_pixels == np.array(list(foreground_masks(frames, FOREGROUND)))).all()
    assert moving_pixels[-1].any()


def test_memory_does_not_grow_with_the_clip(tmp_path: Path):
    frames = np.lib.format.open_memmap(tmp_path / "frames.npy", "w+", np.uint8, (300, 240, 360))
    counts = np.lib.format.open_memmap(tmp_path / "flow.npy", "w+", np.int8, (300, 120, 180, 2))
    for source in ("difference", "flow"):
        tracemalloc.start()
        processor = motion_masks(params(source), FOREGROUND, FPS, 0.1)
        for mask in results(processor, zip(items(frames), counts, strict=True)):
            boxes(mask, params(close=12, split=0.4))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5e6  # the frames have 26 MB


# Rendered clips


@pytest.fixture(scope="module")
def clips() -> list[tuple[np.ndarray, np.ndarray]]:
    """Gray frames and instance masks of two rendered clips, [T, H, W] each."""
    out = []
    for script in (CLIPS[0], CLIPS[8]):  # hall/walk1, yard/walk3
        frames = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in render(script)[0]])
        out.append((frames, np.stack(list(instances(script)))))
    return out


@pytest.mark.parametrize(("source", "least"), [("foreground", 0.9), ("difference", 0.85)])
def test_moving_people_have_boxes(clips, source, least):
    """`python -m benchmarks.sample_regions` measures all clips and sources."""
    count = Count()
    for frames, actors in clips:
        finder, walking = MotionBoxes(params(**SPLIT | {"close": 24})), moving(actors, second=12)
        for t, mask in enumerate(masks_of(frames, params(source))):
            count.add(actors[t], walking[t], finder.next(mask))
    assert count.people > 500
    assert count.detected / count.people >= least
    assert count.right / count.boxes >= 0.6
