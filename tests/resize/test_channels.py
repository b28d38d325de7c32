"""Channels: each is compared pixel by pixel with plain numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tests.windows.tensors import step_per_count, tensor_spec, write_frames
from vad import UserError
from vad.flow.compute import compute_flow
from vad.flow.none import NoFlow
from vad.regions.table import write
from vad.resize.channels import Sources
from vad.resize.cut import cut
from vad.resize.cutter import Cutter
from vad.store import arrays
from vad.windows.spec import ResizeParams

RNG = np.random.default_rng(0)
LENGTH, HEIGHT, WIDTH = 5, 11, 19  # a width that fills no whole number of bytes
GRAY = RNG.integers(0, 256, (LENGTH, HEIGHT, WIDTH), np.uint8)
RGB = RNG.integers(0, 256, (LENGTH, HEIGHT, WIDTH, 3), np.uint8)
OUTLINE = RNG.random((LENGTH, HEIGHT, WIDTH)) < 0.4
COUNTS = RNG.integers(-127, 128, (LENGTH, HEIGHT, WIDTH, 2), np.int8)


def written(
    folder: Path,
    frames: np.ndarray = GRAY,
    picture: tuple[str, ...] = ("frame",),
    outline: np.ndarray | None = None,
    counts: np.ndarray | None = None,
) -> tuple[Path, Path, Path]:
    """Stems of frames, regions and flow of a clip; silhouettes and flow are there only if given."""
    stems = folder / "frames", folder / "regions", folder / "flow"
    length, height, width = frames.shape[:3]
    write_frames(stems[0], frames)
    table = pd.DataFrame(
        {"frame": np.arange(length), "track": 0, "x0": 0, "y0": 0, "x1": width, "y1": height}
    )
    write(stems[1], table.assign(source="frame", confidence=1), picture)
    if outline is not None:
        packed = np.packbits(outline, axis=-1)
        arrays.write_array(folder / "regions.silhouette", packed, height=height, width=width)
    if counts is None:
        compute_flow(stems[2], stems[0], NoFlow(NoFlow.Params()), threads=1)
    else:
        arrays.write_array(stems[2], counts, method="dis", scale=0.25)
    return stems


def planes(folder: Path, channels: list[str], **clip: Any) -> tuple[list[str], np.ndarray]:
    """(names, uint8 [T, C, H, W]) of all planes: tensors of boxes that are whole frames at their size."""
    array, card = tensors(folder, channels, **clip)
    return card["channels"], np.array(array)


def tensors(folder: Path, channels: list[str], **clip: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """The array and the card that `cut` writes."""
    stems = written(folder, **clip)
    height, width = arrays.open_array(stems[0])[0].shape[1:3]
    spec, body = tensor_spec(height, width, channels=channels), step_per_count(0.25, height)
    cut(folder / "tensors", *stems, spec, body, threads=1)
    return arrays.open_array(folder / "tensors")


def luminance(rgb: np.ndarray) -> np.ndarray:
    """ITU-R BT.601, float [T, H, W]."""
    return rgb @ np.array([0.299, 0.587, 0.114])


def difference(gray: np.ndarray) -> np.ndarray:
    out = np.abs(np.diff(gray.astype(int), axis=0))
    return np.concatenate([out[:1], out])


def test_gray_is_the_frame(tmp_path):
    names, made = planes(tmp_path, ["gray"])
    assert names == ["gray"]
    np.testing.assert_array_equal(made[:, 0], GRAY)


def test_gray_of_colour_is_its_luminance(tmp_path):
    names, made = planes(tmp_path, ["gray"], frames=RGB)
    assert names == ["gray"]
    assert np.abs(made[:, 0] - luminance(RGB)).max() <= 0.51


def test_rgb_is_red_green_blue(tmp_path):
    names, made = planes(tmp_path, ["rgb"], frames=RGB)
    assert names == ["red", "green", "blue"]
    np.testing.assert_array_equal(made.transpose(0, 2, 3, 1), RGB)


def test_difference_is_to_the_frame_before_and_frame_0_repeats_frame_1(tmp_path):
    names, made = planes(tmp_path, ["difference"])
    assert names == ["difference"]
    np.testing.assert_array_equal(made[:, 0], difference(GRAY))


def test_difference_of_colour_is_that_of_gray(tmp_path):
    _, made = planes(tmp_path, ["gray", "difference"], frames=RGB)
    np.testing.assert_array_equal(made[:, 1], difference(made[:, 0]))


def test_the_difference_of_a_single_frame_is_0(tmp_path):
    _, made = planes(tmp_path, ["difference", "gray"], frames=GRAY[:1])
    assert not made[:, 0].any()
    np.testing.assert_array_equal(made[:, 1], GRAY[:1])


@pytest.mark.parametrize("width", [8, 9, 15, 16, 17, 19])
def test_silhouettes_are_black_and_white_whatever_the_width(tmp_path, width):
    outline = OUTLINE[:, :, :width]
    names, made = planes(tmp_path, ["silhouette"], frames=GRAY[:, :, :width], outline=outline)
    assert names == ["silhouette"]
    np.testing.assert_array_equal(made[:, 0], np.where(outline, 255, 0))


def test_with_a_step_per_count_flow_is_the_count_above_128(tmp_path):
    names, made = planes(tmp_path, ["flow"], counts=COUNTS)
    assert names == ["flow_x", "flow_y"]
    np.testing.assert_array_equal(made.transpose(0, 2, 3, 1).astype(int), COUNTS.astype(int) + 128)


def bilinear(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixel centres onto pixel centres, the border repeated; float [height, width, C]."""

    def along(axis_length: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = np.clip((np.arange(wanted) + 0.5) * axis_length / wanted - 0.5, 0, axis_length - 1)
        low = np.minimum(np.floor(at).astype(int), axis_length - 1)
        return low, np.minimum(low + 1, axis_length - 1), at - low

    y0, y1, fy = along(len(picture), height)
    x0, x1, fx = along(picture.shape[1], width)
    fy, fx = fy[:, None, None], fx[None, :, None]
    p = picture.astype(float)
    upper = p[y0][:, x0] * (1 - fx) + p[y0][:, x1] * fx
    lower = p[y1][:, x0] * (1 - fx) + p[y1][:, x1] * fx
    return upper * (1 - fy) + lower * fy


def test_smaller_flow_is_enlarged_to_the_size_of_the_frame(tmp_path):
    """It is rounded only afterwards."""
    small = COUNTS[:, :6, :9]
    _, made = planes(tmp_path, ["flow"], counts=small)
    for t in range(LENGTH):
        expected = bilinear(small[t].astype(int) + 128, HEIGHT, WIDTH)
        assert np.abs(made[t].transpose(1, 2, 0) - expected).max() <= 0.501


def test_the_card_has_the_step_of_flow_and_the_value_of_no_motion(tmp_path):
    card = tensors(tmp_path, ["gray", "flow"], counts=COUNTS)[1]
    assert card["flow"] == {"still": 128, "step": 4 / 127, "unit": "body heights per second"}
    assert "flow" not in tensors(tmp_path, ["gray"])[1]


@pytest.mark.parametrize(
    ("picture", "names", "expected"),
    [
        (["frame"], ["gray"], [GRAY]),
        (["masked"], ["masked_gray"], [np.where(OUTLINE, GRAY, 0)]),
        (["silhouette"], ["silhouette"], [OUTLINE * 255]),
        (["frame", "silhouette"], ["gray", "silhouette"], [GRAY, OUTLINE * 255]),
        (["silhouette", "frame"], ["silhouette", "gray"], [OUTLINE * 255, GRAY]),
    ],
)
def test_the_channel_picture_follows_the_card_of_the_regions(tmp_path, picture, names, expected):
    got_names, made = planes(tmp_path, ["picture"], picture=picture, outline=OUTLINE)
    assert got_names == names
    np.testing.assert_array_equal(made, np.stack(expected, axis=1))


RGB_NAMES = ("red", "green", "blue")


@pytest.mark.parametrize("picture", [["frame"], ["masked"], ["frame", "silhouette"]])
def test_the_channel_picture_of_colour_frames_is_in_colour(tmp_path, picture):
    names, made = planes(tmp_path, ["picture"], frames=RGB, picture=picture, outline=OUTLINE)
    shown = np.where(OUTLINE[..., None], RGB, 0) if picture == ["masked"] else RGB
    expected = shown if len(picture) == 1 else np.concatenate([shown, OUTLINE[..., None] * 255], axis=3)
    prefix = "masked_" if picture == ["masked"] else ""
    assert names == [*(prefix + name for name in RGB_NAMES), "silhouette"][: expected.shape[3]]
    np.testing.assert_array_equal(made.transpose(0, 2, 3, 1), expected)


def test_the_channel_picture_needs_silhouettes_only_if_it_shows_them(tmp_path):
    _, made = planes(tmp_path, ["picture"])
    np.testing.assert_array_equal(made[:, 0], GRAY)


ALL = ["picture", "rgb", "difference", "flow", "silhouette"]


def test_planes_come_in_the_order_of_the_channels(tmp_path):
    clip = {"frames": RGB, "outline": OUTLINE, "counts": COUNTS}
    single = {c: planes(tmp_path, [c], **clip) for c in ["gray", *ALL[1:]]}
    for channels in (["flow", "gray", "silhouette"], ["silhouette", "rgb", "difference", "gray", "flow"]):
        names = [name for c in channels for name in single[c][0]]
        expected = np.concatenate([single[c][1] for c in channels], axis=1)
        got, made = planes(tmp_path, channels, **clip)
        assert got == names
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize(
    ("channels", "picture"),
    [
        (["gray", "gray"], ["frame"]),
        (["picture", "gray"], ["frame"]),
        (["picture", "picture"], ["frame"]),
        (["flow", "gray", "flow"], ["frame"]),
        (["picture", "silhouette"], ["frame", "silhouette"]),
        (["silhouette", "picture"], ["silhouette"]),
    ],
)
def test_the_same_plane_twice_is_refused(tmp_path, channels, picture):
    with pytest.raises(
        UserError, match=r"^resize\.channels = \['.*a tensor would hold .*name each source once"
    ):
        tensors(tmp_path, channels, picture=tuple(picture), outline=OUTLINE, counts=COUNTS)


def test_rgb_of_gray_frames_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"resize\.channels .*rgb, but frames are gray; set extract\.color: rgb"
    ):
        tensors(tmp_path, ["rgb"])


def test_flow_without_a_method_is_refused(tmp_path):
    message = r"^resize\.channels: flow needs optical flow, but flow\.method is none; set flow\.method: dis$"
    with pytest.raises(UserError, match=message):
        tensors(tmp_path, ["gray", "flow"])
    with pytest.raises(UserError, match=message):  # as in live use
        Cutter(tensor_spec(channels=["gray", "flow"]), Sources(HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("channels", "picture"), [(["silhouette"], ["frame"]), (["gray", "silhouette"], ["frame"])]
)
def test_missing_silhouettes_are_refused(tmp_path, channels, picture):
    with pytest.raises(UserError, match=r"silhouettes, but there are none; set preprocess\.mode: silhouette"):
        tensors(tmp_path, channels, picture=tuple(picture))


@pytest.mark.parametrize("channels", [[], ["grey"], "gray", ["gray", 3], None])
def test_unknown_channels_are_refused(channels):
    with pytest.raises(ValidationError):
        ResizeParams(channels=channels)
