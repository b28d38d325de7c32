"""Figures of the check: AUCs against scikit-learn, intervals, and scores by the pipeline's own scorer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tests.scoring.errors import calibrated, three_branches
from vad.validation.figures import COLUMNS, Scores, figures, score, stretches_of, table
from vad.validation.overlay import Overlay
from vad.validation.passages import Passage, Stretch

THRESHOLD = 0.8


def scores(rng: np.random.Generator, length: int, shift: float = 0.0) -> Scores:
    """Random scores, many of them tied."""
    values = np.round(rng.random(length) + shift, 1)
    return Scores(values, values > THRESHOLD, {"look": np.round(rng.random(length), 1)})


def stretch(kind: str, start: int, end: int) -> Stretch:
    nothing = Overlay(np.arange(start, end), (0, 0, 1, 1), np.zeros((end - start, 2), int), (1, 1))
    return Stretch(kind, start, end, nothing)


def scored(seed: int, shift: float = 0.3):
    """Two clips, and passages of them that begin in frame 5."""
    rng = np.random.default_rng(seed)
    normal = {"val/a": scores(rng, 50), "val/b": scores(rng, 40)}
    passages = [
        Passage("val/a", 5, 35, [stretch("sped_up", 10, 16), stretch("pasted", 20, 28)]),
        Passage("val/b", 5, 30, [stretch("pasted", 9, 12)]),
    ]
    altered = [scores(rng, len(passage), shift) for passage in passages]
    return passages, altered, normal


@given(st.integers(0, 1000))
def test_the_auc_is_that_of_scikit_learn(seed):
    passages, altered, normal = scored(seed)
    result = figures(stretches_of(passages, altered, normal), normal, seed)

    def auc(parts, reference):
        positive, negative = np.concatenate(parts), np.concatenate(reference)
        labels = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
        return roc_auc_score(labels, np.r_[positive, negative])

    a, b = altered
    reference = [clip.scores for clip in normal.values()]
    assert result["kind"]["sped_up"]["auc"] == pytest.approx(auc([a.scores[5:11]], reference))
    both = [a.scores[15:23], b.scores[4:7]]
    assert result["kind"]["pasted"]["auc"] == pytest.approx(auc(both, reference))
    assert result["auc"] == pytest.approx(np.mean([kind["auc"] for kind in result["kind"].values()]))
    as_they_are = [normal["val/a"].scores[20:28], normal["val/b"].scores[9:12]]
    assert result["kind"]["pasted"]["unaltered"] == pytest.approx(auc(as_they_are, reference))
    branches = [clip.branches["look"] for clip in normal.values()]
    alone = auc([a.branches["look"][15:23], b.branches["look"][4:7]], branches)
    assert result["kind"]["pasted"]["branch"]["look"] == pytest.approx(alone)
    assert result["kind"]["pasted"]["low"] <= result["kind"]["pasted"]["auc"] + 1e-9
    assert result["kind"]["pasted"]["high"] >= result["kind"]["pasted"]["auc"] - 1e-9
    assert (result["stretches"], result["frames"]) == (3, 17)
    assert (result["normal_clips"], result["normal_frames"]) == (2, 90)


def test_intervals_come_from_resampled_stretches():
    """Two stretches, of AUC 0 and 1: a resample has 0, a half or 1."""
    normal = {"val/a": Scores(np.full(20, 0.5), np.zeros(20, bool), {})}
    passages = [Passage("val/a", 0, 20, [stretch("pasted", 2, 6), stretch("pasted", 10, 14)])]
    values = np.r_[np.zeros(10), np.ones(10)]
    altered = [Scores(values, values > 0.6, {})]
    result = figures(stretches_of(passages, altered, normal), normal, 0)
    assert (result["low"], result["auc"], result["high"]) == (0.0, 0.5, 1.0)
    assert (result["alarmed"], result["unaltered_alarmed"]) == (0.5, 0.0)


def test_the_table_has_a_row_per_stretch():
    passages, altered, normal = scored(1)
    stretches = stretches_of(passages, altered, normal)
    rows, result = table(stretches, passages, normal), figures(stretches, normal, 0)
    assert list(rows.columns) == COLUMNS
    assert rows[["clip", "kind", "passage", "start", "end"]].to_numpy().tolist() == [
        ["val/a", "sped_up", 0, 10, 16],
        ["val/a", "pasted", 0, 20, 28],
        ["val/b", "pasted", 1, 9, 12],
    ]
    assert rows["peak"].tolist() == [
        altered[0].scores[5:11].max(),
        altered[0].scores[15:23].max(),
        altered[1].scores[4:7].max(),
    ]
    for kind, of_kind in rows.groupby("kind"):
        mean = np.average(of_kind["auc"], weights=of_kind["end"] - of_kind["start"])
        assert mean == pytest.approx(result["kind"][kind]["auc"])
    assert rows["unaltered_peak"][2] == normal["val/b"].scores[9:12].max()
    assert rows["alarmed"].tolist() == (rows["peak"] > THRESHOLD).tolist()


def test_scores_are_those_of_the_calibration():
    errors = three_branches(np.random.default_rng(0))
    calibration = calibrated(errors, smooth={"median": 5, "gaussian": 1.0})
    of_clip = score(errors, calibration)
    np.testing.assert_allclose(of_clip.scores, calibration.frame_scores(errors))
    assert (of_clip.alarmed == (of_clip.scores > calibration.threshold)).all()
    for branch in calibration.branches:
        np.testing.assert_allclose(of_clip.branches[branch], calibration.frame_scores(errors, [branch]))
