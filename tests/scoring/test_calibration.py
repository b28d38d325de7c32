"""Windows to errors, errors to scores: reductions, what is normal, branches fused, and live."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from vad import UserError, models
from vad.branches import measure, reconstruction
from vad.branches.classes import Novelty
from vad.branches.reconstruction import ScoreParams
from vad.branches.speed import SpeedParams
from vad.models import Autoencoder, conv2d
from vad.scoring import calibration, pooling
from vad.scoring.calibration import CalibrateParams, Calibration
from vad.scoring.pooling import ClipErrors
from vad.scoring.smoothing import SmoothParams, smooth
from vad.scoring.streaming import Live
from vad.store import arrays, cards, tables

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
PARAMS = {  # the plainest there are
    "branches": "all",
    "per": "region",
    "sigma": 0.0,
    "pool": "max",
    "top_k": 1,
    "scale": "quantile",
    "per_camera": False,
    "grid": [],
    "fuse": "sum",
    "smooth": {"median": 1, "gaussian": 0.0, "causal": False},
    "threshold": {"policy": "percentile", "percentile": 50.0, "sigma": 3.0, "value": 1.0, "per_hour": 60.0},
    "events": {"merge_gap": 1.0, "min_duration": 0.0},
}


def how(**changed) -> CalibrateParams:
    """The plainest parameters, changed; sections within take what changes in them."""
    parts = {k: PARAMS[k] | changed.pop(k) for k in ("smooth", "threshold") if k in changed}
    return CalibrateParams(**PARAMS | changed | parts)


def clip(errors, frames: int | None = None, at=None, name="val/a", camera="", **more) -> ClipErrors:
    """A clip with a region per frame, or with regions in the frames `at`, all of them the whole frame.

    `more` are other branches: columns, or maps [T, rows, columns].
    """
    at = np.arange(len(errors)) if at is None else np.asarray(at, int)
    table = pd.DataFrame({"frame": at, "region": np.arange(len(errors)), "track": 0, "error_look": errors})
    table = table.assign(x0=0, y0=0, x1=8, y1=6)
    maps = {k: np.asarray(v, np.float16) for k, v in more.items() if np.ndim(v) == 3}
    table = table.assign(**{f"error_{k}": v for k, v in more.items() if k not in maps})
    return ClipErrors(
        name, len(errors) if frames is None else frames, 1, (6, 8), table, 10.0, 2, maps, camera
    )


def calibrated(*clips: ClipErrors, **changed) -> Calibration:
    return calibration.calibrate(list(clips), how(**changed))


floats = st.floats(0, 1, width=32).map(lambda x: round(x, 4))


def levelled(z: np.ndarray) -> np.ndarray:
    """What a branch sees less than usual hardly counts."""
    return np.where(np.asarray(z) > 0, z, (np.exp(z) - 1) / 100)


@given(st.lists(floats, min_size=5, max_size=60), st.lists(floats, min_size=2, max_size=60))
@few
def test_scores_keep_the_order_of_errors(normal, errors):
    """Ranks, ties included, are those of the errors: of one branch calibration changes no AUC."""
    normal, errors = np.float32(normal), np.sort(np.float32(errors))
    centre, high = np.quantile(normal.astype(float), (0.5, 0.95))
    if not high > centre:
        with pytest.raises(UserError, match="no scale"):
            calibrated(clip(normal))
        return
    scores = calibrated(clip(normal)).frame_scores(clip(errors))
    z = (errors.astype(float) - centre) / (high - centre)
    np.testing.assert_allclose(scores, levelled(z), atol=1e-9)
    assert (np.diff(scores) >= 0).all()
    near = z[1:] > -20  # far beyond it all are -0.01 to double precision
    assert ((np.diff(scores) > 0) == (np.diff(errors) > 0))[near].all()


def test_what_is_below_the_usual_does_not_outweigh_what_is_above():
    """Who lies still after a fall does not move, but looks odd."""
    usual = {"": {b: {"centre": 10.0, "spread": 0.5} for b in ("look", "move")}}
    found = Calibration(how(), usual, usual, {}, {}, 0.0, 0.0, 0.0, 1, 1.0)
    scores = found.scores({"look": [11.0, 10.0, 9.5], "move": [0.0, 9.75, 10.0]})
    np.testing.assert_allclose(scores, [1.99, (np.exp(-0.5) - 1) / 100, (np.exp(-1) - 1) / 100], atol=1e-9)


@pytest.mark.parametrize("scale", ["quantile", "z_score"])
def test_what_becomes_0_and_1(scale):
    normal = RNG.gamma(2, 1, 1001).astype(np.float32)
    found = calibrated(clip(normal[:400]), clip(normal[400:]), scale=scale)  # clips count by their frames
    zero = np.median(normal) if scale == "quantile" else normal.mean(dtype=float)
    one = np.percentile(normal, 95) if scale == "quantile" else zero + normal.std(dtype=float)
    scores = found.scores({"look": [zero, one, 2 * one - zero]})
    np.testing.assert_allclose(scores, [0, 1, 2], atol=1e-6)
    assert (found.frames, found.hours) == (1001, pytest.approx(1001 / 10 / 3600))


def test_usual_is_what_frames_with_regions_have():
    """Most frames are empty, and yet there is a scale; of maps every frame counts."""
    errors, at, maps = RNG.random(9).astype(np.float32), np.arange(9) * 3, RNG.random((200, 3, 4))
    for per in ("region", "location"):
        found = calibrated(clip(errors, 200, at, speed=maps), per=per)
        middle, high = np.quantile(errors, (0.5, 0.95))
        expected = {"centre": middle, "spread": high - middle}
        assert found.usual[""]["look"] == pytest.approx(expected)
        highest = np.float16(maps).max((1, 2)).astype(float)
        assert found.usual[""]["speed"]["centre"] == pytest.approx(np.median(highest))
        assert found.maps == {b: pytest.approx(own) for b, own in found.usual[""].items()}
        shown = np.zeros((200, 3, 4))  # where there was nothing, a map of regions shows 0
        shown[at] = errors[:, None, None]
        both = calibrated(clip(errors, 200, at, look=shown), per=per)
        assert both.usual[""]["look"] == pytest.approx(expected, rel=1e-2)
    normal, located = clip(errors, 200, at, speed=maps), {"per": "location", "sigma": 1.0}
    for asked in ({"per": "region"}, {"pool": "mean_top", "top_k": 3}):
        found = calibrated(normal, **located | asked)
        assert found.maps == calibrated(normal, **located).usual[""] != found.usual[""]


def two_cameras() -> list[ClipErrors]:
    """The errors of one camera are a hundred times those of the other."""
    named = [("val/a", "a", 1), ("val/b", "b", 100), ("val/c", "a", 1)]
    return [clip(times * RNG.random(50), name=name, camera=camera) for name, camera, times in named]


def test_each_camera_by_its_own_normal_frames():
    a, b, more = two_cameras()
    found = calibrated(a, b, more, per_camera=True)
    assert sorted(found.usual) == ["", "a", "b"]
    for camera, own in (("a", [a, more]), ("b", [b]), ("", [a, b, more])):
        assert found.usual[camera] == calibrated(*own).usual[""]
    # of a camera that nobody knows what is usual of all
    unknown = replace(b, camera="c")
    assert found.frame_scores(unknown).tolist() == calibrated(a, b, more).frame_scores(b).tolist()
    assert found.frame_scores(b).tolist() == calibrated(b).frame_scores(b).tolist()
    assert sorted(calibrated(a, b, more).usual) == [""]


def branches(n: int = 60) -> ClipErrors:
    """Three branches of different size; `speed` by maps alone."""
    return clip(RNG.random(n), move=100 * RNG.random(n), speed=9 * RNG.random((n, 3, 4)))


@pytest.mark.parametrize(("fuse", "fused"), [("sum", np.sum), ("max", np.max)])
@pytest.mark.parametrize("chosen", ["all", ["look", "move"], ["speed"]])
def test_branches_are_calibrated_each_and_then_fused(fuse, fused, chosen):
    normal, other = branches(), branches()
    found = calibrated(normal, fuse=fuse, branches=chosen)
    names = ["look", "move", "speed"] if chosen == "all" else chosen
    assert found.branches == names
    assert sorted(found.usual[""]) == ["look", "move", "speed"]  # those that are not fused as well
    each = [calibrated(normal, branches=[name]).frame_scores(other) for name in names]
    np.testing.assert_allclose(found.frame_scores(other), fused(each, axis=0))
    alone = found.frame_scores(other, branches=["move"])
    np.testing.assert_allclose(alone, calibrated(normal, branches=["move"]).frame_scores(other))


def test_branches_meet_in_the_frame_not_in_the_region():
    """One region looks odd, another moves oddly: the frame has both."""
    one = {"centre": 0.0, "spread": 1.0}
    usual = {"": {"look": one, "move": {"centre": 0.0, "spread": 5.0}}}
    found = Calibration(how(), usual, usual, {}, {}, 0.0, 0.0, 0.0, 1, 1.0)
    both = clip([1.0, 0.0], 1, [0, 0], move=[0.0, 10.0], speed=np.ones((1, 3, 4)))
    assert found.region_scores(both).tolist() == [1.0, 2.0]
    assert found.frame_scores(both).tolist() == [3.0]
    # a branch of locations has no part in what a region has
    wide = replace(found, usual={"": usual[""] | {"speed": one}})
    assert wide.region_scores(both).tolist() == [1.0, 2.0]
    assert wide.frame_scores(both).tolist() == [4.0]
    only = replace(wide, params=how(branches=["speed"]))
    assert only.region_scores(both).tolist() == [0.0, 0.0]


def test_places_have_scales_of_their_own():
    """On the right errors are twice as high; in the middle nobody goes often enough to tell."""
    n = 900
    x0 = np.select([np.arange(n) < 400, np.arange(n) < 800], [0, 6], 3)
    errors = RNG.random(n).astype(np.float32) * np.where(x0 == 6, 2, 1).astype(np.float32)
    at = np.arange(n) // 9
    maps = np.ones((100, 3, 4)) * [1, 1, 2, 2] * RNG.random((100, 1, 1))
    normal = clip(errors, 100, at, speed=maps)
    normal = replace(normal, table=normal.table.assign(x0=x0, x1=x0 + 2))
    places = {"grid": [1, 3], "branches": ["look"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "FEWEST", 101)
        found = calibrated(normal, **places)
    overall = np.quantile(errors, 0.95)
    left, right = np.quantile(errors[:400], 0.95) / overall, np.quantile(errors[400:800], 0.95) / overall
    np.testing.assert_allclose(found.scale["look"], [[left, 1, right]], rtol=1e-5)
    assert not np.isclose(calibrated(normal, **places).scale["look"][0][1], 1)  # a hundred are enough
    divided = errors / np.select([x0 == 0, x0 == 6], [left, right], 1)
    highest = pd.Series(divided).groupby(at).max().to_numpy()
    np.testing.assert_allclose(found.frame_errors(normal)["look"], highest, rtol=1e-5)
    shares = np.quantile(np.float16(maps)[:, :, [0, 3]], 0.95, axis=(0, 1)) / np.quantile(
        np.float16(maps), 0.95
    )
    both = calibrated(normal, grid=[1, 2])  # within a factor of 3
    np.testing.assert_allclose(both.scale["speed"], [shares], rtol=2e-3)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("policy", ["percentile", "sigma", "fixed", "false_alarms"])
def test_thresholds_are_those_of_the_policy(policy, causal):
    """Of all normal frames, empty ones included; clip by clip where events count."""
    asked = {"smooth": {"median": 3, "gaussian": 1.0, "causal": causal}, "threshold": {"policy": policy}}
    normal = [clip(RNG.random(40), 50, np.arange(40)), clip(RNG.random(30))]
    said: list[str] = []
    found = calibration.calibrate(normal, how(**asked), said.append)
    for later, threshold in ((False, None), (True, found.causal_threshold)):
        scores = [(found.frame_scores(c, causal=later), 10.0) for c in normal]
        expected = found.params.threshold.of(scores, found.params.events, lambda line: None)
        assert threshold in (None, expected)
        if later == causal:
            assert found.threshold == expected
    assert len(said) == (policy == "false_alarms")  # once, though there are two thresholds
    tops = np.concatenate([m.max((1, 2)) for c in normal for _, m in found.score_maps(c)])
    assert found.map_threshold == pytest.approx(np.percentile(tops, 50))


def test_a_threshold_that_frames_cannot_tell_is_refused():
    with pytest.raises(UserError, match=r"70 validation frames cannot tell .* for which 100 are needed"):
        calibrated(clip(RNG.random(70)), threshold={"percentile": 99.0})


def test_scores_are_smoothed_after_they_are_fused():
    how_long = {"median": 3, "gaussian": 1.0, "causal": False}
    normal, other = branches(), branches()
    found = calibrated(normal, smooth=how_long)
    raw = calibrated(normal).frame_scores(other)
    for causal in (False, True):
        expected = smooth(raw, SmoothParams(**how_long), causal)
        np.testing.assert_allclose(found.frame_scores(other, causal), expected)
    assert found.frame_scores(other).tolist() == found.frame_scores(other, causal=False).tolist()
    causal = calibrated(normal, smooth=how_long | {"causal": True})
    assert causal.frame_scores(other).tolist() == causal.frame_scores(other, causal=True).tolist()


@pytest.mark.parametrize(
    ("clips", "changed", "message"),
    [
        ([], {}, "no validation clips to calibrate with; raise data.val_fraction"),
        ([clip([3.0] * 5)], {}, "same error of the branch look, so there is no scale"),
        ([clip([], 4), clip([], 5)], {}, r"nothing was found in any of the 2 validation clips \(9 frames\)"),
        (
            [clip(RNG.random(9))],
            {"branches": ["look", "classes", "speed"]},
            r"calibrate\.branches: there are no errors of classes, speed; there are look$",
        ),
        (
            [clip([1.0] * 9, camera="a"), clip([1.0] * 9, camera="b")],
            {"per_camera": True},
            "all validation frames have the same error of the branch look",
        ),
    ],
)
def test_what_cannot_be_calibrated_is_refused(clips, changed, message):
    with pytest.raises(UserError, match=message):
        calibrated(*clips, **changed)


def test_a_camera_without_spread_has_the_calibration_of_all():
    found = calibrated(clip(RNG.random(9), camera="a"), clip([1.0] * 9, camera="b"), per_camera=True)
    assert found.usual["b"] == found.usual[""] != found.usual["a"]


def test_causal_errors_have_a_calibration_of_their_own():
    """With it half of the normal frames lie below 0, as with the centred one."""
    errors = np.repeat(RNG.random(20), 10)
    found = calibrated(clip(errors), per="track", sigma=3.0)
    for causal, usual in ((False, found.usual), (True, found.causal_usual)):
        own = clip(errors).errors(["look"], found.params, causal)["look"]
        assert usual[""]["look"]["centre"] == pytest.approx(np.median(own))
        assert (found.scores({"look": own}, causal=causal) > 0).mean() == pytest.approx(0.5, abs=0.01)
    assert found.usual != found.causal_usual


def test_cameras_that_are_calibrated_like_all_are_known():
    found = calibrated(clip(RNG.random(9), camera="a"), clip(RNG.random(9), camera="b"), per_camera=True)
    assert found.unknown(["a", "c", "b", "c"]) == ["c"]
    assert calibrated(clip(RNG.random(9), camera="a")).unknown(["c"]) == []


def test_a_branch_counts_once():
    with pytest.raises(ValueError, match="name each branch once"):
        how(branches=["look", "look"])


def test_a_branch_without_spread_is_left_out_unless_it_is_asked_for():
    still = branches()
    still = replace(still, table=still.table.assign(error_classes=np.float32(0)))
    log: list[str] = []
    found = calibration.calibrate([still], how(), log.append)
    assert found.branches == calibrated(branches()).branches
    assert log[0].startswith("classes left out")
    with pytest.raises(UserError, match="same error of the branch classes"):
        calibration.calibrate([still], how(branches=["look", "classes"]))


def test_errors_without_a_branch_that_counts_are_refused():
    found = calibrated(branches())
    with pytest.raises(UserError, match=r"errors lack the branches move, speed; there are look: mend"):
        found.frame_scores(clip([0.1, 0.2]))


@pytest.mark.parametrize("grid", [[1], [1, 2, 3], [0, 1]])
def test_a_grid_has_rows_and_columns(grid):
    with pytest.raises(ValueError, match="grid"):
        how(grid=grid)


def test_a_calibration_comes_back_as_it_was(tmp_path):
    normal, other = two_cameras(), clip(RNG.random(30), camera="b")
    found = calibrated(*normal, per_camera=True, grid=[2, 2], smooth={"median": 4, "gaussian": 0.7})
    for name in ("a", "b"):
        found.save(tmp_path / f"{name}.json")
    back = Calibration.load(tmp_path / "a.json")
    assert back == found
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    for causal in (False, True):
        assert back.frame_scores(other, causal).tolist() == found.frame_scores(other, causal).tolist()


@pytest.mark.parametrize(
    "content", [None, "", "{}", "[]", "null", '{"threshold": 1}', '{"branches"', '{"params": {"per": 1}}']
)
def test_a_broken_calibration_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(UserError, match=r"calibration\.json: .*dvc repro") as caught:
        Calibration.load(tmp_path / "calibration.json")
    assert "\n" not in str(caught.value)


@given(st.integers(1, 25), st.sampled_from([[], [2, 3]]), st.booleans(), st.integers(0, 999))
@few
def test_the_highest_location_makes_the_frame(frames, grid, causal, seed):
    """Of one branch, per location and not smoothed; what is smoothed along a location is in both."""
    rng = np.random.default_rng(seed)
    found = clip(rng.random(frames) + 0.1, speed=rng.random((frames, 3, 4)))
    for branch in ("look", "speed"):
        one = {"centre": 0.25, "spread": 0.5}
        params = how(per="location", branches=[branch], sigma=0.7, smooth={"causal": causal}, grid=grid)
        scale = {branch: rng.uniform(0.5, 2, grid).tolist()} if grid else {}
        known = Calibration(
            params, {"": {branch: one}}, {"": {branch: one}}, {branch: one}, scale, 0.0, 0.0, 0.0, 1, 1.0
        )
        maps = np.concatenate([m for _, m in known.score_maps(found)])
        assert (maps.dtype, maps.shape) == (np.float32, (frames, 3, 4))
        np.testing.assert_allclose(maps.max((1, 2)), known.frame_scores(found), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fuse", ["sum", "max"])
def test_score_maps_are_fused_cell_by_cell(fuse, monkeypatch):
    """Chunk by chunk; of some frames alone they are the same, smoothed by what is around them."""
    monkeypatch.setattr(pooling, "CHUNK", 7)
    found = branches(20)
    known = calibrated(found, fuse=fuse, per="region")
    smoothed = calibrated(found, fuse=fuse, sigma=1.0)
    whole = np.concatenate([m for _, m in smoothed.score_maps(found)])
    some = list(smoothed.score_maps(found, only=(3, 15)))
    assert [(at.start, at.stop) for at, _ in some] == [(3, 10), (10, 15)]
    assert np.concatenate([m for _, m in some]).tolist() == whole[3:15].tolist()
    look = np.repeat(found.table["error_look"].to_numpy(np.float32), 12).reshape(20, 3, 4)
    move = np.repeat(found.table["error_move"].to_numpy(np.float32), 12).reshape(20, 3, 4)
    raw = {"look": look, "move": move, "speed": found.maps["speed"]}
    each = [levelled((raw[b].astype(float) - own["centre"]) / own["spread"]) for b, own in known.maps.items()]
    parts = list(known.score_maps(found))
    assert [at.stop for at, _ in parts] == [7, 14, 20]
    np.testing.assert_allclose(np.concatenate([m for _, m in parts]), getattr(np, fuse)(each, 0), atol=1e-5)


@st.composite
def watched(draw: st.DrawFn) -> tuple[ClipErrors, CalibrateParams, dict]:
    """A clip of boxes of some tracks, how to score it, and the factors of places; with maps or without."""
    frames, rng = draw(st.integers(8, 16)), np.random.default_rng(draw(st.integers(0, 9999)))
    at = np.sort(rng.integers(0, frames, draw(st.integers(0, 2 * frames))))
    x, y = rng.integers(0, 7, len(at)), rng.integers(0, 5, len(at))
    maps = {"speed": rng.random((frames, 3, 4))} if draw(st.booleans()) else {}
    found = clip(rng.random(len(at)), frames, at, camera="b", move=rng.random(len(at)), **maps)
    boxes = {"track": rng.integers(-1, 3, len(at)), "x0": x, "y0": y, "x1": x + 2, "y1": y + 2}
    params = how(
        per=draw(st.sampled_from(["region", "location", "track"])),
        sigma=draw(st.sampled_from([0.0, 0.3, 1.0])),
        pool=draw(st.sampled_from(["max", "mean_top"])),
        top_k=2,
        fuse=draw(st.sampled_from(["sum", "max"])),
        smooth={"median": draw(st.integers(1, 4)), "gaussian": draw(st.sampled_from([0.0, 0.3, 0.8]))},
    )
    scale = {"move": [[0.5, 2.0]]} if draw(st.booleans()) else {}
    return replace(found, table=found.table.assign(**boxes)), params, scale


@given(watched())
@settings(max_examples=40, deadline=None)
def test_live_scores_are_the_causal_ones_frame_by_frame(case):
    found, params, scale = case
    usual = {c: {b: {"centre": 0.3, "spread": s} for b in found.branches} for c, s in (("", 0.5), ("b", 0.2))}
    known = Calibration(params, usual, usual, {}, scale, 0.0, 0.0, 0.0, 1, 1.0)
    expected = known.frame_scores(found, causal=True)
    live = Live(known, found.size, found.cell, camera="b")
    for t in range(found.frames):
        table = found.table[found.table["frame"] == t].drop(columns="frame")
        score = live.add(table, {name: own[t] for name, own in found.maps.items()})
        assert score == pytest.approx(expected[t], abs=1e-5)


class Half(Autoencoder):
    """Makes half of what it gets, so that the residual is known: x / 2."""

    name = "half"

    def __init__(self, position: str = "middle", branch: str = "reconstruction"):
        super().__init__(own(2, position), (1, 2, 8, 8), ["gray"])
        self.branch = branch

    @property
    def branches(self) -> list[str]:
        return [self.branch]

    def forward(self, x):
        return x / 2


def own(window: int = 1, position: str = "middle") -> conv2d.Params:
    return conv2d.Params(window=window, step=1, position=position, objective="reconstruct", channels=[4])


def asked(**changed) -> ScoreParams:
    given = {"reduce": "mean", "reduce_flow": "mean_vector", "top_share": 0.1, "patch": 3, "maps": False}
    given |= {"batch_size": 64, "cell": 4, "speed": SpeedParams(width=0.1, height=0.2)}
    return ScoreParams(**given | changed)


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


REDUCTIONS = ["mean", "max", "top_k", "patch_max", "psnr", "mean_vector"]


@given(
    shape=st.tuples(*(st.integers(1, n) for n in (4, 3, 3, 9, 9))),
    share=st.sampled_from([0.01, 0.3, 1.0]),
    patch=st.sampled_from([1, 2, 3, 20]),
    size=st.sampled_from([0.0, 1e-6, 1.0, 9.0]),
)
@few
def test_reductions_are_those_of_the_definition(shape, share, patch, size):
    residual = size * np.random.default_rng(sum(shape)).normal(0.1, 1, shape)
    for reduce in REDUCTIONS:
        given = torch.from_numpy(residual.astype(np.float32))
        got = reconstruction.reduce_errors(given, reduce, asked(top_share=share, patch=patch))
        assert (got.dtype, got.shape) == (np.float32, shape[:1])
        assert (got >= 0).all()
        np.testing.assert_allclose(got, by_numpy(residual, reduce, share, patch), rtol=1e-4, atol=1e-5 * size)


def test_in_a_mean_vector_noise_cancels_and_what_is_common_stays():
    """Two planes of flow, all pixels of which are off by the same."""
    noise = torch.from_numpy(RNG.normal(0, 1, (1, 2, 5, 16, 16)).astype(np.float32))
    common = torch.zeros(1, 2, 5, 16, 16) + torch.tensor([0.3, -0.4]).view(2, 1, 1, 1)
    error = {
        k: reconstruction.reduce_errors(v, "mean_vector", asked()) for k, v in (("n", noise), ("c", common))
    }
    assert error["c"] == pytest.approx(0.5, rel=1e-5)
    assert error["n"] < 0.1
    assert reconstruction.reduce_errors(noise, "mean", asked()) > 3 * reconstruction.reduce_errors(
        common, "mean", asked()
    )


def test_flow_is_reduced_in_its_own_way():
    how = asked(reduce="max")
    names = ["reconstruction", "prediction", "appearance", "flow", "translation"]
    assert [how.how(name) for name in names] == ["max"] * 3 + ["mean_vector"] * 2


def test_what_a_reduction_does_not_use_does_not_matter():
    """So that changing it scores no clip again without need."""
    for key, values, used in (("top_share", (0.1, 0.2), "top_k"), ("patch", (3, 5), "patch_max")):
        for place in ("reduce", "reduce_flow"):
            one, other = (asked(**{key: value}).active() for value in values)
            assert one == other
            one, other = (asked(**{key: value, place: used}).active() for value in values)
            assert one != other
    assert asked(cell=4).active() != asked(cell=8).active()


CLASSES = 5
HALF = Half()
NOVELTY = Novelty(
    *(np.full(CLASSES, v, np.float32) for v in (-4.0, 2.0)), np.eye(CLASSES, dtype=np.float32)[:2]
)


def inputs(folder: Path, windows: int = 7, boxes: pd.DataFrame | None = None, name="a") -> list[Path]:
    """Stems of tensors, regions and flow: windows of two planes, one at every second frame."""
    stems = [folder / kind / name for kind in ("tensors", "regions", "flow")]
    card = {"frames": 14, "window": 2, "windows": windows, "stride": 2, "channels": ["gray"], "fps": 10.0}
    card |= {"step": 1, "position": "middle", "fit": "stretch", "frame": [32, 40]}
    planes = RNG.integers(0, 256, (windows + 1 if windows else 0, 1, 8, 8), np.uint8)
    arrays.write_array(stems[0], planes, **card)
    n = np.arange(windows)
    rows = {"frame": 2 * n, "region": 2 * n + 1, "track": 0 * n, "plane_0": n, "plane_1": n + 1}
    tables.write_table(stems[0], pd.DataFrame(rows).astype(np.int32))
    if boxes is None:  # two in a frame, the second of which has a window
        boxes = pd.DataFrame({"frame": np.repeat(2 * n, 2)}).assign(x0=0, y0=0, x1=40, y1=32)
        boxes.loc[boxes.index % 2 == 0, "x1"] = 1
    source = np.where(boxes.index % 5 == 1, "motion", "detector")
    tables.write_table(stems[1], boxes.astype(np.int32).assign(source=source))
    arrays.write_array(Path(f"{stems[1]}.classes"), RNG.random((len(boxes), CLASSES)).astype(np.float16))
    arrays.write_array(stems[2], RNG.integers(-9, 9, (14, 16, 20, 2), np.int8), method="dis", scale=0.5)
    return stems


def score(
    folder: Path, stems: list[Path], name="a", novelty: Novelty | None = None, model=HALF, **changed
) -> ClipErrors:
    """The errors of a clip, written to the folder `errors` and read back."""
    threads = torch.get_num_threads()
    try:
        out = folder / "errors" / name
        measure.score_clip(out, *stems, model, novelty, asked(**changed), threads=1)
    finally:
        torch.set_num_threads(threads)
    (found,) = pooling.read_errors(folder / "errors", {name: "hall"})
    return found


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_clip_is_scored_whatever_the_batch(tmp_path, batch_size, maps):
    stems = inputs(tmp_path)
    found = score(tmp_path, stems, batch_size=batch_size, maps=maps)
    planes = (arrays.open_array(stems[0])[0] / 255 / 2) ** 2
    expected = np.array([planes[i : i + 2].mean() for i in range(7)])
    np.testing.assert_allclose(found.table["error_reconstruction"], expected, rtol=1e-5)
    assert found.table["frame"].tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert found.table[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[0, 0, 40, 32]] * 7
    assert (found.frames, found.stride, found.size, found.fps, found.cell) == (14, 2, (32, 40), 10.0, 4)
    assert found.whole().all()
    assert found.branches == ["reconstruction", "speed"]
    assert list(found.maps) == (["reconstruction", "speed"] if maps else ["speed"])
    assert Path(f"{tmp_path}/errors/a.map_reconstruction.npy").exists() == maps
    if not maps:  # else a frame's error is that of its locations
        frames = found.errors(["reconstruction"], how(), False)["reconstruction"]
        np.testing.assert_allclose(frames, np.repeat(expected, 2), rtol=1e-5)


def test_a_window_is_reduced_as_asked_for(tmp_path):
    stems = inputs(tmp_path)
    planes = arrays.open_array(stems[0])[0] / 255 / 2
    windows = np.stack([planes[i : i + 2, 0] for i in range(7)])[:, None]
    for reduce in REDUCTIONS:
        expected = by_numpy(windows, reduce, 0.1, 3)
        found = score(tmp_path, stems, reduce=reduce)
        np.testing.assert_allclose(found.table["error_reconstruction"], expected, rtol=1e-4)
        found = score(tmp_path, stems, model=Half(branch="flow"), reduce_flow=reduce)
        np.testing.assert_allclose(found.table["error_flow"], expected, rtol=1e-4)


@pytest.mark.parametrize(("position", "first"), [("middle", 0), ("last", 1)])
def test_maps_show_the_frame_that_a_window_belongs_to(tmp_path, position, first):
    """One of two frames, pixel by pixel: 5 x 4 pixels of the frame to one of the tensor."""
    stems = inputs(tmp_path)
    found = score(tmp_path, stems, model=Half(position), maps=True, cell=1, reduce="max")
    maps = found.maps["reconstruction"]
    assert (maps.shape, maps.dtype) == ((14, 32, 40), np.float16)
    planes = (arrays.open_array(stems[0])[0][first : first + 7, 0] / 255 / 2) ** 2
    expected = np.kron(planes, np.ones((1, 4, 5)))
    np.testing.assert_allclose(maps, expected[np.repeat(np.arange(7), 2)], rtol=2e-3, atol=1e-6)


def test_classes_and_speed_are_branches_of_their_own(tmp_path):
    """A window has the classes of its region, if the detector found it; speed is there for every frame."""
    stems = inputs(tmp_path)
    found = score(tmp_path, stems, novelty=NOVELTY)
    classes = arrays.open_array(Path(f"{stems[1]}.classes"))[0]
    moved = np.arange(1, 14, 2) % 5 == 1
    expected = np.where(moved, 0, NOVELTY.errors(classes[1::2]))
    np.testing.assert_allclose(found.table["error_classes"], expected)
    assert moved.tolist() == [True, False, False, False, False, True, False]
    assert set(found.table.dtypes.astype(str)) == {"int32", "float32"}
    assert found.branches == ["reconstruction", "classes", "speed"]
    assert found.maps["speed"].shape == (14, 8, 10)
    length = 0.5 * np.hypot(*np.moveaxis(arrays.open_array(stems[2])[0].astype(float), 3, 0))
    # boxes of 2 x 3 pixels of the flow around the middle of a cell, which is 2 x 2 of these
    expected = length[:, 4:7, 6:8].mean((1, 2))
    np.testing.assert_allclose(found.maps["speed"][:, 2, 3], expected, rtol=2e-3)
    known = calibration.calibrate([found], how(per="location"))
    assert known.branches == found.branches
    cards.write_json(Path(f"{stems[2]}.json"), {"method": "none"})
    assert score(tmp_path, stems).branches == ["reconstruction"]


def test_tensors_of_other_regions_are_refused(tmp_path):
    for boxes in ({"frame": [0, 0, 2]}, {"frame": np.arange(14)}):
        stems = inputs(tmp_path, boxes=pd.DataFrame(boxes).assign(x0=0, y0=0, x1=40, y1=32))
        with pytest.raises(UserError, match=r"tensors/a was not made of .*regions/a.*dvc repro resize"):
            score(tmp_path, stems)


def test_a_clip_without_regions_goes_all_the_way(tmp_path):
    """Scored and calibrated with; its frames have the lowest score there is."""
    full, empty = (
        score(tmp_path, inputs(tmp_path, windows, name=name), name, NOVELTY, maps=False)
        for name, windows in (("val/full", 7), ("val/empty", 0))
    )
    assert len(empty.table) == 0
    assert empty.table.dtypes.to_dict() == full.table.dtypes.to_dict()
    assert empty.maps["speed"].any()
    chosen = {"branches": ["reconstruction", "classes"]}
    found, alone = calibrated(full, empty, **chosen), calibrated(full, **chosen)
    assert found.frames == 28
    for branch in found.branches:
        assert found.usual[""][branch] == alone.usual[""][branch]
    lowest = sum(levelled(-own["centre"] / own["spread"]) for own in map(found.usual[""].get, found.branches))
    seen = found.frame_scores(full)
    np.testing.assert_allclose(found.frame_scores(empty), [lowest] * 14)
    assert lowest < seen.min()
    assert found.threshold == pytest.approx(np.percentile([*seen, *[lowest] * 14], 50))
    assert found.region_scores(empty).shape == (0,)
    mapped = score(tmp_path, inputs(tmp_path, 0, name="val/empty"), "val/empty", maps=True)
    assert mapped.maps["reconstruction"].shape == (14, 8, 10)
    assert not mapped.maps["reconstruction"].any()


@given(st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_scores_of_one_window_do_not_depend_on_its_neighbours(n, at):
    """What live use relies on: a window scored alone has the score that it has in a batch."""
    torch.manual_seed(0)
    model = models.create("conv2d", own(), (1, 1, 16, 16)).eval()
    windows = np.random.default_rng(n).integers(0, 256, (n + at, 1, 1, 16, 16), np.uint8)
    together, alone = (
        reconstruction.reduce_errors(reconstruction.residuals(model, some)["reconstruction"], "mean", asked())
        for some in (windows, windows[at : at + 1])
    )
    np.testing.assert_allclose(together[at : at + 1], alone, rtol=1e-4)
