"""README's commands, run as they stand, by somebody with a few videos of their own."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests import project as tiny
from tests.docs import pages
from tests.project import Project
from vad.pipeline import params
from vad.synthetic import clips as scripts

pytestmark = pytest.mark.slow

README = pages.read("README.md")
NORMAL, NEW = scripts.TRAIN[:5], scripts.TEST[:2]
FRAMES = 48


def run(project: Project, *lines: str) -> str:
    """Runs lines of a shell one after another, each in the environment; none may fail."""
    begin = "set -euo pipefail; source .venv/bin/activate; "
    return "".join(project.run("bash", "-c", begin + line) for line in lines if line.strip())


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Project:
    """A clone with its environment, and folders `normal` and `new` with videos, which git does not know."""
    folder = tmp_path_factory.mktemp("readme")
    project = tiny.copy(folder / "project", DVC_SITE_CACHE_DIR=str(folder / "site"))
    project.env["PYTHONPATH"] = str(project.folder)  # the command `vad` may be installed from elsewhere
    # what `make venv` would make
    (project / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if not path.name.startswith("ready"):
            (project / f".venv/{path.name}").symlink_to(path)
    for stamp in ("ready", "ready-test"):
        (project / f".venv/{stamp}").touch()
    project.run("git", "init", "-q")
    project.commit("clone")
    footage = tiny.generate(folder / "footage", NORMAL + NEW, frames=FRAMES)
    for name, split in (("normal", "train"), ("new", "test")):
        (project / name).mkdir()
        for video in (footage / split).rglob("*.mp4"):
            shutil.copy(video, project / f"{name}/{video.parent.name}_{video.name}")
    shutil.copy(next((project / "new").glob("*.mp4")), project / "new/walk.mp4")
    (project / ".git/info/exclude").write_text("/normal\n/new\n/scored.mp4\n/scores.csv\n/events.jsonl\n")
    return project


@pytest.fixture(scope="module")
def ran(fresh: Project) -> Project:
    """The same, after the commands of "Your own footage"."""
    commands = pages.blocks(README, "Your own footage")[0]
    assert commands.splitlines()[-1] == "make repro"
    run(fresh, *commands.splitlines())
    return fresh


def test_set_up_makes_the_environment_and_runs_the_pipeline(fresh):
    (commands,) = pages.blocks(README, "Run it")
    lines = [line.partition("#")[0].split() for line in commands.splitlines()]
    assert lines == [["make", "venv"], ["make", "repro"]]
    assert "python3 -m venv .venv" in fresh.run("make", "-n", "-W", "requirements.txt", "venv")
    assert "dvc repro" in fresh.run("make", "-n", "repro")


def test_own_footage_ends_with_scores_a_page_and_a_model(ran):
    assert params.read(ran / "params.yaml")["data"]["root"] == str(ran / "data/raw")
    names = [path.stem for path in (ran / "new").iterdir()]
    assert len(names) == len(NEW) + 1
    for name in names:
        assert len(pd.read_parquet(ran / f"data/scores/test/{name}.parquet")) == FRAMES
    assert (ran / "data/scores/events.csv").is_file()
    assert (ran / "models/deployed/model.json").is_file()
    assert (ran / "reports/page/index.html").is_file()
    assert "normal" not in ran.run("git", "status", "--short")


def test_the_detector_is_written_into_params_yaml(ran):
    before = ran.read("params.yaml")
    commands = pages.blocks(README, "Which recipe")
    run(ran, *commands)
    onnx = params.read(ran / "params.yaml")["preprocess"]["person_crop"]["onnx"]
    assert onnx["weights"].startswith("https://")
    assert onnx["sha256"] in commands[0]
    (ran / "params.yaml").write_bytes(before)


def test_the_model_scores_a_video_and_a_folder(ran):
    (commands,) = pages.blocks(README, "Use it")
    # a camera is never at an end; that its options exist is a test of its own
    lines = [line for line in commands.splitlines() if "rtsp://" not in line]
    assert sum(line.startswith("vad detect") for line in lines) == 2
    run(ran, *lines)
    scored = pd.read_csv(ran / "scores.csv")
    assert len(scored) == (len(NEW) + 1) * FRAMES
    assert (ran / "scored.mp4").stat().st_size > 1000
    for line in (ran / "events.jsonl").read_text().splitlines():
        assert json.loads(line)


def test_experiments_come_and_go_and_results_are_shared(ran, tmp_path):
    vary, share = pages.blocks(README, "Vary, compare, share")
    ran.commit("own footage")
    committed = ran.read("params.yaml")
    lines = vary.splitlines()
    apply = next(i for i, line in enumerate(lines) if "dvc exp apply NAME" in line)
    assert lines[-1].startswith("make back")
    assert "smooth.median" in run(ran, *lines[:apply])  # in the table
    names = ran.run("dvc", "exp", "list", "--name-only").split()
    assert len(names) == 2
    run(ran, lines[apply].replace("NAME", names[0]))
    assert ran.read("params.yaml") != committed
    run(ran, *lines[apply + 1 :])
    assert ran.read("params.yaml") == committed

    assert "/mnt/group/vad" in share
    run(ran, *share.replace("/mnt/group/vad", str(tmp_path / "group")).splitlines())
    clone = ran.clone(tmp_path / "clone")
    clone.run("dvc", "pull", "-q")
    assert clone.read("data/scores/events.csv") == ran.read("data/scores/events.csv")
