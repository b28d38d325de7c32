"""Masks of data sets: any picture format and array, packed to bits."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.footage.test_survey import pictures, write
from vad import UserError
from vad.footage import masks
from vad.store import bitmasks, intervals


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 19), st.integers(0, 2**32 - 1))
def test_masks_round_trip(tmp_path_factory, frames, height, width, seed):
    where = tmp_path_factory.getbasetemp()
    truth = np.random.default_rng(seed).integers(0, 3, (frames, height, width)) * (seed % 2 + 0.25)
    np.save(where / "truth.npy", truth)
    masks.convert(where / "packed", where / "truth.npy", frames, width, height)
    packed = bitmasks.open_masks(where / "packed")
    assert len(packed) == frames
    for i in range(frames):
        assert packed[i].dtype == bool
        np.testing.assert_array_equal(packed[i], truth[i] != 0)
    assert bitmasks.marked_intervals(packed) == intervals.intervals_of((truth != 0).any((1, 2)))


def one_bit(path: Path, mask: np.ndarray) -> None:
    write(path, mask.astype(np.uint8) * 255, cv2.IMWRITE_PNG_BILEVEL, 1)


@pytest.mark.parametrize(
    ("suffix", "save"),
    [
        (".png", one_bit),
        (".png", lambda path, mask: write(path, mask.astype(np.uint8))),
        (".png", lambda path, mask: write(path, mask.astype(np.uint16))),
        (
            ".png",
            lambda path, mask: write(
                path, np.dstack([mask.astype(np.uint8), *[mask * 0] * 2, mask * 0 + 255])
            ),
        ),
        (".bmp", lambda path, mask: write(path, mask.astype(np.uint8) * 255)),
        (".tif", lambda path, mask: write(path, mask.astype(np.uint8) * 255)),
        (".jpg", lambda path, mask: write(path, mask.astype(np.uint8) * 255)),
    ],
)
def test_masks_of_any_picture_format(tmp_path, suffix, save):
    truth = np.zeros((12, 24, 37), bool)
    truth[2:5, 8:16, 8:24] = True
    for i, mask in enumerate(truth):
        save(tmp_path / "m" / f"{i}{suffix}", mask)
    masks.convert(tmp_path / "packed", tmp_path / "m", 12, 37, 24)
    packed = bitmasks.open_masks(tmp_path / "packed")
    np.testing.assert_array_equal([packed[i] for i in range(12)], truth)
    assert bitmasks.marked_intervals(packed) == [(2, 5)]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((3, 8, 12)), r"m.npz: 3 masks, but the clip has 4 frames; expected a mask per frame"),
        (np.ones((4, 8, 11)), r"m.npz: mask 0 is 11x8 \(width x height\), but the frames are 12x8"),
        (np.ones((4, 12, 8)), r"m.npz: mask 0 is 8x12"),
        (np.ones(4), r"m.npz: an array of shape \[4\]; expected \[frames, height, width\]"),
        (np.array([None]), r"m.npz: not a whole .npy or .npz file of numbers"),
    ],
)
def test_masks_of_another_count_or_shape_are_refused(tmp_path, array, message):
    np.savez(tmp_path / "m.npz", array)
    with pytest.raises(UserError, match=message):
        masks.convert(tmp_path / "packed", tmp_path / "m.npz", 4, 12, 8)
    assert not (tmp_path / "packed.json").exists()


def test_broken_mask_files_are_refused(tmp_path):
    (tmp_path / "m.npy").write_text("version https://git-lfs")
    with pytest.raises(UserError, match=r"m.npy: not a whole .npy or .npz file of numbers"):
        masks.convert(tmp_path / "packed", tmp_path / "m.npy", 4, 12, 8)
    np.savez(tmp_path / "m.npz", np.ones((4, 8, 12)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "m.npz").read_bytes()[:500])
    with pytest.raises(UserError, match=r"cut.npz: not a whole .npy or .npz file"):
        masks.convert(tmp_path / "packed", tmp_path / "cut.npz", 4, 12, 8)
    np.savez(tmp_path / "m.npz", a=np.ones(3), b=np.ones(3))
    with pytest.raises(UserError, match=r"m.npz: holds the arrays a, b; expected a single array"):
        masks.convert(tmp_path / "packed", tmp_path / "m.npz", 4, 12, 8)
    pictures(tmp_path / "m", frames=3)
    write(tmp_path / "m/3.png", np.ones((8, 13), np.uint8))
    with pytest.raises(UserError, match=r"mask 3 is 13x8 .* but the frames are 12x8"):
        masks.convert(tmp_path / "packed", tmp_path / "m", 4, 12, 8)
