"""Speed maps: how far things move, seen through a box as large as a person."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError
from vad.branches import speed
from vad.branches.speed import SpeedParams
from vad.flow import none as no_flow
from vad.store import arrays

RNG = np.random.default_rng(0)
SCALE = 0.25  # pixels of the frame per count


def maps(
    folder: Path, counts: np.ndarray, size=(48, 64), cell=8, width=0.2, height=0.4
) -> tuple[np.ndarray, dict]:
    """The maps of a clip and their card, of flow int8 [T, h, w, 2]."""
    arrays.write_array(folder / "flow/a", counts, method="dis", scale=SCALE, frame=list(size))
    how = SpeedParams(width=width, height=height)
    (folder / "errors").mkdir(exist_ok=True)
    speed.write(folder / "errors/a.map_speed", folder / "flow/a", size, cell, how)
    return arrays.open_array(folder / "errors/a.map_speed")


@pytest.mark.parametrize("picture", [(48, 64), (24, 32), (7, 9)])
@pytest.mark.parametrize("cell", [1, 5, 8, 64])
def test_an_even_flow_has_its_length_everywhere(tmp_path, picture, cell):
    """In pixels of the frame, however small the picture of flow is; also at the border."""
    counts = np.full((3, *picture, 2), (12, -16), np.int8)
    counts[2] = 0
    found, card = maps(tmp_path, counts, cell=cell)
    assert (found.shape, found.dtype) == ((3, -(-48 // cell), -(-64 // cell)), np.float16)
    assert (card["cell"], card["frame"]) == (cell, [48, 64])
    np.testing.assert_allclose(found[:2].astype(float), 5.0, rtol=1e-3)  # 3 and 4 pixels
    assert not found[2].any()


def mirrored(i: int, n: int) -> int:
    """The index of a picture that goes on as its mirror image, without its edge twice."""
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
def test_a_cell_has_the_mean_around_its_middle(tmp_path_factory, picture, more, cell, shares):
    """The box is `width` by `height` of the frame's height: not of its width."""
    h, w = picture
    size = (more[0] * h + more[1], more[0] * w + more[2])
    counts = np.random.default_rng(h * w).integers(-127, 128, (1, h, w, 2), np.int8)
    (found,), _ = maps(tmp_path_factory.mktemp("speed"), counts, size, cell, *shares)
    box = max(1, round(shares[0] * h)), max(1, round(shares[1] * h))
    for row in {0, found.shape[0] // 2, found.shape[0] - 1}:
        for column in {0, found.shape[1] // 3, found.shape[1] - 1}:
            expected = slowly(counts[0], size, cell, box, row, column)
            assert found[row, column] == pytest.approx(expected, rel=2e-3, abs=1e-3)


def test_what_is_fast_is_found_where_it_is(tmp_path):
    """At its place in the frame, and higher the more of the box it fills."""
    counts = np.zeros((2, 24, 32, 2), np.int8)
    counts[0, 8:18, 20:25] = (40, 0)  # a person of 10 x 20 pixels of the frame, running
    counts[1, 8:11, 20:23] = (40, 0)  # a bird
    found, _ = maps(tmp_path, counts)
    person, bird = found.astype(float)
    assert np.unravel_index(person.argmax(), person.shape) == (3, 5)  # pixels 16 to 36 by 40 to 50
    assert person.max() > 3 * bird.max()
    assert not person[:, :3].any()


def test_without_flow_there_is_no_speed(tmp_path):
    no_flow.flow(tmp_path / "a", tmp_path / "frames", no_flow.Params(), threads=1)
    with pytest.raises(UserError, match=r"speed needs optical flow, but flow\.method is none"):
        speed.write(tmp_path / "out", tmp_path / "a", (48, 64), 8, SpeedParams(width=0.1, height=0.2))
    assert not list(tmp_path.glob("out*"))
