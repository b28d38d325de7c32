"""Applying a calibration: standardised and fused branches, scores of frames, regions and cells; its file."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.errors import calibrated, clip_errors, params, squeezed, three_branches
from vad import UserError
from vad.scoring import calibration as calibration_module
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.filters import Gaussian, Median, filtered
from vad.scoring.norms import Line, Norm
from vad.scoring.params import CalibrateParams

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
UNIT = Line(0.0, 1.0)


def calibration_of(
    norms: dict[str, Norm],
    chosen: CalibrateParams,
    gains: dict[str, list] | None = None,
    cells: dict[str, Norm] | None = None,
) -> Calibration:
    """A calibration with the given standardisation."""
    return Calibration(chosen, {"": norms}, cells or {}, gains or {}, 0.0, 0.0, 1, 1.0, 0.0, 0, 0.0)


def at_the_border(clip: ClipErrors) -> ClipErrors:
    """The regions at the left border of the frame."""
    return replace(clip, table=clip.table.assign(x1=4))


def region_scores(calibration: Calibration, clip: ClipErrors) -> list[float]:
    (scores,) = (calibration.region_scores(item, clip.size) for item in clip.each_frame())
    return scores.tolist()


def test_an_error_below_the_median_does_not_outweigh_a_high_one():
    """A person lying motionless after a fall has a low error of flow and a high error of appearance."""
    calibration = calibration_of({b: Line(10.0, 0.5) for b in ("look", "move")}, params())
    scores = calibration.fuse({"look": [11.0, 10.0, 9.5], "move": [0.0, 9.75, 10.0]})
    np.testing.assert_allclose(scores, [1.99, (np.exp(-0.5) - 1) / 100, (np.exp(-1) - 1) / 100], atol=1e-9)


@pytest.mark.parametrize(("fuse", "fused"), [("sum", np.sum), ("max", np.max)])
@pytest.mark.parametrize("chosen", ["all", ["look", "move"], ["speed"]])
def test_branches_are_standardised_separately_and_then_fused(fuse, fused, chosen):
    normal, other = three_branches(RNG), three_branches(RNG)
    calibration = calibrated(normal, fuse=fuse, branches=chosen)
    names = ["look", "move", "speed"] if chosen == "all" else chosen
    assert calibration.branches == names
    # also branches that are not fused
    assert sorted(calibration.standardisation[""]) == ["look", "move", "speed"]
    each = [calibrated(normal, branches=[name]).frame_scores(other) for name in names]
    np.testing.assert_allclose(calibration.frame_scores(other), fused(each, axis=0))
    alone = calibration.frame_scores(other, branches=["move"])
    np.testing.assert_allclose(alone, calibrated(normal, branches=["move"]).frame_scores(other))


def test_branches_are_fused_per_frame_not_per_region():
    """A region has a high error of appearance, another of flow; the score of the frame has both."""
    norms = {"look": UNIT, "move": Line(0.0, 5.0)}
    calibration = calibration_of(norms, params())
    both = clip_errors([1.0, 0.0], 1, [0, 0], move=[0.0, 10.0], speed=np.ones((1, 3, 4)))
    assert region_scores(calibration, both) == [1.0, 2.0]
    assert calibration.frame_scores(both).tolist() == [3.0]
    # a branch that only has maps adds nothing to a region
    wide = calibration_of(norms | {"speed": UNIT}, params())
    assert region_scores(wide, both) == [1.0, 2.0]
    assert wide.frame_scores(both).tolist() == [4.0]
    only = replace(wide, params=params(branches=["speed"]))
    assert region_scores(only, both) == [0.0, 0.0]


def test_scores_are_smoothed_after_they_are_fused():
    smoothing = {"median": 0.2, "gaussian": 0.1}  # at 10 frames per second
    normal, other = three_branches(RNG), three_branches(RNG)
    unsmoothed = calibrated(normal).frame_scores(other)
    for lookahead, ahead in ((None, (1, 2)), (0.2, (1, 1)), (0.0, (0, 0))):
        calibration = calibrated(normal, smooth=smoothing, lookahead=lookahead)
        expected = filtered(unsmoothed, Median(3, ahead[0]), Gaussian(1.0, ahead[1]))
        np.testing.assert_allclose(calibration.frame_scores(other), expected)
        assert calibration.smoothing(10.0).lookahead == sum(ahead)


def test_normal_stretches_are_not_alarmed_more_often_at_their_ends():
    """Judged by the threshold of the whole footage, as artificial ends hold nothing but what is normal."""
    rng = np.random.default_rng(3)
    noise = filtered(rng.gamma(1, 1, 30_000), Gaussian(3.0))
    smooth = {"median": 1.2, "gaussian": 0.2}
    chosen = {"aggregate": "cell", "error_sigma": 0.2, "smooth": smooth, "threshold": {"percentile": 99.0}}
    calibration = calibrated(clip_errors(noise), **chosen)
    stretches = [clip_errors(noise[at : at + 60]) for at in range(0, len(noise), 60)]
    alarmed = np.array([calibration.frame_scores(clip) > calibration.threshold for clip in stretches])
    middle, ends = alarmed[:, 15:-15].mean(), alarmed[:, np.r_[:15, 45:60]].mean()
    assert 0.005 < middle < 0.015
    assert middle / 4 < ends < 1.2 * middle


def test_cameras_without_normal_footage_are_listed():
    normal = [clip_errors(RNG.random(9), camera=camera) for camera in ("a", "b")]
    assert calibrated(*normal, per_camera=True).without_footage(["a", "c", "b", "c"]) == ["c"]
    assert calibrated(normal[0]).without_footage(["c"]) == []


def test_a_branch_may_be_named_only_once():
    with pytest.raises(ValueError, match="name each branch once"):
        params(branches=["look", "look"])


def test_errors_that_lack_a_fused_branch_are_refused():
    calibration = calibrated(three_branches(RNG))
    with pytest.raises(UserError, match=r"errors lack the branches move, speed; there are look: change"):
        calibration.frame_scores(clip_errors([0.1, 0.2]))


@pytest.mark.parametrize("grid", [[1], [1, 2, 3], [0, 1]])
def test_a_grid_has_rows_and_columns(grid):
    with pytest.raises(ValueError, match="grid"):
        params(grid=grid)


@pytest.mark.parametrize("normalisation", ["tail", "quantile", "z_score"])
def test_a_calibration_is_read_as_it_was_written(tmp_path, normalisation):
    normal = [clip_errors(times * RNG.random(50), camera=c) for c, times in (("a", 1), ("b", 100), ("a", 1))]
    normal += [at_the_border(clip_errors(300 * RNG.random(50)))]
    other = at_the_border(clip_errors(RNG.random(30), camera="b"))
    smoothing = {"median": 0.4, "gaussian": 0.07}
    calibration = calibrated(
        *normal,
        per_camera=True,
        grid=[2, 2],
        border_gain=True,
        smooth=smoothing,
        normalisation=normalisation,
    )
    assert calibration.border_gains["look"] > 1
    for name in ("a", "b"):
        calibration.save(tmp_path / f"{name}.json")
    back = Calibration.load(tmp_path / "a.json")
    assert back == calibration
    assert (tmp_path / "a.json").stat().st_size < 12_000  # three cameras, and cells
    assert back.evidence.left_out == 4
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert back.frame_scores(other).tolist() == calibration.frame_scores(other).tolist()


@pytest.mark.parametrize(
    "content",
    [None, "", "{}", "[]", "null", '{"threshold": 1}', '{"branches"', '{"params": {"aggregate": 1}}'],
)
def test_a_broken_calibration_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(UserError, match=r"calibration\.json: .*dvc repro") as caught:
        Calibration.load(tmp_path / "calibration.json")
    assert "\n" not in str(caught.value)


@given(
    st.integers(1, 25), st.sampled_from([[], [2, 3]]), st.sampled_from([None, 0.0, 0.2]), st.integers(0, 999)
)
@few
def test_the_highest_cell_is_the_score_of_the_frame(frames, grid, lookahead, seed):
    """For a single branch without smoothing of scores; errors of cells are smoothed in both."""
    rng = np.random.default_rng(seed)
    clip = clip_errors(rng.random(frames) + 0.1, speed=rng.random((frames, 3, 4)))
    for branch in ("look", "speed"):
        norms = {branch: Line(0.25, 0.5)}
        chosen = params(aggregate="cell", branches=[branch], error_sigma=0.07, lookahead=lookahead, grid=grid)
        gains = {branch: rng.uniform(0.5, 2, grid).tolist()} if grid else {}
        calibration = calibration_of(norms, chosen, gains, cells=norms)
        calibration = replace(calibration, border_gains={"look": 1.7})
        clip = replace(clip, table=clip.table.assign(x1=rng.choice([4, 8], frames)))
        maps = np.concatenate([part for _, part in calibration.cell_scores(clip)])
        assert (maps.dtype, maps.shape) == (np.float32, (frames, 3, 4))
        np.testing.assert_allclose(maps.max((1, 2)), calibration.frame_scores(clip), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lookahead", [None, 0.2])
@pytest.mark.parametrize("fuse", ["sum", "max"])
def test_scores_of_cells_are_fused_cell_by_cell(fuse, lookahead, monkeypatch):
    """Also in chunks; scores of some of the frames only are the same, as neighbours are smoothed in."""
    monkeypatch.setattr(calibration_module, "CHUNK", 7)
    clip = three_branches(RNG, 20)
    calibration = calibrated(clip, fuse=fuse, aggregate="region")
    smoothed = calibrated(clip, fuse=fuse, error_sigma=0.1, lookahead=lookahead)
    whole = np.concatenate([maps for _, maps in smoothed.cell_scores(clip)])
    for start, end in ((3, 15), (0, 1), (19, 20), (0, 20), (10, 11)):
        parts = list(smoothed.cell_scores(clip, only=(start, end)))
        assert [t for frames, _ in parts for t in range(frames.start, frames.stop)] == list(range(start, end))
        some = np.concatenate([maps for _, maps in parts])
        np.testing.assert_allclose(some, whole[start:end], rtol=1e-6, atol=1e-7)
    errors = {b: np.repeat(clip.errors(b), 12).reshape(20, 3, 4) for b in ("look", "move")}
    errors["speed"] = clip.maps["speed"]
    each = [
        squeezed((errors[branch].astype(float) - norm.centre) / norm.spread)
        for branch, norm in calibration.cell_standardisation.items()
    ]
    parts = list(calibration.cell_scores(clip))
    assert [frames.stop for frames, _ in parts] == [7, 14, 20]
    fused = getattr(np, fuse)(each, 0)
    np.testing.assert_allclose(np.concatenate([maps for _, maps in parts]), fused, atol=1e-5)
