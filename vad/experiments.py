"""DVC experiments: checked before they start, and shown in a table.

    python -m vad.experiments            the experiments of the last commit
    python -m vad.experiments -A         of all commits; arguments are those of `dvc exp show`

The columns are: experiment, model, epochs, frame AUC (micro, macro), alarm threshold, events found of those
labelled, false alarms, and the other parameters in which an experiment differs from its commit.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vad import UserError
from vad.check import verify
from vad.pipeline import params

DVC = [sys.executable, "-m", "dvc"]
METRICS = "metrics/evaluate.json"
HEADER = ["experiment", "model", "epochs", "micro", "macro", "threshold", "found", "false"]
NONE = "–"
NARROWEST = 20  # characters for the changed parameters; if fewer are left, they come below the row


def command(arguments: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The command that runs an experiment in a copy of the project, after a check of all its parameters.

    DVC itself would find a wrong value only at the stage that uses it, and name it less clearly.

    Args:
        arguments: of `dvc exp run`, such as `-S key=value`; with --queue it only queues.

    Returns:
        (the command and its arguments, the contents of params.yaml in each experiment of the sweep).

    Raises:
        UserError: if a value is wrong, in any experiment of a sweep, or if neither git nor DVC tracks the
            footage, so that the copy would lack it.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
    from hydra.errors import HydraException

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-S", "--set-param", action="append", default=[])
    parser.add_argument("-C", "--copy-paths", action="append", default=[])
    parser.add_argument("--queue", action="store_true")
    parser.add_argument("--temp", action="store_true")
    given = parser.parse_known_args(list(arguments))[0]
    contents = []
    try:
        for run in get_hydra_sweeps(to_path_overrides(given.set_param)):
            with tempfile.TemporaryDirectory() as folder:
                overrides = list(run.get(params.FILE.name, []))
                copy = Path(shutil.copy(params.FILE, folder))
                # `++` also sets keys that are absent, so that `verify` can name the one that is similar
                apply_overrides(copy, [o if o.startswith(("+", "~")) else f"++{o}" for o in overrides])
                verify(raw := params.read(copy))
                apply_overrides(Path(shutil.copy(params.FILE, folder)), overrides)  # as DVC will do it
            if not given.copy_paths:
                _refuse_untracked(raw["data"]["root"])
            contents.append(raw)
    except (DvcException, HydraException) as e:
        raise UserError(f"dvc exp run: {' '.join(str(e.__cause__ or e).split())}") from None
    where = [] if given.queue or given.temp else ["--temp"]
    return [*DVC, "exp", "run", *where, *arguments], contents


def is_tracked(path: Path) -> bool:
    """Whether git or DVC tracks a folder of the project (a relative path), so that copies contain it."""
    by_git = subprocess.run(["git", "ls-files", "--", path], capture_output=True).stdout
    return bool(by_git) or any(Path(f"{p}.dvc").is_file() for p in (path, *path.parents))


def _refuse_untracked(root: str) -> None:
    if not Path(root).is_absolute() and not is_tracked(Path(root)):
        raise UserError(
            f"data.root = {root!r} is tracked by neither git nor DVC, so a copy of the project lacks it: "
            f"run `dvc add {root}`, or set an absolute path"
        )


def table(shown: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Lines of text, a row per workspace, commit and experiment.

    Args:
        shown: what `dvc exp show --json` prints.
        width: of the lines, in characters; exceeded only if the figures alone need more.
    """
    rows = list(_rows(shown))
    rows.insert(0, (HEADER, "also changed" if any(changed for _, changed in rows) else ""))
    widths = [max(len(row[i]) for row, _ in rows) for i in range(len(HEADER))]
    indent = sum(widths) + 2 * len(widths)  # where the changed parameters begin
    lines = []
    for row, changed in rows:
        cells = [cell.ljust(w) for cell, w in zip(row[:2], widths, strict=False)]
        cells += [cell.rjust(w) for cell, w in zip(row[2:], widths[2:], strict=True)]
        if (left := width - indent) >= NARROWEST:
            first, *more = textwrap.wrap(changed, left, break_on_hyphens=False) or [""]
            lines.append("  ".join([*cells, first]).rstrip())
            lines += [" " * indent + line for line in more]
        else:
            lines.append("  ".join(cells))
            lines += [f"    {line}" for line in textwrap.wrap(changed, width - 4, break_on_hyphens=False)]
    return lines


def _rows(shown: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[str], str]]:
    """(cells, changed parameters) of the workspace, then of each commit and its experiments."""
    last_commit = parameters(shown[1]) if len(shown) > 1 else {}
    # of several commits (-A), those before the last are shown only with experiments
    for commit in [*shown[:2], *(commit for commit in shown[2:] if commit.get("experiments"))]:
        base = last_commit if commit["rev"] == "workspace" else parameters(commit)
        yield _row(commit.get("name") or commit["rev"][:9], commit, base)
        for entry in commit.get("experiments") or []:
            revision = entry["revs"][0]
            state = ((entry.get("executor") or {}).get("state") or "success").lower()
            name = entry.get("name") or revision["rev"][:7]
            yield _row(f"- {name}" if state == "success" else f"- {name} ({state})", revision, base)


def _row(name: str, revision: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[list[str], str]:
    if error := revision.get("error"):
        return [name, *[NONE] * (len(HEADER) - 1)], str(error.get("msg", error))
    values = parameters(revision)
    data = ((revision["data"]["metrics"] or {}).get(METRICS) or {}).get("data") or {}
    frame, event = data.get("frame", {}), data.get("event", {})
    labelled = f"{event.get('found')}/{event.get('labelled')}" if "found" in event else NONE
    cells = [
        name,
        _text(values.get("model.name")),
        _text(values.get("train.epochs")),
        _text(frame.get("auc_micro"), ".3f"),
        _text(frame.get("auc_macro"), ".3f"),
        _text(data.get("threshold"), ".4g"),
        labelled,
        _text(event.get("false_alarms")),
    ]
    keys = sorted({*values, *base} - {"model.name", "train.epochs"})
    changed = [f"{key}={_short(values.get(key))}" for key in keys if values.get(key) != base.get(key)]
    return cells, " ".join(changed)


def parameters(revision: Mapping[str, Any]) -> dict[str, Any]:
    """The values of params.yaml at a revision, by dotted key.

    Args:
        revision: a part of what `dvc exp show --json` prints.
    """
    data = revision.get("data") or {}
    return dict(flat(((data.get("params") or {}).get(params.FILE.name) or {}).get("data") or {}))


def flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the values of nested sections by dotted key."""
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _text(value: Any, form: str = "") -> str:
    if value is None:
        return NONE
    return format(value, form) if isinstance(value, int | float) else str(value)


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def main(arguments: Sequence[str]) -> None:
    done = subprocess.run(
        [*DVC, "exp", "show", "--json", *arguments], stdout=subprocess.PIPE, encoding="utf-8"
    )
    if done.returncode:
        sys.exit(done.returncode)  # DVC has said why
    print("\n".join(table(json.loads(done.stdout), shutil.get_terminal_size((100, 24)).columns)))


if __name__ == "__main__":
    main(sys.argv[1:])
