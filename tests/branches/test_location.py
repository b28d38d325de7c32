"""Motion and shape by location: against neighbours by brute force and distances by SciPy."""

import itertools
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis

from tests.branches.normal import SCALE, write_normal
from vad import UserError
from vad.branches.base import (
    Branch,
    ClipFormat,
    NormalClip,
    TensorShape,
    load_statistics,
    save_statistics,
)
from vad.branches.motion import Motion
from vad.branches.shape import Shape
from vad.store.body_heights import BodyHeight
from vad.stream import Observation, Regions, WindowsOfFrame

BODY = BodyHeight(10.0, 40.0, 5.0, 120)  # in frames of 120 rows
FRAME = (120, 160)
FLOORS = {Motion: 0.02, Shape: 0.05}  # smallest standard deviations
BOTH = pytest.mark.parametrize("branch_class", [Motion, Shape])


def fitted(branch_class, clips: list[NormalClip], log=lambda line: None, **params) -> Branch:
    branch = branch_class(branch_class.Params(**params))
    branch.statistics = branch.fit(clips, log)
    return branch


def errors(
    branch: Branch,
    boxes: np.ndarray,
    flow: np.ndarray | None,
    camera: str = "hall",
    frame=FRAME,
    body_height: BodyHeight = BODY,
    fps: float = 10.0,
    scale: float | None = SCALE,
    source: str = "detector",
) -> np.ndarray | None:
    """Errors of the boxes [N, 4] of a frame with this flow; None without errors."""
    form = ClipFormat(frame, 8, TensorShape(8, 8, "stretch"), fps, body_height, camera, scale)
    if (processor := branch.processor(form)) is None:
        return None
    regions = regions_of(boxes, source)
    (result,) = processor.process([WindowsOfFrame(0, Observation(None, flow, regions), 0, regions, ())])
    values = result.errors[branch.name]
    assert (values.dtype, values.shape) == (np.float32, (len(boxes),))
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    return values


def write(folder: Path, name: str, boxes: np.ndarray, flow: np.ndarray | None, **clip) -> NormalClip:
    return write_normal(folder, name, boxes, flow, **{"frame": FRAME, "body_height": BODY} | clip)


def regions_of(boxes: np.ndarray, source: str = "detector") -> Regions:
    n = len(boxes)
    boxes = np.asarray(boxes, np.int32).reshape(-1, 4)
    return Regions(boxes, np.zeros(n, np.int32), np.full(n, source), np.ones(n, np.float32))


def random_boxes(n: int, rng: np.random.Generator, frame=FRAME, kind: str = "whole") -> np.ndarray:
    """Boxes, more of them on the left: `whole`, `cut` off by the border of the frame, or `mixed`."""
    limits = np.array(frame)[::-1]
    size = np.stack([rng.integers(4, 20, 50 * n), rng.integers(8, 40, 50 * n)], axis=1)
    low = (rng.random((50 * n, 2)) ** (2, 1) * limits - size / 2).astype(int)
    low, high = np.maximum(low, 0), np.minimum(low + size, limits)
    # a pixel from the border counts as cut off: moved to the border, so in frames of any size
    low[low == 1] = 0
    high = np.where(high == limits - 1, limits, high)
    cut = (low == 0).any(1) | (high == limits).any(1)
    fits = (high - low > 2).all(1) & {"whole": ~cut, "cut": cut, "mixed": True}[kind]
    return np.concatenate([low, high], axis=1)[fits][:n]


def random_flow(frames: int, rng: np.random.Generator, size=FRAME) -> np.ndarray:
    """Flow in blocks, so that boxes have different means."""
    blocks = rng.integers(-20, 21, (frames, 6, 8, 2))
    return blocks.repeat(size[0] // 6, 1).repeat(size[1] // 8, 2)


def velocity(box: np.ndarray, flow: np.ndarray, fps: float, body: BodyHeight) -> np.ndarray:
    """The mean flow of a box, pixel by pixel, for flow as large as the frame."""
    x0, y0, x1, y1 = box
    total = sum(flow[y, x].astype(float) for y, x in itertools.product(range(y0, y1), range(x0, x1)))
    line = max(body.far + (body.near - body.far) * y1 / body.rows, body.least)
    return total / ((x1 - x0) * (y1 - y0)) * SCALE * fps / line


def shape(box: np.ndarray, body: BodyHeight) -> np.ndarray:
    """Logarithms of width and height in body heights."""
    x0, y0, x1, y1 = box.tolist()
    line = max(body.far + (body.near - body.far) * y1 / body.rows, body.least)
    return np.array([math.log((x1 - x0) / line), math.log((y1 - y0) / line)])


def cut_off(box: np.ndarray, frame: tuple[int, int]) -> tuple[bool, bool]:
    """Whether the border of the frame cuts off the width, and the height."""
    x0, y0, x1, y1 = box.tolist()
    return x0 <= 1 or x1 >= frame[1] - 1, y0 <= 1 or y1 >= frame[0] - 1


def group(branch_class, box: np.ndarray, frame: tuple[int, int]) -> tuple[bool, bool]:
    """The group of a box: for motion that of all boxes, for shape that of boxes cut off alike."""
    return cut_off(box, frame) if branch_class is Shape else (False, False)


def cell(box: np.ndarray, height: int) -> tuple[int, int]:
    """Row and column of the cell of the foot point; a frame has 30 rows."""
    x0, _, x1, y1 = box.tolist()
    return min(int(y1 / height * 30), 29), int((x0 + x1) / 2 / height * 30)


def mixed(parts: tuple[np.ndarray, np.ndarray], target: tuple, prior: float) -> tuple:
    """Mean and covariance of weighted features, mixed with those of the target in proportion n : prior."""
    features, weights = parts
    if not len(features):
        return target
    own = np.average(features, 0, weights), np.cov(features.T, aweights=weights, ddof=0)
    n = weights.sum()
    return tuple((n * a + prior * b) / (n + prior) for a, b in zip(own, target, strict=True))


def expected(box, x, cut, own, everything, height: int, neighbours: float, prior: float, floor: float):
    """Distance of the features x of a box, by the definition.

    Args:
        cut: the group of the box, whether its width and height are cut off.
        own, everything: (boxes, features, weights, groups) of the regions of the camera and of all cameras;
            own is None for an unknown camera.
    """
    _, features, weights, groups = everything
    whole = ~groups.any(1) if (~groups.any(1)).any() else np.full(len(groups), True)
    mean, covariance = mixed((features[whole], weights[whole]), (0, 0), 0)
    # across the border, a factor of e is one standard deviation
    target = mean, covariance + np.diag(np.array(cut, float))
    alike = (groups == cut).all(1)
    target = mixed((features[alike], weights[alike]), target, prior)
    if own is not None:
        alike = (own[3] == cut).all(1)
        boxes, features, weights = (part[alike] for part in own[:3])
        target = mixed((features, weights), target, prior)
        away = np.array([math.dist(cell(box, height), cell(b, height)) for b in boxes])
        order = np.argsort(away)
        enough = np.flatnonzero(np.cumsum(weights[order]) >= neighbours - 1e-6)
        near = away <= (away[order[enough[0]]] + 1e-9 if len(enough) else np.inf)
        target = mixed((features[near], weights[near]), target, prior)
    mean, covariance = target
    return mahalanobis(x, mean, np.linalg.inv(covariance + floor**2 * np.eye(2)))


@BOTH
@pytest.mark.parametrize(
    ("neighbours", "kinds"),
    [
        (5, ("mixed", "mixed")),
        (40, ("mixed", "mixed")),
        (1e6, ("mixed", "mixed")),
        (20, ("whole", "mixed")),  # a camera without cut boxes
        (20, ("whole", "whole")),  # none anywhere
        (20, ("cut", "cut")),  # no whole boxes
    ],
)
def test_errors_are_mahalanobis_distances_to_the_nearest_regions(tmp_path, branch_class, neighbours, kinds):
    """Two cameras of different size and rate; a third is unknown."""
    rng = np.random.default_rng(0)
    cameras = {"hall": (FRAME, 10.0, BODY), "yard": ((60, 120), 3.0, BodyHeight(3.0, 30.0, 2.0, 60))}
    clips, samples = [], {}
    for (camera, (frame, fps, body)), kind in zip(cameras.items(), kinds, strict=True):
        parts = []
        for i in range(2):
            boxes, flow = random_boxes(60, rng, frame, kind), random_flow(60, rng, frame)
            form = {"camera": camera, "frame": frame, "fps": fps, "body_height": body}
            clips.append(write(tmp_path, f"{camera}{i}", boxes, flow, **form))
            moving = [velocity(b, f, fps, body) for b, f in zip(boxes, flow, strict=True)]
            features = moving if branch_class is Motion else [shape(b, body) for b in boxes]
            groups = [group(branch_class, b, frame) for b in boxes]
            parts.append((boxes, np.array(features), np.full(60, min(1, 4 / fps)), np.array(groups)))
        samples[camera] = [np.concatenate(p) for p in zip(*parts, strict=True)]
    everything = [np.concatenate(p) for p in zip(*samples.values(), strict=True)]
    branch = fitted(branch_class, clips, neighbours=neighbours, prior=30)
    seen = set()
    for camera, (frame, fps, body) in (cameras | {"attic": cameras["hall"]}).items():
        boxes, flow = random_boxes(60, rng, frame, "mixed"), random_flow(1, rng, frame)[0]
        got = errors(branch, boxes, flow.astype(np.int8), camera, frame, body, fps)
        for box, error in zip(boxes, got, strict=True):
            x = velocity(box, flow, fps, body) if branch_class is Motion else shape(box, body)
            own, cut = samples.get(camera), group(branch_class, box, frame)
            floor = FLOORS[branch_class]
            reference = expected(box, x, cut, own, everything, frame[0], neighbours, 30, floor)
            assert error == pytest.approx(reference, rel=1e-4, abs=1e-5)
            seen.add(cut)
    assert len(seen) == (4 if branch_class is Shape else 1)


@BOTH
@given(factor=st.integers(2, 7), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_errors_do_not_depend_on_the_size_of_the_frame(branch_class, factor, seed):
    """Boxes and body heights grow with it, and a count of the flow is more pixels."""
    found = []
    for k in (1, factor):
        rng = np.random.default_rng(seed)
        form = {"frame": (120 * k, 160 * k), "body_height": BODY.scaled(120 * k), "fps": 10.0}
        with tempfile.TemporaryDirectory() as folder:
            boxes, counts = random_boxes(50, rng, kind="mixed") * k, random_flow(50, rng)
            clip = write(Path(folder), "a", boxes, counts, **form)
            card = Path(f"{clip.flow}.json")
            card.write_text(card.read_text().replace(f'"scale": {SCALE}', f'"scale": {SCALE * k}'))
            branch = fitted(branch_class, [clip], neighbours=10)
        tested = random_boxes(20, rng, kind="mixed") * k
        flow = random_flow(1, rng)[0].astype(np.int8)
        found.append(errors(branch, tested, flow, scale=SCALE * k, **form))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-5)


def lane(tmp_path, name: str, x: int, counts: int, **clip) -> NormalClip:
    """People at a column of the frame who all walk up or down."""
    rng = np.random.default_rng(x)
    feet = rng.integers(60, 110, 80)
    boxes = np.stack([np.full(80, x), feet - 20, np.full(80, x + 10), feet], axis=1)
    return write(tmp_path, name, boxes, flow_of(80, counts), **clip)


def flow_of(frames: int, counts: int, right: int = 0) -> np.ndarray:
    """The same flow everywhere."""
    return np.broadcast_to(np.array([right, counts], np.int8), (frames, *FRAME, 2))


def test_a_direction_is_anomalous_where_nobody_takes_it(tmp_path):
    clips = [lane(tmp_path, "down", 20, 8), lane(tmp_path, "up", 120, -8)]
    branch = fitted(Motion, clips, neighbours=20, prior=2)
    boxes = [[20, 60, 30, 80], [120, 60, 130, 80]]
    down, up = (errors(branch, boxes, flow_of(1, counts)[0]) for counts in (8, -8))
    assert down[1] > 4 * down[0]
    assert up[0] > 4 * up[1]


def test_the_same_velocity_is_normal_near_and_far(tmp_path):
    """A person who appears half as tall moves by half as many pixels at the same speed."""
    near, far = (100, 80), (40, 90)  # lower edge of boxes, column
    body = {feet: BODY.at_feet(feet) for feet, _ in (near, far)}
    counts = round(1.0 * body[100] / 10 / SCALE)  # one body height per second
    rng = np.random.default_rng(0)
    feet = np.array([near, near]).repeat(40, 0) + rng.integers(-3, 4, (80, 2))
    boxes = np.stack([feet[:, 1], feet[:, 0] - 20, feet[:, 1] + 10, feet[:, 0]], axis=1)
    branch = fitted(Motion, [write(tmp_path, "a", boxes, flow_of(80, counts))])
    box = [[far[1], far[0] - 20, far[1] + 10, far[0]]]
    slow = round(counts * body[40] / body[100])
    assert errors(branch, box, flow_of(1, slow)[0])[0] < 2
    assert errors(branch, box, flow_of(1, counts)[0])[0] > 5


@pytest.mark.parametrize("size", [(60, 80), (30, 40), (50, 70)])
def test_flow_may_be_smaller_than_the_frame(tmp_path, size):
    rng = np.random.default_rng(0)
    boxes = random_boxes(40, rng)
    flow = rng.integers(-30, 31, (40, *size, 2))
    clip = write(tmp_path, "a", boxes, flow)
    branch = fitted(Motion, [clip], prior=1)
    unit = SCALE * 10 / BODY.at_feet(boxes[:, 3])
    fy, fx = size[0] / FRAME[0], size[1] / FRAME[1]
    means = []
    for (x0, y0, x1, y1), f in zip(boxes.tolist(), flow, strict=True):
        rows, columns = (
            slice(math.floor(a * s), math.ceil(b * s)) for a, b, s in ((y0, y1, fy), (x0, x1, fx))
        )
        means.append(f[rows, columns].mean((0, 1)))
    mean = (np.array(means) * unit[:, None]).mean(0)
    np.testing.assert_allclose(branch.statistics["mean/"][0, 0, 0], mean, rtol=1e-4, atol=1e-5)


@BOTH
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_regions(tmp_path, branch_class, n):
    log = []
    boxes = random_boxes(n, np.random.default_rng(0))
    clip = write(tmp_path, "a", boxes, flow_of(max(n, 1), 3))
    branch = fitted(branch_class, [clip], log.append)
    other = [[40, 20, 90, 40]]
    if n == 0:
        assert branch.statistics is None
        assert errors(branch, other, flow_of(1, 3)[0]) is None
        assert len(log) == 1
        assert f"no errors of {branch.name}" in log[0]
        return
    flow = flow_of(1, -30, right=30)[0]
    assert errors(branch, other, flow)[0] > 2
    assert len(errors(branch, np.empty((0, 4), np.int32), flow)) == 0


@BOTH
def test_regions_that_are_all_alike(tmp_path, branch_class):
    """The least variance keeps errors finite; differences are in units of its root."""
    boxes = np.array([[50, 40, 60, 70]] * 30)
    clip = write(tmp_path, "a", boxes, flow_of(30, 8))
    branch = fitted(branch_class, [clip])
    assert errors(branch, boxes[:1], flow_of(1, 8)[0])[0] == pytest.approx(0, abs=1e-4)
    wide = np.array([[45, 40, 65, 70]])
    per_count = SCALE * 10 / BODY.at_feet(70)
    difference = math.log(2) if branch_class is Shape else per_count
    counts = 8 if branch_class is Shape else 9
    assert errors(branch, wide, flow_of(1, counts)[0])[0] == pytest.approx(
        difference / FLOORS[branch_class], rel=1e-3
    )


def test_shapes_of_motion_are_compared_with_shapes_of_motion(tmp_path):
    """Boxes of the detector hold people, boxes of motion their legs."""
    rng = np.random.default_rng(0)
    feet = rng.integers(60, 110, 80)
    people = np.stack([np.full(80, 40), feet - 30, np.full(80, 50), feet], axis=1)
    legs = people.copy()
    legs[:, 1] = feet - 10
    clips = [write(tmp_path, "people", people, None), write(tmp_path, "legs", legs, None, source="motion")]
    branch = fitted(Shape, clips, neighbours=20, prior=2)
    for boxes, normal, anomalous in ((people, "detector", "motion"), (legs, "motion", "detector")):
        low, high = (errors(branch, boxes[:20], None, source=source) for source in (normal, anomalous))
        assert high.min() > 2 * low.max()


def test_a_small_box_of_motion_is_normal(tmp_path):
    """It may show a part of a person; a wide box, as of somebody lying, has an error, from either source."""
    rng = np.random.default_rng(0)
    feet = rng.integers(60, 110, 80)
    people = np.stack([np.full(80, 40), feet - 30, np.full(80, 50), feet], axis=1)
    for source in ("motion", "detector"):
        branch = fitted(Shape, [write(tmp_path, source, people, None, source=source)])
        legs, lying = ([[40, 90 - h, 40 + w, 90]] for w, h in ((7, 12), (35, 12)))
        (of_legs,) = errors(branch, legs, None, source=source)
        assert (of_legs == 0) == (source == "motion")
        assert errors(branch, lying, None, source=source)[0] > 3


@BOTH
def test_regions_of_a_single_row(tmp_path, branch_class):
    rng = np.random.default_rng(0)
    boxes = random_boxes(50, rng)
    boxes[:, [1, 3]] = 60, 90
    flow = random_flow(50, rng)
    branch = fitted(branch_class, [write(tmp_path, "a", boxes, flow)])
    errors(branch, random_boxes(50, rng), flow[0].astype(np.int8))


@BOTH
def test_whole_frames_have_neither_location_nor_shape(tmp_path, branch_class):
    log, boxes = [], np.array([[0, 0, 160, 120]] * 5)
    boxes[3:] = [20, 20, 40, 60]  # smaller than the frame
    clip = write(tmp_path, "a", boxes, flow_of(5, 3), source="frame")
    assert fitted(branch_class, [clip], log.append).statistics is None
    assert log == [f"no regions but whole frames, so no errors of {branch_class.name}"]


CUT = [
    ([1, 30, 21, 60], "left"),
    ([139, 30, 159, 60], "right"),
    ([30, 1, 50, 31], "top"),
    ([30, 80, 50, 119], "bottom"),
    ([0, 0, 20, 30], "left and top"),
    ([150, 100, 160, 120], "right and bottom"),
    ([0, 40, 160, 80], "left and right"),
    ([2, 2, 158, 118], "whole"),
]


@pytest.mark.parametrize(("box", "sides"), CUT)
def test_across_the_border_the_size_is_unknown_without_normal_boxes_there(tmp_path, box, sides):
    """A factor of e across the border is one standard deviation."""
    whole = np.array([[50, 40, 60, 70]] * 30)
    branch = fitted(Shape, [write(tmp_path, "a", whole, None)])
    unknown = np.array(["left" in sides or "right" in sides, "top" in sides or "bottom" in sides])
    away = shape(np.array(box), BODY) - shape(whole[0], BODY)
    (error,) = errors(branch, [box], None)
    assert error == pytest.approx(np.sqrt(np.sum(away**2 / (0.05**2 + unknown))), rel=1e-4)


@pytest.mark.parametrize(("box", "sides"), CUT[:6])
def test_boxes_that_are_cut_off_are_compared_with_each_other(tmp_path, box, sides):
    """Errors of whole boxes do not depend on them."""
    boxes = random_boxes(40, np.random.default_rng(0))
    without = fitted(Shape, [write(tmp_path, "without", boxes, None)])
    branch = fitted(Shape, [write(tmp_path, "with", np.concatenate([boxes, [box] * 400]), None)])
    np.testing.assert_array_equal(errors(without, boxes, None), errors(branch, boxes, None))
    assert errors(branch, [box], None)[0] < 0.5
    width = (box[2] - box[0]) // 2
    narrow = np.array(box) + ([width, 0, 0, 0] if "right" in sides else [0, 0, -width, 0])
    assert errors(branch, [narrow], None)[0] > 3


def test_velocities_of_boxes_that_are_cut_off_count_for_all_boxes(tmp_path):
    boxes = random_boxes(40, np.random.default_rng(0), kind="cut")
    branch = fitted(Motion, [write(tmp_path, "a", boxes, flow_of(40, 8))])
    low, high = (errors(branch, [[70, 20, 80, 60]], flow_of(1, counts)[0])[0] for counts in (8, -20))
    assert high > 4 * low


def test_clips_without_flow_have_no_motion(tmp_path):
    boxes = random_boxes(20, np.random.default_rng(0))
    clips = [
        write(tmp_path, name, boxes, flow)
        for name, flow in (("with", random_flow(20, np.random.default_rng(1))), ("without", None))
    ]
    log = []
    assert fitted(Motion, clips[1:], log.append).statistics is None
    assert log == ["no optical flow (flow.method: none), so no errors of motion"]
    both, one = fitted(Motion, clips), fitted(Motion, clips[:1])
    for name, values in one.statistics.items():
        np.testing.assert_array_equal(values, both.statistics[name])
    assert errors(one, boxes, None, scale=None) is None
    assert fitted(Shape, clips[1:]).statistics is not None


@BOTH
def test_a_clip_is_read_once_for_all_folds(tmp_path, branch_class):
    rng = np.random.default_rng(0)
    clips = [write(tmp_path, f"{i}", random_boxes(30, rng), random_flow(30, rng)) for i in range(3)]
    anew = fitted(branch_class, clips[1:]).statistics
    branch = fitted(branch_class, clips)
    for file in [f for f in tmp_path.rglob("*") if f.is_file()]:
        file.unlink()
    again = branch.fit(clips[1:], lambda line: None)
    assert again.keys() == anew.keys()
    for name, values in anew.items():
        np.testing.assert_array_equal(again[name], values)


@BOTH
def test_cameras_may_have_any_name(tmp_path, branch_class):
    rng = np.random.default_rng(0)
    names = ['Küche / "2"', "__metadata__", "a\nb", "mean/x"]
    clips = [
        write(tmp_path, f"{i}", random_boxes(30, rng), random_flow(30, rng), camera=name)
        for i, name in enumerate(names)
    ]
    branch = fitted(branch_class, clips, prior=10)
    save_statistics(tmp_path / "statistics", branch.statistics)
    stored = branch_class(branch_class.Params())
    stored.open(tmp_path, tmp_path / "statistics")
    boxes, flow = random_boxes(9, rng), random_flow(1, rng)[0].astype(np.int8)
    found = [errors(stored, boxes, flow, camera) for camera in (*names, "another")]
    for camera, values in zip(names, found, strict=False):
        np.testing.assert_array_equal(values, errors(branch, boxes, flow, camera))
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(found, 2))
    assert load_statistics(tmp_path / "statistics").keys() == branch.statistics.keys()


@BOTH
def test_a_frame_of_another_shape_than_in_training(tmp_path, branch_class):
    boxes = random_boxes(40, np.random.default_rng(0))
    flow = random_flow(40, np.random.default_rng(0))
    branch = fitted(branch_class, [write(tmp_path, "a", boxes, flow)])
    wide = np.array([[700, 50, 720, 90], [10, 50, 30, 90]])
    errors(branch, wide, np.zeros((120, 800, 2), np.int8), frame=(120, 800))


def test_regions_go_with_the_flow_of_their_own_frame(tmp_path):
    """With resize.stride above 1, a frame has the regions of another frame."""
    boxes = random_boxes(20, np.random.default_rng(0))
    branch = fitted(Motion, [write(tmp_path, "a", boxes, flow_of(20, 5))])
    own, other = flow_of(1, 20)[0], flow_of(1, -20)[0]
    regions = regions_of(boxes[:3])
    form = ClipFormat(FRAME, 8, TensorShape(8, 8, "stretch"), 10.0, BODY, "hall", SCALE)
    frame = WindowsOfFrame(1, Observation(None, other, regions), 2, regions, (), own)
    (result,) = branch.processor(form).process([frame])
    np.testing.assert_array_equal(result.errors["motion"], errors(branch, boxes[:3], own))
    with pytest.raises(ValueError, match="without the flow"):
        branch.processor(form).process([WindowsOfFrame(1, Observation(None, other, regions), 2, regions, ())])


@BOTH
def test_a_very_wide_frame_takes_no_longer_than_its_cells(tmp_path, branch_class):
    """The number of distances between cells grows with the square of the width."""
    frame, rng = (32, 960), np.random.default_rng(0)
    boxes = random_boxes(200, rng, frame)
    flow = rng.integers(-20, 20, (200, 8, 240, 2)).astype(np.int8)
    clip = write_normal(tmp_path, "a", boxes, flow, frame=frame, body_height=BodyHeight.constant(16, 32))
    start = time.process_time()
    branch = fitted(branch_class, [clip])
    assert time.process_time() - start < 20  # 2 seconds; by counting distances, 100
    assert branch.statistics["mean/hall"].shape[1:3] == (30, 900)


def older(statistics: dict[str, np.ndarray], change: str) -> dict[str, np.ndarray]:
    """Statistics as another version of the branch would have written them, or broken ones."""
    if change == "not a number":
        return {name: array * np.float32("nan") for name, array in statistics.items()}
    if change == "no groups":
        return {name: array[0] for name, array in statistics.items()}
    if change == "other groups":
        return {name: np.concatenate([array, array]) for name, array in statistics.items()}
    if change == "other features":
        return {name: array[..., :1] for name, array in statistics.items()}
    if change == "other names":
        return {f"old_{name}": array for name, array in statistics.items()}
    gone = {"no whitening": "whitening/hall", "no other cameras": "mean/"}[change]
    return {name: array for name, array in statistics.items() if name != gone}


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        "no groups",
        "other groups",
        "other features",
        "other names",
        "no whitening",
        "no other cameras",
        "not a number",
    ],
)
def test_statistics_of_another_version_and_broken_ones_are_refused(tmp_path, branch_class, change):
    boxes = random_boxes(20, np.random.default_rng(0))
    branch = fitted(branch_class, [write(tmp_path, "a", boxes, random_flow(20, np.random.default_rng(1)))])
    save_statistics(tmp_path / "new", branch.statistics)
    branch.open(tmp_path, tmp_path / "new")
    save_statistics(tmp_path / "old", older(branch.statistics, change))
    with pytest.raises(UserError, match=r"old: .*run `dvc repro statistics`"):
        branch.open(tmp_path, tmp_path / "old")
