"""The command `vad detect`, from arguments to what it prints and writes."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from tests.live.test_session import clips_of
from tests.project import ROOT, Project, environment
from tests.trained import trained
from vad import cli
from vad.footage.decode import frames
from vad.footage.encode import encode
from vad.scoring.scores import read_scores

USES = ("vad detect clip.mp4 --video", "vad detect new/ --csv", "vad detect rtsp://")


class Done(NamedTuple):
    """What a run of the command left."""

    status: int
    out: list[str]
    err: list[str]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """With a detector, two folds and a deployed model."""
    return trained(tmp_path_factory.mktemp("detect"), "objects", folds=2)


@pytest.fixture
def vad(project, monkeypatch, capsys, tmp_path):
    """Runs the command in an empty folder, with the model of the project."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, model: Path | None = None) -> Done:
        texts = ["detect", *map(str, arguments), "--model", str(model or project / "models/deployed")]
        with pytest.raises(SystemExit) as done:
            cli.main(texts)
        out, err = capsys.readouterr()
        code = done.value.code
        return Done(code if isinstance(code, int) else 0, out.splitlines(), err.splitlines())

    return run


def refusal(done: Done) -> str:
    """The only line of a refused run."""
    assert done.status == 2
    assert len(done.err) == 1, done.err
    assert done.err[0].startswith("error: ")
    return done.err[0]


def footage(project: Project) -> Path:
    """Folder of the test clips."""
    return project / "data/tiny/test"


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def long_clip(project: Project, path: Path, repeats: int = 8) -> Path:
    """A clip of the project again and again, which takes a while; with flashes, which alarm."""
    clip = clips_of(project)[0]
    pictures = [frame.pixels for frame in frames(footage(project).parent / clip.source, "gray")]
    pictures[12:18] = [np.roll(picture, 20, axis=1) ^ 255 for picture in pictures[12:18]]
    encode(path, pictures * repeats, clip.fps)
    return path


def test_help_begins_with_the_commonest_uses(capsys):
    with pytest.raises(SystemExit):
        cli.main(["detect", "--help"])
    begin = capsys.readouterr().out.splitlines()[:8]
    for use in USES:
        assert any(line.strip().startswith(use) for line in begin)


def test_scores_and_events_are_those_of_the_pipeline(project, vad, tmp_path):
    done = vad(footage(project), "--csv", "scores.csv", "--jsonl", "events.jsonl")
    assert done.status == 0
    by_source: dict[str, list[dict[str, str]]] = {}
    for row in rows(tmp_path / "scores.csv"):
        by_source.setdefault(Path(row["source"]).stem, []).append(row)
    ended = [event for event in events(tmp_path / "events.jsonl") if event["state"] == "end"]
    clips = clips_of(project)
    assert len(by_source) == len(clips) > 1
    for clip in clips:
        stored = read_scores(project / "data/scores" / clip.clip)
        name = Path(clip.source).stem
        table = by_source[name]
        scores = [float(row["score"]) for row in table]
        np.testing.assert_allclose(scores, stored.scores, rtol=1e-4, atol=1e-4)
        for branch, values in stored.branches.items():
            if f"{branch}_score" in table[0]:
                alone = [float(row[f"{branch}_score"]) for row in table]
                np.testing.assert_allclose(alone, values, rtol=1e-4, atol=1e-4)
        assert [int(row["frame"]) for row in table] == stored.source_frames.tolist()
        mine = [e for e in ended if Path(e["source"]).stem == name]
        assert [(e["start_frame"], e["end_frame"], e["peak_frame"]) for e in mine] == [
            (e.start, e.end, e.peak) for e in stored.events
        ]
        inside = {t for e in stored.events for t in range(e.start, e.end)}
        assert {t for t, row in enumerate(table) if row["event"]} == inside
        for event in mine:
            assert event["camera"] == "hall"
            assert any(f"{name}.mp4: event {event['event']}," in line for line in done.out)
    assert any(f"in {len(clips)} clips" in line for line in done.err)
    assert done.err[-1] == "wrote scores.csv, events.jsonl"


def test_a_folder_of_pictures_is_a_clip_or_single_pictures(project, vad, tmp_path):
    clip = clips_of(project)[0]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for frame in frames(footage(project).parent / clip.source, "gray"):
        cv2.imwrite(str(folder / f"{frame.number:03d}.png"), frame.pixels)
    count = len(list(folder.iterdir()))
    assert vad(folder, "--csv", "clip.csv").status == 0
    assert len(rows(tmp_path / "clip.csv")) == count
    assert {row["source"] for row in rows(tmp_path / "clip.csv")} == {str(folder)}
    done = vad(folder, "--pictures", "--csv", "each.csv", "--jsonl", "alarms.jsonl", "--snapshots", "alarms")
    assert done.status == 0
    assert len(done.out) == count == len(rows(tmp_path / "each.csv"))
    alarmed = [line for line in done.out if ": ALARM, " in line]
    assert len(alarmed) + sum(": normal, " in line for line in done.out) == count
    assert (
        len(alarmed) == len(events(tmp_path / "alarms.jsonl")) == len(list((tmp_path / "alarms").iterdir()))
    )
    assert any(f"{len(alarmed)} of {count} pictures alarmed" in line for line in done.err)


def test_a_file_played_as_a_camera_has_times_by_the_clock(project, vad, tmp_path):
    clip = long_clip(project, tmp_path / "camera.mp4", repeats=1)
    before = datetime.now().astimezone()
    done = vad(clip, "--realtime", "--csv", "live.csv", "--seconds", "3")
    assert done.status == 0
    assert any("frames per second; scores come" in line for line in done.err)
    times = [datetime.fromisoformat(row["time"]) for row in rows(tmp_path / "live.csv")]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= datetime.now().astimezone()


def test_one_broken_source_does_not_keep_others_from_being_scored(project, vad, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    good = footage(project) / "hall"
    done = vad("broken.mp4", good, "--csv", "scores.csv")
    assert done.status == 2
    (error,) = [line for line in done.err if line.startswith("error: ")]
    assert "broken.mp4" in error
    assert len({row["source"] for row in rows(tmp_path / "scores.csv")}) == len(clips_of(project))


def test_larger_frames_are_reduced_and_smaller_ones_not_enlarged(project, vad, tmp_path):
    clip = clips_of(project)[0]
    pictures = [f.pixels for f in frames(footage(project).parent / clip.source, "gray")]
    for name, size in (("large", (128, 96)), ("small", (32, 24))):
        resized = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures]
        encode(tmp_path / f"{name}.mp4", resized, clip.fps, crf=1)
    done = vad("large.mp4", "--csv", "scores.csv")
    assert done.status == 0
    assert any("frames of 128x96 pixels are reduced to 64x48, as tall as in training" in e for e in done.err)
    enlarged = [float(row["score"]) for row in rows(tmp_path / "scores.csv")]
    stored = read_scores(project / "data/scores" / clip.clip).scores
    assert np.abs(np.array(enlarged) - stored).mean() < 0.3 * np.abs(stored).mean() + 0.3
    done = vad("small.mp4")
    assert any("smaller than in training" in line for line in done.err)


@pytest.mark.parametrize(
    "name", ["-x y.mp4", "a'b\"c;$(d).mp4", "über 視頻.mp4", "two\nlines.mp4", "%s%d.mp4"]
)
def test_hostile_names_are_names(project, vad, tmp_path, name):
    shutil.copy(footage(project).parent / clips_of(project)[0].source, tmp_path / f"{name}.mp4")
    done = vad(
        f"./{name}.mp4", "--csv", "s.csv", "--jsonl", "e.jsonl", "--snapshots", "s", "--video", "v.mp4"
    )
    assert done.status == 0
    assert len(rows(tmp_path / "s.csv")) == 24
    assert (tmp_path / "v.mp4").stat().st_size > 1000
    for line in done.out:
        assert ": event " in line  # names with line breaks stay on one line


REFUSED = {  # arguments, parts of the message; files are made by `test_bad_input…`
    "empty": ([""], ["an empty source"]),
    "nothing": (["missing.mp4"], ["missing.mp4", "does not exist"]),
    "no video": (["notes.txt"], ["notes.txt", "suffix"]),
    "text in a video": (["text.mp4"], ["text.mp4"]),
    "empty folder": (["empty"], ["empty", "picture", "video"]),
    "scheme": (["gopher://host/x"], ["gopher", "rtsp://"]),
    "camera": (["clip.mp4", "--camera", "garage"], ["--camera garage", "hall"]),
    "cameras": (["clip.mp4", "--camera", "hall", "--camera", "hall"], ["--camera", "2 times", "1 source"]),
    "rate": (["clip.mp4", "--fps", "0"], ["--fps 0", "above 0"]),
    "existing": (["clip.mp4", "--csv", "notes.txt"], ["notes.txt", "--overwrite"]),
    "source": (["clip.mp4", "--csv", "clip.mp4", "--overwrite"], ["clip.mp4", "source"]),
    "twice": (["clip.mp4", "--csv", "a", "--jsonl", "a"], ["a: ", "two outputs"]),
    "suffix": (["clip.mp4", "--video", "v.avi"], ["v.avi", ".mp4"]),
    "video of a picture": (["picture.png", "--video", "v.mp4"], ["--video", "--snapshots"]),
    "folder of videos": (["clip.mp4", "other.mp4", "--video", "notes.txt"], ["notes.txt", "folder"]),
    "no camera": (["9"], ["camera 9"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_loses_nothing(project, vad, tmp_path, case):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    cv2.imwrite(str(tmp_path / "picture.png"), np.zeros((48, 64), np.uint8))
    source = footage(project).parent / clips_of(project)[0].source
    for name in ("clip.mp4", "other.mp4"):
        shutil.copy(source, tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    arguments, parts = REFUSED[case]
    error = refusal(vad(*arguments, "--quiet"))
    for part in parts:
        assert part in error
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_outputs_in_the_folder_of_the_model_are_refused(project, vad):
    card = project / "models/deployed/model.json"
    before = card.read_bytes()
    assert "folder of the model" in refusal(vad(footage(project), "--csv", card, "--overwrite"))
    assert card.read_bytes() == before


def test_a_rate_above_that_of_the_source_adds_no_frames(project, vad, tmp_path):
    assert vad(footage(project), "--fps", "100", "--csv", "all.csv").status == 0
    assert vad(footage(project), "--csv", "same.csv").status == 0
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "same.csv").read_bytes()
    assert vad(footage(project), "--fps", "1.25", "--csv", "half.csv").status == 0
    assert len(rows(tmp_path / "half.csv")) == len(rows(tmp_path / "all.csv")) // 2


def test_files_beside_a_camera_are_scored_meanwhile(project, vad, tmp_path):
    camera = long_clip(project, tmp_path / "camera.mp4", repeats=1)
    # a sequence is no camera, so it is scored as a file
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for frame in frames(camera, "gray"):
        cv2.imwrite(str(pictures / f"{frame.number:03d}.png"), frame.pixels)
    done = vad(camera, pictures, "--realtime", "--csv", "s.csv", "--video", "v", "--snapshots", "alarms")
    assert done.status == 0
    assert {row["source"] for row in rows(tmp_path / "s.csv")} == {str(camera), str(pictures)}
    assert any("frames scored" in line for line in done.err)
    *videos, table, snapshots = done.err[-1].removeprefix("wrote ").split(", ")
    assert {*videos} == {str(path.relative_to(tmp_path)) for path in (tmp_path / "v").iterdir()}
    assert table == "s.csv"
    number = len(list((tmp_path / "alarms").iterdir()))
    assert snapshots == f"{number} picture{'s' * (number != 1)} in alarms"


@pytest.mark.parametrize("reader", ["| head -1", "> /dev/full"])
def test_an_output_that_nobody_reads_is_no_bug(project, tmp_path, reader):
    long_clip(project, tmp_path / "long.mp4", repeats=4)
    model = project / "models/deployed"
    line = f"{sys.executable} -m vad.cli detect long.mp4 --quiet --model {model} {reader}"
    done = subprocess.run(
        line, shell=True, cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


def test_models_that_cannot_be_used_are_refused_by_name(project, vad, tmp_path):
    assert "no such folder" in refusal(vad(footage(project), model=tmp_path / "none"))
    assert "not a deployed model" in refusal(vad(footage(project), model=footage(project)))


@pytest.fixture(scope="module")
def motion_alone(tmp_path_factory) -> Path:
    """A deployed model that finds what moves."""
    return trained(tmp_path_factory.mktemp("motion"), "little_lookahead") / "models/deployed"


def test_a_model_that_finds_what_moves_refuses_a_single_picture(vad, tmp_path, motion_alone):
    cv2.imwrite(str(tmp_path / "picture.png"), np.zeros((48, 64), np.uint8))
    error = refusal(vad("picture.png", "--quiet", model=motion_alone))
    assert "preprocess.person_crop.detectors" in error


def start(project: Project, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Starts the command in a process of its own."""
    command = [sys.executable, "-m", "vad.cli", "detect", *arguments]
    return subprocess.Popen(
        [*command, "--model", str(project / "models/deployed")],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_whole_files(project, tmp_path, number):
    long_clip(project, tmp_path / "long.mp4", repeats=400)
    files = ["--csv", "s.csv", "--jsonl", "e.jsonl", "--video", "v.mp4"]
    process = start(project, tmp_path, "long.mp4", *files)
    while not any(len(path.read_bytes().splitlines()) > 5 for path in tmp_path.glob(".s.csv.*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    assert process.stdout is not None
    assert "begins" in process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "wrote" not in err
    table = rows(tmp_path / "s.incomplete.csv")
    assert 0 < len(table) < 400 * 24
    assert len({len(row) for row in table}) == 1
    told = events(tmp_path / "e.incomplete.jsonl")
    assert told
    assert [e["event"] for e in told if e["state"] == "begin"] == [
        e["event"] for e in told if e["state"] == "end"
    ]
    drawn = list(frames(tmp_path / "v.incomplete.mp4", "gray"))
    assert len(drawn) == len(table)


def test_a_stopped_camera_is_a_success(project, tmp_path):
    long_clip(project, tmp_path / "camera.mp4", repeats=20)
    process = start(project, tmp_path, "camera.mp4", "--realtime", "--csv", "s.csv", "--jsonl", "e.jsonl")
    while not (tmp_path / "s.csv").exists() or len(rows(tmp_path / "s.csv")) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err


HEAVY = (
    "torch",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "matplotlib",
    "joblib",
    "dvc",
    "lightning",
    "trackers",
)
BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocked())
from vad import cli
cli.main()
"""


def test_the_packages_of_the_wheel_suffice(project, tmp_path):
    """Without the rest of the repository, and without the libraries for training."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for package in build["tool"]["setuptools"]["packages"]:
        folder = Path(*package.split("."))
        (tmp_path / "lib" / folder).mkdir(parents=True, exist_ok=True)
        for file in (ROOT / folder).glob("*.py"):
            shutil.copy(file, tmp_path / "lib" / folder)
    done = subprocess.run(
        [
            *(sys.executable, "-c", BLOCKED.format(blocked=HEAVY), "detect", str(footage(project) / "hall")),
            *("--model", str(project / "models/deployed"), "--csv", "s.csv", "--snapshots", "alarms"),
            *("--video", "video", "--privacy", "blur"),
        ],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(tmp_path / "lib")),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "s.csv")) == 24 * len(clips_of(project))


def test_the_wheel_pins_what_the_pipeline_is_tested_with():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    assert set(build["dependencies"]) <= set(lines)
