"""Videos of reconstructions, compared with what the autoencoders and the stage `measure` compute."""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

from tests.windows.tensors import cut_clip, tensor_spec
from vad.branches.network import ReductionParams
from vad.branches.window_errors import WindowErrors
from vad.models.base import MODELS, Autoencoder, create
from vad.report.reconstruction import FULL_ERROR, PANEL, TITLE, code, draw_reconstruction
from vad.store.zones import ALL_JUDGED, CameraZones, Zone
from vad.windows.dataset import Windows

FPS, FRAMES = 12.5, 70  # of the tensors; more than a batch
SIZE = 48, 64  # of frames
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # model, its parameters, the tensors
    "reconstruction": ("conv2d", {"window": {"frames": 1}, "channels": [4, 8]}, {}),
    "letterbox": ("conv2d", {"window": {"frames": 1}, "channels": [4, 8]}, {"fit": "letterbox"}),
    "prediction": (
        "unet",
        {"window": {"frames": 3, "position": "last"}},
        {"frames": 3, "position": "last", "stride": 3},
    ),
}


def coded(folder: Path, case: str, folds: int = 2) -> tuple[tuple[Autoencoder, ...], np.ndarray, Path, Path]:
    """Autoencoders with random weights, the frames of a clip, and the stems of its windows and frames."""
    name, params, tensor = CASES[case]
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (FRAMES, *SIZE), np.uint8)
    frames[:, :, : SIZE[1] // 2] //= 4
    spec = tensor_spec(32, 32, **tensor)
    stem = cut_clip(folder, frames, spec=spec)
    shape = Windows(stem.parent, [stem.name]).shape
    torch.manual_seed(0)
    section = MODELS.get(name).Params(**params)
    models = tuple(create(name, section, shape, ["picture"]).eval() for _ in range(folds))
    return models, frames, stem, folder / "frames" / stem.name


@pytest.mark.parametrize("case", list(CASES))
def test_outputs_are_the_means_of_the_autoencoders_and_errors_those_that_were_measured(
    tmp_path: Path, case: str
) -> None:
    models, _, stem, _ = coded(tmp_path, case)
    windows = Windows(stem.parent, [stem.name])
    every = windows[np.arange(len(windows))]
    results = list(code(windows, models))
    assert len(results) == len(windows)
    measured = [WindowErrors(model, ReductionParams()).measure(every, pixels=True) for model in models]
    pixels = np.mean([next(iter(errors.pixels.values()))[0] for errors in measured], axis=0)
    np.testing.assert_allclose([r.error.mean(0) for r in results], pixels, rtol=1e-4, atol=1e-7)
    for i in (0, 21, len(windows) - 1):
        with torch.inference_mode():
            x = torch.from_numpy(every[[i]]).float() / 255
            outputs = [model(x)[0, :, -1].numpy() for model in models]
        np.testing.assert_allclose(results[i].output, np.mean(outputs, axis=0), atol=1e-5)
        np.testing.assert_allclose(results[i].target, every[i, :, -1] / 255, atol=1e-6)


def panels(path: Path) -> list[list[np.ndarray]]:
    """The three pictures of each frame of a video."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    height = round(PANEL * SIZE[0] / SIZE[1])
    lefts = (0, PANEL + 4, 2 * (PANEL + 4))
    return [[f[TITLE : TITLE + height, left : left + PANEL] for left in lefts] for f in frames]


@pytest.mark.parametrize("case", list(CASES))
def test_the_video_shows_frame_output_and_error_of_every_frame(tmp_path: Path, case: str) -> None:
    models, frames, stem, of_frames = coded(tmp_path, case)
    draw_reconstruction(tmp_path / "data", stem, of_frames, models, ALL_JUDGED)
    shown = panels(tmp_path / "data.mp4")
    assert len(shown) == FRAMES
    results = list(code(Windows(stem.parent, [stem.name]), models))
    stride = CASES[case][2].get("stride", 1)
    for t in (0, 7, 44, FRAMES - 1):
        k = min(round(t / stride + 1e-9), len(results) - 1)
        picture, output, error = shown[t]
        half = PANEL // 2  # the left half of a frame is darker
        assert picture[:, :half].mean() < picture[:, half:].mean() / 2
        expected = cv2.resize(frames[k * stride], (PANEL, picture.shape[0])).astype(float)
        assert np.corrcoef(smooth(expected), smooth(picture.mean(2)))[0, 1] > 0.9
        assert output.mean() == pytest.approx(255 * results[k].output.mean(), abs=12) or case == "letterbox"
        brightness = np.sqrt(results[k].error.mean()) / FULL_ERROR
        assert (error.mean() > 60) == (brightness > 0.5)


def smooth(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (16, 12), interpolation=cv2.INTER_AREA).ravel()


def test_the_error_is_black_where_frames_are_not_judged(tmp_path: Path) -> None:
    models, _, stem, of_frames = coded(tmp_path, "reconstruction")
    left = CameraZones((Zone("ignore", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))),))
    draw_reconstruction(tmp_path / "data", stem, of_frames, models, left)
    for _, _, error in panels(tmp_path / "data.mp4")[::20]:
        assert error[:, : PANEL // 2 - 8].max() < 30
        assert error[:, PANEL // 2 + 8 :].mean() > 60
