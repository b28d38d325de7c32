"""Tensors: the pictures in them, and the positions of the pixels of a box."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.windows.tensors import (
    cut_clip,
    numbered,
    shown_frames,
    step_per_count,
    table_of,
    tensor_spec,
)
from vad.resize.cutter import resize
from vad.store import arrays, cards, tables
from vad.windows.dataset import Windows
from vad.windows.spec import ResizeParams, TensorSpec, WindowParams, placement

RNG = np.random.default_rng(0)
NO_REGIONS = table_of([])


@pytest.mark.parametrize(
    ("frames", "stride", "step", "pictures"),
    [(1, 1, 1, 9), (4, 1, 1, 9), (9, 1, 1, 9), (3, 4, 1, 7), (1, 4, 1, 3), (3, 1, 4, 9), (3, 4, 2, 5)],
)
def test_a_picture_is_stored_once(tmp_path, frames, stride, step, pictures):
    stem = cut_clip(tmp_path, numbered(9), tensor_spec(frames=frames, stride=stride, step=step))
    array, card = arrays.open_array(stem)
    assert array.shape == (pictures, 1, 8, 8)
    assert len(np.unique(array[:, 0, 0, 0])) == pictures
    assert (card["frames"], card["window"], card["stride"], card["step"]) == (9, frames, stride, step)
    assert (card["position"], card["fps"]) == ("middle", 12.5)
    assert card["windows"] == len(tables.read_table(stem)) == -(-9 // stride)


@pytest.mark.parametrize("position", ["middle", "last"])
def test_footage_at_twice_the_rate_has_windows_of_the_same_moments(tmp_path, position):
    """The same footage at 10 and at 20 frames per second, where every frame comes twice."""
    window = WindowParams(frames=3, frame_interval=0.19, position=position)
    resize = ResizeParams(channels=["gray"])
    shown = []
    for repeats in (1, 2):
        (folder := tmp_path / str(repeats)).mkdir()
        spec = TensorSpec.of(resize, window.at(10.0 * repeats))
        stem = cut_clip(folder, np.repeat(numbered(12), repeats, axis=0), spec)
        assert cards.read_card(stem)["step"] == 2 * repeats
        windows = Windows(folder / "tensors")
        shown.append(windows[np.arange(len(windows))][:, 0, :, 0, 0])
    once, twice = shown
    assert once[5].tolist() == ([3, 5, 7] if position == "middle" else [1, 3, 5])
    np.testing.assert_array_equal(twice[::2], once)
    np.testing.assert_array_equal(twice[1::2], once)


def test_each_region_of_a_frame_has_a_window(tmp_path):
    """Two people side by side, one of whom appears later: all frames of a window have the same box."""
    frames = np.zeros((4, 8, 16), np.uint8)
    frames[:, :, :8], frames[:, :, 8:] = numbered(4), numbered(4) + 100
    rows = [(0, 5, 0), (1, 5, 0), (1, 6, 8), (2, 6, 8), (3, 6, 8)]
    boxes = table_of([(frame, track, x0, 0, x0 + 8, 8) for frame, track, x0 in rows])
    stem = cut_clip(tmp_path, frames, tensor_spec(frames=3), boxes=boxes)
    windows = Windows(tmp_path / "tensors")
    shown = windows[np.arange(5)][:, 0, :, 0, 0].tolist()
    assert shown == [[0, 0, 1], [0, 1, 2], [100, 101, 102], [101, 102, 103], [102, 103, 103]]
    table = tables.read_table(stem)
    assert table["region"].tolist() == [0, 1, 2, 3, 4]
    assert table[["frame", "track"]].to_numpy().tolist() == [list(row[:2]) for row in rows]
    assert len(arrays.open_array(stem)[0]) == 3 + 4


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrinking_averages_areas(factor):
    frame = RNG.integers(0, 256, (8 * factor, 10 * factor), np.uint8)
    mean = frame.reshape(8, factor, 10, factor).mean((1, 3))
    got = resize(frame, (0, 0, 10 * factor, 8 * factor), tensor_spec(8, 10))
    assert got.shape == (1, 8, 10)
    assert np.abs(got[0] - mean).max() <= 0.51


def test_a_box_is_cut_end_exclusive_and_unchanged_in_a_tensor_of_its_size():
    frame = RNG.integers(0, 256, (20, 30), np.uint8)
    np.testing.assert_array_equal(resize(frame, (5, 2, 15, 10), tensor_spec(8, 10))[0], frame[2:10, 5:15])


def test_planes_of_colour_are_red_green_blue(tmp_path):
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    frames[..., 0], frames[..., 1], frames[..., 2] = 200, 100, 50
    stem = cut_clip(tmp_path, frames, tensor_spec())
    array, card = arrays.open_array(stem)
    assert card["channels"] == ["red", "green", "blue"]
    assert array[:, :, 3, 3].tolist() == [[200, 100, 50]] * 2
    assert Windows(stem.parent).shape == (3, 1, 8, 8)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((20, 10), (0, 6, 24, 12)),  # wide: bars above and below
        ((10, 20), (6, 0, 12, 24)),  # tall: bars left and right
        ((48, 48), (0, 0, 24, 24)),
        ((100, 1), (0, 11, 24, 1)),  # never less than a line
    ],
)
def test_letterbox_keeps_the_aspect(box, expected):
    assert placement(*box, tensor_spec(24, 24, fit="letterbox")) == expected
    left, top, width, height = expected
    frame = np.full((box[1], box[0]), 255, np.uint8)
    got = resize(frame, (0, 0, *box), tensor_spec(24, 24, fit="letterbox"))[0]
    inside = np.zeros((24, 24), bool)
    inside[top : top + height, left : left + width] = True
    assert (got[inside] == 255).all()
    assert (got[~inside] == 0).all()


def test_a_clip_without_regions_has_files_of_the_same_form(tmp_path):
    spec = tensor_spec(8, 12, 4, stride=2, channels=["gray", "difference"])
    stems = [
        cut_clip(tmp_path, numbered(9, 16, 16), spec, name, b) for name, b in (("a", None), ("b", NO_REGIONS))
    ]
    (full, full_card), (empty, card) = (arrays.open_array(stem) for stem in stems)
    assert empty.shape == (0, *full.shape[1:]) == (0, 2, 8, 12)
    assert {k: v for k, v in card.items() if full_card[k] != v}.keys() == {
        "shape",
        "hash",
        "windows",
        "windows_hash",
    }
    full_table, empty_table = (tables.read_table(stem) for stem in stems)
    assert len(empty_table) == card["windows"] == 0
    assert empty_table.dtypes.to_dict() == full_table.dtypes.to_dict()
    windows = Windows(tmp_path / "tensors", ["b"])
    assert len(windows) == 0
    assert windows.shape == (2, 4, 8, 12)
    assert windows.channels == ["gray", "difference"]
    assert windows[[]].shape == (0, 2, 4, 8, 12)


def test_regions_between_strides_have_no_windows(tmp_path):
    stem = cut_clip(tmp_path, numbered(4), tensor_spec(stride=2), boxes=table_of([(1, 0, 0, 0, 8, 8)]))
    assert cards.read_card(stem)["windows"] == 0


H, W = 20, 27
STEPS = step_per_count(0.1, H)
CROP = 8, 12  # a box of this size comes into a tensor of this size as it is


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A clip with flow and silhouettes, and all of its planes by plain numpy: uint8 [T, C, H, W]."""
    folder, rng = tmp_path_factory.mktemp("footage"), np.random.default_rng(1)
    frames = rng.integers(0, 256, (9, H, W), np.uint8)
    outline = rng.random((9, H, W)) < 0.5
    counts = rng.integers(-127, 128, (9, H, W, 2), np.int8)
    arrays.write_array(folder / "frames/clip", frames, fps=12.5)
    arrays.write_array(folder / "flow/clip", counts, method="dis", scale=0.1)
    packed = np.packbits(outline, axis=-1)
    arrays.write_array(folder / "regions/clip.silhouette", packed, height=H, width=W)
    step = np.abs(np.diff(frames.astype(int), axis=0))
    moved = counts.astype(int).transpose(0, 3, 1, 2) + 128
    planes = [frames, np.concatenate([step[:1], step]), moved[:, 0], moved[:, 1], outline * 255]
    return folder, np.stack([p.astype(np.uint8) for p in planes], axis=1)


CHANNELS = ["gray", "difference", "flow", "silhouette"]
PLACES = st.tuples(st.integers(0, 8), st.integers(0, W - CROP[1]), st.integers(0, H - CROP[0]))


def naive_boxes(planes: np.ndarray, rows: list, spec: TensorSpec) -> list[np.ndarray]:
    """Yields the window [C, window, h, w] of each row (frame, x0, y0), by indexing."""
    out = []
    for frame, x0, y0 in rows:
        if frame % spec.stride == 0:
            shown = planes[shown_frames(frame, len(planes), spec)]
            out.append(shown[:, :, y0 : y0 + CROP[0], x0 : x0 + CROP[1]].transpose(1, 0, 2, 3))
    return out


@given(
    rows=st.lists(PLACES, max_size=12),
    twins=st.lists(st.integers(0, 11), max_size=3),
    frames=st.integers(1, 9),
    stride=st.integers(1, 3),
    step=st.integers(1, 4),
    position=st.sampled_from(["middle", "last"]),
)
@settings(max_examples=50)
def test_windows_equal_those_of_a_naive_implementation(footage, rows, twins, frames, stride, step, position):
    """Several boxes in a frame, a box in several frames, identical boxes, all channels together."""
    folder, planes = footage
    rows = sorted(rows + [rows[i] for i in twins if i < len(rows)], key=lambda row: row[0])
    spec = tensor_spec(*CROP, frames, stride=stride, channels=CHANNELS, step=step, position=position)
    boxes = table_of([(t, i, x, y, x + CROP[1], y + CROP[0]) for i, (t, x, y) in enumerate(rows)])
    stem = cut_clip(folder, planes[:, 0], spec, boxes=boxes, body_height=STEPS)
    array, card = arrays.open_array(stem)
    expected = naive_boxes(planes, rows, spec)
    assert card["windows"] == len(expected)
    windows = Windows(stem.parent, ["clip"])
    for i, window in enumerate(expected):
        np.testing.assert_array_equal(windows[[i]][0], window)
    kept = [i for i, row in enumerate(rows) if row[0] % stride == 0]
    table = tables.read_table(stem)
    assert table["region"].tolist() == table["track"].tolist() == kept
    assert table["frame"].tolist() == [rows[i][0] for i in kept]
    shown = {(n, x, y) for t, x, y in (rows[i] for i in kept) for n in shown_frames(t, 9, spec)}
    assert len(array) == len(shown)  # each stored once


def test_identical_boxes_share_their_pictures_but_are_separate_windows(tmp_path):
    same, other = (0, 0, 8, 8), (8, 0, 16, 8)
    rows = [(0, 1, *same), (0, 2, *same), (0, 3, *other), (1, 2, *same), (1, 1, *same)]
    stem = cut_clip(tmp_path, numbered(2, 8, 16), tensor_spec(frames=2), boxes=table_of(rows))
    table = tables.read_table(stem)
    assert table["track"].tolist() == [1, 2, 3, 2, 1]
    numbers = table[["plane_0", "plane_1"]].to_numpy().tolist()
    assert numbers == [[0, 1], [0, 1], [2, 3], [1, 1], [1, 1]]
    assert len(arrays.open_array(stem)[0]) == 4


def test_the_card_describes_the_tensor(footage):
    folder, planes = footage
    boxes = table_of([(0, 0, 3, 2, 20, 19)])
    stem = cut_clip(folder, planes[:, 0], tensor_spec(8, 8, fit="letterbox", channels=CHANNELS), boxes=boxes)
    card = cards.read_card(stem)
    assert (card["frame"], card["fit"], card["frames"]) == ([H, W], "letterbox", 9)
    assert card["channels"] == ["gray", "difference", "flow_x", "flow_y", "silhouette"]
    assert card["flow"] == {"still": 128, "step": 4 / 127, "unit": "body heights per second"}


@pytest.mark.parametrize("box", [(0, 0, 27, 5), (3, 0, 6, 20)])
def test_letterbox_bars_are_black_and_still(footage, box):
    """128, no motion, in planes of flow; black in all others."""
    folder, planes = footage
    spec = tensor_spec(24, 24, fit="letterbox", channels=CHANNELS)
    stem = cut_clip(folder, planes[:, 0], spec, boxes=table_of([(4, 0, *box)]))
    (picture,) = arrays.open_array(stem)[0]
    left, top, width, height = placement(box[2] - box[0], box[3] - box[1], spec)
    outside = np.ones((24, 24), bool)
    outside[top : top + height, left : left + width] = False
    assert outside.sum() > 200
    for plane, padding in zip(picture, [0, 0, 128, 128, 0], strict=True):
        assert (plane[outside] == padding).all()
        assert (plane[~outside] != padding).any()


@given(data=st.data())
@settings(max_examples=60)
def test_pixels_outside_a_box_do_not_influence_its_tensor(data):
    """Also at the borders of the frame and for a single pixel: no filter reaches beyond the box."""
    x0, y0 = data.draw(st.integers(0, W - 1)), data.draw(st.integers(0, H - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, W)), data.draw(st.integers(y0 + 1, H))
    fit, channels = (
        data.draw(st.sampled_from(["stretch", "letterbox"])),
        data.draw(st.sampled_from([1, 2, 3])),
    )
    spec = tensor_spec(data.draw(st.integers(8, 30)), data.draw(st.integers(8, 30)), fit=fit)
    inside = np.random.default_rng(0).integers(100, 140, (H, W, channels), np.uint8).squeeze()
    black, white = np.zeros_like(inside), np.full_like(inside, 255)
    for frame in (black, white):
        frame[y0:y1, x0:x1] = inside[y0:y1, x0:x1]
    in_black, in_white = (resize(frame, (x0, y0, x1, y1), spec, padding=120) for frame in (black, white))
    assert in_black.shape == (channels, spec.height, spec.width)
    np.testing.assert_array_equal(in_black, in_white)
    assert in_black.min() >= 100
    assert in_black.max() <= 140


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("tensor", [(8, 8), (16, 40), (33, 9)])
def test_a_uniform_box_stays_uniform_at_any_size(fit, tensor):
    """Flow is in pixels of the frame, whatever the size of the tensor."""
    got = resize(
        np.full((20, 27, 2), (77, 201), np.uint8), (3, 4, 20, 17), tensor_spec(*tensor, fit=fit), padding=128
    )
    left, top, width, height = placement(17, 13, tensor_spec(*tensor, fit=fit))
    for plane, value in zip(got, (77, 201), strict=True):
        expected = np.full(tensor, 128)
        expected[top : top + height, left : left + width] = value
        np.testing.assert_array_equal(plane, expected)


def test_channels_together_have_the_same_planes_as_each_alone(tmp_path):
    frames = RNG.integers(0, 256, (3, 30, 40, 3), np.uint8)
    boxes = table_of([(t, 0, 5 + t, 2, 31 + t, 29) for t in range(3)])
    both = cut_clip(tmp_path, frames, tensor_spec(12, 9, channels=["difference", "rgb"]), "both", boxes)
    parts = [
        cut_clip(tmp_path, frames, tensor_spec(12, 9, channels=[c]), c, boxes) for c in ("difference", "rgb")
    ]
    expected = np.concatenate([arrays.open_array(stem)[0] for stem in parts], axis=1)
    np.testing.assert_array_equal(arrays.open_array(both)[0], expected)
