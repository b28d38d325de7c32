"""Cutting frame by frame equals a cut of the whole clip by brute force."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.windows.tensors import shown_frames, tensor_spec
from vad.resize.channels import FlowUnits, Sources
from vad.resize.cutter import Cutter
from vad.store.body_heights import BodyHeight
from vad.stream import Frame, Observation, Regions, WindowsOfFrame, results
from vad.windows.spec import TensorSpec, placement

H, W = 18, 26
RNG = np.random.default_rng(0)
LENGTH = 14
VIDEO = RNG.integers(0, 256, (LENGTH, H, W), np.uint8)
COUNTS = RNG.integers(-127, 128, (LENGTH, H, W, 2), np.int8)
OUTLINES = RNG.random((LENGTH, H, W)) < 0.4
CHANNELS = ["gray", "difference", "flow", "silhouette"]
PADDING = np.array([0, 0, 128, 128, 0], np.uint8)
SCALE, FPS, FAR, NEAR, LEAST = 0.3, 10.0, -6.0, 30.0, 4.0
UNITS = FlowUnits(SCALE, FPS, BodyHeight(FAR, NEAR, LEAST, H))
SOURCES = Sources(H, W, flow=UNITS, silhouettes=True)


def observations(boxes: list[list[tuple]]) -> list[Observation]:
    """A clip as long as `boxes`, with the boxes of each frame."""
    return [
        Observation(Frame(t, t / 10, VIDEO[t]), COUNTS[t], regions_of(of_frame, OUTLINES[t]))
        for t, of_frame in enumerate(boxes)
    ]


def regions_of(boxes: list[tuple], foreground: np.ndarray | None = None) -> Regions:
    n = len(boxes)
    corners = np.array(boxes, np.int32).reshape(n, 4)
    numbers = np.arange(n, dtype=np.int32)
    return Regions(corners, numbers, np.full(n, "motion"), np.ones(n, np.float32), foreground=foreground)


def planes_of(length: int) -> np.ndarray:
    """All planes of the clip's first frames, those of flow in counts: float32 [T, 5, H, W]."""
    step = np.abs(np.diff(VIDEO[:length].astype(int), axis=0))
    step = np.concatenate([step[:1], step]) if length > 1 else np.zeros((1, H, W))
    planes = [VIDEO[:length], step, *COUNTS[:length].transpose(3, 0, 1, 2), OUTLINES[:length] * 255]
    return np.stack(planes, axis=1).astype(np.float32)


def by_brute_force(planes: np.ndarray, boxes: list[tuple], t: int, spec: TensorSpec) -> list[np.ndarray]:
    """The windows of frame t, each uint8 [frames, C, height, width]: every plane of every frame anew."""
    out = []
    for x0, y0, x1, y1 in boxes:
        left, top, width, height = placement(x1 - x0, y1 - y0, spec)
        window = np.empty((spec.window.frames, 5, spec.height, spec.width), np.uint8)
        window[:] = PADDING[:, None, None]
        for i, frame in enumerate(shown_frames(t, len(planes), spec)):
            # both planes of flow together: OpenCV rounds pictures of two channels differently
            for part in (slice(0, 1), slice(1, 2), slice(2, 4), slice(4, 5)):
                patch = planes[frame, part, y0:y1, x0:x1].transpose(1, 2, 0)
                if not (flow := part == slice(2, 4)):
                    patch = patch.astype(np.uint8)
                smaller = min(width, x1 - x0), min(height, y1 - y0)
                patch = cv2.resize(patch, smaller, interpolation=cv2.INTER_AREA)
                patch = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR)
                if flow:
                    person = max(FAR + (NEAR - FAR) * y1 / H, LEAST)
                    steps = SCALE * FPS / person * 127 / spec.flow_range  # of a count
                    patch = np.clip(np.rint(128 + patch * np.float32(steps)), 0, 255)
                patch = patch.reshape(height, width, -1).transpose(2, 0, 1)
                window[i, part, top : top + height, left : left + width] = patch
        out.append(window)
    return out


def check(got: list[WindowsOfFrame], clip: list[Observation], spec: TensorSpec) -> None:
    planes, grid = planes_of(len(clip)), range(0, len(clip), spec.stride)
    assert [frame.index for frame in got] == list(range(len(clip)))
    for frame in got:
        source = min(grid, key=lambda s: (abs(s - frame.index), s))
        assert frame.source == source
        assert frame.observation is clip[frame.index]
        assert frame.regions is clip[source].regions
        assert frame.source_flow is clip[source].flow
        expected = by_brute_force(planes, clip[source].regions.boxes.tolist(), source, spec)
        assert len(frame.pictures) == len(expected)
        for pictures, window in zip(frame.pictures, expected, strict=True):
            np.testing.assert_array_equal(np.stack(pictures), window)


WHOLE = (0, 0, W, H)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    x0, y0 = draw(st.integers(0, W - 1)), draw(st.integers(0, H - 1))
    return x0, y0, draw(st.integers(x0 + 1, W)), draw(st.integers(y0 + 1, H))


some_boxes = st.one_of(
    st.just([WHOLE]),  # as in the modes none and silhouette
    st.lists(st.one_of(boxes(), st.sampled_from([WHOLE, (3, 2, 13, 12)])), max_size=3),
)
specs = st.builds(
    tensor_spec,
    st.integers(8, 20),
    st.integers(8, 20),
    st.integers(1, 5),
    channels=st.just(CHANNELS),
    flow_range=st.sampled_from([0.7, 4.0, 30.0]),
    fit=st.sampled_from(["stretch", "letterbox"]),
    stride=st.integers(1, 5),
    step=st.integers(1, 3),
    position=st.sampled_from(["middle", "last"]),
)
clips = st.lists(some_boxes, min_size=1, max_size=LENGTH)


@given(clips, specs)
@settings(deadline=None)
def test_frame_by_frame_equals_a_cut_of_the_whole_clip(boxes, spec):
    clip = observations(boxes)
    check(list(results(Cutter(spec, SOURCES), clip)), clip, spec)


@given(clips, specs)
@settings(deadline=None)
def test_results_come_as_early_as_the_lookahead_says(boxes, spec):
    """But the first frame waits for the second, whose difference it repeats."""
    clip, cutter, given = observations(boxes), Cutter(spec, SOURCES), 0
    for t, item in enumerate(clip):
        given += len(cutter.process(item))
        assert given >= t + 1 - cutter.lookahead or t == 0
    assert given + len(cutter.finish()) == len(clip)


@given(clips, specs, st.integers(0, 6))
@settings(deadline=None)
def test_frames_that_were_previewed_give_the_same_windows(boxes, spec, ahead):
    """Here the foreground comes with the regions; without it windows wait for frames alone."""
    clip, cutter, got = observations(boxes), Cutter(spec, SOURCES), []
    for t in range(len(clip) + ahead):
        if t < len(clip):
            got += cutter.preview(clip[t].frame, clip[t].flow)
        if t >= ahead:
            got += cutter.process(clip[t - ahead])
    check(got + cutter.finish(), clip, spec)


@pytest.mark.parametrize("late", [0, 1, 2, 5])
def test_regions_that_come_later_than_frames_delay_windows_only_beyond_their_own_lookahead(late):
    clip = observations([[WHOLE]] * 12)
    cutter = Cutter(tensor_spec(8, 8, 5, channels=["gray", "flow"]), Sources(H, W, flow=UNITS))
    given = []
    for t, item in enumerate(clip):
        ready = cutter.preview(item.frame, item.flow)
        given.append(len(ready) + (len(cutter.process(clip[t - late])) if t >= late else 0))
    assert np.cumsum(given).tolist() == [max(0, t + 1 - max(2, late)) for t in range(12)]


def test_windows_whose_regions_came_early_wait_for_frames_alone():
    """Regions come for three frames at a time, as with a detector on every third frame."""
    clip = observations([[WHOLE]] * 13)
    cutter = Cutter(tensor_spec(8, 8, 5, channels=["gray", "flow"]), Sources(H, W, flow=UNITS))
    delays, waiting = [], []
    for t, item in enumerate(clip):
        ready = cutter.preview(item.frame, item.flow)
        waiting.append(item)
        if t % 3 == 0:
            ready += [windows for item in waiting for windows in cutter.process(item)]
            waiting.clear()
        delays += [t - windows.index for windows in ready]
    assert set(delays) == {2}


def test_windows_of_the_same_box_share_pictures():
    clip = observations([[(3, 2, 13, 12), (3, 2, 13, 12), (0, 0, 9, 9)]] + [[(3, 2, 13, 12)]] * 9)
    got = list(results(Cutter(tensor_spec(8, 8, 3, channels=["gray"]), SOURCES), clip))
    first, twin, other = got[0].pictures
    assert all(a is b for a, b in zip(first, twin, strict=True))
    assert all(a is not b for a, b in zip(first, other, strict=True))
    for earlier, later in pairwise(got):
        assert earlier.pictures[0][2] is later.pictures[0][1]
        assert earlier.pictures[0][1] is later.pictures[0][0]


def test_frames_of_one_source_share_the_same_windows():
    clip = observations([[WHOLE]] * 9)
    got = list(results(Cutter(tensor_spec(8, 8, 3, stride=3, channels=["gray"]), SOURCES), clip))
    assert [frame.source for frame in got] == [0, 0, 3, 3, 3, 6, 6, 6, 6]
    assert got[2].pictures is got[3].pictures is got[4].pictures


@pytest.mark.parametrize("stride", [1, 4])
def test_a_stream_without_end_needs_no_more_memory(stride):
    """References to earlier frames are dropped."""
    import weakref

    class Pixels(np.ndarray): ...

    spec = tensor_spec(8, 8, 5, stride=stride, step=2, channels=["difference", "flow"])
    cutter, alive, most = Cutter(spec, Sources(H, W, flow=UNITS)), weakref.WeakSet(), []
    for t in range(200):
        frame = Frame(t, t / 10, VIDEO[t % LENGTH].copy())
        regions = regions_of([(t % 9, 0, 15, 15), WHOLE])
        alive.add(regions)
        cutter.process(Observation(frame, COUNTS[0], regions))
        most.append(len(alive))
    span = 9 + 1 + cutter.lookahead + stride
    assert max(most) <= span


def velocities(counts: np.ndarray, box: tuple, units: FlowUnits = UNITS, **changed) -> np.ndarray:
    """Velocities in the tensor of a box, body heights per second, float [8, 8, 2]; counts int8 [h, w, 2]."""
    spec = tensor_spec(8, 8, channels=["flow"], **changed)
    item = Observation(Frame(0, 0.0, VIDEO[0]), counts, regions_of([box]))
    (frame,) = results(Cutter(spec, Sources(H, W, flow=units)), [item])
    return (frame.pictures[0][0].transpose(1, 2, 0) - 128.0) * spec.flow_range / 127


@pytest.mark.parametrize("speed", [0.2, 0.8, -1.5, 3.0])
def test_people_near_and_far_who_walk_alike_have_equal_tensors(speed):
    """A person who appears five times as tall moves by five times as many pixels."""
    heights, scale = BodyHeight(far=2.0, near=20.0, least=1.0, rows=H), 0.06
    for bottom, height in ((2, 4.0), (H, 20.0)):
        pixels = speed * height / FPS  # per frame
        counts = np.full((H, W, 2), round(pixels / scale), np.int8)
        shown = velocities(counts, (3, bottom - 2, 9, bottom), FlowUnits(scale, FPS, heights))
        np.testing.assert_allclose(shown, speed, atol=4 / 127 / 2 + scale * FPS / height / 2)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_same_footage_at_another_rate_has_the_same_velocity(factor):
    counts = np.full((H, W, 2), (40, -20), np.int8)
    slower = np.full((H, W, 2), (40 * factor, -20 * factor), np.int8)
    other = FlowUnits(SCALE, FPS / factor, UNITS.body_height)
    np.testing.assert_array_equal(
        velocities(counts, WHOLE, flow_range=9.0), velocities(slower, WHOLE, other, flow_range=9.0)
    )


def test_flow_is_rounded_after_averaging_and_scaling():
    """Half of the pixels move by one count, which is many steps where people are small."""
    counts = np.zeros((H, W, 2), np.int8)
    counts[:, ::2] = 1, -1
    small = FlowUnits(0.1, 25.0, BodyHeight.constant(5.0, H))
    shown = velocities(counts, (0, 0, 16, 16), small)
    np.testing.assert_allclose(shown, np.broadcast_to([0.25, -0.25], (8, 8, 2)), atol=4 / 127 / 2)


def test_faster_flow_is_clipped():
    counts = np.full((H, W, 2), (127, -127), np.int8)
    shown = velocities(counts, WHOLE, flow_range=1.0)
    np.testing.assert_allclose(shown, np.broadcast_to([1.0, -128 / 127], (8, 8, 2)))


def test_flow_of_fewer_pixels_is_enlarged_before_it_is_rounded():
    counts = np.full((H // 2, W // 2, 2), (5, -3), np.int8)
    exact = np.array([5, -3]) * SCALE * FPS / 30
    np.testing.assert_allclose(velocities(counts, WHOLE), np.broadcast_to(exact, (8, 8, 2)), atol=4 / 127 / 2)
