"""No-op `dvc repro` of the pipeline compared with that of a project with as many trivial shell stages.

    python -m benchmarks.noop [--rounds 9] [--parts]

Both are git repositories in a temporary folder and are up to date. Runs alternate, so that other load on the
machine affects both equally: read the ratio (target: at most 1.3). `--parts` also measures the pipeline
without plots, without code dependencies, and without parameters, to show the cost of each.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from ruamel.yaml import YAML

from tests import project as tiny

Document = dict[str, Any]


def plain(folder: Path) -> tiny.Project:
    """A chain of as many stages as the pipeline has, each copying a file."""
    project = tiny.Project(folder, DVC_SITE_CACHE_DIR=str(folder.with_name("site")))
    folder.mkdir()
    names = ["start", *tiny.STAGES]
    stages = {b: {"cmd": f"cp {a} {b}", "deps": [a], "outs": [b]} for a, b in pairwise(names)}
    YAML().dump({"stages": stages}, folder / "dvc.yaml")
    (folder / "start").write_text("start\n", "utf-8")
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    for key, value in {"analytics": "false", "check_update": "false", "autostage": "true"}.items():
        project.run("dvc", "config", f"core.{key}", value)
    project.repro()
    project.commit("plain")
    return project


def without(project: tiny.Project, folder: Path, change: Callable[[Document], None]) -> tiny.Project:
    """A clone of a project with a changed dvc.yaml, brought up to date without running a stage."""
    clone = project.clone(folder, DVC_SITE_CACHE_DIR=project.env["DVC_SITE_CACHE_DIR"])
    clone.run("dvc", "config", "--local", "cache.dir", project / ".dvc/cache")
    clone.run("dvc", "checkout", "-q")
    yaml = YAML()
    document = yaml.load(clone / "dvc.yaml")
    change(document)
    yaml.dump(document, clone / "dvc.yaml")
    clone.run("dvc", "commit", "-q", "-f")
    return clone


def no_plots(document: Document) -> None:
    for key in ("plots", "metrics", "artifacts"):
        document.pop(key)


def no_code(document: Document) -> None:
    for stage in document["stages"].values():
        stage["deps"] = [d for d in stage["deps"] if not d.startswith(("vad/", "stages/"))]


def no_params(document: Document) -> None:
    for stage in document["stages"].values():
        stage.pop("params", None)


def bare(document: Document) -> None:
    for change in (no_plots, no_code, no_params):
        change(document)


def no_op(project: tiny.Project) -> tuple[float, float]:
    """Elapsed seconds and seconds of processor time of a run with nothing to do."""
    start, before = time.perf_counter(), os.times()
    output = project.repro()
    wall, after = time.perf_counter() - start, os.times()
    assert not tiny.ran(output) | tiny.restored(output), output
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used


def compare(rounds: int, projects: dict[str, tiny.Project]) -> None:
    """Prints medians, and ratios to the first project; all alternate, after a round that is not measured."""
    times = [[no_op(project) for project in projects.values()] for _ in range(rounds + 1)][1:]
    print(f"{f'no-op dvc repro, {rounds} rounds':<36}{'seconds':>8}{'ratio':>8}{'CPU s':>8}{'ratio':>8}")
    for i, name in enumerate(projects):
        cells = ""
        for clock in (0, 1):
            cells += f"{median(row[i][clock] for row in times):>8.2f}"
            cells += f"{median(row[i][clock] / row[0][clock] for row in times):>8.2f}"
        print(f"{name:<36}{cells}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="no-op dvc repro against trivial shell stages")
    parser.add_argument("--rounds", type=int, default=9, help="measured runs of each")
    parser.add_argument("--parts", action="store_true", help="also measure the pipeline without some parts")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vad-noop-") as name:
        folder = Path(name)
        pipeline = tiny.make(folder)
        pipeline.repro()
        pipeline.commit("results")
        projects = {f"{len(tiny.STAGES)} shell stages": plain(folder / "plain"), "the pipeline": pipeline}
        if args.parts:
            for change in (no_plots, no_code, no_params, bare):
                label = change.__name__.replace("_", " ")
                projects[f"the pipeline, {label}"] = without(pipeline, folder / change.__name__, change)
        compare(args.rounds, projects)


if __name__ == "__main__":
    main()
