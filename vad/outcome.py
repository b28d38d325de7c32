"""What a run gave, for the terminal: the warning, the headline, the events, and where to look.

    python -m vad.outcome

Reads reports/evaluation/, data/scores/ and models/calibration.json. `make repro` ends with it.
"""

import argparse
import csv
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vad import UserError
from vad.scoring.evidence import Evidence, count_clips, duration, warning
from vad.store.cards import read_card, read_json
from vad.store.tables import read_table

EVALUATION, SCORES = Path("reports/evaluation"), Path("data/scores")
CALIBRATION = Path("models/calibration.json")
PLACES = {  # where to look, and what for; those that are missing are left out
    "reports/page/index.html": "the report; open it in a browser",
    "reports/summary.md": "all figures, in words and tables",
    "data/scores/events.csv": "all events",
    "make plots": "beside the last commit: dvc_plots/index.html",
    "make figures": "for a thesis: reports/figures",
}
EVENTS = 10  # that are listed
LEAST, MOST = 80, 100  # characters of a line
NAME = 28  # most characters of a clip's name


def lines(folder: Path, width: int) -> list[str]:
    """What a run gave, as lines of text.

    Args:
        folder: of the project.
        width: of the lines, in characters.

    Raises:
        UserError: if results are missing or broken.
    """
    figures = read_json(folder / EVALUATION / "metrics.json")
    stored = read_json(folder / CALIBRATION)["evidence"]
    clips, events = _read(folder / EVALUATION / "clips.csv"), _read(folder / SCORES / "events.csv")
    areas = [event["area"] for event in _read(folder / EVALUATION / "events.csv")]
    if len(areas) != len(events):
        raise UserError(f"{EVALUATION} and {SCORES} differ in their events; run `make repro`")
    seconds = sum(_seconds(folder / SCORES / "test" / clip["clip"]) for clip in clips)
    out = []
    if (text := warning(Evidence.from_json(stored) if stored else None)) is not None:
        out += [*_wrapped(f"WARNING: {text}.", width), ""]
    out += _wrapped(_headline(figures), width)
    footage = f"{duration(seconds / 3600)} of footage, {count_clips(len(clips))}"
    if not events:
        out += _wrapped(f"No event in {footage}: no frame lies above the threshold for long enough.", width)
    else:
        number = "One event" if len(events) == 1 else f"{len(events)} events"
        order = "" if len(events) == 1 else ", the highest scores first"
        out += [*_wrapped(f"{number} in {footage}{order}; threshold {figures['threshold']:.2f}:", width), ""]
        out += _table([event | {"area": area} for event, area in zip(events, areas, strict=True)], width)
    out += ["", "Look at"]
    places = {place: why for place, why in PLACES.items() if " " in place or (folder / place).is_file()}
    column = max(len(place) for place in places)
    return out + [f"  {place:{column}}  {why}" for place, why in places.items()]


def _headline(figures: Mapping[str, Any]) -> str:
    """What the comparison with labels gave; empty without labels."""
    frame, event = figures["frame"], figures.get("event") or {}
    out = []
    if "auc_micro" in frame:
        text = f"Frame AUC {frame['auc_micro']:.3f}"
        interval = figures["interval"]["auc_micro"]
        if "low" in interval:
            text += f" (95 % confidence interval {interval['low']:.3f} to {interval['high']:.3f})"
        others = {name: aucs["auc_micro"] for name, aucs in figures["baseline"].items()}
        best = max(others, key=lambda name: others[name])
        out.append(f"{text}; the best scorer that learns nothing ({best}): {others[best]:.3f}.")
    if event.get("labelled"):
        alarms = event["false_alarms"]
        false = "no false alarm" if not alarms else f"{alarms} false alarm{'s' * (alarms != 1)}"
        found = f"{event['found']} of {event['labelled']} labelled events found"
        out.append(f"{found}, {false} in {duration(event['hours'])} of normal footage.")
    elif event:
        out.append(f"All labelled footage is normal: {event['false_alarms']} false alarms.")
    return " ".join(out)


def _table(events: Sequence[Mapping[str, str]], width: int) -> Iterator[str]:
    """The events with the highest scores, a line each."""
    highest = sorted(events, key=lambda event: -float(event["score"]))[:EVENTS]
    rows = [("clip", "from", "to", "score", "where", "why")]
    for event in highest:
        score = f"{float(event['score']):.2f}"
        name = _shortened(event["clip"], NAME)
        rows.append((name, event["from"], event["to"], score, event["area"], event["branches"]))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    left = width - 2 - sum(widths) - 2 * len(widths)
    for clip, start, end, score, area, branches in rows:
        cells = [clip.ljust(widths[0]), start.rjust(widths[1]), end.rjust(widths[2]), score.rjust(widths[3])]
        yield "  ".join(["", *cells, area.ljust(widths[4]), _fitted(branches, left)]).rstrip()
    if (more := len(events) - len(highest)) > 0:
        yield f"  … and {more} more"


def _fitted(branches: str, width: int) -> str:
    """As many of the branches, which are in order of their share, as there is room for, but one at least."""
    first, *others = branches.split(", ")
    for branch in others:
        if len(first) + 2 + len(branch) > width:
            break
        first += f", {branch}"
    return first


def _seconds(stem: Path) -> float:
    """Duration of a clip by the times of its frames, which are not evenly spaced in all footage."""
    times = read_table(stem)["seconds"]
    return float(times.iloc[-1] - times.iloc[0]) + 1 / float(read_card(stem)["fps"])


def _shortened(name: str, most: int) -> str:
    """A printable name, without its middle if it is long, since names of clips often differ at their ends."""
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - half]}…{name[-half:]}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `make repro`") from None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m vad.outcome", description="Prints what the last run gave.")
    parser.parse_args(arguments)
    width = shutil.get_terminal_size((MOST, 24)).columns
    try:
        text = "\n".join(lines(Path(), min(max(width, LEAST), MOST)))
    except UserError as e:
        # not an error: `make repro ARGS=train` runs the stages up to one that scores nothing
        text = f"no results to show: {e}"
    # names of clips may hold letters that the terminal does not know
    encoding = sys.stdout.encoding or "utf-8"
    with suppress(BrokenPipeError):  # who reads has read enough
        print(text.encode(encoding, "replace").decode(encoding), flush=True)


if __name__ == "__main__":
    main()
