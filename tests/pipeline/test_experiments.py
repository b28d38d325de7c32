"""Experiments: what is wrong is said before anything runs; the table fits a terminal."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import project as tiny
from tests.project import Project
from vad import UserError, experiments


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A project that has not run."""
    return tiny.make(tmp_path_factory.mktemp("experiments"))


@pytest.fixture
def here(project, monkeypatch) -> Project:
    """The same, as the current folder."""
    monkeypatch.chdir(project.folder)
    return project


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["exp", "NAME=typo"], "error: no recipe 'typo'; there are: "),
        (["exp", "ARGS=-S model.name=conv2"], "'conv2' is unknown; did you mean 'conv2d'? (known: "),
        (["exp", "ARGS=--queue -S 'train.epochs=1,0'"], "error: params.yaml: train.epochs = 0: "),
        (["recipe", "NAME=typo"], "error: no recipe 'typo'; there are: "),
        (["repro", "ARGS=nosuch"], "error: dvc.yaml: no stage 'nosuch'"),
    ],
)
def test_nothing_runs_after_an_error(project, words, says):
    output = project.make(*words, fails=True, NAME="of the machine")
    error, *rest = output.splitlines()
    assert says in error
    assert len(rest) == 1
    assert rest[0].startswith("make: ***")
    assert not list((project / ".dvc/tmp").glob("exps/**/*.log")) + list((project / ".cache").glob("*"))
    assert project.run("git", "status", "--short") == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-S", "train.epoch=3"], r"train: unknown key 'epoch'; did you mean 'epochs'"),
        (["-S", "++train.lr_facto=0.2"], r"train: unknown key 'lr_facto'; did you mean 'lr_factor'"),
        (["--set-param", "resize.height=-1"], r"resize\.height = -1"),
        (["-S", "resize.height=18"], r"conv2d needs resize\.height divisible by 4"),
        (["--queue", "-S", "data.format=folder,foldr"], "did you mean 'folder'"),
        (["-S", "train.lr_factor=0.2"], r"dvc exp run: .*use \+train\.lr_factor"),
        (["-S", "train.epochs=[1"], r"dvc exp run: .*'\[1'"),
        (["-S", "data.root=data"], r"data\.root = 'data' contains data/manifest\.csv"),
    ],
)
def test_a_wrong_value_is_named_before_the_experiment(here, words, says):
    before = here.read("params.yaml")
    with pytest.raises(UserError, match=says) as caught:
        experiments.command(words)
    assert "\n" not in str(caught.value)
    assert here.read("params.yaml") == before


def test_words_reach_dvc_as_they_are(here):
    words = ["-n", "sweep", "-S", "train.seed=1,2", "--queue", "-S", "++train.lr_factor=0.5", "train"]
    command, contents = experiments.command(words)
    assert command[1:] == ["-m", "dvc", "exp", "run", *words]
    assert [c["train"]["seed"] for c in contents] == [1, 2]
    assert [c["train"]["lr_factor"] for c in contents] == [0.5, 0.5]
    command, (raw,) = experiments.command([])
    assert command[1:] == ["-m", "dvc", "exp", "run", "--temp"]
    assert raw["data"]["root"] == "data/tiny"


def test_footage_that_a_copy_would_lack_is_refused(here):
    """Git ignores data/raw, so that experiments in copies of the project do not find it there."""
    shutil.copytree("data/tiny", "data/raw")
    try:
        with pytest.raises(
            UserError, match=r"'data/raw' is tracked by neither .*`dvc add data/raw`, or set an"
        ):
            experiments.command(["-S", "data.root=data/raw"])
        assert experiments.command(["-S", f"data.root={Path.cwd()}/data/raw"])
        assert experiments.command(["-S", "data.root=data/raw", "-C", "data/raw"])
        Path("data/raw.dvc").touch()
        assert experiments.command(["-S", "data.root=data/raw"])
    finally:
        shutil.rmtree("data/raw")
        Path("data/raw.dvc").unlink(missing_ok=True)


def test_the_table_before_and_after_experiments_are_queued(project):
    rows = project.make("table", COLUMNS="80").splitlines()
    assert [row.split()[0] for row in rows] == ["experiment", "workspace", branch(project)]
    project.make("exp", "ARGS=-n later --queue -S train.seed=7 -S calibrate.smooth.median=0.5")
    try:
        rows = project.make("table", COLUMNS="80").splitlines()
    finally:
        project.run("dvc", "queue", "remove", "--all")
    assert max(map(len, rows)) <= 80
    (row,) = [i for i, text in enumerate(rows) if text.startswith("- later (queued)  conv2d")]
    changed = "".join("".join(rows[row:]).split())
    assert changed.endswith("calibrate.smooth.median=0.5train.seed=7")


def branch(project: Project) -> str:
    return project.run("git", "branch", "--show-current").strip()


def revision(rev: str, name: str | None, metrics: dict[str, Any] | None, **changed: Any) -> dict[str, Any]:
    """A revision as `dvc exp show --json` has it; `changed` are keys of the section train."""
    raw = {"model": {"name": "cube"}, "train": {"epochs": 20, "channels": [1, 2]} | changed}
    data = {
        "params": {"params.yaml": {"data": raw}},
        "metrics": {} if metrics is None else {"metrics/evaluate.json": {"data": metrics}},
    }
    return {"rev": rev, "name": name, "data": data, "error": None, "experiments": None}


def test_the_table_fits_terminals_and_says_what_differs():
    full = {
        "frame": {"auc_micro": 0.98033, "auc_macro": 0.5},
        "threshold": 1.70853,
        "event": {"found": 7, "labelled": 8, "false_alarms": 12},
    }
    unlabelled = {"threshold": 0.25}
    main = revision("a" * 40, "main", full)
    older = revision("c" * 40, None, full)
    broken = {
        "rev": "d" * 40,
        "name": "broken",
        "error": {"type": "X", "msg": "no file"},
        "experiments": None,
    }
    main["experiments"] = [
        {
            "name": "one",
            "revs": [revision("1" * 40, "one", unlabelled, epochs=3)],
            "executor": {"state": "Success"},
        },
        {
            "name": "two",
            "revs": [revision("2" * 40, "two", None, channels=[3], a_parameter_with_a_long_name="and value")],
            "executor": {"state": "Running"},
        },
        {"name": None, "revs": [broken], "executor": {"state": "failed"}},
    ]
    shown = json.loads(json.dumps([revision("workspace", None, full, seed=1), main, older, older]))
    wide = experiments.table(shown, 200)
    assert [" ".join(line.split()) for line in wide] == [
        "experiment model epochs micro macro threshold found false also changed",
        "workspace cube 20 0.980 0.500 1.709 7/8 12 train.seed=1",
        "main cube 20 0.980 0.500 1.709 7/8 12",
        "- one cube 3 – – 0.25 – –",
        "- two (running) cube 20 – – – – – train.a_parameter_with_a_long_name=and value train.channels=[3]",
        "- ddddddd (failed) – – – – – – – no file",
    ]
    for width in (80, 100, 120):
        lines = experiments.table(shown, width)
        assert max(map(len, lines)) <= width
        assert "".join("".join(lines).split()) == "".join("".join(wide).split())


@pytest.mark.parametrize("name", [".venv", ".cache", "dvc_plots", "weights"])
def test_links_in_place_of_ignored_folders_are_ignored(project, tmp_path, name):
    """`git add -A` must not commit the link to an environment or to a larger disk."""
    (project / name).symlink_to(tmp_path)
    try:
        assert project.run("git", "status", "--short") == ""
    finally:
        (project / name).unlink()


def test_the_build_of_torch_without_gpus_is_installed_on_demand(project):
    plain, cpu = project.run("make", "-n", "venv"), project.run("make", "-n", "venv", "TORCH=cpu")
    assert "--index-url" not in plain
    (line,) = set(cpu.splitlines()) - set(plain.splitlines())
    assert "pip install" in line
    index, requirement = line.split(" --index-url ")[1].split(" ", 1)
    assert index == "https://download.pytorch.org/whl/cpu"
    (pinned,) = re.findall(r"^torch==.*", project.read("requirements.txt").decode(), re.M)
    assert project.run("bash", "-c", f"echo {requirement}") == f"{pinned}\n"
    assert cpu.index(line) < cpu.index("-r requirements.txt"), "what is there already is not replaced"
