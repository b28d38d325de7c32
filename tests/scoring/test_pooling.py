"""Pooling of errors of regions and cells to errors of frames, compared with the definition in loops."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from math import exp
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring import errors
from tests.scoring.boxes import FPS, boxed_clip, boxed_clips, nearest_with_windows, whole_frame_regions
from vad.scoring.cells import CellErrors
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.filters import Gaussian, radius
from vad.scoring.gains import Gains
from vad.scoring.params import CalibrateParams
from vad.scoring.pooling import Pooling, frame_errors, mean_of_highest
from vad.scoring.smoothing import Smoothing
from vad.stream import results

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
GAINS = Gains(  # at least two areas for each branch
    {
        "look": np.array([[1.0, 2.0], [4.0, 0.5]], np.float32),
        "speed": np.array([[1.0, 3.0, 0.25]], np.float32),
    },
    {"look": 1.75, "move": 3.0, "speed": 2.0},  # speed has maps only
)


def params(aggregate="region", sigma=0.0, pool="max", top_k=1, lookahead=None) -> CalibrateParams:
    """Parameters, with sigma and lookahead in frames of clips with FPS frames per second."""
    pooled = {"aggregate": aggregate, "error_sigma": sigma / FPS, "pool": pool, "top_k": top_k}
    return errors.params(lookahead=lookahead if lookahead is None else lookahead / FPS, **pooled)


def look(clip: ClipErrors, chosen: CalibrateParams) -> np.ndarray:
    """The errors of frames in the branch `look`."""
    return frame_errors(clip, ["look"], chosen)["look"]


def touches(row, size: tuple[int, int]) -> bool:
    """Whether a box is at most a pixel from the border of the frame, and not the whole frame."""
    (height, width), box = size, (row.x0, row.y0, row.x1, row.y1)
    near = row.x0 in (0, 1) or row.y0 in (0, 1) or row.x1 in (width - 1, width)
    return (near or row.y1 in (height - 1, height)) and box != (0, 0, width, height)


def regions_of(clip: ClipErrors, branch: str, gains: Gains) -> list[SimpleNamespace]:
    """The regions with their `error` in the branch, divided by the gains of area and border."""
    out = []
    for row in clip.table.itertuples():
        error = float(getattr(row, f"error_{branch}"))
        if branch in gains.areas:
            m, n = gains.areas[branch].shape
            i = (row.y0 + row.y1) * m // (2 * clip.size[0])
            j = (row.x0 + row.x1) * n // (2 * clip.size[1])
            error /= float(gains.areas[branch][min(i, m - 1), min(j, n - 1)])
        if touches(row, clip.size):
            error /= gains.border.get(branch, 1.0)
        out.append(SimpleNamespace(**{**row._asdict(), "error": error}))
    return out


def map_of(clip: ClipErrors, branch: str, t: int, gains: Gains) -> list[float]:
    """The errors of the cells in frame t, cell by cell."""
    rows, columns = (-(-side // clip.cell) for side in clip.size)
    at, out = nearest_with_windows(clip, t), []
    here = [r for r in regions_of(clip, branch, gains) if r.frame == at] if branch != "speed" else []
    for i in range(rows):
        for j in range(columns):
            if branch == "speed":
                value = float(clip.maps[branch][t, i, j])
                if branch in gains.areas:
                    area = gains.areas[branch]
                    m, n = area.shape
                    value /= area[(2 * i + 1) * m // (2 * rows), (2 * j + 1) * n // (2 * columns)]
            else:  # a region touches the cell if a pixel of it is in the cell
                y, x = (range(k * clip.cell, (k + 1) * clip.cell) for k in (i, j))
                touching = [r for r in here if {*range(r.y0, r.y1)} & {*y} and {*range(r.x0, r.x1)} & {*x}]
                value = max((r.error for r in touching), default=0.0)
            out.append(value)
    return out


def slowly(clip: ClipErrors, branch: str, chosen: CalibrateParams, gains: Gains) -> list[float]:
    """The errors of frames, computed literally from the definition."""
    sigma = FPS * chosen.error_sigma
    reach = radius(sigma)
    weight = {d: exp(-((d / sigma) ** 2) / 2) if d else 1.0 for d in range(-reach, reach + 1)}
    ahead = Smoothing.of(chosen, FPS).errors_ahead
    weight = {d: w for d, w in weight.items() if d <= ahead}
    frames = range(clip.frames)
    k = chosen.top_k if chosen.pool == "mean_top" else 1

    def top(values: list[float]) -> float:
        highest = sorted(values, reverse=True)[:k]
        return sum(highest) / len(highest) if highest else 0.0

    if chosen.aggregate == "cell" or branch == "speed":
        maps = [np.array(map_of(clip, branch, t, gains)) for t in frames]
        out = []
        for t in frames:
            near = {d: w for d, w in weight.items() if t + d in frames}
            total = sum(w * maps[t + d] for d, w in near.items()) / sum(weight.values())
            share = sum(w**2 for w in near.values()) / sum(w**2 for w in weight.values())
            out.append(top((total / share**0.5).tolist()))
        return out
    regions = regions_of(clip, branch, gains)
    smoothed = {}
    for r in regions:
        same = [r]
        if chosen.aggregate == "track" and r.track >= 0 and reach:
            same = [o for o in regions if o.track == r.track and o.frame - r.frame in weight]
        weights = [weight[o.frame - r.frame] for o in same]
        smoothed[r.Index] = sum(w * o.error for w, o in zip(weights, same, strict=True)) / sum(weights)
    at = [nearest_with_windows(clip, t) for t in frames]
    return [top([smoothed[r.Index] for r in regions if r.frame == at[t]]) for t in frames]


CHOSEN = st.builds(
    params,
    aggregate=st.sampled_from(["region", "cell", "track"]),
    sigma=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    pool=st.sampled_from(["max", "mean_top"]),
    top_k=st.integers(1, 4),
    lookahead=st.sampled_from([None, 0, 1, 2, 3]),
)


@given(boxed_clips(), CHOSEN, st.sampled_from([Gains(), GAINS]))
@settings(max_examples=150, deadline=None)
def test_errors_of_frames_are_those_of_the_definition(clip, chosen, gains):
    assert clip.branches == ["look", "move", "speed"]
    for branch, values in frame_errors(clip, clip.branches, chosen, gains).items():
        assert (values.dtype, values.shape) == (np.float64, (clip.frames,))
        expected = slowly(clip, branch, chosen, gains)
        np.testing.assert_allclose(values, expected, rtol=2e-5, atol=1e-6)


BRANCHES = st.sampled_from([["look", "move", "speed"], ["speed", "look"], ["move"]])


@given(boxed_clips(), CHOSEN, BRANCHES, st.integers(1, 20))
@few
def test_frame_by_frame_errors_are_the_same_and_come_after_the_lookahead(clip, chosen, branches, chunk):
    whole = np.stack(list(frame_errors(clip, branches, chosen, GAINS).values()), 1)

    def pooling(chunk: int) -> Pooling:
        sizes = (clip.size, clip.cell, clip.fps)
        return Pooling(branches, ["look", "move"], chosen, *sizes, GAINS, map_branches=["move"], chunk=chunk)

    one_by_one, done = pooling(1), 0
    for t, item in enumerate(clip.each_frame()):
        for pooled in one_by_one.process(item):
            n = len(pooled.errors)
            assert pooled.maps.shape == (n, 1, *clip.shape)
            np.testing.assert_allclose(pooled.errors, whole[done : done + n], rtol=1e-6)
            done += n
        assert done == max(0, t + 1 - one_by_one.lookahead)
    assert one_by_one.lookahead == Smoothing.of(chosen, FPS).errors_ahead
    rest = np.concatenate([pooled.errors for pooled in one_by_one.finish()] or [whole[:0]])
    np.testing.assert_allclose(rest, whole[done:], rtol=1e-6)
    in_chunks = np.concatenate([pooled.errors for pooled in results(pooling(chunk), clip.each_frame())])
    np.testing.assert_allclose(in_chunks, whole, rtol=1e-6)


@pytest.mark.parametrize("aggregate", ["region", "cell", "track"])
def test_a_frame_without_regions_has_0(aggregate):
    clip = whole_frame_regions([2.0, 3.0], frames=6, at=[1, 4])
    for pool in ("max", "mean_top"):
        assert look(clip, params(aggregate, 0, pool, 3)).tolist() == [0, 2, 0, 0, 3, 0]
    empty = boxed_clip([], 5)
    for lookahead in (None, 1):
        values = frame_errors(empty, ["look", "move"], params(aggregate, 1.0, lookahead=lookahead))
        assert {branch: v.tolist() for branch, v in values.items()} == {"look": [0] * 5, "move": [0] * 5}


def test_a_branch_with_regions_and_maps_uses_its_map_only_for_cells():
    """For cells it uses its map, not its painted regions."""
    clip = whole_frame_regions([1.0, 2.0])
    clip = replace(clip, maps={"look": np.full((2, 3, 4), 0.5, np.float16), "speed": np.ones((2, 3, 4))})
    assert clip.branches == ["look", "move", "speed"]
    for aggregate, expected in (("region", [1, 2]), ("track", [1, 2]), ("cell", [0.5, 0.5])):
        values = frame_errors(clip, ["look", "speed"], params(aggregate))
        assert {b: v.tolist() for b, v in values.items()} == {"look": expected, "speed": [1, 1]}


def test_a_cell_has_the_highest_of_the_regions_that_touch_it():
    rows = [(0, 0, 0, 0, 5, 4, 1, 0), (0, 1, 4, 3, 9, 5, 3, 0), (0, 2, 12, 8, 16, 12, 2, 0)]
    clip = boxed_clip(rows, 1)
    (maps,) = results(CellErrors(["look"], clip.size, clip.cell, Gaussian(0.0)), clip.each_frame())
    assert (maps.shape, maps.dtype) == ((1, 1, 3, 4), np.float32)
    assert maps[0, 0].tolist() == [[1, 3, 3, 0], [0, 3, 3, 0], [0, 0, 0, 2]]


def test_lasting_errors_of_a_cell_or_track_count_more_than_flickering_errors():
    moving = [(t, 7, 2 * t, 0, 2 * t + 2, 2, 1.0, 0.0) for t in range(8)]
    flicker = [(t, 9, 0, 8, 2, 10, 2.0 * (t == 3), 0.0) for t in range(8)]
    both = boxed_clip(sorted(moving + flicker), 8, cell=2)
    assert look(both, params("region"))[3] == 2
    # the track that lasts, wherever it goes
    np.testing.assert_allclose(look(both, params("track", 1.0)), 1, rtol=1e-6)
    weight = [exp(-(d**2) / 2) for d in range(-2, 3)]
    # it is in no cell more than once
    assert look(both, params("cell", 1.0))[3] == pytest.approx(2 / sum(weight))


def test_a_track_with_a_gap_is_weighed_by_its_boxes():
    clip = whole_frame_regions([4.0, 1.0], frames=4, at=[0, 2])
    near, far = 1.0, exp(-2)
    expected = [(4 * near + far) / (near + far), 0, (near + 4 * far) / (near + far), 0]
    np.testing.assert_allclose(look(clip, params("track", 1)), expected, rtol=1e-6)
    np.testing.assert_allclose(look(clip, params("track", 1, lookahead=1)), [4, 0, expected[2], 0], rtol=1e-6)
    without_tracks = replace(clip, table=clip.table.assign(track=-1))
    assert look(without_tracks, params("track", 1)).tolist() == [4, 0, 1, 0]


def test_errors_are_divided_by_the_gain_of_their_area():
    rows = [(0, 0, 0, 0, 7, 12, 1, 1), (1, 0, 9, 0, 16, 12, 2, 2), (2, 0, 0, 0, 16, 12, 2, 2)]
    gains = Gains({"look": np.array([[1.0, 2.0]], np.float32)})
    clip = boxed_clip(rows, 3)
    for aggregate in ("region", "cell", "track"):
        values = frame_errors(clip, ["look", "move"], params(aggregate), gains)
        assert values["look"].tolist() == [1, 1, 1]  # the middle of the frame belongs to the right
        assert values["move"].tolist() == [1, 2, 2]


def test_errors_at_the_border_are_divided_by_its_gain():
    """In all branches that have one; a whole frame is not at the border, and maps are not divided."""
    boxes = [(1, 4, 5, 8), (2, 4, 5, 8), (4, 4, 15, 8), (4, 4, 14, 8), (4, 1, 8, 8), (4, 4, 8, 11)]
    boxes += [(0, 0, 16, 12), (0, 0, 16, 11), (0, 0, 1, 1), (8, 6, 9, 7)]
    rows = [(t, 0, *box, 6, 6) for t, box in enumerate(boxes)]
    maps = {"speed": np.full((len(rows), 3, 4), 6.0, np.float16)}
    clip = boxed_clip(rows, len(rows), maps=maps)
    gains = Gains(border={"look": 2.0, "speed": 3.0})
    for aggregate in ("region", "cell", "track"):
        values = frame_errors(clip, clip.branches, params(aggregate), gains)
        assert values["look"].tolist() == [3, 6, 3, 6, 3, 3, 6, 3, 3, 6]
        assert values["move"].tolist() == values["speed"].tolist() == [6] * 10


@pytest.mark.parametrize(
    ("stride", "expected"),
    [(1, [0, 1, 2, 3, 4, 5, 6]), (2, [0, 0, 2, 2, 4, 4, 6]), (3, [0, 0, 3, 3, 3, 6, 6]), (9, [0] * 7)],
)
def test_frames_without_windows_take_the_nearest_frame_or_the_earlier_of_two(stride, expected):
    at = np.arange(0, 7, stride)
    assert look(whole_frame_regions(at, 7, at, stride), params()).tolist() == expected


@given(boxed_clips())
@few
def test_a_frame_is_not_less_anomalous_with_an_additional_region(clip):
    """Only with `max`; with `mean_top`, an additional normal person may lower the error, as documented."""
    parts = (clip.select(np.arange(len(clip.table)) < n) for n in range(len(clip.table) + 1))
    values = [look(part, params()) for part in parts]
    assert all((after >= before).all() for before, after in pairwise(values))


def test_with_fewer_than_k_regions_the_mean_is_over_all_of_them():
    """So a person alone is scored on the same scale as a crowd."""
    clip = whole_frame_regions([6.0, 1.0, 2.0, 3.0], 3, [0, 1, 1, 1])
    assert look(clip, params(pool="mean_top", top_k=3)).tolist() == [6.0, 2.0, 0.0]


def test_thousands_of_values_are_pooled_quickly():
    values = RNG.random((50, 1000)).astype(np.float32)
    expected = np.sort(values, 1)[:, -5:].astype(float).mean(1)
    np.testing.assert_allclose(mean_of_highest(values, 5), expected, rtol=1e-6)
    assert mean_of_highest(values, 1).tolist() == values.max(1).tolist()


def test_memory_does_not_grow_with_the_clip():
    def peak(frames: int) -> int:
        maps = {"speed": np.broadcast_to(np.ones((50, 50), np.float16), (frames, 50, 50))}
        clip = boxed_clip([], frames, size=(50, 50), cell=1, maps=maps)
        tracemalloc.start()
        frame_errors(clip, ["speed"], params("cell", 1.0))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(20)
    assert peak(2000) < peak(200) + 200_000  # 2000 maps are 20 MB
