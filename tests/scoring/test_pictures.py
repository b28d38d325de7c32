"""The calibration of single pictures."""

from dataclasses import replace

import numpy as np
import pytest

from tests.scoring.errors import clip_errors, params
from vad.scoring.calibrate import calibrate
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.pictures import calibrate_pictures
from vad.scoring.scorer import Scorer
from vad.stream import results

RNG = np.random.default_rng(0)
NORMAL = [clip_errors(RNG.random(150), clip=f"train/{c}", move=RNG.random(150)) for c in "abc"]
SMOOTHED = {"smooth": {"median": 1.2, "gaussian": 0.2}, "error_sigma": 0.2, "aggregate": "cell"}


def scores_of(calibration: Calibration, clip: ClipErrors) -> np.ndarray:
    """Scores of the frames of a clip, each by itself."""
    out = []
    for item in clip.each_frame():
        (scored,) = results(Scorer(calibration, clip.size, clip.cell, 1.0), [item])
        out.append(scored.score)
    return np.array(out)


@pytest.mark.parametrize("policy", ["false_alarms", "percentile", "sigma", "fixed"])
def test_the_threshold_is_a_percentile_whatever_the_policy_for_videos(policy):
    section = params(**SMOOTHED, threshold={"policy": policy, "percentile": 96.0})
    calibration = calibrate_pictures(NORMAL, section)
    scores = np.concatenate([scores_of(calibration, clip) for clip in NORMAL])
    assert calibration.threshold == pytest.approx(np.percentile(scores, 96))
    assert np.mean(scores > calibration.threshold) == pytest.approx(0.04)
    assert calibration.evidence.asked_share == pytest.approx(0.04)
    assert calibration.evidence.left_out == 3
    assert (calibration.frames, calibration.lookahead) == (450, 0)


def test_a_picture_is_not_smoothed_with_its_neighbours():
    calibration = calibrate_pictures(NORMAL, params(**SMOOTHED))
    errors = np.full(9, 0.5)
    errors[4] = 9
    clip = clip_errors(errors, move=np.full(9, 0.5))
    together = [scored.score for scored in results(Scorer(calibration, (6, 8), 2, 10.0), clip.each_frame())]
    np.testing.assert_allclose(together, scores_of(calibration, clip))
    assert together[4] > calibration.threshold > together[3]


def test_only_branches_that_are_asked_for_and_need_no_motion_are_fused():
    lines: list[str] = []
    assert calibrate_pictures(NORMAL, params(branches=["move", "speed"]), lines.append).branches == ["move"]
    assert "branches move" in lines[-2]
    assert calibrate_pictures(NORMAL, params(branches=["speed"]), lines.append) is None
    assert "all branches need motion" in lines[-1]


@pytest.mark.parametrize(
    ("normal", "percentile", "reason"),
    [
        ([clip_errors(RNG.random(30))], 99.0, "30 normal frames are too few"),
        ([clip_errors(np.full(30, 0.5))], 50.0, "the same error"),
        ([clip_errors(np.zeros(0), frames=30)], 50.0, "has a region"),
    ],
)
def test_where_there_can_be_no_threshold_the_log_says_why(normal, percentile, reason):
    lines: list[str] = []
    section = params(threshold={"percentile": percentile})
    assert calibrate_pictures(normal, section, lines.append) is None
    assert lines[-1].startswith("matters for `vad detect PICTURE` alone: single pictures cannot be scored: ")
    assert reason in lines[-1]


def test_without_measured_pictures_there_is_nothing_to_say():
    lines: list[str] = []
    assert calibrate_pictures([], params(), lines.append) is None
    assert lines == []


def test_the_calibration_of_pictures_is_read_as_it_was_written(tmp_path):
    whole = replace(calibrate(NORMAL, params()), picture=calibrate_pictures(NORMAL, params()))
    whole.save(tmp_path / "calibration.json")
    assert Calibration.load(tmp_path / "calibration.json") == whole
