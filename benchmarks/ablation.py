"""Compares constants by the check without labels, and by labels where there are any.

    python -m benchmarks.ablation [PROJECT …] --set calibrate.fuse=max --set calibrate.grid=[3,1]

PROJECT is a folder in which all stages have run, by default this one. For each of them and each `--set` (the
first row is the project as it is), the stages from `calibrate` on run in a temporary folder; errors are not
measured again, so a row takes seconds. Nothing in the project changes. For constants of earlier stages, such
as the number of folds, give several projects.

check       AUC of altered normal footage, mean over the kinds, then each kind
± to first  95 % interval of the difference from the first row, by resampling stretches; 0 inside: none that
            this footage could show. Only where both rows have the same stretches
caught      share of the altered stretches with an alarm, and of the same stretches unaltered
left out    share of left-out normal footage that is alarmed, mean and worst (docs/evaluation.md)
micro …     of the test clips: frame AUC micro and macro, labelled events found, false alarms, share of normal
            frames alarmed
seconds     of the stages calibrate, validate, score and evaluate
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from vad import recipe
from vad.evaluation.bootstrap import draw_weights, interval
from vad.store.cards import read_json

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("calibrate", "validate", "score", "evaluate")
SECTIONS = ("calibrate", "validate", "evaluate")  # that only these stages read
WRITTEN = {"data/scores", "data/altered", "models/calibration.json"}  # by these stages
# of the project; code is that of this checkout
NOT_LINKED = {"params.yaml", "dvc.lock", "dvc.yaml", "reports", "metrics", "stages", "vad", ".git", ".dvc"}
RESAMPLES = 2000
RUN = """
import importlib, json, sys, time
from vad.pipeline import stage
seconds = []
for name in sys.argv[1:]:
    main = importlib.import_module(f"stages.{name}").main
    start = time.perf_counter()
    main(stage.Run(name))
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""


def link(project: Path, folder: Path) -> None:
    """Fills a folder with links to all that the stages read."""
    for path in project.iterdir():
        if path.name in ("data", "models"):
            (folder / path.name).mkdir()
            for entry in path.iterdir():
                if f"{path.name}/{entry.name}" not in WRITTEN:
                    (folder / path.name / entry.name).symlink_to(entry.resolve())
        elif path.name not in NOT_LINKED:
            (folder / path.name).symlink_to(path.resolve())


def settings(words: Sequence[str]) -> dict[str, Any]:
    """Values by key, of words such as `calibrate.fuse=max`."""
    out = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key.partition(".")[0] not in SECTIONS:
            sys.exit(f"error: --set {word}: expected key=value, with a key of {', '.join(SECTIONS)}")
        out[key] = YAML(typ="safe", pure=True).load(value)
    return out


def run(project: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Runs the stages with changes; returns what they wrote."""
    with tempfile.TemporaryDirectory(dir=project.parent) as name:
        folder = Path(name)
        link(project.resolve(), folder)
        shutil.copy(project / "params.yaml", folder)
        recipe.write(changes, folder / "params.yaml")
        done = subprocess.run(
            [sys.executable, "-c", RUN, *STAGES],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            encoding="utf-8",
        )
        if done.returncode:
            sys.exit(f"error: {changes}: {done.stderr.strip().splitlines()[-1]}")
        return {
            "seconds": json.loads(done.stdout.splitlines()[-1]),
            "validation": read_json(folder / "reports/validation/metrics.json"),
            "stretches": pd.read_csv(folder / "reports/validation/scores.csv"),
            "evaluation": read_json(folder / "reports/evaluation/metrics.json"),
            "evidence": read_json(folder / "models/calibration.json")["evidence"] or {},
        }


def difference(first: pd.DataFrame, other: pd.DataFrame) -> tuple[float, float] | None:
    """Interval of the difference in the mean AUC of the kinds; None if the stretches differ."""
    keys = ["clip", "kind", "start", "end"]
    if not len(first) or not first[keys].equals(other[keys]):
        return None
    values = []
    for _, rows in (other["auc"] - first["auc"]).groupby(first["kind"]):
        weights = draw_weights(len(rows), RESAMPLES, seed=0)
        values.append(weights @ rows.to_numpy() / len(rows))
    return interval(np.mean(values, axis=0))


def row(title: str, result: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, str]:
    """The cells of a row by column."""
    check, test, evidence = result["validation"], result["evaluation"], result["evidence"]
    frame, event = test["frame"], test.get("event") or {}
    between = difference(first["stretches"], result["stretches"]) if result is not first else None
    return {
        "setting": title,
        "check": _number(check.get("auc")),
        "± to first": f"{between[0]:+.3f} {between[1]:+.3f}" if between else "",
        **{kind: _number(figures["auc"]) for kind, figures in check.get("kind", {}).items()},
        "caught": _pair(check.get("alarmed"), check.get("unaltered_alarmed")),
        "left out": _pair(evidence.get("mean_share"), evidence.get("worst_share")),
        "micro": _number(frame.get("auc_micro")),
        "macro": _number(frame.get("auc_macro")),
        "found": f"{event['found']}/{event['labelled']}" if "found" in event else "",
        "false": str(event.get("false_alarms", "")),
        "normal alarmed": _number(frame.get("false_positive_rate")),
        "seconds": " ".join(f"{seconds:.1f}" for seconds in result["seconds"]),
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _pair(first: float | None, second: float | None) -> str:
    return "" if first is None or second is None else f"{first:.2f} {second:.2f}"


def table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Lines of Markdown."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, ["---"] * len(columns), *([row.get(column, "") for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return [f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |" for line in cells]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("projects", nargs="*", type=Path, default=[Path()])
    parser.add_argument("--set", nargs="+", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    projects = [project.resolve() for project in arguments.projects]
    choices = [{}, *(settings(words) for words in arguments.set)]
    results: dict[str, dict[str, Any]] = {}
    for project in projects:
        for changes in choices:
            title = ", ".join(f"{key.partition('.')[2]}={value}" for key, value in changes.items())
            title = title or "as it is"
            title = f"{project.name}: {title}" if len(projects) > 1 else title
            results[title] = run(project, changes)
            print(f"{title}: done", file=sys.stderr, flush=True)
    first = next(iter(results.values()))
    print("\n".join(table([row(title, result, first) for title, result in results.items()])))


if __name__ == "__main__":
    main()
