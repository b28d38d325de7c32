"""What lies below data.root besides footage: links, special files, and what is said to be left out."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.footage.videos import numbered, write_pictures
from tests.project import ROOT, environment
from vad import UserError, check
from vad.footage import contents
from vad.footage.encode import encode
from vad.layouts import LAYOUTS
from vad.store import manifest

posix = pytest.mark.skipif(os.name != "posix", reason="links and special files of POSIX")
TABLE = "file,split\na.mp4,train\nb.mp4,train\nc.mp4,test\nf/,test\n"
# of each layout: a data set with a folder of pictures, which the tests write, and two to three other clips
CLIPS = {
    "folder": ["train/a.mp4", "train/b.mp4", "test/c.mp4", "test/f/"],
    "persons": ["train/a/", "train/b/", "test/f/"],
    "table": ["a.mp4", "b.mp4", "c.mp4", "f/"],
    "ucsd": ["Train/Train001/", "Train/Train002/", "Test/Test001/"],
}


def make(root: Path, layout: str) -> Path:
    """A small data set; returns a folder of pictures in it."""
    for name in CLIPS[layout]:
        if name.endswith("/"):
            write_pictures(root / name, numbered(3))
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            encode(root / name, numbered(26), 25)
    if layout == "table":
        (root / "table.csv").write_text(TABLE)
    return root / CLIPS[layout][-1]


def ingest(folder: Path, layout: str, fails: bool = False, **data: str) -> list[str]:
    """Runs the stage on folder/raw as a user does; returns what it says, without its name."""
    keys = {"format": layout, "root": "raw", layout: "{}", "folds": "1", **data}  # clips have a second
    text = "compute: {}\ndata:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items())
    (folder / "params.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "stages.ingest"],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        timeout=60,  # a FIFO that is opened waits forever
    )
    assert done.returncode == (2 if fails else 0), done.stderr
    return [line.removeprefix("ingest: ") for line in done.stderr.splitlines()]


def clips(folder: Path) -> list[str]:
    return [row.clip for row in manifest.read_manifest(folder / "data/manifest.csv")]


def listed(root: Path, layout: str) -> list[str]:
    """What is said to be left out."""
    reader = LAYOUTS.get(layout)(LAYOUTS.get(layout).Params())
    return contents.left_out(contents.walk(root), reader.read(root), reader.auxiliary_files())


def add(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")


# --- links and special files


@posix
@pytest.mark.parametrize("layout", CLIPS)
def test_linked_folders_are_refused_in_every_layout(tmp_path, layout):
    make(tmp_path / "raw", layout)
    add(tmp_path, "nas/new/x.txt")
    (tmp_path / "raw/deep").mkdir()
    (tmp_path / "raw/deep/link").symlink_to("../../nas/new")
    [line] = ingest(tmp_path, layout, fails=True)
    target = re.escape(str(tmp_path / "nas/new"))
    assert re.match(
        rf"error: data.root: raw/deep/link is a link to the folder {target}; DVC follows no link", line
    )
    assert not (tmp_path / "data/manifest.csv").exists()
    with pytest.raises(UserError, match=r"raw/deep/link is a link to the folder"):
        check.check_footage({"data": {"root": str(tmp_path / "raw")}})


@posix
def test_a_linked_clip_is_refused_and_the_other_links_are_counted(tmp_path):
    folder = make(tmp_path / "raw", "folder")
    folder.rename(tmp_path / "elsewhere")
    for name in ("test/f", "test/g", "train/f"):
        (tmp_path / "raw" / name).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(UserError, match=r"raw/test/f is .*elsewhere, and 2 more links to folders; DVC"):
        contents.refuse_linked(contents.walk(tmp_path / "raw"))


@posix
def test_the_root_and_single_files_may_be_links(tmp_path):
    folder = make(tmp_path / "nas", "folder")
    for path in (folder / "000.png", tmp_path / "nas/train/a.mp4"):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    (tmp_path / "raw").symlink_to("nas")
    said = ingest(tmp_path, "folder")
    assert {clip.split("/")[1] for clip in clips(tmp_path)} == {"a", "b", "c", "f"}
    assert not any("left out" in line for line in said)
    check.check_footage({"data": {"root": str(tmp_path / "raw")}})


def special(kind: str, path: Path) -> None:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "dead link":
        path.symlink_to("nowhere.mp4")
    elif kind == "circle of links":
        path.symlink_to(path.name)
    elif kind == "link to a FIFO":
        os.mkfifo(path.parents[2] / "pipe")
        path.symlink_to("../../pipe")
    else:  # the path of a socket may have some 100 bytes only
        here = Path.cwd()
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
        os.chdir(here)


SPECIAL = [
    ("FIFO", "FIFO", "hang"),
    ("link to a FIFO", "FIFO", "hang"),
    ("dead link", "dead link to nowhere.mp4", "fail"),
    ("circle of links", "dead link to x.mp4", "fail"),
    ("socket", "socket", "fail"),
]


@posix
def test_ingest_tells_special_files_and_leaves_them_out(tmp_path):
    make(tmp_path / "raw", "folder")
    for i, (kind, *_) in enumerate(SPECIAL):
        special(kind, tmp_path / f"raw/test/{i}.mp4")
    said = ingest(tmp_path, "folder")
    assert said[:3] == [
        "2 FIFOs are left out, for example test/0.mp4",
        "2 dead links are left out, for example test/2.mp4",
        "1 socket is left out: test/4.mp4",
    ]
    assert clips(tmp_path)[:2] == ["test/c", "test/f"]


@posix
@pytest.mark.parametrize(("kind", "noun", "effect"), SPECIAL)
def test_special_files_are_refused_before_dvc_meets_them(tmp_path, kind, noun, effect):
    add(tmp_path, "raw/test/a.txt")
    check.check_footage({"data": {"root": str(tmp_path / "raw")}})
    special(kind, tmp_path / "raw/test/x.mp4")
    with pytest.raises(
        UserError, match=rf"raw/test/x.mp4 is a {noun}; DVC cannot read it and would {effect}"
    ):
        check.check_footage({"data": {"root": str(tmp_path / "raw")}})


@posix
@pytest.mark.parametrize("layout", CLIPS)
def test_a_fifo_of_any_name_hangs_no_layout(tmp_path, layout):
    folder = make(tmp_path / "raw", layout)
    for name in ("x.png", "x.mp4", "x.csv", "x.m", "Thumbs.db"):
        os.mkfifo(folder / name)
        os.mkfifo(folder.parent / name)
    said = ingest(tmp_path, layout)
    assert any(re.fullmatch(r"10 FIFOs are left out, for example .*Thumbs.db", line) for line in said)


@posix
@pytest.mark.parametrize(
    ("layout", "name"), [("folder", "labels.csv"), ("table", "c.mp4"), ("table", "table.csv")]
)
@pytest.mark.parametrize("kind", ["FIFO", "dead link"])
def test_special_files_that_a_layout_needs_are_errors(tmp_path, layout, name, kind):
    make(tmp_path / "raw", layout)
    (tmp_path / "raw" / name).unlink(missing_ok=True)
    special(kind, tmp_path / "raw" / name)
    *_, line = ingest(tmp_path, layout, fails=True)
    assert line.startswith("error: ")
    assert name in line


@pytest.mark.slow
@posix
@pytest.mark.parametrize(("kind", "noun", "effect"), SPECIAL)
def test_dvc_itself_hangs_or_fails_on_special_files(tmp_path, kind, noun, effect):
    """Otherwise the check before `dvc repro` would refuse footage for no reason."""
    add(tmp_path, "raw/test/a.txt")
    special(kind, tmp_path / "raw/test/x.mp4")
    assert dvc_repro(tmp_path) == {"hang": "timeout", "fail": "failed"}[effect]


@pytest.mark.slow
@posix
def test_dvc_itself_sees_no_change_behind_a_linked_folder(tmp_path):
    add(tmp_path, "raw/test/a.txt", "nas/b.txt")
    (tmp_path / "raw/link").symlink_to("../nas")
    (tmp_path / "link_to_raw").symlink_to("raw")
    assert dvc_repro(tmp_path, "raw") == "ran"
    add(tmp_path, "nas/new.txt")
    assert dvc_repro(tmp_path, "raw") == "skipped"
    add(tmp_path, "raw/new.txt")
    assert dvc_repro(tmp_path, "raw") == "ran"
    assert dvc_repro(tmp_path, "link_to_raw") == "ran"
    add(tmp_path, "raw/newer.txt")
    assert dvc_repro(tmp_path, "link_to_raw") == "ran"  # a linked data.root is seen
    assert dvc_repro(tmp_path, "link_to_raw") == "skipped"


def dvc_repro(folder: Path, root: str = "raw") -> str:
    env = environment(DVC_SITE_CACHE_DIR=str(folder / "site"))
    if not (folder / ".dvc").exists():
        subprocess.run(["dvc", "init", "-q", "--no-scm"], cwd=folder, env=env, check=True)
    (folder / "dvc.yaml").write_text(f"stages: {{list: {{cmd: echo, deps: [{root}]}}}}")
    try:
        done = subprocess.run(
            ["dvc", "repro"], cwd=folder, env=env, capture_output=True, text=True, timeout=20
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    output = done.stdout + done.stderr
    return "failed" if done.returncode else "ran" if "Running stage 'list'" in output else "skipped"


# --- what is left out


@pytest.mark.parametrize("layout", CLIPS)
def test_nothing_is_said_of_a_whole_data_set_and_of_files_of_systems(tmp_path, layout):
    folder = make(tmp_path, layout)
    own = {"folder": ["labels.csv"], "persons": ["labels.csv"], "ucsd": ["Test/a.m~"]}.get(layout, [])
    add(
        tmp_path,
        "README.md",
        "LICENSE",
        ".hidden",
        ".git/x",
        "Thumbs.db",
        "desktop.ini",
        ".sub/a/x.mp4",
        *own,
    )
    if "labels.csv" in own:
        (tmp_path / "labels.csv").write_text("clip,start,end\n")
    for name in ("Thumbs.db", ".DS_Store", "._000.png"):
        add(folder, name)
    (tmp_path / "@eaDir/empty").mkdir(parents=True)
    assert listed(tmp_path, layout) == []


@pytest.mark.parametrize("layout", CLIPS)
def test_every_other_file_and_folder_is_said_once_with_its_count(tmp_path, layout):
    folder = make(tmp_path, layout)
    name = folder.relative_to(tmp_path).as_posix()
    add(folder, "b.thm", "a.xyz", "B.XYZ", "deep/er/x.png", "deep/y.png", "@eaDir/000.png/thumb.jpg")
    add(tmp_path, "noname", "z.xyz", "old/1.xyz", "@eaDir/x", "#recycle/a/b.mp4", "$RECYCLE.BIN/c.mp4")
    add(tmp_path, "old/2/3.xyz", "System Volume Information/a", "lost+found/a")
    # directly in data.root, where sorting puts them before or after the clips
    example = min(f"{name}/B.XYZ", "z.xyz")
    assert listed(tmp_path, layout) == [
        "1 file without suffix is left out: noname",
        f"1 *.thm file is left out: {name}/b.thm",
        f"3 *.xyz files are left out, for example {example}",
        "1 folder #recycle is left out: #recycle/ (1 file)",
        "1 folder $RECYCLE.BIN is left out: $RECYCLE.BIN/ (1 file)",
        "2 folders @eaDir are left out, for example @eaDir/ (1 file)",
        "1 folder System Volume Information is left out: System Volume Information/ (1 file)",
        "1 folder lost+found is left out: lost+found/ (1 file)",
        f"2 folders without a clip are left out, for example {min(f'{name}/deep', 'old')}/ (2 files)",
    ]


@pytest.mark.parametrize(("layout", "folder"), [("folder", "Test"), ("persons", "TEST"), ("ucsd", "test")])
def test_a_split_in_another_case_is_said(tmp_path, layout, folder):
    make(tmp_path, layout)
    try:
        add(tmp_path, f"{folder}/cam/z.mp4")
    except OSError:
        pytest.skip("this file system ignores case")
    split = "Test" if layout == "ucsd" else "test"
    assert listed(tmp_path, layout) == [
        f"1 folder without a clip is left out: {folder}/ (1 file, not the same as {split}/)"
    ]


def test_folders_of_systems_are_no_clips(tmp_path):
    make(tmp_path / "raw", "folder")
    for name in ("@eaDir", "$RECYCLE.BIN", "System Volume Information", "#recycle", "lost+found"):
        add(tmp_path, f"raw/test/{name}/a.mp4", f"raw/train/{name}/b/c.png", f"raw/{name}/desktop.ini")
    said = ingest(tmp_path, "folder")
    assert sum("for example test/" in line for line in said) == 5
    assert "2 folders $RECYCLE.BIN are left out, for example test/$RECYCLE.BIN/ (1 file)" in said
    assert {clip.split("/")[1] for clip in clips(tmp_path)} == {"a", "b", "c", "f"}


def test_a_used_file_is_found_in_another_spelling(tmp_path):
    """A table may spell accents in another way than the disk, on file systems that accept it."""
    make(tmp_path, "table")
    (tmp_path / "c.mp4").rename(tmp_path / "e\u0301.mp4")
    reader = LAYOUTS.get("table")(LAYOUTS.get("table").Params())
    (tmp_path / "table.csv").write_text(TABLE.replace("c.mp4", "e\u0301.mp4"))
    listing = reader.read(tmp_path)
    other = [type(clip)(clip.split, clip.name, tmp_path / str(clip.source.name).replace("e\u0301", "É"))
             for clip in listing]  # fmt: skip
    assert contents.left_out(contents.walk(tmp_path), other, ("table.csv",)) == []


def test_a_folder_that_may_not_be_opened_is_said(tmp_path, monkeypatch):
    """As DVC does, ingest passes over it; root may open every folder, so the refusal is made up here."""
    make(tmp_path, "folder")
    add(tmp_path, "private/a.mp4")
    original = os.scandir

    def scandir(path):
        if Path(path).name == "private":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert listed(tmp_path, "folder") == ["1 folder that may not be opened is left out: private/"]


@posix
def test_a_folder_with_a_dead_link_alone_is_explained(tmp_path):
    make(tmp_path / "raw", "folder")
    (tmp_path / "raw/test/cam").mkdir()
    (tmp_path / "raw/test/cam/x.mp4").symlink_to("nowhere")
    said = ingest(tmp_path, "folder", fails=True)
    assert said[0] == "1 dead link is left out: test/cam/x.mp4"
    assert said[1].startswith("error: raw/test/cam: no clips")


def test_masks_are_used_but_not_what_lies_beside_them(tmp_path):
    make(tmp_path, "folder")
    write_pictures(tmp_path / "masks/test/f", numbered(3))
    add(tmp_path, "masks/test/c.npy", "masks/test/c.mat", "masks/test/f/notes.txt", "masks/info/a.txt")
    assert listed(tmp_path, "folder") == [
        "1 *.mat file is left out: masks/test/c.mat",
        "1 *.txt file is left out: masks/test/f/notes.txt",
        "1 folder without a clip is left out: masks/info/ (1 file)",
    ]


def test_gif_files_are_clips_but_not_among_pictures(tmp_path):
    folder = make(tmp_path, "folder")
    add(tmp_path, "test/cam/x.gif", "test/cam/y.gif")
    reader = LAYOUTS.get("folder")(LAYOUTS.get("folder").Params())
    assert {"test/cam_x", "test/cam_y"} <= {clip.id for clip in reader.read(tmp_path)}
    add(folder, "002.gif")
    with pytest.raises(
        UserError, match=r"f: holds both pictures \(000.png\) and .gif files \(002.gif\), so it may be a clip"
    ):
        reader.read(tmp_path)
