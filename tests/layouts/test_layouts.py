"""Layouts: each lists its clips, converts its labels, and refuses other folders with a clear message."""

import os
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from vad import UserError
from vad.footage.params import SourceParams
from vad.footage.source_clip import SourceClip
from vad.layouts.base import LAYOUTS, DataParams, Layout
from vad.layouts.folder import Folder
from vad.layouts.persons import Persons
from vad.layouts.table import Table
from vad.layouts.ucsd import Ucsd, read_intervals
from vad.pipeline import params

CAMERA, SUBJECT = (Folder(Folder.Params(level=level)) for level in ("camera", "subject"))
UCSD, PERSONS, TABLE = Ucsd(Ucsd.Params()), Persons(Persons.Params()), Table(Table.Params())


def make(root: Path, *paths: str, **texts: str) -> Path:
    """Creates files below root, by path; a path that ends in / is an empty folder.

    Layouts open no clip, so the files can be empty. `texts` are files with content, `_` for `.`.
    """
    for path in paths:
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    for name, text in texts.items():
        (root / name.replace("_", ".")).write_text(text, "utf-8", newline="")
    return root


def ids(clips: list[SourceClip]) -> list[str]:
    return sorted(clip.id for clip in clips)


def intervals(clips: list[SourceClip]) -> dict[str, list[tuple[int, int]] | None]:
    return {clip.name: clip.intervals for clip in clips if clip.split == "test"}


# --- what all share

# a small data set in each layout: files, and files with content; the test clip is anomalous in [2, 5)
SMALL_TREES: dict[str, tuple[list[str], dict[str, str]]] = {
    "folder": (["train/a.mp4", "test/hall/b.mp4"], {"labels_csv": "clip,start,end\nhall/b,2,5\n"}),
    "persons": (["train/p/1.jpg", "test/p/1.jpg"], {"labels_csv": "clip,start,end\np,2,5\n"}),
    "table": (
        ["x/a.mp4", "y/b.mp4"],
        {"table_csv": "file,split,start,end\nx/a.mp4,train,,\ny/b.mp4,test,2,5\n"},
    ),
    "ucsd": (
        ["Train/Train001/1.tif", "Test/Test001/1.tif"],
        {"Test/x_m": "TestVideoFile{end+1}.gt_frame = [3:5];"},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS.names())
def test_every_layout_has_defaults_and_descriptions_and_reads_its_tree(tmp_path, name):
    layout = LAYOUTS.get(name)
    assert issubclass(layout, Layout)
    assert layout.name == name
    for key, field in layout.Params.model_fields.items():
        assert field.description, f"data.{name}.{key} has no description"
        assert not field.is_required(), f"data.{name}.{key} has no default"
    paths, texts = SMALL_TREES[name]
    make(tmp_path, *paths, **texts)
    before = sorted(tmp_path.rglob("*"))
    clips = layout(layout.Params()).read(tmp_path)
    assert layout(layout.Params()).read(tmp_path) == clips
    assert sorted(tmp_path.rglob("*")) == before, "a layout writes nothing"
    assert sorted(clip.split for clip in clips) == ["test", "train"]
    assert len({clip.id for clip in clips}) == 2
    assert all(clip.source.exists() and clip.source.is_relative_to(tmp_path) for clip in clips)
    assert list(intervals(clips).values()) == [[(2, 5)]]
    recognised = [LAYOUTS.get(other).advice(tmp_path) for other in LAYOUTS.names()]
    assert any(recognised), "no layout would be suggested for this tree"


def test_source_params_are_read_whatever_the_layout():
    raw = {"data": {"format": "table", "root": "x", "on_error": "skip", "table": {"file": "t.csv"}}}
    source = params.load("data", SourceParams, raw)
    chosen = params.load("data", DataParams, raw)
    assert (source.root, source.on_error) == (chosen.root, chosen.on_error) == ("x", "skip")
    for key, field in DataParams.model_fields.items():
        assert field.description, f"data.{key} has no description"
        assert not field.is_required(), f"data.{key} has no default"


@pytest.mark.parametrize("layout", [CAMERA, UCSD, PERSONS, TABLE])
@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], r"data.root = '.*root': no such folder \(seen from .*\)"),
        (["root"], r"data.root = '.*root' is a file; expected the folder"),
        (["root/"], r"data.root = '.*root' is empty; expected a folder with footage"),
        (["root/.DS_Store"], r"data.root = '.*root' is empty"),
    ],
)
def test_a_root_that_is_missing_or_empty_is_refused(tmp_path, layout, paths, message):
    make(tmp_path, *paths)
    with pytest.raises(UserError, match=message):
        layout.read(tmp_path / "root")


UCSD_TREE = ["Train/Train001/1.tif", "Test/Test001/1.tif"]
FOLDER_TREE = ["train/a.mp4", "test/b.mp4"]


@pytest.mark.parametrize(
    ("layout", "paths", "texts", "inside", "hint"),
    [
        (CAMERA, UCSD_TREE, {}, "Test/, Train/", "data.format: ucsd would fit"),
        (PERSONS, UCSD_TREE, {}, "Test/, Train/", "data.format: ucsd would fit"),
        (TABLE, UCSD_TREE, {}, "Test/, Train/", "data.format: ucsd would fit"),
        (UCSD, FOLDER_TREE, {}, "test/, train/", "data.format: folder would fit"),
        (TABLE, FOLDER_TREE, {}, "test/, train/", "data.format: folder would fit"),
        (
            CAMERA,
            ["x/a.mp4"],
            {"my_csv": "\ufefffile,split\r\n"},
            "x/, my.csv",
            "data.format: table with data.table.file: my.csv would fit",
        ),
        (
            CAMERA,
            ["x/a.mp4"],
            {"my_csv": '"file"; "split"\r\n'},
            "x/, my.csv",
            "data.format: table with data.table.file: my.csv would fit",
        ),
        (CAMERA, ["train/a.mp4"], {}, "train/", ""),
        (CAMERA, [f"{i}.mp4" for i in range(12)], {}, r"0.mp4, .*, … \(12 in all\)", ""),
    ],
)
def test_a_mismatch_names_the_content_the_expectation_and_a_layout_that_fits(
    tmp_path, layout, paths, texts, inside, hint
):
    make(tmp_path, *paths, **texts)
    with pytest.raises(UserError, match=rf"does not match data.format = '.*': found {inside}; expected") as e:
        layout.read(tmp_path)
    assert str(e.value).endswith(hint)
    assert hint or "would fit" not in str(e.value)


def test_data_params_are_checked():
    good = {
        "format": "folder",
        "root": "x",
        "val_fraction": 0.2,
        "on_error": "fail",
        "allow_anomalous_train": False,
        "folder": {"level": "camera"},
        "table": {"file": "table.csv"},
    }
    _, layout, chosen = params.load_choice("data", DataParams, {"data": good})
    assert (layout, chosen) == (Folder, CAMERA.params)
    for wrong in (
        {"val_fraction": 0.95},
        {"on_error": "ignore"},
        {"root": ""},
        {"format": "avi"},
        {"rot": 1},
    ):
        with pytest.raises(UserError, match=rf"params.yaml: data.*{next(iter(wrong))}"):
            params.load("data", DataParams, {"data": good | wrong})
    with pytest.raises(ValidationError):
        Folder.Params(level="room")


# --- folder


def test_folder_of_videos_pictures_and_levels(tmp_path):
    make(
        tmp_path,
        "train/weg 01.mp4",
        "train/weg.02.AVI",
        "train/notes.txt",
        "train/pictures/2.png",
        "train/pictures/10.png",
        "train/Flur Süd/tag.mkv",
        "train/Flur Süd/nacht/1.jpg",
        "val/v.mp4",
        "test/hall/fall.mp4",
        "test/.hidden.mp4",
    )
    clips = CAMERA.read(tmp_path)
    assert ids(clips) == [
        "test/hall_fall",
        "train/Flur_Süd_nacht",
        "train/Flur_Süd_tag",
        "train/pictures",
        "train/weg_01",
        "train/weg_02",
        "val/v",
    ]
    by_name = {clip.name: clip for clip in clips}
    assert by_name["Flur Süd/tag"].camera == "Flur Süd"
    assert by_name["Flur Süd/tag"].source == tmp_path / "train/Flur Süd/tag.mkv"
    assert by_name["weg 01"].camera == "camera"
    assert by_name["hall/fall"].intervals is None
    assert {clip.name: clip.subject for clip in SUBJECT.read(tmp_path)}["hall/fall"] == "hall"
    assert all(clip.camera == "camera" for clip in SUBJECT.read(tmp_path))


def test_folder_reads_labels_csv(tmp_path):
    make(tmp_path, "train/a.mp4", "test/hall/fall.mp4", "test/hall/ö, b.mp4", "test/c/1.png", "test/d.mp4")
    rows = 'hall/fall,3,9\r\nhall/fall.mp4,20,25\r\n"test/hall/ö, b",0,4\r\n\r\nc,,\r\n'
    make(tmp_path, labels_csv="\ufeffclip, start,end\r\n" + rows)
    clips = CAMERA.read(tmp_path)
    assert intervals(clips) == {
        "hall/fall": [(3, 9), (20, 25)],
        "hall/ö, b": [(0, 4)],
        "c": [],
        "d": [],  # no row: labelled normal
    }
    assert next(clip for clip in clips if clip.split == "train").intervals is None


# the rows hall/fall,3,9 and hall/fall,20,25, and d normal, as programs and spreadsheets write them
SPREADSHEETS = {
    "empty rows and fields": "clip,start,end,,\nhall/fall,3,9,,\n,,,,\nhall/fall,20,25\n\nd,,\n,,\n,,,,\n",
    "more empty fields than the header": "clip,start,end\nhall/fall,3,9,,\nhall/fall,20,25,\nd,,,,,\n",
    "spaces before quotes": '"clip", "start", "end"\n"hall/fall", "3", "9"\n "hall/fall", 20, 25\nd, ,\n',
    "spaces after quotes": '"clip" ,"start" ,"end"\n"hall/fall" ,"3" ,"9" \nhall/fall,20 ,25 \n"d" ,,\n',
    "semicolons": "clip;start;end\r\nhall/fall;3;9\r\nhall/fall;20;25\r\nd;;\r\n;;\r\n",
    "a decimal comma": "clip;start;end\nhall/fall;3,0;9,0\nhall/fall;20,00;25,0\nd;;\n",
    "tabs": "clip\tstart\tend\nhall/fall\t3\t9\nhall/fall\t20\t25\nd\t\t\n",
    "sep= of Excel": "\ufeffsep=;\r\nclip;start;end\r\nhall/fall;3;9\r\nhall/fall;20;25\r\nd;;\r\n",
    "floats of pandas": "clip,start,end\nhall/fall,3.0,9.0\nhall/fall,20.0,25.\nd,,\n",
}


@pytest.mark.parametrize("text", SPREADSHEETS.values(), ids=SPREADSHEETS)
def test_labels_may_come_from_spreadsheets(tmp_path, text):
    make(tmp_path, "train/a.mp4", "test/hall/fall.mp4", "test/d.mp4", labels_csv=text)
    clips = CAMERA.read(tmp_path)
    assert intervals(clips) == {"hall/fall": [(3, 9), (20, 25)], "d": []}
    assert not any(clip.by_default for clip in clips)


def test_labels_written_by_pandas_are_read(tmp_path):
    make(tmp_path, "train/a.mp4", "test/hall/fall.mp4", "test/d.mp4")
    rows = {"clip": ["hall/fall", "d"], "start": [3, None], "end": [9, None]}
    for separator in ",;\t":
        pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False, sep=separator)
        assert intervals(CAMERA.read(tmp_path)) == {"hall/fall": [(3, 9)], "d": []}


def test_the_line_of_an_error_counts_every_line_of_the_file(tmp_path):
    make(tmp_path, *FOLDER_TREE, labels_csv="sep=;\nclip;start;end\n;;\nb;5;4\n")
    with pytest.raises(UserError, match=r"labels.csv line 4: start = '5', end = '4'"):
        CAMERA.read(tmp_path)


@pytest.mark.parametrize("layout", [CAMERA, PERSONS])
@pytest.mark.parametrize("word", ["unlabelled", "Unlabelled", "unlabeled"])
def test_a_row_marks_a_clip_as_unlabelled(tmp_path, layout, word):
    make(tmp_path, *(f"{clip}/1.png" for clip in ("train/a", "test/b", "test/c", "test/d", "test/e")))
    assert intervals(layout.read(tmp_path)) == dict.fromkeys("bcde")
    make(tmp_path, labels_csv=f"clip,start,end\nb,{word},\nb,{word},\nc,2,5\nd,,\ntrain/a,{word},\n")
    clips = layout.read(tmp_path)
    assert intervals(clips) == {"b": None, "c": [(2, 5)], "d": [], "e": []}
    assert [clip.name for clip in clips if clip.by_default] == ["e"]
    assert next(clip for clip in clips if clip.split == "train").intervals is None


def test_an_unlabelled_clip_has_no_masks(tmp_path):
    make(tmp_path, *FOLDER_TREE, "masks/test/b.npy", labels_csv="clip,start,end\nb,unlabelled,\n")
    with pytest.raises(UserError, match=r"line 2: marked as unlabelled, but it has masks in .*b.npy; remove"):
        CAMERA.read(tmp_path)
    make(tmp_path, labels_csv="clip,start,end\n")
    assert not any(clip.by_default for clip in CAMERA.read(tmp_path)), "its masks label it"


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_labels_that_are_no_file_are_refused(tmp_path):
    make(tmp_path, *FOLDER_TREE, "labels.csv/")
    with pytest.raises(UserError, match=r"labels.csv: not a file; expected a CSV file"):
        CAMERA.read(tmp_path)
    (tmp_path / "labels.csv").rmdir()
    (tmp_path / "labels.csv").symlink_to("nowhere.csv")
    with pytest.raises(UserError, match=r"labels.csv not found"):
        CAMERA.read(tmp_path)


def test_folder_keeps_labels_of_training_clips_for_the_survey_to_refuse(tmp_path):
    make(tmp_path, *FOLDER_TREE, "val/b.mp4", labels_csv="clip,start,end\ntrain/a,1,2\nb,3,4\n")
    assert {clip.id: clip.intervals for clip in CAMERA.read(tmp_path)} == {
        "train/a": [(1, 2)],
        "val/b": None,
        "test/b": [(3, 4)],  # a bare name means test
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "clip,start,end\nhall/fal,1,2",
            r"labels.csv line 2: unknown clip 'hall/fal'; .*similar: .*hall/fall",
        ),
        ("clip,start,end\na,1,2", r"unknown clip 'a'; .* similar: train/a"),
        ("clip,start,end\nzzzzz,1,2", r"unknown clip 'zzzzz'; .* clips are, for example"),
        ("clip,start,end\nhall/fall,5,5", r"line 2: start = '5', end = '5'; expected start < end"),
        ("clip,start,end\nhall/fall,5,", r"line 2: start = '5', end = ''"),
        ("clip,start,end\nhall/fall,1.5,9", r"line 2: start = '1.5'; expected a frame number"),
        ("clip,start,end\nhall/fall,-1,9", r"line 2: start = '-1'; expected a frame number"),
        ("clip,start,end\n\na,b,1,2", r"line 3: 4 fields, but the header has 3"),
        ("clip|start|end\na|1|2", r"labels.csv: missing column clip, start, end; found clip|start|end"),
        ("clip,start,end\nhall/fall,1,9,,x", r"line 2: 5 fields, but the header has 3"),
        (
            "clip,start,end\nhall/fall,unlabelled,9",
            r"line 2: start = 'unlabelled', end = '9'; expected an empty end",
        ),
        (
            "clip,start,end\nhall/fall,unlabelled,\nhall/fall,1,9",
            r"line 3: this clip is marked as unlabelled, and labelled in another row; remove one",
        ),
        ("clip,start,end\nhall/fall,,\nhall/fall,unlabelled,", r"line 3: this clip is marked as unlabelled"),
        ("", r"labels.csv: missing column clip, start, end; found nothing"),
    ],
)
def test_folder_refuses_wrong_labels(tmp_path, text, message):
    make(tmp_path, "train/a.mp4", "test/hall/fall.mp4", labels_csv=text)
    with pytest.raises(UserError, match=message):
        CAMERA.read(tmp_path)


def test_labels_in_another_encoding_are_refused(tmp_path):
    make(tmp_path, *FOLDER_TREE)
    (tmp_path / "labels.csv").write_bytes("clip,start,end\nä,1,2".encode("latin-1"))
    with pytest.raises(UserError, match=r"labels.csv: not a CSV file in UTF-8"):
        CAMERA.read(tmp_path)


def test_folder_finds_masks_of_every_form(tmp_path):
    make(tmp_path, "train/a.mp4", "test/hall/fall.mp4", "test/b.mp4", "test/c/1.png", "test/d.mp4")
    make(tmp_path, "masks/test/hall/fall/1.png", "masks/test/b.npz", "masks/test/c.npy")
    clips = {clip.name: clip for clip in CAMERA.read(tmp_path)}
    masks = tmp_path / "masks/test"
    assert clips["hall/fall"].masks == masks / "hall/fall"
    assert (clips["b"].masks, clips["c"].masks, clips["d"].masks) == (masks / "b.npz", masks / "c.npy", None)
    make(tmp_path, "masks/test/b/1.png")
    with pytest.raises(UserError, match=r"masks of the clip also lie in .*; remove one"):
        CAMERA.read(tmp_path)


def test_folder_refuses_masks_of_an_unknown_clip(tmp_path):
    make(tmp_path, *FOLDER_TREE, "masks/test/c.npy")
    with pytest.raises(UserError, match=r"c.npy: masks of an unknown clip; expected a clip test/c"):
        CAMERA.read(tmp_path)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["train/1.png"], r"train: directly contains pictures; put the pictures of each clip into a"),
        (["train/"], r"train: no clips: found nothing; expected folders of pictures, or .*\.mp4"),
        (["train/a.txt"], r"train: no clips: found a.txt; expected"),
        (["train/cam/a.txt"], r"cam: no clips: found a.txt"),
        (
            ["train/cam/day/a.mp4"],
            r"day: holds no pictures \(a.mp4\); put clips directly into .*train or a folder",
        ),
        (
            ["train/cam/a.mp4", "train/cam/a.jpg"],
            r"cam: holds both pictures \(a.jpg\) and .mp4 files \(a.mp4\)",
        ),
    ],
)
def test_folder_refuses_other_trees(tmp_path, paths, message):
    make(tmp_path, "test/b.mp4", *paths)
    with pytest.raises(UserError, match=message):
        CAMERA.read(tmp_path)


def test_folder_keeps_an_empty_clip_for_the_survey_to_report(tmp_path):
    make(tmp_path, *FOLDER_TREE, "test/empty/")
    assert ids(CAMERA.read(tmp_path)) == ["test/b", "test/empty", "train/a"]


# --- ucsd


def make_ucsd(root: Path, ground_truth: str | None, name: str = "UCSDped2.m", tests: int = 2) -> Path:
    for split, n in (("Train", 2), ("Test", tests)):
        make(root, *(f"{split}/{split}{i:03}/001.tif" for i in range(1, n + 1)))
    if ground_truth is not None:
        make(root / "Test", **{name.replace(".", "_"): ground_truth})
    return root


GT = (
    "TestVideoFile = {};\r\n"
    "TestVideoFile{end+1}.gt_frame = [5:90, 140:200];\r\n"
    "TestVideoFile{end+1}.gt_frame = [1:3];\r\n"
)


def test_ucsd_converts_clips_labels_and_masks(tmp_path):
    make_ucsd(tmp_path, GT)
    stale = "TestVideoFile{end+1}.gt_frame = [7:8];"
    make(tmp_path / "Test", **{"UCSDped2_m~": stale, "__UCSDped2_m": stale})
    make(tmp_path, "Test/Test002_gt/001.bmp", "Train/.DS_Store", "README.txt")
    clips = UCSD.read(tmp_path)
    assert ids(clips) == ["test/Test001", "test/Test002", "train/Train001", "train/Train002"]
    assert {clip.camera for clip in clips} == {"ped2"}
    # from 1, both ends included -> from 0, end exclusive; one frame off costs a perfect scorer 0.008
    assert intervals(clips) == {"Test001": [(4, 90), (139, 200)], "Test002": [(0, 3)]}
    masks = {clip.name: clip.masks for clip in clips if clip.split == "test"}
    assert masks == {"Test001": None, "Test002": tmp_path / "Test/Test002_gt"}


def test_ucsd_without_ground_truth_is_unlabelled(tmp_path):
    make_ucsd(tmp_path / "my_ped1", None)
    make(tmp_path / "my_ped1/Test", **{"UCSDped1_m~": GT})
    clips = UCSD.read(tmp_path / "my_ped1")
    assert {clip.camera for clip in clips} == {"ped1"}
    assert {clip.intervals for clip in clips} == {None}


def test_ucsd_accepts_the_folder_above_a_single_data_set(tmp_path):
    make_ucsd(tmp_path / "UCSDped1", GT, "UCSDped1.m")
    assert len(UCSD.read(tmp_path)) == 4
    make_ucsd(tmp_path / "UCSDped2", GT)
    with pytest.raises(UserError, match=r"several data sets \(UCSDped1, UCSDped2\): let data.root name one"):
        UCSD.read(tmp_path)


@pytest.mark.parametrize(
    ("ground_truth", "message"),
    [
        (
            GT + "TestVideoFile{end+1}.gt_frame = [1:3];",
            r"UCSDped2.m: labels for 3 clips, but .* has 2 folders",
        ),
        ("TestVideoFile = {};", r"UCSDped2.m: labels for 0 clips"),
        (GT.replace("[5:90", "[0:90"), r"UCSDped2.m line 2: cannot read .*\[0:90.*; expected"),
        (GT.replace("[5:90", "[95:90"), r"line 2: cannot read"),
        (GT.replace("[5:90", "[a:90"), r"line 2: cannot read"),
        (GT.replace("{end+1}.gt_frame = [1:3]", "{2}.gt_frame = [1:3]"), r"line 3: cannot read"),
    ],
)
def test_ucsd_refuses_wrong_ground_truth(tmp_path, ground_truth, message):
    make_ucsd(tmp_path, ground_truth)
    with pytest.raises(UserError, match=message):
        UCSD.read(tmp_path)


def test_ucsd_reads_ground_truth_of_any_form():
    text = "TestVideoFile{end+1}.gt_frame = [ 2 : 4 7 9:9 ]; % a comment\nTestVideoFile{end+1}.gt_frame = [];"
    assert read_intervals(text, "x.m") == [[(1, 4), (6, 7), (8, 9)], []]


def test_ucsd_refuses_other_trees(tmp_path):
    make(tmp_path, "Train/a/1.tif", "Test/Test001/1.tif")
    with pytest.raises(
        UserError, match=r"Train does not match data.format = 'ucsd': found a/; expected Train001/"
    ):
        UCSD.read(tmp_path)
    make_ucsd(tmp_path, GT)
    (tmp_path / "Test/Test002").rename(tmp_path / "Test/Test004")
    with pytest.raises(UserError, match=r"line 2 belongs to Test002, which is not there"):
        UCSD.read(tmp_path)
    make(tmp_path, "Test/other.m")
    with pytest.raises(UserError, match=r"several ground-truth files \(UCSDped2.m, other.m\)"):
        UCSD.read(tmp_path)


# --- persons


def test_persons_lists_a_clip_per_person(tmp_path):
    make(tmp_path, "train/person1/1.jpg", "train/Jörg B/1.jpg", "test/person1/1.jpg", "test/list.txt")
    clips = PERSONS.read(tmp_path)
    assert ids(clips) == ["test/person1", "train/Jörg_B", "train/person1"]
    assert all(clip.subject == clip.name and clip.camera == "camera" for clip in clips)
    assert intervals(clips) == {"person1": None}
    make(tmp_path, labels_csv="clip,start,end\nperson1,3,5\n")
    assert intervals(PERSONS.read(tmp_path)) == {"person1": [(3, 5)]}


@pytest.mark.parametrize("path", ["train/1.jpg", "train/person1/a.mp4", "train/hall/person1/1.jpg"])
def test_persons_refuses_other_trees(tmp_path, path):
    make(tmp_path, path, "test/person1/1.jpg")
    with pytest.raises(
        UserError, match=r"train does not match data.format = 'persons': found .*; expected a"
    ):
        PERSONS.read(tmp_path)


# --- table


def test_table_reads_files_labels_and_spans(tmp_path):
    make(tmp_path, "Subject 2/ADL/23.mp4", "Ü, b/fall.mp4", "pictures.v1/001.png", "a.mp4")
    head = "\ufefffile,split,camera,subject,start,end,first,last,note\r\n"
    rows = [
        "Subject 2/ADL/23.mp4,train,hall,s2,,,,,x",
        '"Ü, b/fall.mp4",test,hall,s3,10,20,,,',
        '"Ü, b/fall.mp4",test,hall,s3,30,40,,,',
        "pictures.v1,test,,,,,5,9,",
        "a.mp4,val,,,,,3,,",
    ]
    make(tmp_path, table_csv=head + "\r\n".join(rows))
    clips = {clip.name: clip for clip in TABLE.read(tmp_path)}
    assert list(clips) == ["Subject 2/ADL/23", "Ü, b/fall", "pictures.v1", "a"]
    fall = clips["Ü, b/fall"]
    assert (fall.split, fall.camera, fall.subject) == ("test", "hall", "s3")
    assert fall.intervals == [(10, 20), (30, 40)]
    assert (fall.first, fall.end) == (0, None)
    pictures = clips["pictures.v1"]
    assert pictures.intervals == []
    assert (pictures.camera, pictures.subject, pictures.first, pictures.end) == ("camera", "", 5, 10)
    assert pictures.span(100) == (5, 10)  # last is included
    assert clips["a"].span(100) == (3, 100)
    assert clips["Subject 2/ADL/23"].source == tmp_path / "Subject 2/ADL/23.mp4"


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
@pytest.mark.parametrize("file", [".nas/b.mp4", ".nas", ".nas/deep/c.mp4"])
def test_table_refuses_clips_behind_hidden_links(tmp_path, file):
    make(tmp_path, "nas/b.mp4", "nas/deep/c.mp4", "root/a.mp4")
    make(tmp_path / "root", table_csv=f"file,split\na.mp4,train\n{file},test\n")
    (tmp_path / "root/.nas").symlink_to("../nas")
    with pytest.raises(UserError, match=r"line 3: .*\.nas.* lies behind a link to a folder"):
        TABLE.read(tmp_path / "root")
    (tmp_path / "root/.nas").unlink()
    (tmp_path / "nas").rename(tmp_path / "root/.nas")
    assert len(TABLE.read(tmp_path / "root")) == 2


def test_table_marks_clips_as_unlabelled(tmp_path):
    make(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    make(
        tmp_path,
        table_csv="file;split;start;end;;\na.mp4;train;;\nb.mp4;test;unlabelled;\nc.mp4;test;;\n;;;;;\n",
    )
    clips = TABLE.read(tmp_path)
    assert intervals(clips) == {"b": None, "c": []}
    assert not any(clip.by_default for clip in clips), "an empty interval is explicit"


def test_table_with_few_columns_is_unlabelled(tmp_path):
    make(tmp_path, "a.mp4", "b.mp4", table_csv="file,split\na.mp4,train\nb.mp4,test\n")
    assert [clip.intervals for clip in TABLE.read(tmp_path)] == [None, None]


HEAD = "file,split,camera,subject,start,end,first,last\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,camera\na.mp4,x\n", r"table.csv: missing column split; found file, camera; expected at least"),
        (
            "file,split,start\na.mp4,test,1\n",
            r"has only one of the columns start and end; expected both or neither",
        ),
        (HEAD, r"table.csv: no rows; expected one per clip"),
        (HEAD + "a.mp4,testing,,,,,,\n", r"table.csv line 2: split = 'testing'; expected train, val, test"),
        (HEAD + "a.mp4,test,,,x,5,,\n", r"line 2: start = 'x'; expected a frame number"),
        (HEAD + "a.mp4,test,,,7,5,,\n", r"line 2: start = '7', end = '5'; expected start < end"),
        (HEAD + "a.mp4,test,,,7,,,\n", r"line 2: start = '7', end = ''"),
        (
            HEAD + "a.mp4,test,,,,,9,8\n",
            r"line 2: first = 9, last = 8; expected first <= last, both included",
        ),
        (HEAD + "a.mp4,test\n\nc.mp4,test\n", r"line 4: .*c.mp4 not found \(paths are relative to data.root"),
        (HEAD + "../a.mp4,test\n", r"line 2: file = '../a.mp4'; expected a path below data.root"),
        (HEAD + "/a.mp4,test\n", r"line 2: file = '/a.mp4'; expected a path below data.root"),
        (
            HEAD + "a.mp4,test,,,unlabelled,5,,\n",
            r"line 2: start = 'unlabelled', end = '5'; expected an empty",
        ),
        (HEAD + "a.mp4,test,,,unlabelled\na.mp4,test,,,1,2\n", r"line 3: this clip is marked as unlabelled"),
        (HEAD + ",test\n", r"line 2: file = ''; expected a path below data.root"),
        (HEAD + "a.mp4,test\na.mp4,train\n", r"line 3: split of a.mp4 differs from an earlier row"),
        (HEAD + "a.mp4,test,x\na.mp4,test,y\n", r"line 3: camera of a.mp4 differs"),
        (HEAD + "a.mp4,test,x,p\na.mp4,test,x,q\n", r"line 3: subject of a.mp4 differs"),
        (HEAD + "a.mp4,test,,,,,,7\na.mp4,test,,,,,,8\n", r"line 3: last of a.mp4 differs"),
        (HEAD + "a.mp4,test,x,y,1,2,3,4,5\n", r"line 2: 9 fields, but the header has 8"),
    ],
)
def test_table_refuses_wrong_rows(tmp_path, text, message):
    make(tmp_path, "a.mp4", table_csv=text)
    with pytest.raises(UserError, match=message):
        TABLE.read(tmp_path)


def test_a_table_outside_the_root_is_refused(tmp_path):
    make(tmp_path, "a.mp4")
    with pytest.raises(UserError, match=r"data.table.file = '../t.csv'; expected a path below"):
        Table(Table.Params(file="../t.csv")).read(tmp_path)


# --- the real ones

DATASETS = Path(os.environ.get("VAD_DATASETS", "../shared/data"))


def dataset(name: str) -> Path:
    if not (DATASETS / name).is_dir():
        pytest.skip(f"{name} is not in {DATASETS} (set VAD_DATASETS)")
    return DATASETS / name


@pytest.mark.datasets
@pytest.mark.parametrize(
    ("name", "train", "test", "intervals"), [("upfall", 10, 21, 15), ("gmdcsa", 4, 5, 5)]
)
def test_tables_of_real_data_sets(name, train, test, intervals):
    clips = TABLE.read(dataset(name))
    assert sum(clip.split == "train" for clip in clips) == train
    assert sum(clip.split == "test" for clip in clips) == test
    assert sum(len(clip.intervals) for clip in clips) == intervals
    assert len({clip.camera for clip in clips}) == 1
    assert all(clip.subject for clip in clips)
