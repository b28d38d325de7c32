"""Error maps: the positions in the frame where errors of windows are painted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad.branches.base import ClipFormat, TensorShape
from vad.branches.maps import error_map, paste
from vad.resize.cutter import resize
from vad.store.body_heights import BodyHeight
from vad.windows.spec import TensorSpec, WindowSpec, placement

FITS = ["stretch", "letterbox"]
STRETCH = TensorShape(8, 12, "stretch")


def canvas(height: int, width: int, cell: int = 1) -> np.ndarray:
    return np.zeros((-(-height // cell), -(-width // cell)), np.float32)


def touched(height: int, width: int, box: tuple, cell: int) -> np.ndarray:
    """The cells with a pixel of the box, by painting the box."""
    pixels = np.zeros((height, width), bool)
    pixels[box[1] : box[3], box[0] : box[2]] = True
    rows, columns = canvas(height, width, cell).shape
    pixels = np.pad(pixels, ((0, rows * cell - height), (0, columns * cell - width)))
    return pixels.reshape(rows, cell, columns, cell).any((1, 3))


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, tuple[int, int, int, int], TensorShape, int]:
    """Height and width of a frame, a box in it, often at its border, a tensor, and pixels per cell."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    box = x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))
    tensor = TensorShape(draw(st.integers(8, 20)), draw(st.integers(8, 20)), draw(st.sampled_from(FITS)))
    return height, width, box, tensor, draw(st.integers(1, 9))


@given(cases())
def test_a_constant_fills_exactly_its_box(case):
    """Also at the border of the frame; errors in letterbox bars are not painted."""
    height, width, box, tensor, cell = case
    left, top, w, h = placement(box[2] - box[0], box[3] - box[1], tensor)
    error = np.full((tensor.height, tensor.width), 100, np.float32)
    error[top : top + h, left : left + w] = 0.5
    painted = canvas(height, width, cell)
    paste(painted, box, error, tensor, cell)
    inside = touched(height, width, box, cell)
    np.testing.assert_allclose(painted[inside], 0.5, rtol=1e-6)
    assert not painted[~inside].any()


def slowly(
    height: int, width: int, box: tuple, error: np.ndarray, tensor: TensorShape, cell: int
) -> np.ndarray:
    """Means over a grid so fine that both cells and pixels of the tensor consist of whole squares."""
    x0, y0, x1, y1 = box
    left, top, w, h = placement(x1 - x0, y1 - y0, tensor)
    part = error[top : top + h, left : left + w].astype(float)
    fine = np.kron(part, np.ones((y1 - y0, x1 - x0)))  # each pixel of the frame is h x w of these
    rows, columns = canvas(height, width, cell).shape
    out = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            a, b = np.clip([i * cell, (i + 1) * cell], y0, y1) - y0
            c, d = np.clip([j * cell, (j + 1) * cell], x0, x1) - x0
            if a < b and c < d:
                out[i, j] = fine[a * h : b * h, c * w : d * w].mean()
    return out


@given(cases())
@settings(max_examples=60)
def test_a_cell_has_the_mean_of_the_errors_inside_it(case):
    height, width, box, tensor, cell = case
    error = np.random.default_rng(height * width).random((tensor.height, tensor.width), np.float32)
    painted = canvas(height, width, cell)
    paste(painted, box, error, tensor, cell)
    expected = slowly(height, width, box, error, tensor, cell)
    np.testing.assert_allclose(painted, expected, rtol=1e-5, atol=1e-6)


def test_cells_of_overlapping_boxes_have_the_highest_error():
    boxes = [(0, 0, 12, 8), (6, 4, 18, 12), (8, 4, 12, 8)]
    painted, expected = canvas(16, 24), np.zeros((16, 24))
    for value, (x0, y0, x1, y1) in zip((0.3, 0.9, 0.1), boxes, strict=True):
        paste(painted, (x0, y0, x1, y1), np.full((8, 12), value, np.float32), STRETCH)
        expected[y0:y1, x0:x1] = np.maximum(expected[y0:y1, x0:x1], value)
    np.testing.assert_allclose(painted, expected, rtol=1e-6)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("box", [(10, 20, 40, 60), (0, 0, 90, 70), (60, 5, 90, 70), (3, 60, 80, 70)])
def test_errors_are_painted_where_the_window_was_cut(box, fit):
    """A bright spot of the frame, resized as the resize stage does it, is brightest where it was."""
    x0, y0, x1, y1 = box
    frame = np.zeros((70, 90), np.uint8)
    y, x = y0 + (y1 - y0) // 3, x0 + 2 * (x1 - x0) // 3
    frame[y - 2 : y + 3, x - 2 : x + 3] = 255
    spec = TensorSpec(channels=["gray"], height=32, width=24, fit=fit, window=WindowSpec(frames=1))
    painted = canvas(70, 90)
    paste(painted, box, resize(frame, box, spec)[0].astype(np.float32), TensorShape(32, 24, fit))
    total = painted.sum()
    moments = (painted.sum(1) * np.arange(70)).sum(), (painted.sum(0) * np.arange(90)).sum()
    centre = np.array(moments) / total
    np.testing.assert_allclose(centre, [y, x], atol=0.6)
    assert total == pytest.approx(frame.sum(), rel=0.15)


def form(size=(16, 24), cell=4) -> ClipFormat:
    """A clip whose tensors are 8 x 12 pixels, stretched."""
    return ClipFormat(size, cell, STRETCH, fps=10.0, body_height=BodyHeight.default(size[0]))


def painted(windows: list, **clip) -> np.ndarray:
    """The map of windows given as (box, error of all pixels)."""
    boxes = np.array([box for box, _ in windows], np.int32).reshape(-1, 4)
    return error_map(boxes, [np.full((8, 12), value, np.float32) for _, value in windows], form(**clip))


def test_a_map_has_the_highest_errors_of_its_windows():
    got = painted([((0, 0, 12, 8), 0.5), ((4, 0, 16, 8), 0.25)])
    assert (got.shape, got.dtype) == ((4, 6), np.float16)
    assert got.tolist() == [[0.5, 0.5, 0.5, 0.25, 0, 0]] * 2 + [[0] * 6] * 2


def test_a_frame_without_windows_has_an_empty_map():
    assert painted([]).tolist() == [[0] * 6] * 4


def test_errors_above_the_range_of_float16_are_clipped():
    assert (painted([((0, 0, 24, 16), 1e9)]) == np.finfo(np.float16).max).all()
