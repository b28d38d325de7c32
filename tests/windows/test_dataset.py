"""The windows of a split, against indexing frames by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.windows.tensors import cut_clip, numbered, shown_frames, table_of, tensor_spec
from vad import UserError
from vad.windows.dataset import Windows
from vad.windows.spec import TensorSpec

RNG = np.random.default_rng(0)
NO_REGIONS = table_of([])


def frames_of_windows(folder: Path, length: int, spec: TensorSpec) -> list[list[int]]:
    """Numbers of the frames in each window."""
    cut_clip(folder, numbered(length), spec)
    windows = Windows(folder / "tensors")
    return windows[np.arange(len(windows))][:, 0, :, 0, 0].tolist()


@pytest.mark.parametrize(
    ("length", "changed", "expected"),
    [
        (3, {"frames": 1}, [[0], [1], [2]]),
        (4, {"frames": 3}, [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]),
        (4, {"frames": 2}, [[0, 1], [1, 2], [2, 3], [3, 3]]),  # an even one looks further ahead
        (4, {"frames": 4}, [[0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 3], [2, 3, 3, 3]]),
        (5, {"frames": 5, "stride": 4}, [[0, 0, 0, 1, 2], [2, 3, 4, 4, 4]]),
        (7, {"frames": 3, "stride": 3}, [[0, 0, 1], [2, 3, 4], [5, 6, 6]]),
        (2, {"frames": 1, "stride": 5}, [[0]]),
        (5, {"frames": 3, "step": 2}, [[0, 0, 2], [0, 1, 3], [0, 2, 4], [1, 3, 4], [2, 4, 4]]),
        (4, {"frames": 2, "step": 3}, [[0, 3], [1, 3], [2, 3], [3, 3]]),
        (9, {"frames": 4, "step": 2, "stride": 4}, [[0, 0, 2, 4], [2, 4, 6, 8], [6, 8, 8, 8]]),
        (4, {"frames": 2, "position": "last"}, [[0, 0], [0, 1], [1, 2], [2, 3]]),
        (4, {"frames": 3, "step": 2, "position": "last"}, [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 3]]),
    ],
)
def test_a_window_has_the_frames_around_its_frame_or_up_to_it(tmp_path, length, changed, expected):
    assert frames_of_windows(tmp_path, length, tensor_spec(**changed)) == expected


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> tuple[Path, dict[str, np.ndarray], TensorSpec]:
    folder = tmp_path_factory.mktemp("split")
    spec = tensor_spec(8, 12, frames=4, stride=2, step=2)
    clips = {f"c{i}": RNG.integers(0, 256, (n, 8, 12, 3), np.uint8) for i, n in enumerate([5, 4, 11])}
    for name, frames in clips.items():
        cut_clip(folder, frames, spec, name)
    return folder / "tensors", clips, spec


def naive(clips: dict[str, np.ndarray], spec: TensorSpec) -> np.ndarray:
    """All windows [N, C, window, h, w] by indexing frames."""
    out = []
    for frames in clips.values():
        for t in range(0, len(frames), spec.stride):
            out.append(frames[shown_frames(t, len(frames), spec)].transpose(3, 0, 1, 2))
    return np.stack(out)


@given(data=st.data())
@settings(deadline=None)
def test_windows_equal_those_of_a_naive_implementation(split, data):
    folder, clips, spec = split
    windows, expected = Windows(folder), naive(clips, spec)
    assert len(windows) == len(expected)
    assert windows.shape == expected.shape[1:]
    chosen = data.draw(st.lists(st.integers(0, len(windows) - 1), max_size=20))
    got = windows[np.array(chosen, int)]
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, expected[chosen])


def test_windows_of_some_clips_come_in_the_order_of_their_names(split):
    folder, clips, spec = split
    windows = Windows(folder, ["c2", "c0"])
    expected = naive({name: clips[name] for name in ("c2", "c0")}, spec)
    np.testing.assert_array_equal(windows[np.arange(len(windows))], expected)


def test_a_folder_without_windows_is_refused(tmp_path):
    with pytest.raises(UserError, match="contains no windows"):
        Windows(tmp_path)
    with pytest.raises(UserError, match="contains no windows"):
        Windows(tmp_path, [])


def test_clips_that_differ_are_refused(tmp_path):
    cut_clip(tmp_path, numbered(3), tensor_spec(8, 8), "a")
    cut_clip(tmp_path, numbered(3), tensor_spec(8, 16), "b")
    with pytest.raises(UserError, match=r"differ in shape.*8, 16"):
        Windows(tmp_path / "tensors")


def test_clips_with_other_channels_are_refused(tmp_path):
    cut_clip(tmp_path, numbered(3), tensor_spec(), "a")
    cut_clip(tmp_path, np.zeros((3, 8, 8, 3), np.uint8), tensor_spec(), "b")
    with pytest.raises(UserError, match="differ in shape"):
        Windows(tmp_path / "tensors")


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("at", ["first", "middle", "last", "several"])
def test_clips_without_regions_may_be_anywhere_among_the_others(tmp_path, at, frames):
    spec = tensor_spec(8, 8, frames, channels=["gray", "difference"])
    names = ["a", "b", "c", "d", "e"]
    empty = {"first": "a", "middle": "c", "last": "e", "several": "abde"}[at]
    for i, name in enumerate(names):
        boxes = NO_REGIONS if name in empty else None
        cut_clip(tmp_path, numbered(3) + np.uint8(10 * i), spec, name, boxes)
    full = [i for i, name in enumerate(names) if name not in empty]
    windows = Windows(tmp_path / "tensors")
    assert len(windows) == 3 * len(full)
    middle = windows[np.arange(len(windows))][:, 0, (frames - 1) // 2, 0, 0]
    assert middle.tolist() == [10 * i + t for i in full for t in range(3)]
    for name in names:
        assert len(Windows(windows.folder, [name])) == (0 if name in empty else 3)


def test_a_split_without_regions_is_refused(tmp_path):
    for name in "ab":
        cut_clip(tmp_path, numbered(3), tensor_spec(), name, NO_REGIONS)
    with pytest.raises(UserError, match=r"tensors: contains no windows"):
        Windows(tmp_path / "tensors")


@pytest.mark.parametrize(
    ("frame", "factor", "shown"), [(2, 1, [1, 2, 3]), (2, 2, [0, 2, 4]), (4, 9, [0, 4, 5])]
)
def test_skipping_takes_frames_further_apart_at_the_boxes_of_the_track(tmp_path, frame, factor, shown):
    """A box that moves to the right with its track, over frames that are brighter by 10 per column."""
    frames = numbered(6, 8, 20) + (np.arange(20, dtype=np.uint8) * 10)
    cut_clip(
        tmp_path, frames, tensor_spec(frames=3), boxes=table_of([(t, 1, t, 0, t + 8, 8) for t in range(6)])
    )
    windows = Windows(tmp_path / "tensors")
    got = windows.skipping(np.array([frame]), np.array([factor]))[0, 0, :, 0, 0]
    assert got.tolist() == [t + 10 * t for t in shown]


def test_skipping_multiplies_the_distance_of_frames_in_each_clip(tmp_path):
    """Clips of different rates have windows of different steps."""
    for name, step in (("a", 1), ("b", 3)):
        boxes = table_of([(t, 0, 0, 0, 8, 8) for t in range(20)])
        cut_clip(tmp_path, numbered(20), tensor_spec(frames=3, step=step), name, boxes)
    windows = Windows(tmp_path / "tensors")
    got = windows.skipping(np.array([10, 30]), np.array([2, 2]))[:, 0, :, 0, 0]
    assert got.tolist() == [[8, 10, 12], [4, 10, 16]]


def test_skipping_without_a_track_stays_within_the_window(tmp_path):
    cut_clip(
        tmp_path, numbered(6), tensor_spec(frames=3), boxes=table_of([(t, -1, 0, 0, 8, 8) for t in range(6)])
    )
    windows = Windows(tmp_path / "tensors")
    assert windows.skipping(np.array([3]), np.array([2]))[0, 0, :, 0, 0].tolist() == [2, 3, 4]
