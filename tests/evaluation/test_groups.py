"""Rows of tables, compared with their definitions frame by frame and region by region."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from vad.evaluation import groups
from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.clip_errors import ClipErrors
from vad.windows import stride

few = settings(max_examples=50, deadline=None)
FULL, LEFT = (0, 0, 8, 6), (0, 0, 4, 6)  # boxes; frames are 8 x 6
NOBODY = ""


def clip(labels, scores, name="test/a", **errors) -> ScoredClip:
    """A test clip without regions; `labels` is None if it is not labelled. `errors` by branch."""
    return with_regions(len(scores), [], name=name, labels=labels, scores=scores, errors=errors)


def with_regions(
    frames: int, rows: list, stride=1, subject=NOBODY, labels=None, name="test/a", scores=None, errors=None
) -> ScoredClip:
    """A clip with regions: rows of (frame, track, box, score, person).

    Errors of `look` are a tenth of the scores, those of `move` their negative, and `speed` has maps alone:
    the number of the frame.
    """
    table = pd.DataFrame(rows, columns=["frame", "track", "box", "score", "person"])
    boxes = np.array([row[2] for row in rows], int).reshape(-1, 4)
    table = table.drop(columns="box").assign(**dict(zip(("x0", "y0", "x1", "y1"), boxes.T, strict=True)))
    table = table.astype({"frame": int, "track": int, "score": float})
    table = table.assign(error_look=table["score"] / 10, error_move=-table["score"])
    regions = ClipErrors(name, frames, stride, (6, 8), table)
    if scores is None:
        scores = regions.frame_maximum(table["score"])
        errors = {"look": scores / 10, "move": -scores, "speed": np.arange(frames)}
    return ScoredClip(
        clip=name,
        camera="hall",
        subject=subject,
        scores=np.asarray(scores, float),
        unsmoothed=np.asarray(scores, float),
        branches={},
        errors={branch: np.asarray(values, float) for branch, values in errors.items()},
        seconds=np.arange(frames) / 10,
        source_frames=2 * np.arange(frames),
        source_size=(6, 8),
        fps=10.0,
        anomalous=None if labels is None else np.asarray(labels, bool),
        events=[],
        regions=regions,
    )


@st.composite
def tracked(draw: st.DrawFn) -> ScoredClip:
    """Boxes of a few tracks, some without track, some whole frames, in any number per frame."""
    frames, stride = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    person = {track: draw(st.sampled_from([NOBODY, "anna", "ben"])) for track in range(-1, 5)}
    rows = []
    for frame in range(0, frames, stride):
        for track in draw(st.lists(st.integers(-1, 4), max_size=4)):
            box = draw(st.sampled_from([FULL, LEFT, LEFT]))
            rows.append((frame, track, box, draw(st.integers(0, 40)) / 8, person[track]))
    labels = draw(st.lists(st.booleans(), min_size=frames, max_size=frames))
    return with_regions(frames, rows, stride, person[-1], draw(st.sampled_from([labels, None])))


def test_a_row_of_a_table_covers_all_frames_of_its_clips():
    clips = [
        clip([0, 1, 1, 0], [0, 2, 3, 2], look=[0, 1, 2, 3], move=[5, 5, 5, 5]),
        clip(None, [9, 0], "test/b", look=[4, 5], move=[5, 5]),
    ]
    assert groups.table_row(clips, 2.0) == {
        "frames": 6,
        "anomalous_frames": 2,
        "auc": (1 + 1 + 0.5 + 1) / 4,  # of the labelled clip alone
        "anomaly_rate": 2 / 6,  # above, not at
        "score_max": 9.0,
        "look_error_mean": 2.5,
        "look_error_std": pytest.approx(np.std(range(6))),
        "move_error_mean": 5.0,
        "move_error_std": 0.0,
    }


@pytest.mark.parametrize(("labels", "anomalous"), [(None, None), ([0, 0], 0), ([1, 1], 2)])
def test_without_both_classes_a_row_lacks_only_the_auc(labels, anomalous):
    got = groups.table_row([clip(labels, [0.5, 1.5], look=[1, 2])], 1.0)
    assert (got["auc"], got["anomalous_frames"]) == (None, anomalous)
    assert (got["anomaly_rate"], got["score_max"], got["look_error_mean"]) == (0.5, 1.5, 1.5)


@given(st.lists(tracked(), min_size=1, max_size=4), st.sampled_from([0.0, 1.0, 2.5]))
@few
def test_a_row_of_a_table_equals_counts_frame_by_frame(clips, threshold):
    frames = [
        (score, error, None if case.anomalous is None else case.anomalous[t])
        for case in clips
        for t, (score, error) in enumerate(zip(case.scores, case.errors["speed"], strict=True))
    ]
    got = groups.table_row(clips, threshold)
    labelled = [(label, score) for score, _, label in frames if label is not None]
    assert got["frames"] == len(frames)
    assert got["anomalous_frames"] == (sum(label for label, _ in labelled) if labelled else None)
    assert got["anomaly_rate"] == pytest.approx(sum(s > threshold for s, _, _ in frames) / len(frames))
    assert got["score_max"] == max(score for score, _, _ in frames)
    assert got["speed_error_mean"] == pytest.approx(sum(e for _, e, _ in frames) / len(frames))
    if len({bool(label) for label, _ in labelled}) == 2:
        assert got["auc"] == pytest.approx(sk.roc_auc_score(*zip(*labelled, strict=True)))
    else:
        assert got["auc"] is None


def test_the_spread_of_errors_is_that_of_the_population():
    clips = [clip(None, [0, 0], look=[1, 3]), clip(None, [0], look=[8])]
    assert groups.error_spread(clips) == {
        "look": {"mean": 4.0, "std": pytest.approx(np.sqrt((9 + 1 + 16) / 3))}
    }


@given(tracked(), st.sampled_from([0.0, 1.0, 2.5]))
@few
def test_the_row_of_a_track_is_computed_from_its_regions(case, threshold):
    table = case.regions.table
    got = groups.track_table([case], threshold).set_index("track")
    expected = []
    for track in sorted(set(table["track"]) - {-1}):
        rows = table[table["track"] == track]
        if (rows["x1"] == 4).any():  # ever a box
            expected.append(track)
            row, scores = got.loc[track], rows["score"].tolist()
            assert row["person"] == rows["person"].iloc[0]
            assert (row["first_frame"], row["last_frame"]) == (rows["frame"].min(), rows["frame"].max())
            assert row["frames"] == len(set(rows["frame"]))
            assert row["score_mean"] == pytest.approx(sum(scores) / len(scores))
            assert row["score_max"] == max(scores)
            assert row["anomaly_rate"] == pytest.approx(sum(s > threshold for s in scores) / len(scores))
            for branch, factor in (("look", 0.1), ("move", -1.0)):
                errors = factor * np.array(scores)
                assert row[f"{branch}_error_mean"] == pytest.approx(errors.mean())
                assert row[f"{branch}_error_std"] == pytest.approx(errors.std(), abs=1e-9)
    assert got.index.tolist() == expected
    assert not [name for name in got if name.startswith("speed")]  # it has no errors of regions


def test_tracks_of_whole_frames_are_omitted():
    case = with_regions(3, [(t, 0, FULL, t, NOBODY) for t in range(3)])
    assert groups.track_table([case], 1.0).empty
    assert groups.region_counts([case]) == {}
    once = with_regions(3, [(0, 0, FULL, 0, NOBODY), (1, 0, LEFT, 0, NOBODY), (2, 0, FULL, 0, NOBODY)])
    assert groups.track_table([once], 1.0)["frames"].tolist() == [3]
    assert groups.track_table(
        [with_regions(3, [(0, -1, LEFT, 0, NOBODY)])], 1.0
    ).empty  # a region without track


def test_thousands_of_tracks_have_a_row_each():
    rows = [(t // 10, t % 5000, LEFT, t % 7, NOBODY) for t in range(20000)]
    got = groups.track_table([with_regions(2000, rows)], 3.0)
    assert got["track"].tolist() == list(range(5000))
    assert got["frames"].tolist() == [4] * 5000


def test_regions_are_counted_unless_all_are_whole_frames():
    none, whole = with_regions(4, []), with_regions(4, [(t, 0, FULL, 0, NOBODY) for t in range(4)])
    some = with_regions(
        6, [(0, 1, LEFT, 0, NOBODY), (0, 2, LEFT, 0, NOBODY), (4, 2, LEFT, 0, NOBODY)], stride=2
    )
    assert groups.region_counts([none]) == {"per_frame": 0.0, "frames_without": 4, "tracks": 0}
    # frames 0, 2 and 4 of 6 have 2, 0 and 1 regions; frame 1 counts like 0, 3 like 2, 5 like 4
    assert groups.region_counts([some]) == {"per_frame": 1.0, "frames_without": 2, "tracks": 2}
    assert groups.region_counts([whole, some, none]) == {
        "per_frame": 10 / 14,
        "frames_without": 6,
        "tracks": 2,
    }


@given(tracked())
@few
def test_a_person_has_the_frames_with_a_region_of_theirs(case):
    table = case.regions.table
    parts = groups.by_person([case])
    if set(table["person"]) <= {case.subject}:
        assert parts == [case]
        return
    assert [part.subject for part in parts] == sorted(set(table["person"]))
    nearest = stride.nearest(len(case.scores), case.regions.stride) * case.regions.stride
    for part in parts:
        rows = table[table["person"] == part.subject]
        highest = rows.groupby("frame")["score"].max().to_dict()
        lowest = rows.groupby("frame")["score"].min().to_dict()
        frames = [t for t, at in enumerate(nearest) if at in highest]
        assert part.scores.tolist() == [highest[nearest[t]] for t in frames]
        assert part.unsmoothed.tolist() == part.scores.tolist()  # of regions, which are not
        np.testing.assert_allclose(part.errors["look"], part.scores / 10)
        np.testing.assert_allclose(part.errors["move"], [-lowest[nearest[t]] for t in frames])
        assert part.errors["speed"].tolist() == frames  # of the frame, for it has no regions
        assert part.source_frames.tolist() == [2 * t for t in frames]
        assert part.seconds.tolist() == [t / 10 for t in frames]
        if case.anomalous is None:
            assert part.anomalous is None
        else:
            assert part.anomalous.tolist() == case.anomalous[frames].tolist()
        assert groups.table_row([part], 1.0)["frames"] == len(frames)


def test_a_clip_of_a_single_person_keeps_its_empty_frames():
    alone = with_regions(4, [(1, 3, LEFT, 2.0, "anna")], subject="anna")
    (part,) = groups.by_person([alone])
    assert groups.table_row([part], 1.0)["anomaly_rate"] == 1 / 4
    shared = with_regions(4, [(1, 3, LEFT, 2.0, "ben"), (2, 4, LEFT, 0.0, "anna")], subject="anna")
    anna, ben = groups.by_person([shared])
    assert groups.table_row([ben], 1.0)["anomaly_rate"] == 1.0
    assert (groups.table_row([anna], 1.0)["frames"], groups.table_row([anna], 1.0)["anomaly_rate"]) == (
        1,
        0.0,
    )
