"""The survey: opens footage, checks labels and masks, holds out validation clips."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vad import UserError
from vad.footage import probe, survey
from vad.footage.encode import encode
from vad.footage.info import Note
from vad.footage.source_clip import SourceClip
from vad.layouts.folder import Folder
from vad.layouts.table import Table
from vad.layouts.ucsd import Ucsd
from vad.store import bitmasks, manifest

RNG = np.random.default_rng(0)


def pictures(where: Path, frames: int = 4, width: int = 12, height: int = 8, suffix: str = ".png") -> Path:
    """A folder of random gray pictures."""
    where.mkdir(parents=True, exist_ok=True)
    for i in range(frames):
        write(where / f"{i}{suffix}", RNG.integers(1, 255, (height, width), np.uint8))
    return where


def write(path: Path, picture: np.ndarray, *options: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture, options)[1].tobytes())


def film(path: Path, frames: int = 4, width: int = 32, height: int = 16) -> Path:
    encode(path, (RNG.integers(0, 255, (height, width), np.uint8) for _ in range(frames)), 10.0)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A data set with pictures and videos, three training clips and two test clips."""
    root = tmp_path / "root"
    for name in "abc":
        pictures(root / "train" / name)
    pictures(root / "test/d", frames=10)
    film(root / "test/e ä.mp4", frames=6)
    return root


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., survey.Survey]:
    """`ingest(root, …)` surveys a data set in the folder layout; `ingest.lines` is the log."""

    def run(root: Path, clips: list[SourceClip] | None = None, **options) -> survey.Survey:
        defaults = {"val_fraction": 0.1, "on_error": "fail", "allow_anomalous_train": False}
        run.lines = []
        return survey.survey(
            Folder(Folder.Params()).read(root) if clips is None else clips,
            root,
            tmp_path / "masks",
            tmp_path / "cache/footage.json",
            **defaults | options,
            log=run.lines.append,
        )

    run.lines = []
    return run


def test_survey_lists_clips_labels_and_splits(tree, ingest):
    (tree / "labels.csv").write_text("clip,start,end\ne ä,2,6\n", "utf-8")
    result = ingest(tree)
    assert sorted(row.clip for row in result.clips if row.split == "test") == ["test/d", "test/e_ä"]
    assert sum(row.split == "val" for row in result.clips) == 1
    row = next(row for row in result.clips if row.clip == "test/e_ä")
    assert (row.frames, row.first, row.end, row.width, row.height) == (6, 0, 6, 32, 16)
    assert row.fps == pytest.approx(10)
    assert row.source == "test/e ä.mp4"
    assert row.labelled
    assert row.hash == probe.hash_source(tree / row.source)
    assert result.labels == {"test/e_ä": [(2, 6)]}
    assert result.skipped == {}
    assert ingest.lines[-1] == "2 train, 1 val, 2 test clips"


def test_second_survey_reads_only_what_is_new(tree, ingest, monkeypatch):
    first = ingest(tree)
    read = []
    original = probe.probe
    monkeypatch.setattr(probe, "probe", lambda source, how: read.append(source.name) or original(source, how))
    assert ingest(tree) == first
    assert read == []
    film(tree / "test/new.mp4")
    write(tree / "train/b/1.png", np.ones((8, 12), np.uint8))
    pictures(tree / "train/c", frames=5)
    ingest(tree)
    assert sorted(read) == ["b", "c", "new.mp4"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"code": "old", "footage": {}}'])
def test_a_broken_cache_of_results_is_ignored(tree, ingest, tmp_path, text):
    first = ingest(tree)
    memory = tmp_path / "cache/footage.json"
    memory.write_text(text)
    assert ingest(tree) == first
    assert len(json.loads(memory.read_text())["footage"]) == 5


def test_result_does_not_depend_on_workers_or_memory(tree, ingest, tmp_path):
    first = ingest(tree, workers=1)
    (tmp_path / "cache/footage.json").unlink()
    assert ingest(tree, workers=4) == first


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def cut_off(path: Path) -> None:
    film(path, frames=30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN: list[tuple[str, Callable[[Path], object], str]] = [
    ("x.mp4", lambda path: path.touch(), r"x.mp4: empty file \(0 bytes\)"),
    ("x.mp4", lambda path: path.write_bytes(LFS), r"x.mp4: a Git-LFS pointer.*git lfs pull"),
    ("x.mp4", lambda path: path.write_text("hello " * 50), r"x.mp4: not a video file"),
    ("x.mp4", cut_off, r"x.mp4: cut off"),
    ("x.mp4", lambda path: film(path, frames=1), r"x.mp4: holds 1 frame; a clip needs at least 2"),
    ("x", lambda path: path.mkdir(), r"x: a folder without pictures"),
    ("x", lambda path: pictures(path, frames=1), r"x: holds 1 frame"),
    ("x", lambda path: [pictures(path), (path / "1.png").write_bytes(LFS)], r"1.png: a Git-LFS pointer"),
    (
        "x",
        lambda path: [pictures(path), write(path / "2.png", np.ones((9, 12)))],
        r"2.png: 12x9 pixels, but 0.png in the same folder has 12x8",
    ),
]


@pytest.mark.parametrize(("name", "spoil", "message"), BROKEN, ids=range(len(BROKEN)))
def test_unreadable_clips_stop_or_are_skipped(tree, ingest, name, spoil, message):
    spoil(tree / "test" / name)
    with pytest.raises(UserError, match=rf"clip 'test/x': .*{message}"):
        ingest(tree)
    result = ingest(tree, on_error="skip")
    assert list(result.skipped) == ["test/x"]
    assert len(result.clips) == 5
    assert ingest.lines[-1] == "2 train, 1 val, 2 test clips, 1 skipped"
    with pytest.raises(UserError, match=r"clip 'test/x'"):  # a failure is never remembered as success
        ingest(tree)


def test_skipping_leaves_no_split_empty(tree, ingest):
    for path in (tree / "test/d").iterdir():
        path.write_bytes(b"")
    (tree / "test/e ä.mp4").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"no test clips: found 2 train, 1 val, 0 test; 2 skipped, first test/d: .*empty file"
    ):
        ingest(tree, on_error="skip")


def test_validation_clips_are_held_out_from_readable_clips(tree, ingest):
    """A camera has clips in both splits even if the clip that would be held out is broken."""
    val = next(row.clip for row in ingest(tree).clips if row.split == "val")
    (tree / "train" / val.removeprefix("val/") / "0.png").write_bytes(b"")
    result = ingest(tree, on_error="skip")
    assert manifest.count_splits(result.clips) == "1 train, 1 val, 2 test"


def test_a_val_split_is_needed(tree, ingest):
    with pytest.raises(UserError, match=r"no val clips: .*; set data.val_fraction above 0, or provide some"):
        ingest(tree, val_fraction=0.0)


def test_the_tail_of_a_single_clip_becomes_validation(tmp_path, ingest):
    root = tmp_path / "root"
    pictures(root / "train/a", frames=20)
    pictures(root / "test/b")
    rows = {row.clip: row for row in ingest(root, val_fraction=0.25).clips}
    assert (rows["train/a"].first, rows["train/a"].end) == (0, 15)
    assert (rows["val/a"].first, rows["val/a"].end) == (15, 20)
    assert rows["val/a"].source == rows["train/a"].source
    with pytest.raises(UserError, match=r"'val/a': frames \[19, 20\) .* are used; expected at least 2"):
        ingest(root, val_fraction=0.05)


def test_two_clips_of_one_name_are_refused(tree, ingest):
    pictures(tree / "test/e_ä")
    with pytest.raises(UserError, match=r"two clips would both be called 'test/e_ä': .*e ä.mp4 and .*e_ä"):
        ingest(tree)


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX alone")
def test_a_file_name_that_is_not_utf8_is_refused(tree, ingest):
    try:
        film(tree / "test/y.mp4").rename(tree / os.fsdecode(b"test/\xe4.mp4"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(UserError, match=r"the file name is not UTF-8; rename it"):
        ingest(tree)


def test_labels_that_do_not_fit_the_footage_stop_the_survey(tree, ingest):
    labels = tree / "labels.csv"
    labels.write_text("clip,start,end\nd,5,11\n")
    with pytest.raises(
        UserError, match=r"'test/d': the label \[5, 11\) needs 11 frames, but the clip has 10"
    ):
        ingest(tree, on_error="skip")  # a wrong label is never skipped
    labels.write_text("clip,start,end\nd,5,9\nd,7,10\n")
    with pytest.raises(UserError, match=r"'test/d': the labels \[5, 9\) and \[7, 10\) overlap"):
        ingest(tree)


@pytest.mark.parametrize("name", ["train/a", "train/b", "train/c"])
def test_anomalies_in_train_and_val_are_refused_unless_allowed(tree, ingest, name):
    (tree / "labels.csv").write_text(f"clip,start,end\n{name},1,3\n")
    with pytest.raises(
        UserError, match=r"frames \[1, 3\) are labelled anomalous, but (train|val) clips must"
    ):
        ingest(tree)
    result = ingest(tree, allow_anomalous_train=True)
    assert list(result.labels.values()) == [[(1, 3)]]


def test_masks_label_clips_without_other_labels(tree, ingest, tmp_path):
    truth = np.zeros((10, 8, 12), bool)
    truth[3:6, 2, 4] = truth[8:, 0, 0] = True
    np.savez(tree / "truth.npz", truth)
    (tree / "masks/test").mkdir(parents=True)
    (tree / "truth.npz").rename(tree / "masks/test/d.npz")
    result = ingest(tree)
    assert result.labels == {"test/d": [(3, 6), (8, 10)]}
    assert {row.clip: row.labelled for row in result.clips if row.split == "test"} == {
        "test/d": True,
        "test/e_ä": False,
    }
    assert sorted(p.name for p in (tmp_path / "masks").rglob("*.*")) == ["d.json", "d.npy"]
    np.testing.assert_array_equal(bitmasks.open_masks(tmp_path / "masks/test/d")[4], truth[4])
    (tree / "labels.csv").write_text("clip,start,end\nd,3,7\n")  # labels win, the difference is said
    assert ingest(tree).labels == {"test/d": [(3, 7)]}
    said = (
        "clip test/d: labels and masks disagree about 3 of 10 frames; the first, counted from 0, is frame 6"
    )
    assert said in ingest.lines
    (tree / "labels.csv").write_text("clip,start,end\ne ä,0,2\n")  # no row for d: its masks still label it
    assert ingest(tree).labels == {"test/d": [(3, 6), (8, 10)], "test/e_ä": [(0, 2)]}


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        ("3,6", None),
        ("2,6", "1 of 10 frames; the first, counted from 0, is frame 2"),
        ("4,6", "1 of 10 frames; the first, counted from 0, is frame 3"),
        ("3,7", "1 of 10 frames; the first, counted from 0, is frame 6"),
        ("2,5", "2 of 10 frames; the first, counted from 0, is frame 2"),  # one frame early
        ("4,7", "2 of 10 frames; the first, counted from 0, is frame 3"),  # one frame late, as counted from 1
        ("0,1", "4 of 10 frames; the first, counted from 0, is frame 0"),
    ],
)
def test_labels_a_frame_off_their_masks_are_reported(tree, ingest, interval, says):
    truth = np.zeros((10, 8, 12), bool)
    truth[3:6, 2, 4] = True
    (tree / "masks/test").mkdir(parents=True)
    np.save(tree / "masks/test/d.npy", truth)
    (tree / "labels.csv").write_text(f"clip,start,end\nd,{interval}\n")
    ingest(tree)
    said = [line for line in ingest.lines if "disagree" in line]
    assert said == ([f"clip test/d: labels and masks disagree about {says}"] if says else [])


def test_masks_in_training_are_anomalies_too(tree, ingest):
    pictures(tree / "masks/train/a")
    with pytest.raises(UserError, match=r"/a': frames \[0, 4\) are labelled anomalous"):
        ingest(tree)


def test_masks_that_do_not_fit_their_clip_stop_the_survey(tree, ingest):
    pictures(tree / "masks/test/d", frames=9)
    with pytest.raises(UserError, match=r"clip 'test/d': .*d: 9 masks, but the clip has 10 frames"):
        ingest(tree, on_error="skip")
    pictures(tree / "masks/test/d", frames=10, width=13)
    with pytest.raises(UserError, match=r"clip 'test/d': .* is 13x8 .* but the frames are 12x8"):
        ingest(tree)


def from_table(root: Path, *rows: str) -> list[SourceClip]:
    head = "file,split,start,end,first,last\n"
    (root / "t.csv").write_text(head + "\n".join(["train/a,train", "train/b,train", *rows]))
    return Table(Table.Params(file="t.csv")).read(root)


def test_labels_stay_in_source_frames(tree, ingest):
    result = ingest(tree, from_table(tree, "test/d,test,1,3,2,8", "train/c,train,2,4,0,1"))
    rows = {row.clip: row for row in result.clips}
    assert (rows["test/test_d"].first, rows["test/test_d"].end) == (2, 9)
    assert result.labels["test/test_d"] == [(1, 3)]
    assert "train_c" in str(result.labels)  # its anomaly lies outside the frames that are used: allowed
    with pytest.raises(UserError, match=r"train_c': frames \[2, 4\) are labelled anomalous"):
        ingest(tree, from_table(tree, "test/d,test", "train/c,train,2,4,0,2"))


@pytest.mark.parametrize("span", ["0,10", "10,", "10,12"])
def test_frames_beyond_the_clip_are_refused(tree, ingest, span):
    with pytest.raises(
        UserError, match=r"'test/test_d': frames up to number 1[02] .* has 10, numbered 0 to 9"
    ):
        ingest(tree, from_table(tree, f"test/d,test,,,{span}"))


# --- what is said of footage that can be read


def said(lines: list[str], about: str) -> list[str]:
    return [line for line in lines if about in line]


def test_notes_are_counted_by_kind_and_given_with_an_example(tree, ingest, monkeypatch):
    original = probe.probe
    notes = {
        "a": (Note("has a stamp", "of 1999"), Note("is old")),
        "d": (Note("has a stamp", "of 2001"),),
        "e ä.mp4": (Note("has a stamp", "of 2002"), Note("is rare", "1 of 3")),
    }
    monkeypatch.setattr(
        probe, "probe", lambda source, form: replace(original(source, form), notes=notes.get(source.name, ()))
    )
    for _ in range(2):  # read, and from the cache
        ingest(tree)
        assert said(ingest.lines, "has a stamp") == ["has a stamp: 3 clips, for example test/d (of 2001)"]
        assert said(ingest.lines, "is old") == ["is old: 1 clip, train/a"]
        assert said(ingest.lines, "is rare") == ["is rare: 1 clip, test/e ä.mp4 (1 of 3)"]


def test_clips_below_a_second_are_said(tmp_path, ingest):
    root = tmp_path / "root"
    film(root / "train/a.mp4", frames=100)  # at 10 frames per second
    film(root / "test/b.mp4", frames=10)
    ingest(root)
    assert said(ingest.lines, "shorter") == []
    film(root / "test/c.mp4", frames=9)
    ingest(root)
    assert said(ingest.lines, "shorter") == ["1 clip is shorter than a second: test/c (9 frames, 0.90 s)"]
    film(root / "test/d.mp4", frames=3)
    ingest(root)
    assert said(ingest.lines, "shorter") == [
        "2 clips are shorter than a second, for example test/c (9 frames, 0.90 s)"
    ]
    ingest(root, val_fraction=0.08)  # the part held out for validation is short too
    assert said(ingest.lines, "shorter") == [
        "3 clips are shorter than a second, for example val/a (8 frames, 0.80 s)"
    ]


def test_cameras_with_frames_of_several_sizes_are_said(tmp_path, ingest):
    root = tmp_path / "root"
    for camera, clip, width in (("x", "a", 12), ("x", "b", 14), ("y", "a", 12), ("y", "b", 12)):
        pictures(root / "train" / camera / clip, width=width)
    pictures(root / "test/y/c")
    pictures(root / "test/x/c", width=16)
    ingest(root)
    [line] = said(ingest.lines, "sizes")
    assert line.startswith("camera 'x': its clips have frames of 3 sizes, ")
    for size in ("12x8", "14x8", "16x8 (test/x_c)"):
        assert size in line
    assert "extract.max_side" in line


def test_clips_that_are_normal_for_want_of_a_row_are_said(tree, ingest):
    ingest(tree)
    assert said(ingest.lines, "labels.csv") == []
    labels = tree / "labels.csv"
    labels.write_text("clip,start,end\nd,,\n", "utf-8")
    assert [row.labelled for row in ingest(tree).clips if row.split == "test"] == [True, True]
    assert said(ingest.lines, "labels.csv") == [
        "1 clip has no row in labels.csv and counts as normal: test/e ä; the row `e ä,unlabelled,` marks it "
        "as not labelled"
    ]
    labels.write_text("clip,start,end\n")
    ingest(tree)
    assert said(ingest.lines, "labels.csv") == [
        "2 clips have no row in labels.csv and count as normal, for example test/d; the row `d,unlabelled,` "
        "marks it as not labelled"
    ]
    labels.write_text("clip,start,end\nd,unlabelled,\ne ä,2,4\n", "utf-8")
    assert {row.clip: row.labelled for row in ingest(tree).clips if row.split == "test"} == {
        "test/d": False,
        "test/e_ä": True,
    }
    assert said(ingest.lines, "labels.csv") == []


@pytest.mark.parametrize(("row", "span"), [("test/d,test,,,4,4", "[4, 5)"), ("test/d,test,,,9,", "[9, 10)")])
def test_clips_with_a_single_frame_in_use_stop_or_are_skipped(tree, ingest, row, span):
    listed = from_table(tree, "train/c,train", "test/e ä.mp4,test", row)
    with pytest.raises(UserError, match=rf"'test/test_d': frames {re.escape(span)} of .*test/d are used"):
        ingest(tree, listed)
    result = ingest(tree, listed, on_error="skip")
    assert list(result.skipped) == ["test/test_d"]
    assert result.skipped["test/test_d"].startswith(f"frames {span} of test/d are used; expected at least 2")
    assert [row.clip for row in result.clips if row.split == "test"] == ["test/test_e_ä"]


def test_a_clip_with_too_few_frames_is_not_the_one_held_out(tree, ingest):
    """A camera keeps clips in both splits if one of its clips has a single frame in use."""
    for name in "abc":
        rows = [f"train/{other},train,,,{'0,0' if other == name else ','}" for other in "abc"]
        (tree / "t.csv").write_text("\n".join(["file,split,start,end,first,last", *rows, "test/d,test"]))
        result = ingest(tree, Table(Table.Params(file="t.csv")).read(tree), on_error="skip")
        assert manifest.count_splits(result.clips) == "1 train, 1 val, 1 test"


def test_a_part_for_validation_that_is_too_short_is_skipped_too(tmp_path, ingest):
    root = tmp_path / "root"
    pictures(root / "train/x/a", frames=20)
    pictures(root / "train/y/b", frames=40)
    pictures(root / "test/y/c")
    with pytest.raises(UserError, match=r"'val/x_a': frames \[19, 20\)"):
        ingest(root, val_fraction=0.05)
    result = ingest(root, val_fraction=0.05, on_error="skip")
    assert list(result.skipped) == ["val/x_a"]
    assert [row.clip for row in result.clips] == ["train/x_a", "train/y_b", "val/y_b", "test/y_c"]


# --- the real one


@pytest.mark.datasets
def test_ped2_has_its_published_counts(ingest, tmp_path):
    root = Path(os.environ.get("VAD_DATASETS", "../shared/data")) / "ucsd_ped2"
    if not root.is_dir():
        pytest.skip(f"{root} is not there (set VAD_DATASETS)")
    result = ingest(root, Ucsd(Ucsd.Params()).read(root))
    test = [row for row in result.clips if row.split == "test"]
    normal = [row for row in result.clips if row.split != "test"]
    assert (len(normal), sum(row.frames for row in normal)) == (16, 2550)
    assert (len(test), sum(row.frames for row in test)) == (12, 2010)
    assert {(row.camera, row.width, row.height) for row in result.clips} == {("ped2", 360, 240)}
    assert sum(end - start for pairs in result.labels.values() for start, end in pairs) == 1648
    for row in test:  # so an error of one frame would be seen
        packed = bitmasks.open_masks(tmp_path / "masks" / row.clip)
        assert bitmasks.marked_intervals(packed) == result.labels[row.clip]
    assert not any("disagree" in line for line in ingest.lines)


def test_with_folds_all_normal_clips_are_for_training(tree, ingest):
    for name in "xyz":
        pictures(tree / "train" / name, frames=4)
    rows = ingest(tree, folds=3, val_fraction=0.5).clips
    assert sorted(row.fold for row in rows if row.split == "train") == [0, 0, 1, 1, 2, 2]
    assert {(row.split, row.fold >= 0) for row in rows} == {("train", True), ("test", False)}


def test_a_single_normal_clip_is_cut_into_stretches_with_names_of_their_own(tmp_path, ingest):
    root = tmp_path / "root"
    film(root / "train/only.mp4", frames=100)  # at 10 frames per second
    film(root / "test/t.mp4")
    rows = {row.clip: row for row in ingest(root, folds=3).clips if row.split == "train"}
    assert {clip: (row.first, row.end, row.fold) for clip, row in rows.items()} == {
        "train/only_1of3": (0, 20, 0),
        "train/only_2of3": (40, 60, 1),
        "train/only_3of3": (80, 100, 2),
    }
    assert any("1 clip, fewer than data.folds = 3" in line for line in ingest.lines)
    film(root / "train/only 2of3.mp4", frames=20)
    with pytest.raises(UserError, match=r"two clips would both be called 'train/only_2of3'"):
        ingest(root, folds=4)
    (root / "train/only.mp4").unlink()
    with pytest.raises(
        UserError, match=r"1 clip of normal footage with 2\.0 s, too short for data\.folds = 2"
    ):
        ingest(root, folds=2)


def test_validation_clips_in_the_footage_leave_no_folds_and_the_log_says_so(tree, ingest):
    pictures(tree / "val/v")
    rows = ingest(tree, folds=4).clips
    assert {row.fold for row in rows} == {-1}
    assert {row.clip for row in rows if row.split == "val"} == {"val/v"}
    assert "the footage has validation clips of its own, so data.folds is 1, not 4" in ingest.lines
