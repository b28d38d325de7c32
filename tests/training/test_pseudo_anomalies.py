"""Pseudo-anomalies: which windows are altered, and how; frames further apart, flow multiplied."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.windows.tensors import cut_clip, table_of, tensor_spec
from vad.store import tables
from vad.training.params import PseudoParams
from vad.training.pseudo_anomalies import alter
from vad.windows.dataset import Windows

LENGTH = 12


def params(**changed: object) -> PseudoParams:
    defaults = {"kind": "skip_frame", "goal": "restore", "share": 0.5, "steps": [2, 3], "factors": [2.0, 4.0]}
    return PseudoParams(**defaults | changed)


def make(
    folder: Path, rows: list[tuple[int, int, int]], frames: int, position: str, stride: int = 1
) -> Windows:
    """A clip whose frame t is t everywhere but that column x has x added; rows are (frame, track, x0)."""
    video = np.arange(LENGTH)[:, None, None] * 10 + np.arange(8) // 4 * 5 + np.zeros((1, 8, 1), int)
    boxes = table_of([(frame, track, x0, 0, x0 + 4, 8) for frame, track, x0 in rows])
    spec = tensor_spec(8, 8, channels=["gray"], frames=frames, position=position, stride=stride)
    folder.mkdir(parents=True, exist_ok=True)
    return Windows(cut_clip(folder, video.astype(np.uint8), spec, boxes=boxes).parent)


def value(frame: int, x0: int) -> int:
    return frame * 10 + x0 // 4 * 5


@given(
    window=st.integers(2, 5),
    position=st.sampled_from(["middle", "last"]),
    stride=st.sampled_from([1, 3]),
    step=st.integers(2, 5),
    x0=st.sampled_from([0, 4]),
)
@settings(max_examples=25)
def test_skip_frame_takes_frames_further_apart(tmp_path_factory, window, position, stride, step, x0):
    """Also with strides, where frames in between come from the windows of their neighbours."""
    folder = tmp_path_factory.mktemp("clip")
    made = make(folder, [(t, 0, x0) for t in range(LENGTH)], window, position, stride)
    frames = tables.read_table(folder / "tensors/clip")["frame"].to_numpy()
    got = made.skipping(np.arange(len(made)), np.full(len(made), step))
    assert got.shape == (len(made), 1, window, 8, 8)
    before = (window - 1) // 2 if position == "middle" else window - 1
    there = sorted({min(max(f + k - before, 0), LENGTH - 1) for f in frames for k in range(window)})
    for i, f in enumerate(frames):
        wanted = [f + (k - before) * step for k in range(window)]
        nearest = [min(there, key=lambda t: (abs(t - w), t)) for w in wanted]
        assert got[i, 0, :, 0, 0].tolist() == [value(t, x0) for t in nearest]
    assert (got == made.skipping(np.arange(len(made)), np.full(len(made), step))).all()


def test_skip_frame_follows_the_boxes_of_a_track(tmp_path):
    """Track 1 is at the left until frame 5, then at the right; track 2 must not be mixed in."""
    rows = [(t, 1, 0 if t < 6 else 4) for t in range(LENGTH)] + [(t, 2, 2) for t in range(3)]
    made = make(tmp_path, sorted(rows), 3, "middle")
    table = tables.read_table(tmp_path / "tensors/clip")
    (at,) = np.flatnonzero((table["frame"] == 5) & (table["track"] == 1))
    got = made.skipping(np.array([at, at]), np.array([2, 4]))
    assert got[0, 0, :, 0, 0].tolist() == [value(3, 0), value(5, 0), value(7, 4)]
    assert got[1, 0, :, 0, 0].tolist() == [value(1, 0), value(5, 0), value(9, 4)]


def test_skip_frame_does_not_mix_regions_without_track(tmp_path):
    made = make(tmp_path, [(t, -1, x) for t in range(LENGTH) for x in (0, 4)], 3, "middle")
    table = tables.read_table(tmp_path / "tensors/clip")
    got = made.skipping(np.arange(len(made)), np.full(len(made), 2))
    windows = made[np.arange(len(made))]
    np.testing.assert_array_equal(got[:, :, 1], windows[:, :, 1])
    inside = ((table["frame"] > 0) & (table["frame"] < LENGTH - 1)).to_numpy()
    np.testing.assert_array_equal(
        got[inside], windows[inside]
    )  # of a region there is nothing beyond its window


def test_only_a_share_of_the_windows_is_altered(tmp_path):
    made = make(tmp_path, [(t, 0, 0) for t in range(LENGTH)], 3, "last")
    indices = np.repeat(np.arange(LENGTH), 50)
    clean = made[indices]
    shown, altered = alter(clean, indices, made, params(share=0.3), np.random.default_rng(0))
    assert shown.dtype == np.float32
    assert 0.2 < altered.mean() < 0.4
    np.testing.assert_array_equal(shown[~altered], clean[~altered].astype(np.float32) / 255)
    late = altered & (indices > 7)
    steps = (shown[late, 0, 2, 0, 0] - shown[late, 0, 1, 0, 0]) * 25.5
    assert set(np.round(steps).tolist()) == {2, 3}
    again, _ = alter(clean, indices, made, params(share=0.3), np.random.default_rng(0))
    np.testing.assert_array_equal(again, shown)
    for share, how_many in ((0.0, 0), (1.0, len(indices))):
        _, altered = alter(clean, indices, made, params(share=share), np.random.default_rng(0))
        assert altered.sum() == how_many


class Flowing:
    """Stands for windows of three planes."""

    channels = ("gray", "flow_x", "flow_y")


def test_jitter_multiplies_only_the_flow():
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (200, 3, 2, 4, 4), np.uint8)
    shown, altered = alter(clean, np.arange(200), Flowing(), params(kind="jitter", share=1.0), rng)
    assert altered.all()
    np.testing.assert_array_equal(shown[:, 0], clean[:, 0].astype(np.float32) / 255)
    before, after = clean[:, 1:] - 128.0, shown[:, 1:] * 255.0 - 128.0
    moving = before != 0
    assert np.abs(after[~moving]).max() < 1e-3
    factor = np.where(moving, after / np.where(moving, before, 1), np.nan)
    of_window = np.nanmedian(factor, axis=(1, 2, 3, 4))
    np.testing.assert_allclose(np.nan_to_num(factor - of_window[:, None, None, None, None]), 0, atol=1e-3)
    assert 2 <= of_window.min() < 2.2
    assert 3.8 < of_window.max() <= 4
