"""Intervals of frames, and the files that list clips, labels and skipped clips."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad import UserError
from vad.store import intervals, manifest
from vad.store.manifest import Clip


@given(st.lists(st.tuples(st.integers(-2, 12), st.integers(-2, 12)), max_size=4), st.integers(1, 10))
def test_check_intervals_against_brute_force(drawn, frames):
    covered = [i for start, end in drawn for i in range(start, end)]
    good = (
        all(start < end for start, end in drawn)
        and all(0 <= i < frames for i in covered)
        and len(covered) == len(set(covered))
    )
    try:
        intervals.check_intervals("a", drawn, frames)
    except UserError:
        assert not good
    else:
        assert good


def test_check_intervals_names_both_counts():
    with pytest.raises(UserError, match=r"'test/a'.*\[5, 11\) needs 11 frames, but the clip has 10"):
        intervals.check_intervals("test/a", [(5, 11)], 10)
    with pytest.raises(UserError, match=r"\[1, 5\) and \[4, 6\) overlap"):
        intervals.check_intervals("test/a", [(4, 6), (1, 5)], 10)


@given(st.lists(st.booleans(), max_size=40))
def test_labels_and_intervals_are_inverse(anomalous):
    anomalous = np.array(anomalous, bool)
    runs = intervals.intervals_of(anomalous)
    np.testing.assert_array_equal(intervals.frame_labels(runs, np.arange(len(anomalous))), anomalous)
    assert all(a[1] < b[0] for a, b in pairwise(runs))


def test_frame_labels_are_those_of_the_source_frames():
    assert intervals.frame_labels([(4, 6)], np.array([0, 3, 4, 5, 6, 9])).tolist() == [0, 0, 1, 1, 0, 0]


clip = Clip(
    "test/x", "test", "cam, 1", 'Änne "A"', "Ordner/für, Später.mp4", 3, 90, True, 100, 29.97, 640, 480, "ab"
)


def test_the_manifest_is_read_as_written(tmp_path):
    rows = [clip, replace(clip, clip="test/日本", source="日本/x.mp4", labelled=False, subject="", fps=1 / 3)]
    manifest.write_manifest(tmp_path / "m.csv", rows)
    assert manifest.read_manifest(tmp_path / "m.csv") == rows
    text = (tmp_path / "m.csv").read_bytes()
    manifest.write_manifest(tmp_path / "m.csv", rows[::-1])
    assert (tmp_path / "m.csv").read_bytes() == text


@given(
    st.dictionaries(
        st.text("aä, \"日'", min_size=1), st.lists(st.tuples(st.integers(0), st.integers(0)), min_size=1)
    )
)
def test_labels_are_written_sorted(tmp_path_factory, labels):
    path = tmp_path_factory.getbasetemp() / "labels.csv"
    manifest.write_labels(path, labels)
    assert manifest.read_labels(path) == {name: sorted(pairs) for name, pairs in labels.items()}


def test_skipped_clips_are_read_as_written(tmp_path):
    skipped = {"train/ä": "a, b\nc", "test/x": "empty"}
    manifest.write_skipped(tmp_path / "s.csv", skipped)
    assert manifest.read_skipped(tmp_path / "s.csv") == skipped


def test_missing_files_and_columns_are_refused(tmp_path):
    with pytest.raises(UserError, match="not found: run `dvc repro`"):
        manifest.read_manifest(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("clip,start\n")
    with pytest.raises(UserError, match=r"columns \['clip', 'end', 'start'\] expected, found"):
        manifest.read_labels(tmp_path / "m.csv")


def test_a_manifest_that_was_cut_off_is_refused_with_its_line(tmp_path):
    values = {"split": "train", "camera": "c", "subject": "", "source": "a", "first": 0, "end": 5}
    more = {"labelled": False, "frames": 5, "fps": 25.0, "width": 8, "height": 8, "hash": "0123456789abcdef"}
    path = tmp_path / "manifest.csv"
    manifest.write_manifest(path, [Clip(clip=f"train/{n}", **values, **more) for n in "ab"])
    assert len(manifest.read_manifest(path)) == 2
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"manifest\.csv: is cut off in line 3; `dvc checkout --force`"):
        manifest.read_manifest(path)


def test_folds_are_read_as_written_and_clips_without_one_are_not_in_the_file(tmp_path):
    rows = [replace(clip, clip=f"train/{i}", split="train", fold=i % 3) for i in range(5)]
    manifest.write_folds(tmp_path / "folds.csv", [*rows, clip])
    assert manifest.read_folds(tmp_path / "folds.csv") == {f"train/{i}": i % 3 for i in range(5)}
    manifest.write_folds(tmp_path / "folds.csv", [clip])
    assert manifest.read_folds(tmp_path / "folds.csv") == {}
