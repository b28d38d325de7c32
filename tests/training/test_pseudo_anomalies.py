"""Pseudo-anomalies: which windows are altered, and how; frames further apart, flow multiplied."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError, regions
from vad.flow import none as no_flow
from vad.resize.cut import cut
from vad.store import arrays, tables
from vad.training import pseudo_anomalies
from vad.training.pseudo_anomalies import PseudoParams
from vad.windows.dataset import Windows
from vad.windows.spec import WindowParams

LENGTH = 12


def params(**changed: object) -> PseudoParams:
    defaults = {"kind": "skip_frame", "goal": "restore", "share": 0.5, "steps": [2, 3], "factors": [2.0, 4.0]}
    return PseudoParams(**defaults | changed)


def make(
    folder: Path, rows: list[tuple[int, int, int]], window: int, position: str, stride: int = 1
) -> Windows:
    """A clip whose frame t is t everywhere but that column x has x added; rows are (frame, track, x0)."""
    folder.mkdir(parents=True, exist_ok=True)
    video = np.arange(LENGTH)[:, None, None] * 10 + np.arange(8) // 4 * 5 + np.zeros((1, 8, 1), int)
    arrays.write_array(folder / "frames/a", video.astype(np.uint8), fps=10.0)
    no_flow.flow(folder / "flow/a", folder / "frames/a", no_flow.Params(), threads=1)
    table = pd.DataFrame(rows, columns=["frame", "track", "x0"]).astype(np.int32)
    table = table.assign(y0=0, x1=table["x0"] + 4, y1=8, source="motion", confidence=1)
    regions.write(folder / "regions/a", table)
    (folder / "tensors").mkdir()
    how = WindowParams(
        channels=["gray"],
        height=8,
        width=8,
        window=window,
        step=1,
        position=position,
        stride=stride,
        fit="stretch",
    )
    cut(
        folder / "tensors/a", *(folder / kind / "a" for kind in ("frames", "regions", "flow")), how, threads=1
    )
    return Windows(folder / "tensors")


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
def test_frames_of_a_whole_frame_lie_that_far_apart(tmp_path_factory, window, position, stride, step, x0):
    """With strides, too: the frames between come from the windows of their neighbours."""
    folder = tmp_path_factory.mktemp("clip")
    made = make(folder, [(t, 0, x0) for t in range(LENGTH)], window, position, stride)
    frames = tables.read_table(folder / "tensors/a")["frame"].to_numpy()
    got = made.skipping(np.arange(len(made)), np.full(len(made), step))
    assert got.shape == (len(made), 1, window, 8, 8)
    before = (window - 1) // 2 if position == "middle" else window - 1
    there = sorted({min(max(f + k - before, 0), LENGTH - 1) for f in frames for k in range(window)})
    for i, f in enumerate(frames):
        wanted = [f + (k - before) * step for k in range(window)]
        nearest = [min(there, key=lambda t: (abs(t - w), t)) for w in wanted]
        assert got[i, 0, :, 0, 0].tolist() == [value(t, x0) for t in nearest]
    assert (got == made.skipping(np.arange(len(made)), np.full(len(made), step))).all()


def test_a_box_moves_along_with_its_track(tmp_path):
    """Track 1 is at the left until frame 5, then at the right; track 2 must not be mixed in."""
    rows = [(t, 1, 0 if t < 6 else 4) for t in range(LENGTH)] + [(t, 2, 2) for t in range(3)]
    made = make(tmp_path, sorted(rows), 3, "middle")
    table = tables.read_table(tmp_path / "tensors/a")
    (at,) = np.flatnonzero((table["frame"] == 5) & (table["track"] == 1))
    got = made.skipping(np.array([at, at]), np.array([2, 4]))
    assert got[0, 0, :, 0, 0].tolist() == [value(3, 0), value(5, 0), value(7, 4)]
    assert got[1, 0, :, 0, 0].tolist() == [value(1, 0), value(5, 0), value(9, 4)]


def test_regions_without_a_track_are_not_taken_for_one_another(tmp_path):
    made = make(tmp_path, [(t, -1, x) for t in range(LENGTH) for x in (0, 4)], 3, "middle")
    table = tables.read_table(tmp_path / "tensors/a")
    got = made.skipping(np.arange(len(made)), np.full(len(made), 2))
    own = made[np.arange(len(made))]
    np.testing.assert_array_equal(got[:, :, 1], own[:, :, 1])
    inside = ((table["frame"] > 0) & (table["frame"] < LENGTH - 1)).to_numpy()
    np.testing.assert_array_equal(got[inside], own[inside])  # of a region there is nothing beyond its window


def test_a_share_is_altered_and_the_rest_is_as_it_was(tmp_path):
    made = make(tmp_path, [(t, 0, 0) for t in range(LENGTH)], 3, "last")
    indices = np.repeat(np.arange(LENGTH), 50)
    clean = made[indices]
    shown, altered = pseudo_anomalies.alter(clean, indices, made, params(share=0.3), np.random.default_rng(0))
    assert shown.dtype == np.float32
    assert 0.2 < altered.mean() < 0.4
    np.testing.assert_array_equal(shown[~altered], clean[~altered].astype(np.float32) / 255)
    late = altered & (indices > 7)
    steps = (shown[late, 0, 2, 0, 0] - shown[late, 0, 1, 0, 0]) * 25.5
    assert set(np.round(steps).tolist()) == {2, 3}
    again, _ = pseudo_anomalies.alter(clean, indices, made, params(share=0.3), np.random.default_rng(0))
    np.testing.assert_array_equal(again, shown)
    for share, how_many in ((0.0, 0), (1.0, len(indices))):
        _, altered = pseudo_anomalies.alter(
            clean, indices, made, params(share=share), np.random.default_rng(0)
        )
        assert altered.sum() == how_many


class Flowing:
    """Stands for windows of three planes."""

    channels = ("gray", "flow_x", "flow_y")


def test_jitter_multiplies_speed_and_nothing_else():
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (200, 3, 2, 4, 4), np.uint8)
    shown, altered = pseudo_anomalies.alter(
        clean, np.arange(200), Flowing(), params(kind="jitter", share=1.0), rng
    )
    assert altered.all()
    np.testing.assert_array_equal(shown[:, 0], clean[:, 0].astype(np.float32) / 255)
    before, after = clean[:, 1:] - 128.0, shown[:, 1:] * 255.0 - 128.0
    moving = before != 0
    assert np.abs(after[~moving]).max() < 1e-3
    factor = np.where(moving, after / np.where(moving, before, 1), np.nan)
    one = np.nanmedian(factor, axis=(1, 2, 3, 4))
    np.testing.assert_allclose(np.nan_to_num(factor - one[:, None, None, None, None]), 0, atol=1e-3)
    assert 2 <= one.min() < 2.2
    assert 3.8 < one.max() <= 4


@pytest.mark.parametrize(
    ("kind", "planes", "window", "message"),
    [
        ("jitter", ["gray"], 5, r"put flow into resize\.channels"),
        ("skip_frame", ["gray"], 1, "windows of at least 2 frames"),
        ("jitter", ["flow_x", "flow_y"], 1, None),
        ("skip_frame", ["gray"], 2, None),
        ("none", ["gray"], 1, None),
    ],
)
def test_what_cannot_be_altered_is_refused(kind, planes, window, message):
    if message is None:
        pseudo_anomalies.need(params(kind=kind), planes, window)
    else:
        with pytest.raises(UserError, match=message):
            pseudo_anomalies.need(params(kind=kind), planes, window)


def test_what_would_outweigh_the_normal_is_refused():
    with pytest.raises(ValueError, match=r"set share below 0\.5"):
        params(goal="repel")
    params(goal="repel", share=0.01)
    params(goal="repel", kind="none")


def test_a_range_that_falls_is_refused():
    with pytest.raises(ValueError, match="must not exceed"):
        params(factors=[4.0, 2.0])
