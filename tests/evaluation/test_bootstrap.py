"""Confidence intervals compared with scikit-learn's AUCs of concatenated resamples."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from vad.evaluation import bootstrap

RNG = np.random.default_rng(0)

few = settings(max_examples=40, deadline=None)


@st.composite
def clips(draw: st.DrawFn, fewest: int = 1) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Labels and the scores of two scorers, with ties within and between clips; some clips lack a class."""
    frames = draw(st.lists(st.integers(1, 12), min_size=fewest, max_size=6))
    labels = [np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool) for n in frames]
    values = st.integers(0, 5) | st.floats(0, 5, width=16)
    scores, baseline = (
        [np.array(draw(st.lists(values, min_size=n, max_size=n)), float) for n in frames] for _ in range(2)
    )
    return labels, scores, baseline


def auc(labels: list[np.ndarray], scores: list[np.ndarray]) -> float:
    """Micro AUC of the concatenated clips; NaN if a class is missing."""
    y, s = np.concatenate(labels), np.concatenate(scores)
    return roc_auc_score(y, s) if 0 < y.sum() < len(y) else np.nan


def mean_auc(labels: list[np.ndarray], scores: list[np.ndarray]) -> float:
    """Macro AUC of the clips that have both classes."""
    by_clip = [auc([y], [s]) for y, s in zip(labels, scores, strict=True)]
    defined = [a for a in by_clip if a == a]
    return np.mean(defined) if defined else np.nan


def resampled(labels, scores, weights: np.ndarray) -> tuple[list[float], list[float]]:
    """(micro, macro) of every resample, computed on its concatenated clips."""
    draws = [[i for i, times in enumerate(row) for _ in range(times)] for row in weights]
    drawn = [([labels[i] for i in rows], [scores[i] for i in rows]) for rows in draws]
    return [auc(*clips) for clips in drawn], [mean_auc(*clips) for clips in drawn]


def counts(labels: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([y.sum() for y in labels]), np.array([len(y) - y.sum() for y in labels])


@given(clips())
@few
def test_wins_equal_a_count_over_all_pairs_of_frames(case):
    labels, scores, _ = case
    got = bootstrap.count_wins(labels, scores)
    assert got.dtype == np.float64
    for i, (yi, si) in enumerate(zip(labels, scores, strict=True)):
        for j, (yj, sj) in enumerate(zip(labels, scores, strict=True)):
            wins = [(a > b) + (a == b) / 2 for a in si[yi] for b in sj[~yj]]
            assert got[i, j] == sum(wins)


@given(clips(), st.integers(0, 99))
@few
def test_micro_is_the_auc_of_the_concatenated_resample(case, seed):
    labels, scores, _ = case
    weights = bootstrap.draw_weights(len(labels), 4, seed)
    got = bootstrap.micro(bootstrap.count_wins(labels, scores), *counts(labels), weights)
    np.testing.assert_allclose(got, resampled(labels, scores, weights)[0], rtol=1e-12)


@given(clips(), st.integers(0, 99))
@few
def test_macro_is_the_mean_of_the_drawn_clips_that_have_an_auc(case, seed):
    labels, scores, _ = case
    weights = bootstrap.draw_weights(len(labels), 4, seed)
    aucs = np.array([auc([y], [s]) for y, s in zip(labels, scores, strict=True)])
    np.testing.assert_allclose(
        bootstrap.macro(aucs, weights), resampled(labels, scores, weights)[1], rtol=1e-12
    )


def test_wins_micro_and_macro_of_three_clips_by_hand():
    labels = [np.array([0, 1], bool), np.array([0, 1], bool), np.array([1], bool)]
    scores = [np.array([0.0, 0.1]), np.array([10.0, 10.1]), np.array([0.0])]
    wins = bootstrap.count_wins(labels, scores)
    assert wins.tolist() == [[1, 0, 0], [1, 1, 0], [0.5, 0, 0]]  # the third has no normal frame
    weights = np.array([[1, 1, 0], [2, 0, 1], [0, 0, 3]])
    got = bootstrap.micro(wins, *counts(labels), weights)
    assert got[:2].tolist() == [0.75, 5 / 6]  # twice (2 * 1 + 0.5) of 3 * 2 pairs
    assert np.isnan(got[2])
    got = bootstrap.macro(np.array([1.0, 0.25, np.nan]), np.array([[1, 1, 1], [1, 2, 0], [0, 0, 3]]))
    assert got[:2].tolist() == [0.625, 0.5]
    assert np.isnan(got[2])


def test_every_resample_draws_as_many_clips_as_there_are():
    got = bootstrap.draw_weights(7, 4000, 0)
    assert got.shape == (4000, 7)
    assert got.dtype.kind == "i"
    assert (got.sum(1) == 7).all()
    assert got.min() == 0
    assert got.mean(0) == pytest.approx(np.ones(7), abs=0.06)
    assert (got == 0).mean() == pytest.approx((6 / 7) ** 7, abs=0.01)  # drawn with replacement
    assert (got == bootstrap.draw_weights(7, 4000, 0)).all()
    assert (got != bootstrap.draw_weights(7, 4000, 1)).any()


def test_the_interval_holds_the_middle_of_the_defined_values():
    values = RNG.permutation(np.r_[np.arange(101) / 100, [np.nan] * 50])
    assert bootstrap.interval(values, 0.9) == pytest.approx((0.05, 0.95))
    assert bootstrap.interval(values) == pytest.approx((0.025, 0.975))


@given(clips(2), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_headline_and_gain_equal_those_of_concatenated_resamples(case, seed):
    labels, scores, baseline = case
    weights = bootstrap.draw_weights(len(labels), 6, seed)
    of_model, of_baseline = (resampled(labels, s, weights) for s in (scores, baseline))
    head = bootstrap.headline(labels, scores, 6, seed)
    gain = bootstrap.gain(labels, scores, baseline, 6, seed)
    assert (head["clips"], head["resamples"]) == (gain["clips"], gain["resamples"]) == (len(labels), 6)
    for i, (name, observe) in enumerate((("auc_micro", auc), ("auc_macro", mean_auc))):
        if "absent" in head[name]:
            assert "absent" in gain[name]
            continue
        values = np.array(of_model[i])
        defined = values[~np.isnan(values)]
        low, high = np.percentile(defined, [2.5, 97.5])
        assert head[name] == pytest.approx({"low": low, "high": high, "defined": len(defined)}, abs=1e-12)
        values = values - np.array(of_baseline[i])
        low, high = np.percentile(values[~np.isnan(values)], [2.5, 97.5])
        difference = observe(labels, scores) - observe(labels, baseline)
        expected = {"difference": difference, "low": low, "high": high, "defined": len(defined)}
        assert gain[name] == pytest.approx(expected, abs=1e-12)


Y, N, B = np.ones(3, bool), np.zeros(3, bool), np.array([0, 1, 1], bool)


@pytest.mark.parametrize(
    ("labels", "why_micro", "why_macro"),
    [
        ([], "no labelled frame is anomalous", "clips with both classes: 0"),
        ([N, N], "no labelled frame is anomalous", "clips with both classes: 0"),
        ([Y, Y], "no labelled frame is normal", "clips with both classes: 0"),
        ([B], "only one clip has anomalous frames", "clips with both classes: 1"),
        ([Y, N], "only one clip has anomalous frames", "clips with both classes: 0"),
        ([B, N], None, "clips with both classes: 1"),
        ([Y, N, N], None, "clips with both classes: 0"),
        ([B, B], None, None),
    ],
)
def test_there_is_no_interval_if_resamples_cannot_vary(labels, why_micro, why_macro):
    scores = [RNG.random(len(y)) for y in labels]
    head = bootstrap.headline(labels, scores, 50, 0)
    gain = bootstrap.gain(labels, scores, scores, 50, 0)
    for name, why in (("auc_micro", why_micro), ("auc_macro", why_macro)):
        for got in (head[name], gain[name]):
            if why is None:
                assert got["low"] <= got["high"]
            else:
                assert list(got) == ["absent"]
                assert got["absent"].startswith(why)
    assert (head["clips"], head["resamples"]) == (len(labels), 50)


def test_resamples_that_lack_a_class_are_left_out_and_counted():
    labels, scores = [Y, N, N], [np.arange(3.0), np.arange(3.0), np.arange(3.0)]
    got = bootstrap.headline(labels, scores, 2000, 0)["auc_micro"]
    # defined with one or two of the first clip among three: 1 - (2/3)**3 - (1/3)**3 of the resamples
    assert got["defined"] / 2000 == pytest.approx(2 / 3, abs=0.05)
    assert got["low"] == got["high"] == 0.5
    seed = next(s for s in range(99) if bootstrap.draw_weights(3, 1, s)[0, 0] in (0, 3))
    assert "absent" in bootstrap.headline(labels, scores, 1, seed)["auc_micro"]


def footage(clips: int, frames: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Labels, good scores and worse scores; a hard clip is hard for both."""
    rng = np.random.default_rng(0)
    labels = [rng.random(frames) < 0.3 for _ in range(clips)]
    good = [y * rng.normal(2, 1) + rng.normal(rng.normal(), 1, frames) for y in labels]
    return labels, good, [s + rng.normal(0, 0.8, frames) for s in good]


def test_a_gain_is_computed_on_the_same_resamples():
    """So its interval is narrower than that of an AUC, and the gain over equal scores is exactly 0."""
    labels, good, worse = footage(30, 100)
    head = bootstrap.headline(labels, good, 400, 0)
    gain = bootstrap.gain(labels, good, worse, 400, 0)
    for name in ("auc_micro", "auc_macro"):
        assert 0 < gain[name]["low"] < gain[name]["difference"] < gain[name]["high"]
        assert gain[name]["high"] - gain[name]["low"] < head[name]["high"] - head[name]["low"]
        none = bootstrap.gain(labels, good, good, 400, 0)[name]
        assert (none["difference"], none["low"], none["high"]) == (0, 0, 0)
        loss = bootstrap.gain(labels, worse, good, 400, 0)[name]
        assert loss["low"] == pytest.approx(-gain[name]["high"])


def test_more_clips_narrow_the_interval_and_the_seed_repeats_it():
    labels, scores, _ = footage(80, 50)
    head, few_clips = (bootstrap.headline(labels[:n], scores[:n], 300, 0) for n in (80, 10))
    for name in ("auc_micro", "auc_macro"):
        assert head[name]["high"] - head[name]["low"] < few_clips[name]["high"] - few_clips[name]["low"]
    assert head == bootstrap.headline(labels, scores, 300, 0)
    assert head != bootstrap.headline(labels, scores, 300, 1)


def test_labels_that_are_a_frame_off_lower_the_interval():
    labels = [np.r_[np.zeros(10), np.ones(5), np.zeros(5)].astype(bool)] * 4
    scores = [y.astype(float) for y in labels]
    assert bootstrap.headline(labels, scores, 50, 0)["auc_micro"]["low"] == 1
    off = [np.roll(y, 1) for y in labels]
    assert bootstrap.headline(off, scores, 50, 0)["auc_micro"]["high"] < 1


def test_hundreds_of_clips_take_seconds():
    labels, scores, baseline = footage(300, 400)
    start = time.perf_counter()
    bootstrap.gain(labels, scores, baseline, 1000, 0)
    assert time.perf_counter() - start < 8
