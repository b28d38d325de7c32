"""Fitting to normal errors: standardisation of frames, cameras and cells, and thresholds."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.errors import calibrated, clip_errors, params, squeezed, three_branches
from vad import UserError
from vad.scoring.calibrate import calibrate
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.pooling import frame_errors
from vad.scoring.thresholds import fit_threshold

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
floats = st.floats(0, 1, width=32).map(lambda x: round(x, 4))


@given(st.lists(floats, min_size=5, max_size=60), st.lists(floats, min_size=2, max_size=60))
@few
def test_scores_keep_the_order_of_errors(normal, errors):
    """Scores have the ranks and ties of the errors, so calibrating a single branch changes no AUC."""
    normal, errors = np.float32(normal), np.sort(np.float32(errors))
    centre, high = np.quantile(normal.astype(float), (0.5, 0.95))
    if not high > centre:
        with pytest.raises(UserError, match="no scale"):
            calibrated(clip_errors(normal))
        return
    scores = calibrated(clip_errors(normal)).frame_scores(clip_errors(errors))
    z = (errors.astype(float) - centre) / (high - centre)
    np.testing.assert_allclose(scores, squeezed(z), atol=1e-9)
    assert (np.diff(scores) >= 0).all()
    near = z[1:] > -20  # far below the median all are -0.01 in double precision
    assert ((np.diff(scores) > 0) == (np.diff(errors) > 0))[near].all()


@pytest.mark.parametrize("normalisation", ["tail", "quantile", "z_score"])
def test_the_median_becomes_0_and_the_95th_percentile_1_or_mean_and_deviation(normalisation):
    normal = RNG.gamma(2, 1, 1001).astype(np.float32)
    # clips count by their frames
    calibration = calibrated(
        clip_errors(normal[:400]), clip_errors(normal[400:]), normalisation=normalisation
    )
    if normalisation != "z_score":
        zero, unit = np.median(normal), np.percentile(normal, 95)
    else:
        zero = normal.mean(dtype=float)
        unit = zero + normal.std(dtype=float)
    scores = calibration.fuse({"look": [zero, unit, 2 * unit - zero]})
    # a tail is fitted, and only a tail of its own kind would be a line
    tolerance = (0.05, 0.2) if normalisation == "tail" else (1e-6, 1e-6)
    np.testing.assert_allclose(scores[:2], [0, 1], atol=tolerance[0])
    assert scores[2] == pytest.approx(2, abs=tolerance[1])
    assert (calibration.frames, calibration.hours) == (1001, pytest.approx(1001 / 10 / 3600))


def test_branches_of_regions_are_standardised_on_frames_with_regions():
    """Although most frames are empty, there is a spread; for maps, every frame counts."""
    errors, at, maps = RNG.random(9).astype(np.float32), np.arange(9) * 3, RNG.random((200, 3, 4))
    for aggregate in ("region", "cell"):
        calibration = calibrated(clip_errors(errors, 200, at, speed=maps), aggregate=aggregate)
        middle, high = np.quantile(errors, (0.5, 0.95))
        expected = pytest.approx((middle, high - middle))
        standardisation = calibration.standardisation[""]
        assert astuple(standardisation["look"]) == expected
        highest = np.float16(maps).max((1, 2)).astype(float)
        assert standardisation["speed"].centre == pytest.approx(np.median(highest))
        for branch, norm in standardisation.items():
            assert astuple(calibration.cell_standardisation[branch]) == pytest.approx(astuple(norm))
        painted = np.zeros((200, 3, 4))  # a map of regions shows 0 where there is none
        painted[at] = errors[:, None, None]
        both = calibrated(clip_errors(errors, 200, at, look=painted), aggregate=aggregate)
        rounded = pytest.approx((middle, high - middle), rel=1e-2)
        assert astuple(both.standardisation[""]["look"]) == rounded


def test_cells_are_standardised_on_the_highest_of_a_frame_whatever_frames_are_made_from():
    normal = clip_errors(RNG.random(9), 200, np.arange(9) * 3, speed=RNG.random((200, 3, 4)))
    cells = {"aggregate": "cell", "error_sigma": 0.1}
    for changed in ({"aggregate": "region"}, {"pool": "mean_top", "top_k": 3}):
        calibration = calibrated(normal, **cells | changed)
        assert calibration.cell_standardisation == calibrated(normal, **cells).standardisation[""]
        assert calibration.cell_standardisation != calibration.standardisation[""]


def two_cameras() -> list[ClipErrors]:
    """The errors of a camera are a hundred times those of the other."""
    cameras = [("val/a", "a", 1), ("val/b", "b", 100), ("val/c", "a", 1)]
    return [clip_errors(times * RNG.random(50), clip=clip, camera=camera) for clip, camera, times in cameras]


def test_each_camera_is_standardised_on_its_normal_frames():
    a, b, more = two_cameras()
    calibration = calibrated(a, b, more, per_camera=True)
    assert sorted(calibration.standardisation) == ["", "a", "b"]
    for camera, clips in (("a", [a, more]), ("b", [b]), ("", [a, b, more])):
        assert calibration.standardisation[camera] == calibrated(*clips).standardisation[""]
    # a camera without normal footage has the standardisation of all cameras
    unseen = replace(b, camera="c")
    assert calibration.frame_scores(unseen).tolist() == calibrated(a, b, more).frame_scores(b).tolist()
    assert calibration.frame_scores(b).tolist() == calibrated(b).frame_scores(b).tolist()
    assert sorted(calibrated(a, b, more).standardisation) == [""]


def test_a_camera_without_spread_is_standardised_like_all():
    spread, flat = clip_errors(RNG.random(9), camera="a"), clip_errors([1.0] * 9, camera="b")
    standardisation = calibrated(spread, flat, per_camera=True).standardisation
    assert standardisation["b"] == standardisation[""] != standardisation["a"]


@pytest.mark.parametrize("lookahead", [None, 0.0, 0.2])
def test_errors_are_standardised_as_they_are_smoothed(lookahead):
    """Half of the normal frames have scores below 0, however far smoothing looks ahead."""
    normal = clip_errors(np.repeat(RNG.random(20), 10))
    calibration = calibrated(normal, aggregate="track", error_sigma=0.3, lookahead=lookahead)
    errors = frame_errors(normal, ["look"], calibration.params)["look"]
    assert calibration.standardisation[""]["look"].centre == pytest.approx(np.median(errors))
    assert (calibration.fuse({"look": errors}) > 0).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("lookahead", "slow", "fast"), [(None, 5 + 2 + 2, 10 + 4 + 5), (0.0, 0, 0), (0.8, 8, 16)]
)
def test_the_lookahead_is_that_of_errors_and_smoothing(lookahead, slow, fast):
    """At the rate of each clip: in frames the fast clip has the most, in seconds perhaps the slow clip."""
    normal = [
        replace(clip_errors(RNG.random(40)), lookahead=2),
        replace(clip_errors(RNG.random(40)), lookahead=3, fps=20.0),
    ]
    chosen = {"aggregate": "track", "error_sigma": 0.2, "smooth": {"median": 0.4, "gaussian": 0.1}}
    calibration = calibrated(*normal, lookahead=lookahead, **chosen)
    assert calibration.lookahead == 3 + fast
    assert calibration.delay == pytest.approx((2 + slow) / 10)
    assert [calibration.smoothing(fps).lookahead for fps in (10.0, 20.0)] == [slow, fast]


@pytest.mark.parametrize("lookahead", [None, 0.1])
@pytest.mark.parametrize("policy", ["percentile", "sigma", "fixed", "false_alarms"])
def test_thresholds_are_those_of_the_policy(policy, lookahead):
    """Over all normal frames, also empty frames; per clip for the policy that counts events."""
    changed = {"smooth": {"median": 0.2, "gaussian": 0.1}, "threshold": {"policy": policy}}
    normal = [clip_errors(RNG.random(40), 50, np.arange(40)), clip_errors(RNG.random(30))]
    log: list[str] = []
    calibration = calibrate(normal, params(lookahead=lookahead, **changed), log.append)
    chosen = calibration.params
    scores = [(calibration.frame_scores(clip), 10.0) for clip in normal]
    assert calibration.threshold == fit_threshold(chosen.threshold, scores, chosen.events, lambda line: None)
    assert len(log) == (policy == "false_alarms")
    maps = np.concatenate([part for clip in normal for _, part in calibration.cell_scores(clip)])
    assert calibration.cell_threshold == pytest.approx(np.percentile(maps.max((1, 2)), 50))


def test_a_percentile_beyond_the_number_of_frames_is_refused():
    with pytest.raises(UserError, match=r"70 normal frames are too few for .*, which needs 100;"):
        calibrated(clip_errors(RNG.random(70)), threshold={"percentile": 99.0})


@pytest.mark.parametrize(
    ("clips", "changed", "message"),
    [
        ([], {}, "no normal clips to calibrate with; set data.folds"),
        ([clip_errors([3.0] * 5)], {}, "same error of the branch look, so there is no scale"),
        (
            [clip_errors([], 4), clip_errors([], 5)],
            {},
            r"none of the 2 normal clips \(9 frames\) has a region",
        ),
        (
            [clip_errors(RNG.random(9))],
            {"branches": ["look", "classes", "speed"]},
            r"calibrate\.branches: there are no errors of classes, speed, only of look; name only",
        ),
        (
            [clip_errors([1.0] * 9, camera="a"), clip_errors([1.0] * 9, camera="b")],
            {"per_camera": True},
            "all normal frames have the same error of the branch look",
        ),
    ],
)
def test_normal_errors_without_clips_regions_or_spread_are_refused(clips, changed, message):
    with pytest.raises(UserError, match=message):
        calibrated(*clips, **changed)


def test_a_branch_without_spread_is_left_out_unless_it_is_named():
    still = three_branches(RNG)
    still = replace(still, table=still.table.assign(error_classes=np.float32(0)))
    log: list[str] = []
    calibration = calibrate([still], params(), log.append)
    assert calibration.branches == calibrated(three_branches(RNG)).branches
    assert log[0].startswith("classes left out")
    with pytest.raises(UserError, match="same error of the branch classes"):
        calibrate([still], params(branches=["look", "classes"]))


def test_empty_clips_lower_the_threshold_but_do_not_change_standardisation():
    """Frames without regions have the lowest score."""
    full, empty = clip_errors(RNG.random(40), move=RNG.random(40)), clip_errors([], 40, move=[])
    both, alone = calibrated(full, empty), calibrated(full)
    assert both.frames == 80
    assert both.standardisation == alone.standardisation
    lowest = sum(squeezed(-norm.centre / norm.spread) for norm in both.standardisation[""].values())
    scores = both.frame_scores(full)
    np.testing.assert_allclose(both.frame_scores(empty), [lowest] * 40)
    assert lowest < scores.min()
    assert both.threshold == pytest.approx(np.percentile([*scores, *[lowest] * 40], 50))
    assert {len(both.region_scores(item, empty.size)) for item in empty.each_frame()} == {0}
