"""A tiny copy of this project in a temporary folder, on which tests run DVC.

The copy has all the code, six clips of 24 small frames, parameters that make every stage cheap, its git
repository and its DVC remote. A full run takes little longer than starting Python a dozen times.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests import shared
from vad import recipe, synthetic
from vad.pipeline import params
from vad.synthetic import clips as scripts

ROOT = Path(__file__).resolve().parents[1]
STAGES = [
    "ingest",
    "extract",
    "flow",
    "preprocess",
    "sheet",
    "resize",
    "train",
    "statistics",
    "measure",
    "pictures",
    "calibrate",
    "export",
    "validate",
    "score",
    "evaluate",
    "summarize",
    "report",
]  # in their order
TINY = {  # parameters that make a run short
    "data.root": "data/tiny",
    "data.folds": 1,  # the clips are too short for stretches
    "resize.height": 16,
    "resize.width": 16,
    "model.conv2d.channels": [4, 8],
    "train.epochs": 1,
    "calibrate.threshold.policy": "percentile",
    "calibrate.threshold.percentile": 90.0,  # of 24 validation frames
    "report.videos": "none",
    "compute.workers": 1,  # no time for starting processes
}
CLIPS = scripts.TRAIN[:4] + scripts.TEST[1:3]
WHOLE_FRAMES = recipe.overrides(["sample", "whole_frame"])  # on import, since it reads the current folder
WEIGHT_FREE = recipe.overrides(["sample", "weight_free"])
SPARE = scripts.TRAIN[4:6] + scripts.TEST[:1]
NOT_COPIED = ("data/sample/", "tests/", "docs/", "notebooks/", "dvc.lock", "metrics/", "reports/summary.md")


def whole_frames() -> dict[str, Any]:
    """params.yaml with the recipe of whole frames, independent of the present file."""
    raw = params.read(ROOT / "params.yaml")
    recipe.apply(raw, WHOLE_FRAMES)
    return raw


def following(stage: str) -> set[str]:
    """The stage and all stages that a change of its results re-runs."""
    # of `resize`, `statistics` reads only the list of clips that are too short, and of `train` nothing;
    # the check without labels changes no score, and only `report` reads the deployed model
    others = {
        "resize": {"statistics"},
        "train": {"statistics"},
        "export": {*STAGES[STAGES.index("export") + 1 :]} - {"report"},
        "validate": {"score", "evaluate"},
    }.get(stage, set())
    return set(STAGES[STAGES.index(stage) :]) - others


def ran(output: str) -> set[str]:
    """The stages whose command DVC ran."""
    return set(re.findall(r"Running stage '([^']+)'", output))


def restored(output: str) -> set[str]:
    """The stages whose outputs DVC took from its run cache instead."""
    return set(re.findall(r"Stage '([^']+)' is cached - skipping run, checking out outputs", output))


def computed(output: str) -> dict[str, int]:
    """{"extract": 2, "resize train": 1, …}: the clips that were not in the cache of finished clips."""
    return {
        label: int(n) for label, n in re.findall(r"^([\w ]+): clip (\d+)/\2, \d+ frames/s$", output, re.M)
    }


def environment(**more: str) -> dict[str, str]:
    """Environment with the Python and DVC of this interpreter, without what affects git, DVC or make."""
    others = ("DVC_", "GIT_", "AWS_", "PYTHON", "MAKE", "MFLAGS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    who = {f"GIT_{role}_{key}": "tests" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | who | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull} | more


class Project:
    """A checkout; methods that run a command return its output."""

    def __init__(self, folder: Path, **env: str):
        self.folder, self.env = folder, environment(**env)
        self.moved = False  # whether outputs may differ from those of the last commit

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    def run(self, *command: str | Path, fails: bool = False, timeout: float = 300, **env: str) -> str:
        """Runs a command in the project; it must fail if `fails` is set, else succeed, within `timeout` s."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            timeout=timeout,
        )
        assert (done.returncode != 0) == fails, f"{command}: exit status {done.returncode}\n{done.stdout}"
        return done.stdout

    def make(self, *words: str | Path, fails: bool = False, **env: str) -> str:
        """Runs make, with the environment of the tests in place of .venv."""
        return self.run("make", "-o", ".venv/ready", "-o", ".venv/ready-test", *words, fails=fails, **env)

    def repro(self, *args: str, fails: bool = False, **env: str) -> str:
        output = self.run("dvc", "repro", *args, fails=fails, **env)
        self.moved |= bool(fails or ran(output) or restored(output))
        return output

    def set(self, changes: Mapping[str, Any]) -> None:
        """Changes params.yaml without checking it, and keeps the rest of the file."""
        yaml = YAML()
        yaml.width = 4096
        document = yaml.load(self / "params.yaml")
        recipe.apply(document, changes)
        with open(self / "params.yaml", "w", encoding="utf-8", newline="\n") as file:
            yaml.dump(document, file)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "-qm", message)
        self.moved = False

    def clone(self, folder: Path, **env: str) -> "Project":
        """A fresh clone, without data, cache and local configuration."""
        self.run("git", "clone", "-q", self.folder, folder)
        return Project(folder, **env)

    def reset(self) -> None:
        """Back to the last commit, data included."""
        # with a new index, git compares contents; by size and time alone it may miss an edit of the same
        # second, since DVC writes the index too
        (self / ".git/index").unlink()
        self.run("git", "read-tree", "HEAD")
        subprocess.run(["git", "update-index", "-q", "--refresh"], cwd=self.folder, env=self.env)
        self.run("git", "reset", "-q", "--hard")
        self.run("git", "clean", "-qfd")
        if self.moved:
            self.run("dvc", "checkout", "-q", "--force")
            self.moved = False

    def read(self, path: str) -> bytes:
        return (self / path).read_bytes()


def copy(folder: Path, **env: str) -> Project:
    """A copy of this project as it is now, without repository, data and what NOT_COPIED names."""
    project = Project(folder, **env)
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout
    for name in files.split("\0"):
        if name and not name.startswith(NOT_COPIED) and (ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, project / name)
    return project


def make(
    folder: Path, root: str = "data/tiny", commit: bool = True, choices: Mapping[str, Any] = WHOLE_FRAMES
) -> Project:
    """A tiny project in `folder`/project, with footage in `root` and its DVC remote in `folder`/remote."""
    project = copy(folder / "project", DVC_SITE_CACHE_DIR=str(folder / "site"))
    generate(project / root, CLIPS)
    # tests begin with whole frames, independent of the present params.yaml
    project.set({**choices, **TINY, "data.root": root})
    project.run("git", "init", "-q")
    project.run("dvc", "config", "-q", "remote.storage.url", str(folder / "remote"))
    if commit:
        project.commit("tiny project")
    return project


def make_and_run(folder: Path) -> tuple[Project, str]:
    """A project as of `make`, whole frames, that has run once, results committed; and what the run printed.

    It runs once for all tests; each caller has a copy, with a DVC remote of its own.
    """

    def run(made: Path) -> None:
        project = make(made)
        (made / "output").write_text(project.repro(), "utf-8")
        project.commit("results")

    shared.copy("results", run, folder)
    project = Project(folder / "project", DVC_SITE_CACHE_DIR=str(folder / "site"))
    config = project / ".dvc/config"
    remote = f"url = {folder / 'remote'}"
    config.write_text(
        re.sub("(?<=^    )url = .*", lambda _: remote, config.read_text("utf-8"), flags=re.M), "utf-8"
    )
    project.run("git", "commit", "-q", "--all", "--amend", "--no-edit")
    return project, (folder / "output").read_text("utf-8")


def generate(folder: Path, clips: tuple[synthetic.Script, ...], frames: int = 24) -> Path:
    """Writes synthetic footage of 64x48 pixels."""
    synthetic.generate(folder, clips=clips, frames=frames, width=64, height=48)
    return folder
