"""Metrics of frames and clips, compared with scikit-learn and definitions; mistakes lower them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.preprocessing import minmax_scale

from vad import UserError, check
from vad.evaluation import baselines, bootstrap, frame_metrics, roc_metrics
from vad.evaluation.params import EvaluateParams
from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.clip_errors import ClipErrors

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
PARAMS = EvaluateParams(resamples=200)
HEADLINE = ("auc_micro", "auc_macro", "average_precision", "eer", "precision", "recall", "f1")


def clip(labels, scores=None, name="test/a", seconds=None, raw=None, **branches) -> ScoredClip:
    """A test clip; `labels` is None if it is not labelled.

    `raw` are the scores before smoothing, `branches` those of each branch alone; only `look` has learned.
    """
    n = len(labels if labels is not None else scores)
    scores = RNG.random(n) if scores is None else np.asarray(scores, float)
    return ScoredClip(
        clip=name,
        camera="hall",
        subject="",
        scores=scores,
        unsmoothed=scores if raw is None else np.asarray(raw, float),
        branches={branch: np.asarray(values, float) for branch, values in branches.items()},
        errors={},
        seconds=np.arange(n) / 10 if seconds is None else np.asarray(seconds, float),
        source_frames=np.arange(n),
        source_size=(6, 8),
        fps=10.0,
        anomalous=None if labels is None else np.asarray(labels, bool),
        events=[],
        regions=ClipErrors(name, n, 1, (6, 8), pd.DataFrame(), learned=("look",)),
    )


def against_trivial(clips: list[ScoredClip]) -> dict:
    """The results of `against_trivial`."""
    trivial = baselines.trivial_scorers(clips, PARAMS.seed)
    return baselines.against_trivial(clips, trivial, PARAMS)


VALUES = st.integers(-5, 5) | st.floats(-5, 5).map(lambda x: round(x, 3))


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels of any kind, and scores with many ties."""
    n = draw(st.integers(1, 40))
    y = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return np.array(y), np.array(draw(st.lists(VALUES, min_size=n, max_size=n)), float)


mixed = labelled().filter(lambda case: roc_metrics.both_classes(case[0]))  # both classes


def share_of_wins(y: np.ndarray, s: np.ndarray) -> float:
    """Share of pairs in which the anomalous frame has a higher score than the normal frame, ties half."""
    gap = s[y][:, None] - s[~y][None]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


@given(mixed)
@few
def test_auc_is_the_share_of_pairs_with_a_higher_anomalous_score(case):
    assert roc_metrics.auc(*case) == pytest.approx(share_of_wins(*case))
    assert roc_metrics.auc(*case) == pytest.approx(sk.roc_auc_score(*case))


def roc_points(y: np.ndarray, s: np.ndarray) -> list[tuple[float, float]]:
    """(false positive rate, miss rate) for an alarm at or above each score, from none to all."""
    cuts = [np.inf, *sorted(set(s.tolist()), reverse=True)]
    return [((s >= cut)[~y].mean(), (s < cut)[y].mean()) for cut in cuts]


@given(mixed)
@few
def test_eer_is_where_false_alarms_and_misses_are_equally_frequent(case):
    y, s = case
    for (f0, m0), (f1, m1) in pairwise(roc_points(y, s)):
        if f0 <= m0 and f1 >= m1:  # on this segment they cross
            share = (m0 - f0) / ((m0 - f0) + (f1 - m1))
            break
    assert roc_metrics.equal_error_rate(y, s) == pytest.approx(f0 + share * (f1 - f0), abs=1e-12)


@given(st.lists(mixed, min_size=1, max_size=3), st.floats(-3, 3))
@settings(max_examples=25, deadline=None)
def test_the_headline_is_that_of_scikit_learn_on_all_frames(cases, threshold):
    got = frame_metrics.frame_level([clip(y, s) for y, s in cases], threshold)
    y, s = (np.concatenate(part) for part in zip(*cases, strict=True))
    alarmed = s > threshold  # above, not at
    assert (got["frames"], got["anomalous_frames"]) == (len(y), y.sum())
    assert got["auc_micro"] == pytest.approx(sk.roc_auc_score(y, s))
    assert got["auc_macro"] == pytest.approx(np.mean([sk.roc_auc_score(*case) for case in cases]))
    assert got["average_precision"] == pytest.approx(sk.average_precision_score(y, s))
    assert got["eer"] == roc_metrics.equal_error_rate(y, s)
    assert got["precision"] == pytest.approx(sk.precision_score(y, alarmed, zero_division=0))
    assert got["recall"] == pytest.approx(sk.recall_score(y, alarmed))
    assert got["f1"] == pytest.approx(2 * (y & alarmed).sum() / (alarmed.sum() + y.sum()))
    assert (got["clips_in_macro"], got["clips_with_one_class"]) == (len(cases), 0)
    best = got["oracle"]
    assert best["f1"] >= got["f1"] - 1e-12
    assert best["f1"] == pytest.approx(sk.f1_score(y, s > best["threshold"]))


@given(st.lists(labelled(), min_size=1, max_size=4))
@few
def test_minmax_is_done_clip_by_clip(cases):
    labels, scores = zip(*cases, strict=True)
    scaled = [minmax_scale(s) if len(set(s)) > 1 else np.zeros(len(s)) for s in scores]
    got = roc_metrics.minmax(scores)
    for values, expected in zip(got, scaled, strict=True):
        np.testing.assert_allclose(values, expected, atol=1e-12)
    assert roc_metrics.auc_macro(labels, got) == roc_metrics.auc_macro(labels, scores)  # the order stays


@given(st.lists(labelled(), min_size=1, max_size=4))
@few
def test_padded_macro_follows_its_definition(cases):
    """Each clip gets a normal frame of 0 and an anomalous frame of 1, so that each has an AUC."""
    aucs = []
    for y, s in cases:
        low, high = min(s), max(s)
        scaled = [(x - low) / (high - low) if high > low else 0.0 for x in s]
        anomalous = [x for x, label in zip(scaled, y, strict=True) if label] + [1.0]
        normal = [x for x, label in zip(scaled, y, strict=True) if not label] + [0.0]
        wins = sum((a > n) + (a == n) / 2 for a in anomalous for n in normal)
        aucs.append(wins / len(anomalous) / len(normal))
    got = roc_metrics.auc_macro_padded(*zip(*cases, strict=True))
    assert got == pytest.approx(sum(aucs) / len(aucs))


def test_padded_macro_overrates_clips_with_only_anomalous_frames():
    scores = [RNG.random(99)]
    assert roc_metrics.auc_macro(scores, scores) is None
    assert roc_metrics.auc_macro_padded([np.ones(99, bool)], scores) == 1 - 0.5 / 100  # the lowest frame ties
    assert roc_metrics.auc_macro_padded([], []) is None


def test_micro_compares_frames_of_different_clips():
    """Each clip alone is ranked right, but all scores of the second are above those of the first."""
    clips = [clip([0, 1], [0.0, 0.1]), clip([0, 1], [10.0, 10.1], "test/b")]
    got = frame_metrics.frame_level(clips, 0)
    assert (got["auc_macro"], got["auc_micro"]) == (1.0, 0.75)
    assert got["minmax_per_clip"] == {
        "auc_micro": 1.0,
        "auc_macro": 1.0,
    }  # which is why it is not the headline


def test_macro_is_the_mean_of_the_clips_that_have_both_classes():
    good, bad = clip([0, 1], [0, 1]), clip([0, 1], [1, 0], "test/b")
    normal, fall = clip([0, 0], [5, 5], "test/c"), clip([1, 1], [0, 0], "test/d")
    unlabelled = clip(None, [9, 9], "test/e")
    got = frame_metrics.frame_level([good, bad, normal, fall, unlabelled], 0)
    assert got["auc_macro"] == 0.5
    assert (got["clips_in_macro"], got["clips_with_one_class"]) == (2, 2)
    assert got["frames"] == 8  # the unlabelled clip counts nowhere


def test_macro_is_absent_where_no_clip_has_both_classes():
    got = frame_metrics.frame_level([clip([0, 0], [0, 1]), clip([1, 1], [2, 3], "test/b")], 0)
    assert (got["auc_macro"], got["auc_micro"], got["clips_in_macro"]) == (None, 1.0, 0)


@given(st.lists(labelled(), min_size=2, max_size=6))
@few
def test_clip_level_is_the_auc_of_the_highest_scores(cases):
    got = frame_metrics.clip_level([*(clip(y, -s, raw=s) for y, s in cases), clip(None, [99])])
    for key, sign in (("auc", 1), ("auc_smoothed", -1)):
        with_anomaly = [max(sign * s) for y, s in cases if any(y)]
        without = [max(sign * s) for y, s in cases if not any(y)]
        assert (got["anomalous"], got["normal"]) == (len(with_anomaly), len(without))
        if with_anomaly and without:
            wins = [(a > n) + (a == n) / 2 for a in with_anomaly for n in without]
            assert got[key] == pytest.approx(np.mean(wins))
        else:
            assert key not in got
            assert got["absent"] == "needs labelled clips with an anomaly and without"


@pytest.mark.parametrize(
    ("clips", "why"),
    [
        ([clip(None, [1, 2], speed=[1, 2])], "no test clip is labelled"),
        ([clip([0, 0], speed=[1, 2])], "all labelled frames are normal"),
        ([clip([1, 1]), clip(None, [1])], "all labelled frames are anomalous"),
        ([], "no test clip is labelled"),
    ],
)
def test_undefined_figures_are_absent_with_a_reason(clips, why):
    got = frame_metrics.frame_level(clips, 0.5)
    assert got["absent"] == why
    assert set(got) <= {"absent", "frames", "anomalous_frames", "false_positive_rate"}
    assert ("false_positive_rate" in got) == (why == "all labelled frames are normal")
    assert against_trivial(clips) == frame_metrics.branch_level(clips) == {}
    assert "auc" not in frame_metrics.clip_level(clips)


INTERVAL = np.r_[np.zeros(30), np.ones(20), np.zeros(50)].astype(bool)


@pytest.mark.parametrize("shift", [-1, 1])
@pytest.mark.parametrize("what", ["labels", "scores"])
def test_a_perfect_scorer_has_auc_1_and_less_if_shifted_by_a_frame(what, shift):
    scores = INTERVAL.astype(float)
    got = frame_metrics.frame_level([clip(INTERVAL, scores)], 0.5)
    perfect = dict.fromkeys(HEADLINE, 1.0) | {"eer": 0.0}
    assert got == got | perfect
    labels, scores = (
        np.roll(x, shift if what == name else 0) for name, x in (("labels", INTERVAL), ("scores", scores))
    )
    off = frame_metrics.frame_level([clip(labels, scores)], 0.5)
    hits, normal = 19 / 20, 79 / 80  # a frame of each kind is wrong
    assert off["f1"] == off["precision"] == off["recall"] == pytest.approx(hits)
    for figures in (off, off["minmax_per_clip"]):
        assert figures["auc_micro"] == figures["auc_macro"] == pytest.approx((hits + normal) / 2)
    assert off["average_precision"] < 1
    assert off["eer"] > 0
    assert off["oracle"]["f1"] < 1


def test_labels_of_another_clip_lower_the_auc():
    first, second = INTERVAL, np.roll(INTERVAL, 45)
    right = [clip(first, first), clip(second, second, "test/b")]
    wrong = [replace(right[0], anomalous=second), replace(right[1], anomalous=first)]
    assert frame_metrics.frame_level(right, 0.5)["auc_micro"] == 1.0
    assert frame_metrics.frame_level(wrong, 0.5)["auc_micro"] < 0.5


def test_shuffled_labels_reduce_a_good_scorer_to_chance():
    scores = INTERVAL + RNG.normal(0, 0.3, 100)
    assert roc_metrics.auc(INTERVAL, scores) > 0.95
    shuffled = [roc_metrics.auc(RNG.permutation(INTERVAL), scores) for _ in range(50)]
    assert np.mean(shuffled) == pytest.approx(0.5, abs=0.05)


def test_missing_frames_are_an_error():
    with pytest.raises(ValueError, match="inconsistent numbers"):
        frame_metrics.frame_level([replace(clip(INTERVAL), scores=np.zeros(99))], 0.5)


def test_higher_is_more_anomalous():
    assert roc_metrics.auc(INTERVAL, -INTERVAL.astype(float)) == 0.0


def test_trivial_scorers_are_chance_time_and_branches_that_learned_nothing():
    learned = {"look": [9], "learned": [9]}
    late = clip([0, 0, 0, 1, 1], seconds=[100, 101, 102, 103, 104], speed=range(5), **learned)  # a fall
    early = clip([0, 1, 0, 0], name="test/b", seconds=[0, 1, 2, 3], speed=[0, 9, 0, 0], **learned)
    got = baselines.trivial_scorers([late, clip(None, [5, 5]), early], 0)
    assert list(got) == ["random", "time", "speed"]
    assert [scores.tolist() for scores in got["time"]] == [
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3],
    ]  # since the clip began
    assert [scores.tolist() for scores in got["speed"]] == [[0, 1, 2, 3, 4], [0, 9, 0, 0]]
    assert set(baselines.trivial_scorers([late, clip([0, 1])], 0)) == {
        "random",
        "time",
    }  # there is no flow
    assert against_trivial([late, early])["baseline"]["time"] == {
        "auc_micro": pytest.approx(
            sk.roc_auc_score([0, 0, 0, 1, 1, 0, 1, 0, 0], [0, 1, 2, 3, 4, 0, 1, 2, 3])
        ),
        "auc_macro": pytest.approx(2 / 3),  # 1 and 1/3
    }


def test_the_random_scorer_is_at_chance_and_repeats_by_its_seed():
    clips = [clip(RNG.random(3000) < 0.3)]
    scores, same, other = (baselines.trivial_scorers(clips, seed)["random"][0] for seed in (0, 0, 1))
    assert (scores == same).all()
    assert (scores != other).any()
    assert roc_metrics.auc(clips[0].anomalous, scores) == pytest.approx(0.5, abs=0.05)


def test_trivial_scorers_do_not_depend_on_the_scores():
    y = RNG.random(50) < 0.5
    perfect, random = (against_trivial([clip(y, s)]) for s in (y.astype(float), RNG.random(50)))
    assert perfect["baseline"] == random["baseline"]


def test_the_gain_is_over_the_best_trivial_scorer():
    noise = [RNG.normal(size=60) for _ in range(12)]
    labels = [RNG.random(60) < 0.4 for _ in noise]
    clips = [
        clip(y, y + 0.7 * e, f"test/{i}", speed=y + 3 * e)
        for i, (y, e) in enumerate(zip(labels, noise, strict=True))
    ]
    got = against_trivial(clips)
    assert (
        got["gain"]["over"]
        == "speed"
        == max(got["baseline"], key=lambda name: got["baseline"][name]["auc_micro"])
    )
    frame = frame_metrics.frame_level(clips, 0.5)
    for kind in ("auc_micro", "auc_macro"):
        gain, interval = got["gain"][kind], got["interval"][kind]
        assert gain["difference"] == pytest.approx(frame[kind] - got["baseline"]["speed"][kind])
        assert 0 < gain["low"] <= gain["difference"] <= gain["high"]
        assert interval["low"] <= frame[kind] <= interval["high"]
    scores = [scored.scores for scored in clips]
    assert got["interval"] == bootstrap.headline(labels, scores, PARAMS.resamples, PARAMS.seed)
    by_speed = [replace(scored, scores=scored.branches["speed"]) for scored in clips]
    gain = against_trivial(by_speed)["gain"]["auc_micro"]
    assert (gain["difference"], gain["low"], gain["high"]) == (0, 0, 0)


@given(mixed, mixed)
@settings(max_examples=25, deadline=None)
def test_each_branch_has_aucs_of_its_scores_alone(case, other):
    (y, s), (z, more) = case, other
    clips = [
        clip(y, look=s, speed=-s),
        clip(z, None, "test/b", look=-more, speed=more),
        clip(None, [1], "test/c"),
    ]
    got = frame_metrics.branch_level(clips)
    assert list(got) == ["look", "speed"]
    for branch, sign in (("look", 1), ("speed", -1)):
        scores = np.r_[sign * s, -sign * more]
        assert got[branch]["auc_micro"] == pytest.approx(share_of_wins(np.r_[y, z], scores))
        by_clip = [share_of_wins(y, sign * s), share_of_wins(z, -sign * more)]
        assert got[branch]["auc_macro"] == pytest.approx(np.mean(by_clip))


def test_a_missing_identity_file_is_reported_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = r"evaluate\.identity = 'who\.csv': no such file .*clip, track, person"
    with pytest.raises(UserError, match=message):
        check.check_identity({"evaluate": {"identity": "who.csv"}})
    (tmp_path / "who.csv").touch()
    check.check_identity({"evaluate": {"identity": "who.csv"}})
