"""Speed: the length of the flow, averaged over a box of the size of a person."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad.branches.base import BranchProcessor, ClipFormat, TensorShape
from vad.branches.speed import Speed
from vad.stream import Observation, Regions, WindowsOfFrame, results

SCALE = 0.25  # pixels of the frame per count


def processor(size=(48, 64), cell=8, width=0.2, height=0.4, scale=SCALE) -> BranchProcessor | None:
    clip = ClipFormat(size, cell, TensorShape(8, 8, "stretch"), flow_scale=scale)
    return Speed(Speed.Params(width=width, height=height)).processor(clip)


def maps(counts: np.ndarray, size=(48, 64), **changed) -> np.ndarray:
    """The maps of a clip, float16 [T, rows, columns], of flow int8 [T, h, w, 2]."""
    none = Regions(np.empty((0, 4), np.int32), np.empty(0, np.int32), np.empty(0, str), np.empty(0))
    frames = [WindowsOfFrame(t, Observation(None, flow, none), t, none, ()) for t, flow in enumerate(counts)]
    return np.stack([errors.maps["speed"] for errors in results(processor(size, **changed), [frames])])


@pytest.mark.parametrize("picture", [(48, 64), (24, 32), (7, 9)])
@pytest.mark.parametrize("cell", [1, 5, 8, 64])
def test_uniform_flow_gives_its_length_everywhere(picture, cell):
    """In pixels of the frame, independent of the resolution of the flow; also at the border."""
    counts = np.full((3, *picture, 2), (12, -16), np.int8)
    counts[2] = 0
    speed = maps(counts, cell=cell)
    assert (speed.shape, speed.dtype) == ((3, -(-48 // cell), -(-64 // cell)), np.float16)
    np.testing.assert_allclose(speed[:2].astype(float), 5.0, rtol=1e-3)  # 3 and 4 pixels
    assert not speed[2].any()


def mirrored(i: int, n: int) -> int:
    """The index in a picture mirrored at its edge, where the edge itself is not repeated."""
    while not 0 <= i < n:
        i = -i if i < 0 else 2 * (n - 1) - i
    return i


def slowly(counts: np.ndarray, size: tuple, cell: int, box: tuple[int, int], row: int, column: int) -> float:
    """The speed at a cell: its middle, and the box around it, pixel by pixel."""
    h, w = counts.shape[:2]
    y = min(int((row + 0.5) * cell * h / size[0]), h - 1)
    x = min(int((column + 0.5) * cell * w / size[1]), w - 1)
    total = 0.0
    for j in range(y - box[1] // 2, y - box[1] // 2 + box[1]):
        for i in range(x - box[0] // 2, x - box[0] // 2 + box[0]):
            dx, dy = counts[mirrored(j, h), mirrored(i, w)].tolist()
            total += SCALE * (dx**2 + dy**2) ** 0.5
    return total / (box[0] * box[1])


@given(
    picture=st.tuples(st.integers(8, 30), st.integers(8, 30)),
    more=st.tuples(st.integers(1, 3), st.integers(0, 7), st.integers(0, 7)),
    cell=st.integers(1, 9),
    shares=st.tuples(st.sampled_from([0.01, 0.1, 0.3]), st.sampled_from([0.01, 0.25, 0.5])),
)
@settings(max_examples=40, deadline=None)
def test_a_cell_has_the_mean_around_its_middle(picture, more, cell, shares):
    """The box is `width` by `height` of the frame's height: not of its width."""
    h, w = picture
    size = (more[0] * h + more[1], more[0] * w + more[2])
    counts = np.random.default_rng(h * w).integers(-127, 128, (1, h, w, 2), np.int8)
    width, height = shares
    (speed,) = maps(counts, size, cell=cell, width=width, height=height)
    box = max(1, round(shares[0] * h)), max(1, round(shares[1] * h))
    for row in {0, speed.shape[0] // 2, speed.shape[0] - 1}:
        for column in {0, speed.shape[1] // 3, speed.shape[1] - 1}:
            expected = slowly(counts[0], size, cell, box, row, column)
            assert speed[row, column] == pytest.approx(expected, rel=2e-3, abs=1e-3)


def test_speed_is_highest_at_a_fast_object_of_the_size_of_a_person():
    """The more of the box the object fills, the higher the speed."""
    counts = np.zeros((2, 24, 32, 2), np.int8)
    counts[0, 8:18, 20:25] = (40, 0)  # a person of 10 x 20 pixels of the frame, running
    counts[1, 8:11, 20:23] = (40, 0)  # a bird
    speed = maps(counts)
    person, bird = speed.astype(float)
    assert np.unravel_index(person.argmax(), person.shape) == (3, 5)  # pixels 16 to 36 by 40 to 50
    assert person.max() > 3 * bird.max()
    assert not person[:, :3].any()


def test_without_flow_there_are_no_maps_of_speed():
    assert processor(scale=None) is None
