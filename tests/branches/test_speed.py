"""Speed: the length of the flow, averaged over the box of a person, in body heights per second."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad.branches.base import BranchProcessor, ClipFormat, TensorShape
from vad.branches.speed import Speed
from vad.store.body_heights import BodyHeight
from vad.stream import Observation, Regions, WindowsOfFrame, results

SCALE, FPS = 0.25, 8.0  # pixels of the frame per count, frames per second
SIZE = 48, 64
BODY = BodyHeight.constant(16.0, 48)


def processor(size=SIZE, cell=8, scale=SCALE, body=BODY, **params: float) -> BranchProcessor | None:
    shape = TensorShape(8, 8, "stretch")
    clip = ClipFormat(size, cell, shape, fps=FPS, body_height=body.scaled(size[0]), flow_scale=scale)
    return Speed(Speed.Params(**params)).processor(clip)


def maps(counts: np.ndarray, size=SIZE, **changed) -> np.ndarray:
    """The maps of a clip, float16 [T, rows, columns], of flow int8 [T, h, w, 2]."""
    none = Regions(np.empty((0, 4), np.int32), np.empty(0, np.int32), np.empty(0, str), np.empty(0))
    frames = [WindowsOfFrame(t, Observation(None, flow, none), t, none, ()) for t, flow in enumerate(counts)]
    return np.stack([errors.maps["speed"] for errors in results(processor(size, **changed), [frames])])


@pytest.mark.parametrize("picture", [(48, 64), (24, 32), (7, 9)])
@pytest.mark.parametrize("cell", [1, 5, 8, 64])
def test_uniform_flow_gives_its_length_and_less_at_the_border(picture, cell):
    """Independent of the resolution of the flow; beyond the border of the frame, nothing moves."""
    counts = np.full((3, *picture, 2), (12, -16), np.int8)
    counts[2] = 0
    speed = maps(counts, cell=cell)
    assert (speed.shape, speed.dtype) == ((3, -(-48 // cell), -(-64 // cell)), np.float16)
    # 3 and 4 pixels per frame, 8 frames per second, people of 16 pixels
    assert speed[:2].max() == pytest.approx(2.5, rel=1e-3)
    y, x = ((np.arange(n) + 0.5) * cell for n in speed.shape[1:])
    margin = 48 / picture[0]  # a pixel of the flow
    inside = np.ix_((y > 8 + margin) & (y < 40 - margin), (x > 4 + margin) & (x < 60 - margin))
    np.testing.assert_allclose(speed[0][inside].astype(float), 2.5, rtol=1e-3)
    if cell == 1 and picture == (48, 64):
        # the box reaches from -7.5 to 8.5 pixels down, from -3.5 to 4.5 across, and halves count as whole
        assert speed[0, 0, 0] == pytest.approx(2.5 * (9 / 16) * (5 / 8), rel=1e-3)
    assert not speed[2].any()


def test_the_speed_of_people_who_walk_alike_is_the_same_near_and_far():
    """Everything moves by a quarter of a body height per frame: the nearer, the more pixels."""
    body = BodyHeight(far=8.0, near=56.0, least=1.0, rows=240)
    rows = body.at_centre(np.arange(240) + 0.5)
    assert rows[-1] > 5 * rows[0]
    counts = np.zeros((1, 240, 120, 2), np.int8)
    counts[..., 0] = np.rint(rows / 4 / SCALE)[:, None]
    (speed,) = maps(counts, (240, 120), body=body, height=0.3)
    np.testing.assert_allclose(speed[2:-2, 4:-4].astype(float), 2.0, rtol=0.04)
    (taller,) = maps(counts, (240, 120), body=body, height=1.0)
    np.testing.assert_allclose(taller[5:-5, 4:-4].astype(float), 2.0, rtol=0.04)


def person_at(row: float, body: BodyHeight) -> float:
    """The height of the person whose middle is at a row: of all people, by trying where their feet are."""
    low, high = -1e4, 1e4
    for _ in range(200):
        feet = (low + high) / 2
        height = max(body.far + (body.near - body.far) / body.rows * feet, body.least)
        low, high = (feet, high) if feet - height / 2 < row else (low, feet)
    return max(body.far + (body.near - body.far) / body.rows * low, body.least)


def slowly(
    counts: np.ndarray, size: tuple, cell: int, shares: tuple, body: BodyHeight, row: int, column: int
) -> tuple[float, float]:
    """The speed at a cell, pixel by pixel: lowest and highest, as edges at half a pixel go either way, and so
    do middles between two pixels.

    Nothing moves beyond the picture.
    """
    h, w = counts.shape[:2]
    y, x = min((row + 0.5) * cell, size[0] - 0.5), min((column + 0.5) * cell, size[1] - 0.5)
    person = person_at(y, body)
    half_width, half_height = shares[0] * person / 2, shares[1] * person / 2
    more = 10 * max(h, w)  # beyond the picture
    lengths = np.zeros((h + 2 * more, w + 2 * more))
    dx, dy = counts.astype(float).transpose(2, 0, 1)
    lengths[more : more + h, more : more + w] = SCALE * (dx**2 + dy**2) ** 0.5
    down, across = np.arange(-more, h + more), np.arange(-more, w + more)
    found = []
    for nudges in product((-1e-6, 1e-6), repeat=6):
        # a pixel is in the box if its middle is, or if it is that of the cell's middle
        above, below = (half_height * h / size[0] + nudge for nudge in nudges[:2])
        before, after = (half_width * w / size[1] + nudge for nudge in nudges[2:4])
        middle_y = min(int(y * h / size[0] + nudges[4]), h - 1)
        middle_x = min(int(x * w / size[1] + nudges[5]), w - 1)
        dy, dx = down + 0.5 - y * h / size[0], across + 0.5 - x * w / size[1]
        in_rows = ((dy > -above) & (dy < below)) | (down == middle_y)
        in_columns = ((dx > -before) & (dx < after)) | (across == middle_x)
        found.append(float(lengths[np.ix_(in_rows, in_columns)].mean()) * FPS / person)
    return min(found), max(found)


@given(
    picture=st.tuples(st.integers(8, 30), st.integers(8, 30)),
    more=st.tuples(st.integers(1, 3), st.integers(0, 7), st.integers(0, 7)),
    cell=st.integers(1, 9),
    shares=st.tuples(st.sampled_from([0.01, 0.33, 1.0]), st.sampled_from([0.01, 0.7, 3.0])),
    heights=st.tuples(st.floats(-9.0, 20.0), st.floats(0.3, 40.0), st.floats(1.0, 9.0)),
)
@settings(max_examples=60, deadline=None)
def test_a_cell_has_the_mean_in_the_box_of_a_person_around_its_middle(picture, more, cell, shares, heights):
    """Also where the box reaches beyond the frame."""
    h, w = picture
    size = (more[0] * h + more[1], more[0] * w + more[2])
    far, above, least = heights
    body = BodyHeight(far, far + min(above, 1.4 * size[0]), least, size[0])
    counts = np.random.default_rng(h * w).integers(-127, 128, (1, h, w, 2), np.int8)
    (speed,) = maps(counts, size, cell=cell, width=shares[0], height=shares[1], body=body)
    for row in {0, speed.shape[0] // 2, speed.shape[0] - 1}:
        for column in {0, speed.shape[1] // 3, speed.shape[1] - 1}:
            low, high = slowly(counts[0], size, cell, shares, body, row, column)
            assert low * 0.998 - 1e-3 <= speed[row, column] <= high * 1.002 + 1e-3


def test_speed_is_highest_at_a_fast_object_of_the_size_of_a_person():
    """The more of the box the object fills, the higher the speed."""
    counts = np.zeros((2, 24, 32, 2), np.int8)
    counts[0, 8:16, 20:24] = (40, 0)  # a person of 8 x 16 pixels of the frame, running
    counts[1, 8:10, 20:22] = (40, 0)  # a bird
    speed = maps(counts)
    person, bird = speed.astype(float)
    assert np.unravel_index(person.argmax(), person.shape) == (2, 5)  # pixels 16 to 32 by 40 to 48
    assert person.max() > 3 * bird.max()
    assert not person[:, :3].any()


def test_boxes_that_are_cut_off_are_not_mirrored():
    """At the border of the frame, the mean is over the whole box, with the part beyond it still."""
    counts = np.zeros((1, 48, 64, 2), np.int8)
    counts[0, :, 4:8] = (40, 0)
    (speed,) = maps(counts, cell=1, width=1.0)
    # the box of the first column reaches from -7.5 to 8.5 pixels
    assert speed[24, 0] == pytest.approx(40 * SCALE * FPS / 16 * 4 / 16, rel=0.13)
    assert speed[24, 8] == pytest.approx(40 * SCALE * FPS / 16 * 4 / 16, rel=0.13)


def test_without_flow_there_are_no_maps_of_speed():
    assert processor(scale=None) is None
