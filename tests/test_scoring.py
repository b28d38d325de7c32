"""Windows to errors, errors to scores: what is normal, and the threshold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError, inference, models, scoring, store
from vad.inference import BRANCH, ScoreParams
from vad.models import Autoencoder, conv2d
from vad.scoring import CalibrateParams, Calibration, ClipErrors

RNG = np.random.default_rng(0)


def clip(errors, frames: int | None = None, at=None, name="val/a") -> ClipErrors:
    """A clip with a window per frame, or with windows at the frames `at`."""
    at = np.arange(len(errors)) if at is None else at
    table = pd.DataFrame({"frame": at, "region": np.arange(len(errors)), "track": 0, BRANCH: errors})
    return ClipErrors(name, frames or len(errors), table)


def calibrated(*errors, percentile=95.0) -> Calibration:
    return scoring.calibrate([clip(e) for e in errors], CalibrateParams(percentile=percentile))


floats = st.floats(0, 1, width=32).map(lambda x: round(x, 4))


@given(st.lists(floats, min_size=5, max_size=60), st.lists(floats, min_size=2, max_size=60))
def test_scores_keep_the_order_of_errors(normal, errors):
    """Ranks, ties included, are those of the errors: calibration changes no AUC."""
    if not np.quantile(normal, 0.95) > np.median(normal):
        with pytest.raises(UserError, match="no scale"):
            calibrated(np.array(normal))
        return
    scores = calibrated(np.array(normal)).scores(clip(np.array(errors)).table)
    ranks = np.unique(scores, return_inverse=True)[1]
    assert ranks.tolist() == np.unique(np.array(errors), return_inverse=True)[1].tolist()


def test_median_is_0_and_the_95th_percentile_is_1():
    normal = RNG.gamma(2, 1, 1001)
    calibration = calibrated(normal[:400], normal[400:])  # clips count by their frames
    median, high = np.median(normal), np.percentile(normal, 95)
    scores = calibration.scores(clip(np.array([median, high, 2 * high - median])).table)
    np.testing.assert_allclose(scores, [0, 1, 2], atol=1e-12)
    assert calibration.frames == 1001


@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0, 99.9])
def test_the_threshold_leaves_so_many_normal_frames_below(percentile):
    clips = [clip(RNG.gamma(2, 1, n)) for n in (300, 700)]
    calibration = scoring.calibrate(clips, CalibrateParams(percentile=percentile))
    scores = np.concatenate([c.per_frame(calibration.scores(c.table)) for c in clips])
    assert calibration.threshold == pytest.approx(np.percentile(scores, percentile))
    assert (scores > calibration.threshold).mean() == pytest.approx(1 - percentile / 100, abs=1.1e-3)


def test_it_is_frames_that_count_not_windows():
    """Two windows in a frame: the higher one is the frame's; frames between strides count as well."""
    errors, at = np.array([1.0, 5.0, 2.0]), np.array([0, 0, 4])
    calibration = scoring.calibrate([clip(errors, 8, at)], CalibrateParams(percentile=50))
    frames = [5, 5, 5, 2, 2, 2, 2, 2]
    assert calibration.frames == 8
    assert calibration.branches == {BRANCH: {"median": 2.0, "q95": np.quantile(frames, 0.95)}}


def test_branches_are_calibrated_each_and_then_added():
    table = clip(RNG.random(50)).table.assign(error_motion=1000 * RNG.random(50))
    both = scoring.calibrate([ClipErrors("val/a", 50, table)], CalibrateParams(percentile=90))
    assert set(both.branches) == {BRANCH, "error_motion"}
    one = calibrated(table[BRANCH].to_numpy(), percentile=90.0).scores(table)
    other = Calibration({"error_motion": both.branches["error_motion"]}, 0, 90, 0).scores(table)
    np.testing.assert_allclose(both.scores(table), one + other)
    with pytest.raises(UserError, match=r"lack the branches \['error_motion'\]"):
        both.scores(table.drop(columns="error_motion"))


@pytest.mark.parametrize(("errors", "message"), [((), "no validation clips"), (([3, 3, 3],), "no scale")])
def test_what_cannot_be_calibrated_is_refused(errors, message):
    with pytest.raises(UserError, match=message):
        calibrated(*errors)


def test_a_calibration_comes_back_as_it_was(tmp_path):
    calibration = calibrated(RNG.random(40))
    for name in ("a", "b"):
        calibration.save(tmp_path / f"{name}.json")
    assert Calibration.load(tmp_path / "a.json") == calibration
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"threshold": 1}', '{"branches"'])
def test_a_broken_calibration_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(UserError, match=r"calibration\.json: .*dvc repro"):
        Calibration.load(tmp_path / "calibration.json")


class Half(Autoencoder):
    """Makes half of what it gets, so that the error is known: (x / 2)²."""

    name = "half"

    def __init__(self, channels: int = 1, window: int = 1):
        super().__init__(conv2d.Params(channels=[1]), (channels, window, 8, 8))

    def forward(self, x):
        return x / 2


@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("shape", [(5, 1, 1, 8, 8), (2, 3, 4, 8, 8)])
def test_the_error_of_a_window_is_that_of_its_pixels(reduce, shape):
    windows = RNG.integers(0, 256, shape, np.uint8)
    pixels = ((windows / 255 / 2) ** 2).mean(1).reshape(len(windows), -1)
    got = inference.window_errors(Half(*shape[1:3]), windows, reduce)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, getattr(pixels, reduce)(1), rtol=1e-5)


def tensors(folder: Path, windows: int = 7) -> Path:
    """A clip of `windows` windows of two planes each, at every second frame."""
    planes = RNG.integers(0, 256, (windows + 1, 1, 8, 8), np.uint8)
    card = {"frames": 2 * windows, "window": 2, "windows": windows, "channels": ["gray"]}
    store.write_array(folder / "a", planes, **card)
    n = np.arange(windows)
    rows = {"frame": 2 * n, "region": 2 * n, "track": 0 * n, "plane_0": n, "plane_1": n + 1}
    store.write_table(folder / "a", pd.DataFrame(rows).astype(np.int32))
    return folder / "a"


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_a_clip_is_scored_whatever_the_batch(tmp_path, batch_size):
    stem, out = tensors(tmp_path / "tensors"), tmp_path / "errors/a"
    threads = torch.get_num_threads()
    try:
        how = ScoreParams(reduce="mean", batch_size=batch_size)
        inference.score_clip(out, stem, Half(1, 2), how, threads=1)
    finally:
        torch.set_num_threads(threads)
    (found,) = scoring.read_errors(out.parent, ["a"])
    planes = (store.open_array(stem)[0] / 255 / 2) ** 2
    expected = np.array([planes[i : i + 2].mean() for i in range(7)])
    np.testing.assert_allclose(found.table[BRANCH], expected, rtol=1e-5)
    assert found.table["frame"].tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert found.frames == 14
    frames = found.per_frame(found.table[BRANCH])
    np.testing.assert_allclose(frames[:4], expected[[0, 0, 1, 1]], rtol=1e-5)
    assert len(frames) == 14


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_error_that_is_no_number_is_refused_with_clip_and_frame(tmp_path, value):
    errors = np.array([0.1, 0.2, value, 0.4], np.float32)
    store.write_table(tmp_path / "test/a", clip(errors, at=[0, 3, 6, 9]).table)
    store.write_json(tmp_path / "test/a.json", {"frames": 12})
    with pytest.raises(UserError, match=r"clip 'test/a': the error of frame 6 .*train\.learning_rate"):
        scoring.read_errors(tmp_path, ["test/a"])


@given(st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_scores_of_one_window_do_not_depend_on_its_neighbours(n, at):
    """What live use relies on: a window scored alone has the score that it has in a batch."""
    torch.manual_seed(0)
    model = models.create("conv2d", conv2d.Params(channels=[4]), (1, 1, 16, 16)).eval()
    windows = np.random.default_rng(n).integers(0, 256, (n + at, 1, 1, 16, 16), np.uint8)
    together = inference.window_errors(model, windows, "mean")
    alone = inference.window_errors(model, windows[at : at + 1], "mean")
    np.testing.assert_allclose(together[at : at + 1], alone, rtol=1e-4)
