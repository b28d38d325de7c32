"""Errors of regions and locations to errors of frames, against the definition written out in loops."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from math import exp
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad import UserError
from vad.scoring import pooling
from vad.scoring.pooling import ClipErrors, PoolParams
from vad.scoring.smoothing import radius
from vad.store import arrays, cards, tables
from vad.windows.stride import nearest

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
COLUMNS = ["frame", "track", "x0", "y0", "x1", "y1", "error_look", "error_move"]
FACTORS = {  # of places, two for each branch and more
    "look": np.array([[1.0, 2.0], [4.0, 0.5]], np.float32),
    "speed": np.array([[1.0, 3.0, 0.25]], np.float32),
}


def how(per="region", sigma=0.0, pool="max", top_k=1) -> PoolParams:
    return PoolParams(per=per, sigma=float(sigma), pool=pool, top_k=top_k)


def clip(rows: list[tuple], frames: int, stride=1, size=(12, 16), cell=4, maps=None) -> ClipErrors:
    """A clip with regions (frame, track, x0, y0, x1, y1, error of look, error of move)."""
    table = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[:6], np.int32))
    table = table.astype(dict.fromkeys(COLUMNS[6:], np.float32))
    table.insert(1, "region", np.arange(len(table), dtype=np.int32))
    return ClipErrors("val/a", frames, stride, size, table, 10.0, cell, maps or {})


def plain(errors: list, frames: int | None = None, at=None, stride=1) -> ClipErrors:
    """Regions that are the whole frame, one per frame or in the frames `at`."""
    at = range(len(errors)) if at is None else at
    rows = [(t, 0, 0, 0, 16, 12, e, 0) for t, e in zip(at, errors, strict=True)]
    return clip(rows, len(errors) if frames is None else frames, stride)


@st.composite
def clips(draw: st.DrawFn, strides: tuple[int, ...] = (1, 2, 3)) -> ClipErrors:
    """A few frames, each with some boxes of a few tracks or none; of the branches `speed` alone has a map."""
    frames, stride = draw(st.integers(1, 14)), draw(st.sampled_from(strides))
    size, cell = (draw(st.integers(1, 14)), draw(st.integers(1, 14))), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    rows = []
    for t in range(0, frames, stride):
        for _ in range(rng.choice([0, 0, 1, 1, 2, 4])):
            y0, x0 = (int(rng.integers(0, side)) for side in size)
            y1, x1 = (int(rng.integers(a + 1, side + 1)) for a, side in zip((y0, x0), size, strict=True))
            rows.append((t, int(rng.integers(-1, 3)), x0, y0, x1, y1, *rng.integers(0, 9, 2) / 4))
    maps = {"speed": rng.random((frames, *(-(-side // cell) for side in size))).astype(np.float16)}
    return clip(rows, frames, stride, size, cell, maps)


def near(found: ClipErrors, t: int) -> int:
    """The frame of the grid that stands for frame t, the earlier of two."""
    return min(range(0, found.frames, found.stride), key=lambda f: (abs(f - t), f))


def regions_of(found: ClipErrors, branch: str, scale: dict) -> list[SimpleNamespace]:
    """The regions with the `error` of the branch, over the factor of the place of their middle."""
    out = []
    for row in found.table.itertuples():
        error = float(getattr(row, f"error_{branch}"))
        if branch in scale:
            m, n = scale[branch].shape
            i = (row.y0 + row.y1) * m // (2 * found.size[0])
            j = (row.x0 + row.x1) * n // (2 * found.size[1])
            error /= float(scale[branch][min(i, m - 1), min(j, n - 1)])
        out.append(SimpleNamespace(**{**row._asdict(), "error": error}))
    return out


def map_of(found: ClipErrors, branch: str, t: int, scale: dict) -> list[float]:
    """The errors of the locations in frame t, cell by cell."""
    rows, columns = (-(-side // found.cell) for side in found.size)
    at, out = near(found, t), []
    here = [r for r in regions_of(found, branch, scale) if r.frame == at] if branch != "speed" else []
    for i in range(rows):
        for j in range(columns):
            if branch == "speed":
                value = float(found.maps[branch][t, i, j])
                if branch in scale:
                    m, n = scale[branch].shape
                    value /= scale[branch][(2 * i + 1) * m // (2 * rows), (2 * j + 1) * n // (2 * columns)]
            else:  # a region touches the cell if a pixel of it is in the cell
                y, x = (
                    range(i * found.cell, (i + 1) * found.cell),
                    range(j * found.cell, (j + 1) * found.cell),
                )
                touching = [r for r in here if {*range(r.y0, r.y1)} & {*y} and {*range(r.x0, r.x1)} & {*x}]
                value = max((r.error for r in touching), default=0.0)
            out.append(value)
    return out


def slowly(found: ClipErrors, branch: str, params: PoolParams, causal: bool, scale: dict) -> list[float]:
    """The errors of frames, word by word."""
    reach = radius(params.sigma)
    weight = {d: exp(-((d / params.sigma) ** 2) / 2) if d else 1.0 for d in range(-reach, reach + 1)}
    weight = {d: w for d, w in weight.items() if d <= 0 or not causal}
    frames = range(found.frames)
    mirrored = [*frames, *reversed(frames)]  # beyond the ends; before the start there is nothing, if causal
    k = params.top_k if params.pool == "mean_top" else 1

    def top(values: list[float]) -> float:
        best = sorted(values, reverse=True)[:k]
        return sum(best) / len(best) if best else 0.0

    if params.per == "location" or branch == "speed":
        raw = [np.array(map_of(found, branch, t, scale)) for t in frames]
        out = []
        for t in frames:
            own = {d: w for d, w in weight.items() if not causal or t + d >= 0}
            mean = sum(w * raw[mirrored[(t + d) % len(mirrored)]] for d, w in own.items()) / sum(own.values())
            out.append(top(mean.tolist()))
        return out
    own = regions_of(found, branch, scale)
    smoothed = {}
    for r in own:
        same = [r]
        if params.per == "track" and r.track >= 0 and reach:
            same = [o for o in own if o.track == r.track and o.frame - r.frame in weight]
        weights = [weight[o.frame - r.frame] for o in same]
        smoothed[r.Index] = sum(w * o.error for w, o in zip(weights, same, strict=True)) / sum(weights)
    return [top([smoothed[r.Index] for r in own if r.frame == near(found, t)]) for t in frames]


ASKED = st.builds(
    how,
    per=st.sampled_from(["region", "location", "track"]),
    sigma=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    pool=st.sampled_from(["max", "mean_top"]),
    top_k=st.integers(1, 4),
)


@given(clips(), ASKED, st.booleans(), st.sampled_from([{}, FACTORS]))
@settings(max_examples=100, deadline=None)
def test_errors_of_frames_are_those_of_the_definition(found, params, causal, scale):
    assert found.branches == ["look", "move", "speed"]
    errors = found.errors(found.branches, params, causal, scale)
    for branch, got in errors.items():
        assert (got.dtype, got.shape) == (np.float64, (found.frames,))
        np.testing.assert_allclose(got, slowly(found, branch, params, causal, scale), rtol=2e-5, atol=1e-6)


@given(clips(), ASKED, st.booleans(), st.integers(1, 5))
@few
def test_nothing_changes_where_a_chunk_ends(found, params, causal, chunk):
    whole = found.errors(found.branches, params, causal, FACTORS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "CHUNK", chunk)
        parts = found.errors(found.branches, params, causal, FACTORS)
        spans = [at for at, _ in found.locations(["look"], params.sigma, causal)]
    for branch, errors in whole.items():
        assert parts[branch].tolist() == errors.tolist()
    assert [t for at in spans for t in range(at.start, at.stop)] == list(range(found.frames))
    assert len(spans) == -(-found.frames // chunk)


@given(clips(strides=(1, 2)), ASKED, st.integers(0, 13))
@few
def test_causal_errors_do_not_know_what_comes(found, params, last):
    """With windows for each third frame, or fewer, the nearest one may lie ahead."""
    t = min(last, found.frames - 1)
    later, now = found.table["frame"] > t, {k: np.array(m) for k, m in found.maps.items()}
    now["speed"][t + 1 :] = 7
    other = replace(
        found, table=found.table.assign(error_look=found.table["error_look"] + 9 * later), maps=now
    )
    cut = replace(
        found, frames=t + 1, table=found.table[~later], maps={k: m[: t + 1] for k, m in found.maps.items()}
    )
    before = found.errors(found.branches, params, True)
    for branch, errors in before.items():
        for changed in (other, cut):
            after = changed.errors([branch], params, True)[branch][: t + 1]
            np.testing.assert_allclose(after, errors[: t + 1], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("per", ["region", "location", "track"])
def test_a_frame_without_regions_has_0(per):
    found = plain([2.0, 3.0], frames=6, at=[1, 4])
    for pool in ("max", "mean_top"):
        assert found.errors(["look"], how(per, 0, pool, 3), False)["look"].tolist() == [0, 2, 0, 0, 3, 0]
    empty = clip([], 5)
    for causal in (False, True):
        got = empty.errors(["look", "move"], how(per, 1.0), causal)
        assert {branch: own.tolist() for branch, own in got.items()} == {"look": [0] * 5, "move": [0] * 5}


def test_where_a_branch_has_both_it_is_asked_for_which():
    """Regions, unless locations are asked for; then its map, not its regions painted."""
    found = plain([1.0, 2.0])
    found = replace(found, maps={"look": np.full((2, 3, 4), 0.5, np.float16), "speed": np.ones((2, 3, 4))})
    assert found.branches == ["look", "move", "speed"]
    for per, expected in (("region", [1, 2]), ("track", [1, 2]), ("location", [0.5, 0.5])):
        got = found.errors(["look", "speed"], how(per), False)
        assert {b: own.tolist() for b, own in got.items()} == {"look": expected, "speed": [1, 1]}


def test_a_cell_has_the_highest_of_the_regions_that_touch_it():
    rows = [(0, 0, 0, 0, 5, 4, 1, 0), (0, 1, 4, 3, 9, 5, 3, 0), (0, 2, 12, 8, 16, 12, 2, 0)]
    ((at, maps),) = clip(rows, 1).locations(["look"], 0.0, False)
    assert (at, maps.shape, maps.dtype) == (slice(0, 1), (1, 1, 3, 4), np.float32)
    assert maps[0, 0].tolist() == [[1, 3, 3, 0], [0, 3, 3, 0], [0, 0, 0, 2]]


def test_what_lasts_in_a_place_or_on_a_track_counts_more_than_what_flickers():
    moving = [(t, 7, 2 * t, 0, 2 * t + 2, 2, 1.0, 0.0) for t in range(8)]
    flicker = [(t, 9, 0, 8, 2, 10, 2.0 * (t == 3), 0.0) for t in range(8)]
    both = clip(sorted(moving + flicker), 8, cell=2)
    assert both.errors(["look"], how("region"), False)["look"][3] == 2
    track = both.errors(["look"], how("track", 1.0), False)["look"]
    np.testing.assert_allclose(track, 1, rtol=1e-6)  # the track that lasts, wherever it goes
    weight = [exp(-(d**2) / 2) for d in range(-4, 5)]
    place = both.errors(["look"], how("location", 1.0), False)["look"]
    assert place[3] == pytest.approx(2 / sum(weight))  # it is only once anywhere


def test_a_track_with_a_gap_is_weighed_by_what_is_known_of_it():
    found = plain([4.0, 1.0], frames=4, at=[0, 2])
    near, far = 1.0, exp(-2)
    expected = [(4 * near + far) / (near + far), 0, (near + 4 * far) / (near + far), 0]
    np.testing.assert_allclose(found.errors(["look"], how("track", 1), False)["look"], expected, rtol=1e-6)
    behind = found.errors(["look"], how("track", 1), True)["look"]
    np.testing.assert_allclose(behind, [4, 0, expected[2], 0], rtol=1e-6)
    nobody = replace(found, table=found.table.assign(track=-1))
    assert nobody.errors(["look"], how("track", 1), False)["look"].tolist() == [4, 0, 1, 0]


def test_places_that_err_twice_as_much_count_half():
    rows = [(0, 0, 0, 0, 7, 12, 1, 1), (1, 0, 9, 0, 16, 12, 2, 2), (2, 0, 0, 0, 16, 12, 2, 2)]
    factors = {"look": np.array([[1.0, 2.0]], np.float32)}
    found = clip(rows, 3)
    for per in ("region", "location", "track"):
        got = found.errors(["look", "move"], how(per), False, factors)
        assert got["look"].tolist() == [1, 1, 1]  # the middle of the frame belongs to the right
        assert got["move"].tolist() == [1, 2, 2]
    assert found.regions("look", factors).dtype == np.float32


@given(st.integers(1, 60), st.integers(1, 70))
def test_every_frame_has_the_nearest_of_the_grid_the_earlier_of_two(frames, stride):
    on_grid = range(0, frames, stride)
    expected = [min(on_grid, key=lambda f: (abs(f - t), f)) // stride for t in range(frames)]
    assert nearest(frames, stride).tolist() == expected


@pytest.mark.parametrize(
    ("stride", "expected"),
    [(1, [0, 1, 2, 3, 4, 5, 6]), (2, [0, 0, 2, 2, 4, 4, 6]), (3, [0, 0, 3, 3, 3, 6, 6]), (9, [0] * 7)],
)
def test_frames_between_strides_take_the_nearest_the_earlier_of_two(stride, expected):
    at = np.arange(0, 7, stride)
    assert plain(at, 7, at, stride).per_frame(at).tolist() == expected


@given(clips())
@few
def test_counts_are_of_the_regions_that_a_frame_s_error_comes_from(found):
    frames = found.table["frame"].tolist()
    assert found.counts().tolist() == [frames.count(near(found, t)) for t in range(found.frames)]


@given(clips())
@few
def test_a_frame_is_not_less_anomalous_for_one_region_more(found):
    """Of `max` alone; with `mean_top` somebody normal may lower it, as its docs say."""
    some = (found.only(np.arange(len(found.table)) < n) for n in range(len(found.table) + 1))
    values = [part.errors(["look"], how(), False)["look"] for part in some]
    assert all((after >= before).all() for before, after in pairwise(values))


def test_with_fewer_than_k_regions_those_there_are_count():
    """Somebody alone is on the scale of a crowd, not a k-th of it."""
    errors, at = np.array([6.0, 1.0, 2.0, 3.0]), [0, 1, 1, 1]
    assert plain(errors, 3, at).per_frame(errors, 3).tolist() == [6.0, 2.0, 0.0]


def test_thousands_of_regions_a_frame_are_no_trouble():
    at = np.repeat(np.arange(50), 1000)
    errors = RNG.random(len(at)).astype(np.float32)
    expected = np.sort(errors.reshape(50, 1000), 1)[:, -5:].astype(float).mean(1)
    np.testing.assert_allclose(plain(errors, 50, at).per_frame(errors, 5), expected, rtol=1e-6)


def test_which_regions_are_the_whole_frame():
    found = clip([(0, 0, 0, 0, 16, 12, 1, 1), (0, 1, 0, 0, 15, 12, 1, 1), (1, 0, 0, 0, 16, 12, 1, 1)], 2)
    assert found.whole().tolist() == [True, False, True]
    assert found.only(found.whole()).table["frame"].tolist() == [0, 1]


def test_memory_does_not_grow_with_the_clip(monkeypatch):
    monkeypatch.setattr(pooling, "CHUNK", 16)

    def peak(frames: int) -> int:
        maps = {"speed": np.broadcast_to(np.ones((50, 50), np.float16), (frames, 50, 50))}
        found = clip([], frames, size=(50, 50), cell=1, maps=maps)
        tracemalloc.start()
        found.errors(["speed"], how("location", 1.0), False)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(20)
    assert peak(2000) < peak(200) + 200_000  # 2000 maps are 20 MB


def stored(folder, errors, at, **card) -> None:
    """A clip's errors as `vad.branches.measure` writes them."""
    table = plain(errors, 12, at, 3).table.drop(columns="error_move")
    tables.write_table(folder / "test/a", table)
    whole = {"frames": 12, "stride": 3, "frame": [12, 16], "fps": 12.5, "cell": 4, "maps": []}
    cards.write_json(folder / "test/a.json", {k: v for k, v in (whole | card).items() if v is not None})


def test_errors_are_read_with_their_maps(tmp_path):
    maps = RNG.random((12, 3, 4)).astype(np.float16)
    arrays.write_array(tmp_path / "test/a.map_speed", maps)
    stored(tmp_path, [0.5, 0.25], [0, 6], maps=["speed"])
    (found,) = pooling.read_errors(tmp_path, {"test/a": "hall"})
    assert (found.clip, found.camera, found.fps, found.cell) == ("test/a", "hall", 12.5, 4)
    assert (found.frames, found.stride, found.size, found.shape) == (12, 3, (12, 16), (3, 4))
    assert found.branches == ["look", "speed"]
    np.testing.assert_array_equal(found.maps["speed"], maps)
    assert isinstance(found.maps["speed"], np.memmap)
    assert found.errors(["look"], how(), False)["look"].tolist() == [
        0.5,
        0.5,
        *[0] * 3,
        *[0.25] * 3,
        *[0] * 4,
    ]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_error_that_is_no_number_is_refused_with_clip_and_frame(tmp_path, value):
    stored(tmp_path, [0.1, 0.2, value, 0.4], [0, 3, 6, 9])
    with pytest.raises(UserError, match=r"clip 'test/a': the error of frame 6 .*train\.learning_rate"):
        pooling.read_errors(tmp_path, {"test/a": "hall"})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_is_not_finite_is_refused_with_clip_branch_and_frame(tmp_path, monkeypatch, value):
    monkeypatch.setattr(pooling, "CHUNK", 5)
    maps = RNG.random((12, 3, 4)).astype(np.float16)
    maps[7, 1, 2] = value
    arrays.write_array(tmp_path / "test/a.map_speed", maps)
    stored(tmp_path, [0.5], [0], maps=["speed"])
    with pytest.raises(
        UserError, match="clip 'test/a': the map of speed in frame 7 has values that are not fin"
    ):
        pooling.read_errors(tmp_path, {"test/a": "hall"})


def test_errors_of_an_earlier_version_are_refused(tmp_path):
    stored(tmp_path, [0.1], [0], stride=None, maps=None, cell=None)
    with pytest.raises(UserError, match=r"test/a\.json: lacks cell, maps, stride; run `dvc repro score`"):
        pooling.read_errors(tmp_path, {"test/a": "hall"})
