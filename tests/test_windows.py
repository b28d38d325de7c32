"""Windows: which planes they hold, where a box lands in a tensor, and the way back to frames."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError, regions, store
from vad.regions import none
from vad.windows import ResizeParams, Windows, cut, placement, resize, to_frames

RNG = np.random.default_rng(0)


def params(height=8, width=8, window=1, stride=1, fit="stretch") -> ResizeParams:
    return ResizeParams(height=height, width=width, window=window, stride=stride, fit=fit)


def write(
    folder: Path, name: str, frames: np.ndarray, boxes: pd.DataFrame | None = None
) -> tuple[Path, Path]:
    """Stems of frames and regions of a clip; without boxes the whole frame, as mode `none` makes them."""
    stems = folder / "frames" / name, folder / "regions" / name
    store.write_array(stems[0], frames)
    if boxes is None:
        none.regions(stems[1], stems[0], folder / "flow", none.Params(), threads=1)
    else:
        regions.write(stems[1], boxes)
    return stems


def cut_clip(folder: Path, frames: np.ndarray, how: ResizeParams, name="clip", boxes=None) -> Path:
    out = folder / "tensors" / name
    out.parent.mkdir(exist_ok=True)
    cut(out, *write(folder, name, frames, boxes), how, threads=1)
    return out


def numbered(length: int, height=8, width=8) -> np.ndarray:
    """Frames that are their own number everywhere."""
    return np.full((length, height, width), np.arange(length)[:, None, None], np.uint8)


def frames_of_windows(folder: Path, length: int, how: ResizeParams) -> list[list[int]]:
    """Which frame each place of each window shows."""
    cut_clip(folder, numbered(length), how)
    found = Windows(folder / "tensors")
    return found[np.arange(len(found))][:, 0, :, 0, 0].tolist()


@pytest.mark.parametrize(
    ("length", "window", "stride", "expected"),
    [
        (3, 1, 1, [[0], [1], [2]]),
        (4, 3, 1, [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]),
        (4, 2, 1, [[0, 1], [1, 2], [2, 3], [3, 3]]),  # an even one looks further ahead
        (4, 4, 1, [[0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 3], [2, 3, 3, 3]]),
        (5, 5, 4, [[0, 0, 0, 1, 2], [2, 3, 4, 4, 4]]),
        (7, 3, 3, [[0, 0, 1], [2, 3, 4], [5, 6, 6]]),
        (2, 1, 5, [[0]]),
    ],
)
def test_a_window_is_the_frames_around_its_own(tmp_path, length, window, stride, expected):
    assert frames_of_windows(tmp_path, length, params(window=window, stride=stride)) == expected


@pytest.mark.parametrize(
    ("window", "stride", "planes"), [(1, 1, 9), (4, 1, 9), (9, 1, 9), (3, 4, 7), (1, 4, 3)]
)
def test_a_plane_is_stored_once(tmp_path, window, stride, planes):
    stem = cut_clip(tmp_path, numbered(9), params(window=window, stride=stride))
    array, card = store.open_array(stem)
    assert array.shape == (planes, 1, 8, 8)
    assert len(np.unique(array[:, 0, 0, 0])) == planes
    assert (card["frames"], card["window"], card["stride"]) == (9, window, stride)
    assert card["windows"] == len(store.read_table(stem)) == -(-9 // stride)


def test_several_regions_of_a_frame_have_windows_of_their_own(tmp_path):
    """Two people side by side, one of whom appears later: each window follows one box."""
    frames = np.zeros((4, 8, 16), np.uint8)
    frames[:, :, :8], frames[:, :, 8:] = numbered(4), numbered(4) + 100
    rows = [(0, 5, 0), (1, 5, 0), (1, 6, 8), (2, 6, 8), (3, 6, 8)]
    boxes = pd.DataFrame(rows, columns=["frame", "track", "x0"]).assign(y0=0, y1=8)
    boxes = boxes.assign(x1=boxes["x0"] + 8).astype(np.int32)
    stem = cut_clip(tmp_path, frames, params(window=3), boxes=boxes)
    found = Windows(tmp_path / "tensors")
    shown = found[np.arange(5)][:, 0, :, 0, 0].tolist()
    assert shown == [[0, 0, 1], [0, 1, 2], [100, 101, 102], [101, 102, 103], [102, 103, 103]]
    table = store.read_table(stem)
    assert table["region"].tolist() == [0, 1, 2, 3, 4]
    assert table[["frame", "track"]].to_numpy().tolist() == [list(row[:2]) for row in rows]
    assert len(store.open_array(stem)[0]) == 3 + 4


@pytest.mark.parametrize("length", [1, 4])
def test_a_clip_shorter_than_a_window_is_refused(tmp_path, length):
    with pytest.raises(UserError, match=f"has {length} frames, fewer than resize.window = 5"):
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
    array, card = store.open_array(stem)
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
def split(tmp_path_factory) -> tuple[Path, dict[str, np.ndarray], ResizeParams]:
    folder = tmp_path_factory.mktemp("split")
    how = params(8, 12, window=4, stride=2)
    clips = {f"c{i}": RNG.integers(0, 256, (n, 8, 12, 3), np.uint8) for i, n in enumerate([5, 4, 11])}
    for name, frames in clips.items():
        cut_clip(folder, frames, how, name)
    return folder / "tensors", clips, how


def naive(clips: dict[str, np.ndarray], how: ResizeParams) -> np.ndarray:
    """All windows [N, C, window, h, w] by indexing frames."""
    out = []
    for frames in clips.values():
        for t in range(0, len(frames), how.stride):
            numbers = [t - (how.window - 1) // 2 + i for i in range(how.window)]
            out.append(frames[[min(max(n, 0), len(frames) - 1) for n in numbers]].transpose(3, 0, 1, 2))
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


def test_clips_that_differ_are_refused(tmp_path):
    cut_clip(tmp_path, numbered(3), params(8, 8), "a")
    cut_clip(tmp_path, numbered(3), params(8, 16), "b")
    with pytest.raises(UserError, match=r"differ in shape.*8, 16"):
        Windows(tmp_path / "tensors")


def nearest(frames: list[int], values: list[float], length: int) -> list[float]:
    """The definition, word by word."""
    best: dict[int, float] = {}
    for frame, value in zip(frames, values, strict=True):
        best[frame] = max(value, best.get(frame, -np.inf))
    return [best[min(best, key=lambda f: (abs(f - t), f))] for t in range(length)]


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.data())))
def test_every_frame_has_the_value_of_the_nearest_window(case):
    length, data = case
    frames = data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=30))
    values = data.draw(st.lists(st.floats(-1e6, 1e6), min_size=len(frames), max_size=len(frames)))
    got = to_frames(np.array(frames), np.array(values), length)
    assert got.dtype == np.float64
    assert got.tolist() == nearest(frames, values, length)


@pytest.mark.parametrize(
    ("stride", "expected"),
    [(1, [0, 1, 2, 3, 4, 5, 6]), (2, [0, 0, 2, 2, 4, 4, 6]), (3, [0, 0, 3, 3, 3, 6, 6])],
)
def test_frames_between_strides_take_the_nearest_the_earlier_of_two(stride, expected):
    frames = np.arange(0, 7, stride)
    assert to_frames(frames, frames, 7).tolist() == expected


def test_no_windows_give_no_frames():
    with pytest.raises(ValueError, match="no windows"):
        to_frames(np.array([], int), np.array([]), 5)
