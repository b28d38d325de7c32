"""Metrics against scikit-learn and against their definitions, word by word."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from vad import UserError, grid, metrics
from vad.metrics import EvaluateParams, Scored
from vad.scoring import ClipErrors

RNG = np.random.default_rng(0)


def clip(labels, scores=None, name="test/a", seconds=None, subject="") -> Scored:
    """A test clip; `labels` None: nobody labelled it."""
    n = len(labels if labels is not None else scores)
    whole = pd.DataFrame({"frame": np.arange(n), "track": 0, "x0": 0, "y0": 0, "x1": 8, "y1": 6})
    return Scored(
        clip=name,
        camera="hall",
        subject=subject,
        scores=RNG.random(n) if scores is None else np.asarray(scores, float),
        errors=np.arange(n, dtype=float),
        seconds=np.arange(n) / 10 if seconds is None else np.asarray(seconds, float),
        source_frames=np.arange(n),
        anomalous=None if labels is None else np.asarray(labels, bool),
        regions=ClipErrors(name, n, 1, (6, 8), whole.assign(score=0.0, error=0.0, person=subject)),
    )


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both classes, and scores with many ties."""
    n = draw(st.integers(2, 40))
    y = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(y.any() and not y.all())
    s = draw(st.lists(st.integers(-5, 5) | st.floats(-5, 5), min_size=n, max_size=n))
    return y, np.array(s, float)


@given(labelled())
def test_auc_is_how_often_an_anomalous_frame_is_above_a_normal_one(case):
    y, s = case
    gap = s[y][:, None] - s[~y][None]
    assert metrics.auc(y, s) == pytest.approx(((gap > 0) + 0.5 * (gap == 0)).mean())


def roc_points(y: np.ndarray, s: np.ndarray) -> list[tuple[float, float]]:
    """(false positive rate, miss rate) for an alarm at or above each score, from none to all."""
    cuts = [np.inf, *sorted(set(s.tolist()), reverse=True)]
    return [((s >= cut)[~y].mean(), (s < cut)[y].mean()) for cut in cuts]


@given(labelled())
def test_eer_is_where_false_alarms_and_misses_are_equally_frequent(case):
    y, s = case
    for (f0, m0), (f1, m1) in pairwise(roc_points(y, s)):
        if f0 <= m0 and f1 >= m1:  # on this segment they cross
            share = (m0 - f0) / ((m0 - f0) + (f1 - m1))
            break
    assert metrics.equal_error_rate(y, s) == pytest.approx(f0 + share * (f1 - f0), abs=1e-12)


@given(labelled())
@settings(max_examples=30)
def test_a_stretched_and_shifted_score_changes_nothing_but_f1(case):
    y, s = case
    one, other = (metrics.frame_level([clip(y, x)], 0.5) for x in (s, 2 * s))
    for key in ("auc_micro", "auc_macro", "average_precision", "eer"):
        assert one[key] == pytest.approx(other[key])


@given(st.lists(labelled(), min_size=1, max_size=4), st.floats(-3, 3))
@settings(max_examples=30)
def test_the_headline_is_that_of_scikit_learn_on_all_frames(cases, threshold):
    got = metrics.frame_level([clip(y, s) for y, s in cases], threshold)
    y, s = (np.concatenate(part) for part in zip(*cases, strict=True))
    assert got["frames"] == len(y)
    assert got["anomalous_frames"] == y.sum()
    assert got["auc_micro"] == pytest.approx(sk.roc_auc_score(y, s))
    assert got["auc_macro"] == pytest.approx(np.mean([sk.roc_auc_score(*case) for case in cases]))
    assert got["average_precision"] == pytest.approx(sk.average_precision_score(y, s))
    hits, alarms = (y & (s > threshold)).sum(), (s > threshold).sum()
    assert got["f1"] == pytest.approx(2 * hits / (alarms + y.sum()))
    assert (got["clips_in_macro"], got["clips_with_one_class"]) == (len(cases), 0)


def test_micro_compares_frames_of_different_clips():
    """Each clip alone is ranked right, but the scores of one lie all above those of the other."""
    clips = [clip([0, 1], [0.0, 0.1]), clip([0, 1], [10.0, 10.1], "test/b")]
    got = metrics.frame_level(clips, 0)
    assert got["auc_macro"] == 1.0
    assert got["auc_micro"] == 0.75


def test_macro_is_the_mean_of_the_clips_that_have_both_classes():
    good, bad = clip([0, 1], [0, 1]), clip([0, 1], [1, 0], "test/b")
    normal, fall = clip([0, 0], [5, 5], "test/c"), clip([1, 1], [0, 0], "test/d")
    unlabelled = clip(None, [9, 9], "test/e")
    got = metrics.frame_level([good, bad, normal, fall, unlabelled], 0)
    assert got["auc_macro"] == 0.5
    assert (got["clips_in_macro"], got["clips_with_one_class"]) == (2, 2)
    assert got["frames"] == 8  # the unlabelled clip counts nowhere


def test_macro_is_absent_where_no_clip_has_both_classes():
    got = metrics.frame_level([clip([0, 0], [0, 1]), clip([1, 1], [2, 3], "test/b")], 0)
    assert got["auc_macro"] is None
    assert got["auc_micro"] == 1.0


@pytest.mark.parametrize(
    ("clips", "why"),
    [
        ([clip(None, [1, 2])], "no test clip is labelled"),
        ([clip([0, 0])], "all labelled frames are normal"),
        ([clip([1, 1]), clip(None, [1])], "all labelled frames are anomalous"),
        ([], "no test clip is labelled"),
    ],
)
def test_what_is_undefined_is_absent_with_a_reason(clips, why):
    got = metrics.frame_level(clips, 0.5)
    assert got["absent"] == why
    assert not {"auc_micro", "auc_macro", "average_precision", "eer", "f1"} & set(got)
    assert metrics.trivial_scorers(clips, 0) == {}


INTERVAL = np.r_[np.zeros(30), np.ones(20), np.zeros(50)].astype(bool)


def test_a_perfect_scorer_has_1_and_labels_a_frame_off_cost():
    scores = INTERVAL.astype(float)
    got = metrics.frame_level([clip(INTERVAL, scores)], 0.5)
    expected = {"auc_micro": 1, "auc_macro": 1, "average_precision": 1, "eer": 0, "f1": 1}
    assert got == got | expected
    for shift in (-1, 1):
        off = metrics.frame_level([clip(np.roll(INTERVAL, shift), scores)], 0.5)
        for key in ("auc_micro", "auc_macro", "average_precision", "f1"):
            assert off[key] < 1, key
        assert off["eer"] > 0
        assert off["f1"] == pytest.approx(19 / 20)


def test_shuffled_labels_make_a_good_scorer_a_coin():
    scores = INTERVAL + RNG.normal(0, 0.3, 100)
    assert metrics.auc(INTERVAL, scores) > 0.95
    shuffled = [metrics.auc(RNG.permutation(INTERVAL), scores) for _ in range(50)]
    assert np.mean(shuffled) == pytest.approx(0.5, abs=0.05)


def test_higher_is_more_anomalous():
    assert metrics.auc(INTERVAL, -INTERVAL.astype(float)) == 0.0


def test_the_time_scorer_sees_nothing_but_time_since_the_clip_began():
    late = clip([0, 0, 0, 1, 1], seconds=[100, 101, 102, 103, 104])  # a fall at the end
    early = clip([0, 1, 0, 0], name="test/b", seconds=[0, 1, 2, 3])
    got = metrics.trivial_scorers([late, early], 0)["time"]
    y = np.concatenate([late.anomalous, early.anomalous])
    assert got["auc_micro"] == pytest.approx(sk.roc_auc_score(y, [0, 1, 2, 3, 4, 0, 1, 2, 3]))
    assert got["auc_macro"] == pytest.approx(2 / 3)  # 1 and 1/3


def test_the_random_scorer_is_a_coin_and_repeats_by_its_seed():
    clips = [clip(RNG.random(3000) < 0.3)]
    one, same, other = (metrics.trivial_scorers(clips, seed)["random"] for seed in (0, 0, 1))
    assert one == same != other
    assert one["auc_micro"] == pytest.approx(0.5, abs=0.05)


def test_trivial_scorers_do_not_see_the_scores():
    y = RNG.random(50) < 0.5
    one, other = ([clip(y, s)] for s in (y.astype(float), RNG.random(50)))
    assert metrics.trivial_scorers(one, 0) == metrics.trivial_scorers(other, 0)


def test_a_row_is_about_its_clips_together():
    clips = [clip([0, 1, 1], [0, 2, 3]), clip(None, [9, 0], "test/b")]
    got = metrics.row(clips, 1.0)
    errors = [0, 1, 2, 0, 1]
    assert got == {
        "frames": 5,
        "anomalous_frames": 2,
        "auc": 1.0,
        "anomaly_rate": 3 / 5,
        "error_mean": pytest.approx(np.mean(errors)),
        "error_std": pytest.approx(np.std(errors)),
    }
    assert metrics.row(clips[1:], 1.0)["anomalous_frames"] is None
    assert metrics.row(clips[1:], 9.0)["anomaly_rate"] == 0  # above, not at


FULL, LEFT = (0, 0, 8, 6), (0, 0, 4, 6)
NOBODY = ""


def found(frames: int, rows: list, stride=1, subject=NOBODY, anomalous=None, name="test/a") -> Scored:
    """A clip with regions: rows of (frame, track, box, score, person), errors a tenth of the scores."""
    table = pd.DataFrame(rows, columns=["frame", "track", "box", "score", "person"])
    boxes = np.array([row[2] for row in rows], int).reshape(-1, 4)
    table = table.drop(columns="box").assign(**dict(zip(("x0", "y0", "x1", "y1"), boxes.T, strict=True)))
    table = table.astype({"frame": int, "track": int, "score": float}).assign(error=table["score"] / 10)
    regions = ClipErrors(name, frames, stride, (6, 8), table)
    scores = regions.per_frame(table["score"])
    return Scored(
        clip=name,
        camera="hall",
        subject=subject,
        scores=scores,
        errors=scores / 10,
        seconds=np.arange(frames) / 10,
        source_frames=2 * np.arange(frames),
        anomalous=anomalous,
        regions=regions,
    )


@st.composite
def tracked(draw: st.DrawFn) -> Scored:
    """Boxes of a few tracks, some unknown, some whole frames, in any number per frame."""
    frames, stride = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    owner = {track: draw(st.sampled_from(["", "anna", "ben"])) for track in range(-1, 5)}
    rows = []
    for frame in range(0, frames, stride):
        for track in draw(st.lists(st.integers(-1, 4), max_size=4)):
            box = draw(st.sampled_from([FULL, LEFT, LEFT]))
            rows.append((frame, track, box, draw(st.integers(0, 40)) / 8, owner[track]))
    labels = np.array(draw(st.lists(st.booleans(), min_size=frames, max_size=frames)), bool)
    return found(frames, rows, stride, owner[-1], labels)


@given(tracked(), st.sampled_from([0.0, 1.0, 2.5]))
@settings(max_examples=40)
def test_a_track_s_row_is_that_of_its_regions(case, threshold):
    table = case.regions.table
    got = metrics.tracks(case, threshold).set_index("track")
    expected = []
    for track in sorted(set(table["track"]) - {-1}):
        own = table[table["track"] == track]
        if (own["x1"] == 4).any():  # ever a box
            expected.append(track)
            row, scores = got.loc[track], own["score"].tolist()
            assert row["person"] == own["person"].iloc[0]
            assert (row["first_frame"], row["last_frame"]) == (own["frame"].min(), own["frame"].max())
            assert row["frames"] == len(set(own["frame"]))
            assert row["score_mean"] == pytest.approx(sum(scores) / len(scores))
            assert row["score_max"] == max(scores)
            assert row["anomaly_rate"] == pytest.approx(sum(s > threshold for s in scores) / len(scores))
            assert row["error_mean"] == pytest.approx(np.mean(scores) / 10)
            assert row["error_std"] == pytest.approx(np.std(scores) / 10, abs=1e-9)
    assert got.index.tolist() == expected


def test_whole_frames_are_no_tracks():
    case = found(3, [(t, 0, FULL, t, NOBODY) for t in range(3)])
    assert metrics.tracks(case, 1.0).empty
    assert metrics.regions([case]) == {}
    once = found(3, [(0, 0, FULL, 0, NOBODY), (1, 0, LEFT, 0, NOBODY), (2, 0, FULL, 0, NOBODY)])
    assert metrics.tracks(once, 1.0)["frames"].tolist() == [3]
    assert metrics.tracks(found(3, [(0, -1, LEFT, 0, NOBODY)]), 1.0).empty  # not known which


def test_thousands_of_tracks_are_no_trouble():
    rows = [(t // 10, t % 5000, LEFT, t % 7, NOBODY) for t in range(20000)]
    got = metrics.tracks(found(2000, rows), 3.0)
    assert got["track"].tolist() == list(range(5000))
    assert got["frames"].tolist() == [4] * 5000


def test_regions_are_counted_where_they_are_boxes():
    none, whole = found(4, []), found(4, [(t, 0, FULL, 0, NOBODY) for t in range(4)])
    some = found(6, [(0, 1, LEFT, 0, NOBODY), (0, 2, LEFT, 0, NOBODY), (4, 2, LEFT, 0, NOBODY)], stride=2)
    assert metrics.regions([none]) == {"per_frame": 0.0, "frames_without": 4, "tracks": 0}
    # at 0, 2 and 4 of 6 frames two, none and one region; 1 counts like 0, 3 like 2, 5 like 4
    assert metrics.regions([some]) == {"per_frame": 1.0, "frames_without": 2, "tracks": 2}
    assert metrics.regions([whole, some, none]) == {"per_frame": 10 / 14, "frames_without": 6, "tracks": 2}


@given(tracked())
@settings(max_examples=40)
def test_a_person_has_the_frames_in_which_he_is_seen(case):
    table = case.regions.table
    parts = metrics.by_person([case])
    if set(table["person"]) <= {case.subject}:
        assert parts == [case]
        return
    assert [part.subject for part in parts] == sorted(set(table["person"]))
    nearest = grid.nearest(len(case.scores), case.regions.stride) * case.regions.stride
    for part in parts:
        own = table[table["person"] == part.subject]
        highest = own.groupby("frame")["score"].max().to_dict()
        frames = [t for t, at in enumerate(nearest) if at in highest]
        assert part.scores.tolist() == [highest[nearest[t]] for t in frames]
        np.testing.assert_allclose(part.errors, part.scores / 10)
        assert part.source_frames.tolist() == [2 * t for t in frames]
        assert part.anomalous.tolist() == case.anomalous[frames].tolist()
        assert len(part.seconds) == len(frames)


def test_a_clip_of_one_person_counts_with_its_empty_frames():
    one = found(4, [(1, 3, LEFT, 2.0, "anna")], subject="anna")
    (part,) = metrics.by_person([one])
    assert metrics.row([part], 1.0)["anomaly_rate"] == 1 / 4
    visitor = found(4, [(1, 3, LEFT, 2.0, "ben"), (2, 4, LEFT, 0.0, "anna")], subject="anna")
    anna, ben = metrics.by_person([visitor])
    assert metrics.row([ben], 1.0)["anomaly_rate"] == 1.0
    assert (metrics.row([anna], 1.0)["frames"], metrics.row([anna], 1.0)["anomaly_rate"]) == (1, 0.0)


def test_the_identity_file_is_looked_for_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = EvaluateParams(identity="who.csv", seed=0, histogram_bins=10, plot_points=50)
    with pytest.raises(
        UserError, match=r"evaluate\.identity = 'who\.csv': no such file .*clip, track, person"
    ):
        params.verify({})
    (tmp_path / "who.csv").touch()
    params.verify({})
