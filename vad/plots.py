"""Plots of experiments beside each other, in a page that opens without a network: dvc_plots/index.html.

    python -m vad.plots                        what is in this folder, beside the last commit
    python -m vad.plots sandy-hill faint-moon  these experiments, and what is in this folder
    python -m vad.plots --experiments          all experiments of the last commit, beside it

DVC draws the plots. Here experiments get what they changed as their name, and colours that colour-blind
people can tell apart.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from vad.experiments import DVC, parameters

PAGE = Path("dvc_plots/index.html")
# DVC's colours, and those of Okabe and Ito (2008) in their place
COLORS = {
    "#945dd6": "#000000",
    "#13adc7": "#0072b2",
    "#f46837": "#d55e00",
    "#48bb78": "#009e73",
    "#4299e1": "#cc79a7",
    "#ed8936": "#e69f00",
    "#f56565": "#56b4e9",
}
LONGEST = 48  # characters of a name
LACKING = re.compile(r"^DVC failed to load some plots for following revisions: 'HEAD'\.$", re.M)
NOT_HERE = "the results of the last commit are not here, so the page has those of this folder alone"


def names(shown: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What experiments changed, by the names that DVC gave them: `{"sandy-hill": "epochs=40, seed=1"}`.

    Keys are shortened to their last part where that is unambiguous, and names to LONGEST characters. Of
    several experiments that changed the same, the names end with those of DVC.

    Args:
        shown: what `dvc exp show --json` prints.
    """
    changes = {name: dict(changed) for name, changed in _changes(shown)}
    lasts = Counter(key.rpartition(".")[2] for key in {key for of in changes.values() for key in of})
    out = {}
    for name, changed in changes.items():
        parts = []
        for key, value in changed.items():
            last = key.rpartition(".")[2]
            text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            parts.append(f"{last if lasts[last] == 1 else key}={text}")
        out[name] = _shortened(", ".join(parts)) or "nothing changed"
    often = Counter(out.values())
    return {name: text if often[text] == 1 else f"{text} ({name})" for name, text in out.items()}


def _changes(shown: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """(name, parameters in which it differs from its commit) of each experiment."""
    for commit in shown:
        base = parameters(commit)
        for entry in commit.get("experiments") or []:
            revision = entry["revs"][0]
            values = parameters(revision)
            changed = [
                (key, values.get(key)) for key in sorted({*values, *base}) if values.get(key) != base.get(key)
            ]
            yield entry.get("name") or revision["rev"][:7], changed


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def relabelled(page: str, labels: Mapping[str, str]) -> str:
    """A page of DVC with other names of revisions, and with other colours.

    Args:
        page: HTML.
        labels: new names by the old ones.
    """
    for old, new in labels.items():
        # as a value in the data and scales of charts, and as a text beside pictures; file names stay
        page = page.replace(json.dumps(old), json.dumps(new, ensure_ascii=False).replace("<", "\\u003c"))
        page = page.replace(f">{old}<", f">{escape(new)}<")
    for old, new in COLORS.items():
        page = page.replace(f'"{old}"', f'"{new}"')
    return page


def _finished(shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the experiments of the last commit that have results."""
    entries = shown[1].get("experiments") or [] if len(shown) > 1 else []
    states = ((entry, ((entry.get("executor") or {}).get("state") or "success").lower()) for entry in entries)
    return [entry.get("name") or entry["revs"][0]["rev"][:7] for entry, state in states if state == "success"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m vad.plots", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revisions", nargs="*", metavar="REVISION", help="experiments or commits")
    parser.add_argument("--experiments", action="store_true", help="all experiments of the last commit")
    given = parser.parse_args(arguments)
    labels: dict[str, str] = {}
    revisions = given.revisions or ["HEAD"]
    if given.experiments or given.revisions:
        listed = subprocess.run(
            [*DVC, "exp", "show", "--json", "-A"], stdout=subprocess.PIPE, encoding="utf-8"
        )
        if listed.returncode:
            sys.exit(listed.returncode)  # DVC has said why
        shown = json.loads(listed.stdout)
        labels = names(shown)
        if given.experiments:
            revisions = [*revisions, *_finished(shown)]
    done = subprocess.run(
        [*DVC, "plots", "diff", *revisions, "-o", str(PAGE.parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    print(LACKING.sub(NOT_HERE, done.stdout), end="")
    if done.returncode:
        sys.exit(done.returncode)
    if PAGE.is_file():
        chosen = {name: label for name, label in labels.items() if name in revisions}
        PAGE.write_text(relabelled(PAGE.read_text("utf-8"), chosen), "utf-8")


if __name__ == "__main__":
    main()
