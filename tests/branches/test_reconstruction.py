"""Reduction of residuals to errors of windows, and maps of pixel errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from tests.branches.measured import HALF, Half, branches_of, measure, write_inputs
from vad import UserError, models
from vad.branches.reconstruction import Reconstruction
from vad.branches.window_errors import WindowErrors, reduce_errors
from vad.models.conv2d import Conv2d
from vad.store import arrays

RNG = np.random.default_rng(0)
REDUCTIONS = ["mean", "max", "top_k", "patch_max", "psnr", "mean_vector"]


def params(**changed) -> Reconstruction.Params:
    return Reconstruction.Params(**{"top_share": 0.1, "patch": 3} | changed)


def by_numpy(residual: np.ndarray, how: str, share: float, patch: int) -> np.ndarray:
    """The error of each window of [B, C, T, h, w], from the definition."""
    if how == "mean_vector":
        return np.sqrt((residual.mean((2, 3, 4)) ** 2).sum(1))
    pixels = (residual**2).mean(1)  # [B, T, h, w]
    flat = np.sort(pixels.reshape(len(pixels), -1), 1)
    if how == "patch_max":  # centred means, of which those that reach over the edge do not count
        h, w = (min(patch, side) for side in pixels.shape[2:])
        mean = uniform_filter(pixels, (1, 1, h, w))[:, :, h // 2 :, w // 2 :]
        return mean[:, :, : pixels.shape[2] - h + 1, : pixels.shape[3] - w + 1].max((1, 2, 3))
    count = int(np.ceil(share * flat.shape[1]))
    return {
        "mean": flat.mean(1),
        "max": flat[:, -1],
        "top_k": flat[:, -count:].mean(1),
        "psnr": 100 + 10 * np.log10(np.maximum(flat.mean(1), 1e-10)),
    }[how]


@given(
    shape=st.tuples(*(st.integers(1, n) for n in (4, 3, 3, 9, 9))),
    share=st.sampled_from([0.01, 0.3, 1.0]),
    patch=st.sampled_from([1, 2, 3, 20]),
    size=st.sampled_from([0.0, 1e-6, 1.0, 9.0]),
)
@settings(max_examples=50, deadline=None)
def test_reductions_are_those_of_the_definition(shape, share, patch, size):
    residual = size * np.random.default_rng(sum(shape)).normal(0.1, 1, shape)
    for how in REDUCTIONS:
        tensor = torch.from_numpy(residual.astype(np.float32))
        errors = reduce_errors(tensor, how, params(top_share=share, patch=patch)).numpy()
        assert (errors.dtype, errors.shape) == (np.float32, shape[:1])
        assert (errors >= 0).all()
        np.testing.assert_allclose(errors, by_numpy(residual, how, share, patch), rtol=1e-4, atol=1e-5 * size)


def test_mean_vector_cancels_noise_and_keeps_a_common_shift():
    """Two planes of flow with the same residual in all pixels."""
    noise = torch.from_numpy(RNG.normal(0, 1, (1, 2, 5, 16, 16)).astype(np.float32))
    shift = torch.zeros(1, 2, 5, 16, 16) + torch.tensor([0.3, -0.4]).view(2, 1, 1, 1)
    assert reduce_errors(shift, "mean_vector", params()) == pytest.approx(0.5, rel=1e-5)
    assert reduce_errors(noise, "mean_vector", params()) < 0.1
    assert reduce_errors(noise, "mean", params()) > 3 * reduce_errors(shift, "mean", params())


def test_branches_of_flow_use_reduce_flow():
    names = ["reconstruction", "prediction", "appearance", "flow", "translation"]
    assert [params(reduce="max").reduction(name) for name in names] == ["max"] * 3 + ["mean_vector"] * 2


def test_parameters_that_no_reduction_uses_are_not_active():
    """So a change of an unused parameter recomputes no clip."""
    for key, values, used_by in (("top_share", (0.1, 0.2), "top_k"), ("patch", (3, 5), "patch_max")):
        for place in ("reduce", "reduce_flow"):
            unused = [params(**{key: value}).active() for value in values]
            assert unused[0] == unused[1]
            used = [params(**{key: value, place: used_by}).active() for value in values]
            assert used[0] != used[1]


@pytest.mark.parametrize("how", REDUCTIONS)
def test_windows_are_reduced_as_the_parameters_say(tmp_path, how):
    stems = write_inputs(tmp_path)
    planes = arrays.open_array(stems[0])[0] / 255 / 2
    windows = np.stack([planes[i : i + 2, 0] for i in range(7)])[:, None]
    expected = by_numpy(windows, how, 0.1, 3)
    clip = measure(tmp_path, stems, branches_of(reduce=how))
    np.testing.assert_allclose(clip.table["error_reconstruction"], expected, rtol=1e-4)
    clip = measure(tmp_path, stems, branches_of(Half(branch="flow"), reduce_flow=how))
    np.testing.assert_allclose(clip.table["error_flow"], expected, rtol=1e-4)


@pytest.mark.parametrize(("position", "first"), [("middle", 0), ("last", 1)])
def test_maps_show_the_frame_that_a_window_belongs_to(tmp_path, position, first):
    """Two frames, with 5 x 4 pixels of the frame per pixel of the tensor."""
    stems = write_inputs(tmp_path)
    clip = measure(tmp_path, stems, branches_of(Half(position), maps=True, reduce="max"), cell=1)
    maps = clip.maps["reconstruction"]
    assert (maps.shape, maps.dtype) == ((14, 32, 40), np.float16)
    planes = (arrays.open_array(stems[0])[0][first : first + 7, 0] / 255 / 2) ** 2
    expected = np.kron(planes, np.ones((1, 4, 5)))
    np.testing.assert_allclose(maps, expected[np.repeat(np.arange(7), 2)], rtol=2e-3, atol=1e-6)


def test_windows_of_another_shape_are_refused():
    windows = np.zeros((3, 1, 2, 8, 10), np.uint8)
    with pytest.raises(
        UserError, match=r"made for windows of 1x2x8x8 .*, these are 1x2x8x10; run `dvc repro tr"
    ):
        WindowErrors(HALF, params()).measure(windows, pixels=False)


@given(st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_the_error_of_a_window_does_not_depend_on_its_batch(n, at):
    """Live use needs this: a window alone has the same error as in a batch."""
    torch.manual_seed(0)
    conv2d = Conv2d.Params(window={"frames": 1}, channels=[4])
    model = models.create("conv2d", conv2d, (1, 1, 16, 16)).eval()
    windows = np.random.default_rng(n).integers(0, 256, (n + at, 1, 1, 16, 16), np.uint8)
    together, alone = (
        WindowErrors(model, params()).measure(some, pixels=False).errors["reconstruction"]
        for some in (windows, windows[at : at + 1])
    )
    np.testing.assert_allclose(together[at : at + 1], alone, rtol=1e-4)
