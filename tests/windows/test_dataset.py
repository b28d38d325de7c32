"""Windows: which planes they hold, and where a box lands in a tensor."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError, regions
from vad.flow import none as no_flow
from vad.regions import none
from vad.resize.cut import cut, resize
from vad.store import arrays, cards, tables
from vad.windows.dataset import Windows
from vad.windows.spec import WindowParams, placement

RNG = np.random.default_rng(0)


def params(
    height=8, width=8, window=1, stride=1, fit="stretch", channels=("picture",), step=1, position="middle"
) -> WindowParams:
    shape = {"height": height, "width": width, "window": window, "step": step, "position": position}
    return WindowParams(channels=list(channels), stride=stride, fit=fit, **shape)


def write(
    folder: Path, name: str, frames: np.ndarray, boxes: pd.DataFrame | None = None
) -> tuple[Path, Path, Path]:
    """Stems of frames, regions and flow of a clip; without boxes the whole frame, as mode `none` makes them.

    A flow that lies there stays.
    """
    stems = folder / "frames" / name, folder / "regions" / name, folder / "flow" / name
    arrays.write_array(stems[0], frames, fps=12.5)
    if not Path(f"{stems[2]}.json").exists():
        no_flow.flow(stems[2], stems[0], no_flow.Params(), threads=1)
    if boxes is None:
        none.regions(stems[1], stems[0], stems[2], none.Params(), None, threads=1)
    else:
        regions.write(stems[1], boxes.assign(source="motion", confidence=1))
    return stems


def table_of(rows: list[tuple[int, ...]]) -> pd.DataFrame:
    """A table of regions from rows of frame, track, x0, y0, x1, y1."""
    columns = ["frame", "track", "x0", "y0", "x1", "y1"]
    return pd.DataFrame(np.array(rows, np.int32).reshape(-1, 6), columns=columns)


def cut_clip(folder: Path, frames: np.ndarray, how: WindowParams, name="clip", boxes=None) -> Path:
    out = folder / "tensors" / name
    out.parent.mkdir(exist_ok=True)
    cut(out, *write(folder, name, frames, boxes), how, threads=1)
    return out


def numbered(length: int, height=8, width=8) -> np.ndarray:
    """Frames that are their own number everywhere."""
    return np.full((length, height, width), np.arange(length)[:, None, None], np.uint8)


def frames_of_windows(folder: Path, length: int, how: WindowParams) -> list[list[int]]:
    """Which frame each place of each window shows."""
    cut_clip(folder, numbered(length), how)
    found = Windows(folder / "tensors")
    return found[np.arange(len(found))][:, 0, :, 0, 0].tolist()


@pytest.mark.parametrize(
    ("length", "how", "expected"),
    [
        (3, {"window": 1}, [[0], [1], [2]]),
        (4, {"window": 3}, [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]),
        (4, {"window": 2}, [[0, 1], [1, 2], [2, 3], [3, 3]]),  # an even one looks further ahead
        (4, {"window": 4}, [[0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 3], [2, 3, 3, 3]]),
        (5, {"window": 5, "stride": 4}, [[0, 0, 0, 1, 2], [2, 3, 4, 4, 4]]),
        (7, {"window": 3, "stride": 3}, [[0, 0, 1], [2, 3, 4], [5, 6, 6]]),
        (2, {"window": 1, "stride": 5}, [[0]]),
        (5, {"window": 3, "step": 2}, [[0, 0, 2], [0, 1, 3], [0, 2, 4], [1, 3, 4], [2, 4, 4]]),
        (4, {"window": 2, "step": 3}, [[0, 3], [1, 3], [2, 3], [3, 3]]),
        (9, {"window": 4, "step": 2, "stride": 4}, [[0, 0, 2, 4], [2, 4, 6, 8], [6, 8, 8, 8]]),
        (4, {"window": 2, "position": "last"}, [[0, 0], [0, 1], [1, 2], [2, 3]]),
        (4, {"window": 3, "step": 2, "position": "last"}, [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 3]]),
    ],
)
def test_a_window_is_the_frames_around_its_own_or_up_to_it(tmp_path, length, how, expected):
    assert frames_of_windows(tmp_path, length, params(**how)) == expected


@pytest.mark.parametrize(
    ("window", "stride", "step", "planes"),
    [(1, 1, 1, 9), (4, 1, 1, 9), (9, 1, 1, 9), (3, 4, 1, 7), (1, 4, 1, 3), (3, 1, 4, 9), (3, 4, 2, 5)],
)
def test_a_plane_is_stored_once(tmp_path, window, stride, step, planes):
    stem = cut_clip(tmp_path, numbered(9), params(window=window, stride=stride, step=step))
    array, card = arrays.open_array(stem)
    assert array.shape == (planes, 1, 8, 8)
    assert len(np.unique(array[:, 0, 0, 0])) == planes
    assert (card["frames"], card["window"], card["stride"], card["step"]) == (9, window, stride, step)
    assert (card["position"], card["fps"]) == ("middle", 12.5)
    assert card["windows"] == len(tables.read_table(stem)) == -(-9 // stride)


def test_several_regions_of_a_frame_have_windows_of_their_own(tmp_path):
    """Two people side by side, one of whom appears later: each window follows one box."""
    frames = np.zeros((4, 8, 16), np.uint8)
    frames[:, :, :8], frames[:, :, 8:] = numbered(4), numbered(4) + 100
    rows = [(0, 5, 0), (1, 5, 0), (1, 6, 8), (2, 6, 8), (3, 6, 8)]
    boxes = table_of([(frame, track, x0, 0, x0 + 8, 8) for frame, track, x0 in rows])
    stem = cut_clip(tmp_path, frames, params(window=3), boxes=boxes)
    found = Windows(tmp_path / "tensors")
    shown = found[np.arange(5)][:, 0, :, 0, 0].tolist()
    assert shown == [[0, 0, 1], [0, 1, 2], [100, 101, 102], [101, 102, 103], [102, 103, 103]]
    table = tables.read_table(stem)
    assert table["region"].tolist() == [0, 1, 2, 3, 4]
    assert table[["frame", "track"]].to_numpy().tolist() == [list(row[:2]) for row in rows]
    assert len(arrays.open_array(stem)[0]) == 3 + 4


@pytest.mark.parametrize("length", [1, 4])
def test_a_clip_shorter_than_a_window_is_refused(tmp_path, length):
    with pytest.raises(UserError, match=f"has {length} frames, fewer than a window's 5"):
        cut_clip(tmp_path, numbered(length), params(window=5))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrinking_averages_areas(factor):
    frame = RNG.integers(0, 256, (8 * factor, 10 * factor), np.uint8)
    mean = frame.reshape(8, factor, 10, factor).mean((1, 3))
    got = resize(frame, (0, 0, 10 * factor, 8 * factor), params(8, 10))
    assert got.shape == (1, 8, 10)
    assert np.abs(got[0] - mean).max() <= 0.51


def test_a_box_is_cut_end_exclusive_at_its_own_resolution():
    frame = RNG.integers(0, 256, (20, 30), np.uint8)
    np.testing.assert_array_equal(resize(frame, (5, 2, 15, 10), params(8, 10))[0], frame[2:10, 5:15])


def test_channels_stay_red_green_blue(tmp_path):
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    frames[..., 0], frames[..., 1], frames[..., 2] = 200, 100, 50
    stem = cut_clip(tmp_path, frames, params())
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
    assert placement(*box, params(24, 24, fit="letterbox")) == expected
    left, top, width, height = expected
    frame = np.full((box[1], box[0]), 255, np.uint8)
    got = resize(frame, (0, 0, *box), params(24, 24, fit="letterbox"))[0]
    inside = np.zeros((24, 24), bool)
    inside[top : top + height, left : left + width] = True
    assert (got[inside] == 255).all()
    assert (got[~inside] == 0).all()


@given(st.integers(1, 500), st.integers(1, 500), st.integers(8, 64), st.integers(8, 64))
def test_a_placed_box_fills_one_side_and_leaves_none(w, h, width, height):
    assert placement(w, h, params(height, width)) == (0, 0, width, height)
    left, top, wide, high = placement(w, h, params(height, width, fit="letterbox"))
    assert 0 <= left <= left + wide <= width
    assert 0 <= top <= top + high <= height
    assert wide == width or high == height
    scale = min(width / w, height / h)
    assert abs(wide - w * scale) <= 1
    assert abs(high - h * scale) <= 1
    assert abs((width - wide) - 2 * left) <= 1  # in the middle


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> tuple[Path, dict[str, np.ndarray], WindowParams]:
    folder = tmp_path_factory.mktemp("split")
    how = params(8, 12, window=4, stride=2, step=2)
    clips = {f"c{i}": RNG.integers(0, 256, (n, 8, 12, 3), np.uint8) for i, n in enumerate([5, 4, 11])}
    for name, frames in clips.items():
        cut_clip(folder, frames, how, name)
    return folder / "tensors", clips, how


def numbers_of(frame: int, length: int, how: WindowParams) -> list[int]:
    """The frames of a clip that the window of `frame` consists of."""
    before = (how.window - 1) // 2 if how.position == "middle" else how.window - 1
    shown = range(frame - before * how.step, frame - before * how.step + how.window * how.step, how.step)
    return [min(max(n, 0), length - 1) for n in shown]


def naive(clips: dict[str, np.ndarray], how: WindowParams) -> np.ndarray:
    """All windows [N, C, window, h, w] by indexing frames."""
    out = []
    for frames in clips.values():
        for t in range(0, len(frames), how.stride):
            out.append(frames[numbers_of(t, len(frames), how)].transpose(3, 0, 1, 2))
    return np.stack(out)


@given(data=st.data())
@settings(deadline=None)
def test_windows_are_those_of_naive_cutting(split, data):
    folder, clips, how = split
    found, expected = Windows(folder), naive(clips, how)
    assert len(found) == len(expected)
    assert found.shape == expected.shape[1:]
    chosen = data.draw(st.lists(st.integers(0, len(found) - 1), max_size=20))
    got = found[np.array(chosen, int)]
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, expected[chosen])


def test_windows_of_some_clips(split):
    folder, clips, how = split
    found = Windows(folder, ["c2", "c0"])
    expected = naive({name: clips[name] for name in ("c2", "c0")}, how)
    np.testing.assert_array_equal(found[np.arange(len(found))], expected)


def test_no_windows_are_refused(tmp_path):
    with pytest.raises(UserError, match="not a single window"):
        Windows(tmp_path)
    with pytest.raises(UserError, match="not a single window"):
        Windows(tmp_path, [])


def test_clips_that_differ_are_refused(tmp_path):
    cut_clip(tmp_path, numbered(3), params(8, 8), "a")
    cut_clip(tmp_path, numbered(3), params(8, 16), "b")
    with pytest.raises(UserError, match=r"differ in shape.*8, 16"):
        Windows(tmp_path / "tensors")


def test_clips_with_other_channels_are_refused(tmp_path):
    cut_clip(tmp_path, numbered(3), params(), "a")
    cut_clip(tmp_path, np.zeros((3, 8, 8, 3), np.uint8), params(), "b")
    with pytest.raises(UserError, match="differ in shape"):
        Windows(tmp_path / "tensors")


NOBODY = table_of([])


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("at", ["first", "middle", "last", "several"])
def test_a_clip_without_regions_stands_among_full_ones(tmp_path, at, window):
    how = params(8, 8, window, channels=["gray", "difference"])
    names = ["a", "b", "c", "d", "e"]
    empty = {"first": "a", "middle": "c", "last": "e", "several": "abde"}[at]
    for i, name in enumerate(names):
        boxes = NOBODY if name in empty else None
        cut_clip(tmp_path, numbered(3) + np.uint8(10 * i), how, name, boxes)
    full = [i for i, name in enumerate(names) if name not in empty]
    found = Windows(tmp_path / "tensors")
    assert len(found) == 3 * len(full)
    middle = found[np.arange(len(found))][:, 0, (window - 1) // 2, 0, 0]
    assert middle.tolist() == [10 * i + t for i in full for t in range(3)]
    for name in names:
        assert len(Windows(found.folder, [name])) == (0 if name in empty else 3)


def test_a_clip_without_regions_has_files_of_the_same_form(tmp_path):
    how = params(8, 12, 4, 2, channels=["gray", "difference"])
    stems = [
        cut_clip(tmp_path, numbered(9, 16, 16), how, name, b) for name, b in (("a", None), ("b", NOBODY))
    ]
    (full, full_card), (empty, card) = (arrays.open_array(stem) for stem in stems)
    assert empty.shape == (0, *full.shape[1:]) == (0, 2, 8, 12)
    assert {k: v for k, v in card.items() if full_card[k] != v}.keys() == {
        "shape",
        "hash",
        "windows",
        "windows_hash",
    }
    tables = [tables.read_table(stem) for stem in stems]
    assert len(tables[1]) == card["windows"] == 0
    assert tables[0].dtypes.to_dict() == tables[1].dtypes.to_dict()
    found = Windows(tmp_path / "tensors", ["b"])
    assert len(found) == 0
    assert found.shape == (2, 4, 8, 12)
    assert found.channels == ["gray", "difference"]
    assert found[[]].shape == (0, 2, 4, 8, 12)


def test_a_split_in_which_nobody_is_ever_seen_is_refused(tmp_path):
    for name in "ab":
        cut_clip(tmp_path, numbered(3), params(), name, NOBODY)
    with pytest.raises(UserError, match=r"tensors: there is not a single window in it"):
        Windows(tmp_path / "tensors")


def test_regions_between_strides_have_no_windows(tmp_path):
    stem = cut_clip(tmp_path, numbered(4), params(stride=2), boxes=table_of([(1, 0, 0, 0, 8, 8)]))
    assert cards.read_card(stem)["windows"] == 0


H, W = 20, 27
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


def naive_boxes(planes: np.ndarray, rows: list, how: WindowParams) -> list[np.ndarray]:
    """The windows [C, window, h, w] of rows (frame, x0, y0), one by one, by indexing."""
    out = []
    for frame, x0, y0 in rows:
        if frame % how.stride == 0:
            shown = planes[numbers_of(frame, len(planes), how)]
            out.append(shown[:, :, y0 : y0 + CROP[0], x0 : x0 + CROP[1]].transpose(1, 0, 2, 3))
    return out


@given(
    rows=st.lists(PLACES, max_size=12),
    twins=st.lists(st.integers(0, 11), max_size=3),
    window=st.integers(1, 9),
    stride=st.integers(1, 3),
    step=st.integers(1, 4),
    position=st.sampled_from(["middle", "last"]),
)
@settings(max_examples=50)
def test_cubes_of_boxes_are_those_of_naive_cutting(footage, rows, twins, window, stride, step, position):
    """Many boxes in a frame, the same box in several, coinciding ones, all channels at once."""
    folder, planes = footage
    rows = sorted(rows + [rows[i] for i in twins if i < len(rows)], key=lambda row: row[0])
    how = params(*CROP, window, stride, channels=CHANNELS, step=step, position=position)
    boxes = table_of([(t, i, x, y, x + CROP[1], y + CROP[0]) for i, (t, x, y) in enumerate(rows)])
    stem = cut_clip(folder, planes[:, 0], how, boxes=boxes)
    array, card = arrays.open_array(stem)
    expected = naive_boxes(planes, rows, how)
    assert card["windows"] == len(expected)
    found = Windows(stem.parent, ["clip"])
    for i, window_of_box in enumerate(expected):
        np.testing.assert_array_equal(found[[i]][0], window_of_box)
    kept = [i for i, row in enumerate(rows) if row[0] % stride == 0]
    table = tables.read_table(stem)
    assert table["region"].tolist() == table["track"].tolist() == kept
    assert table["frame"].tolist() == [rows[i][0] for i in kept]
    shown = {(n, x, y) for t, x, y in (rows[i] for i in kept) for n in numbers_of(t, 9, how)}
    assert len(array) == len(shown)  # each stored once


def test_boxes_that_coincide_share_their_planes_and_stay_two_windows(tmp_path):
    same, other = (0, 0, 8, 8), (8, 0, 16, 8)
    rows = [(0, 1, *same), (0, 2, *same), (0, 3, *other), (1, 2, *same), (1, 1, *same)]
    stem = cut_clip(tmp_path, numbered(2, 8, 16), params(window=2), boxes=table_of(rows))
    table = tables.read_table(stem)
    assert table["track"].tolist() == [1, 2, 3, 2, 1]
    places = table[["plane_0", "plane_1"]].to_numpy().tolist()
    assert places == [[0, 1], [0, 1], [2, 3], [1, 1], [1, 1]]
    assert len(arrays.open_array(stem)[0]) == 4


def test_the_card_says_how_a_tensor_lies_in_the_frame(footage):
    folder, planes = footage
    boxes = table_of([(0, 0, 3, 2, 20, 19)])
    stem = cut_clip(folder, planes[:, 0], params(8, 8, fit="letterbox", channels=CHANNELS), boxes=boxes)
    card = cards.read_card(stem)
    assert (card["frame"], card["fit"], card["frames"]) == ([H, W], "letterbox", 9)
    assert card["channels"] == ["gray", "difference", "flow_x", "flow_y", "silhouette"]
    assert card["flow"] == {"scale": 0.1, "still": 128}


@pytest.mark.parametrize("box", [(0, 0, 27, 5), (3, 0, 6, 20)])
def test_a_letterbox_is_filled_with_what_stands_for_nothing(footage, box):
    """128 in planes of flow, which is no motion; black elsewhere."""
    folder, planes = footage
    how = params(24, 24, fit="letterbox", channels=CHANNELS)
    stem = cut_clip(folder, planes[:, 0], how, boxes=table_of([(4, 0, *box)]))
    (plane,) = arrays.open_array(stem)[0]
    left, top, width, height = placement(box[2] - box[0], box[3] - box[1], how)
    outside = np.ones((24, 24), bool)
    outside[top : top + height, left : left + width] = False
    assert outside.sum() > 200
    for layer, empty in zip(plane, [0, 0, 128, 128, 0], strict=True):
        assert (layer[outside] == empty).all()
        assert (layer[~outside] != empty).any()


@given(data=st.data())
@settings(max_examples=60)
def test_what_lies_outside_a_box_is_not_in_its_tensor(data):
    """Also at the borders of the frame and for a single pixel; no filter reaches over the edge."""
    x0, y0 = data.draw(st.integers(0, W - 1)), data.draw(st.integers(0, H - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, W)), data.draw(st.integers(y0 + 1, H))
    fit, channels = (
        data.draw(st.sampled_from(["stretch", "letterbox"])),
        data.draw(st.sampled_from([1, 2, 3])),
    )
    how = params(data.draw(st.integers(8, 30)), data.draw(st.integers(8, 30)), fit=fit)
    inside = np.random.default_rng(0).integers(100, 140, (H, W, channels), np.uint8).squeeze()
    black, white = np.zeros_like(inside), np.full_like(inside, 255)
    for frame in (black, white):
        frame[y0:y1, x0:x1] = inside[y0:y1, x0:x1]
    one, other = (resize(frame, (x0, y0, x1, y1), how, empty=120) for frame in (black, white))
    assert one.shape == (channels, how.height, how.width)
    np.testing.assert_array_equal(one, other)
    assert one.min() >= 100
    assert one.max() <= 140


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("tensor", [(8, 8), (16, 40), (33, 9)])
def test_an_even_box_stays_even_in_any_size(fit, tensor):
    """Flow is in pixels of the frame, whatever the size of the tensor."""
    got = resize(
        np.full((20, 27, 2), (77, 201), np.uint8), (3, 4, 20, 17), params(*tensor, fit=fit), empty=128
    )
    left, top, width, height = placement(17, 13, params(*tensor, fit=fit))
    for plane, value in zip(got, (77, 201), strict=True):
        expected = np.full(tensor, 128)
        expected[top : top + height, left : left + width] = value
        np.testing.assert_array_equal(plane, expected)


def test_colour_boxes_and_planes_go_through_together(tmp_path):
    """A resampled cut has the same planes as each channel by itself."""
    frames = RNG.integers(0, 256, (3, 30, 40, 3), np.uint8)
    boxes = table_of([(t, 0, 5 + t, 2, 31 + t, 29) for t in range(3)])
    both = cut_clip(tmp_path, frames, params(12, 9, channels=["difference", "rgb"]), "both", boxes)
    parts = [cut_clip(tmp_path, frames, params(12, 9, channels=[c]), c, boxes) for c in ("difference", "rgb")]
    expected = np.concatenate([arrays.open_array(stem)[0] for stem in parts], axis=1)
    np.testing.assert_array_equal(arrays.open_array(both)[0], expected)


def test_regions_in_any_order_give_the_same_windows(footage):
    """They are written in the order of frames; were they not, planes would be stored twice, no more."""
    folder, planes = footage
    rows = [(5, 3, 4), (0, 1, 1), (5, 2, 2), (1, 1, 1), (4, 3, 4)]
    how = params(*CROP, 4, channels=CHANNELS)
    boxes = table_of([(t, 0, x, y, x + CROP[1], y + CROP[0]) for t, x, y in rows])
    found = Windows(cut_clip(folder, planes[:, 0], how, boxes=boxes).parent, ["clip"])
    np.testing.assert_array_equal(found[np.arange(5)], np.stack(naive_boxes(planes, rows, how)))
