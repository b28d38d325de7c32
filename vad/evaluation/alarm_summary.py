"""What the summary says about the threshold, about events, and about what raises most alarms."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from vad.scoring.areas import AREAS, SIDE
from vad.scoring.evidence import Evidence, number, sentences, warning

UNNAMED = "camera"  # the camera of footage whose layout names none
LONGEST = 3  # number of events that are named
# Seconds outside of labels in all, below which nothing is named: events of labelled anomalies begin a little
# before their labels, or end after them.
LEAST_OUTSIDE = 1.0
ADVICE = (
    "If they show something normal, training lacked it: add such footage to the normal clips and run again; "
    'README, "What training lacked", shows how, also for a stretch of a clip.'
)
ALL_LABELLED = "All alarmed frames are labelled anomalous."
OVERHANG = "All alarms but {:.1f} s are labelled anomalous."


def alert(evidence: Evidence | None) -> list[str]:
    """The warning on the threshold, for the top of the page; empty without a warning.

    Args:
        evidence: what the threshold rests on, if that is known.
    """
    text = warning(evidence)
    return [] if text is None else [f"**WARNING: {text}.**", ""]


def threshold(result: dict[str, Any], frames: str, evidence: Evidence | None) -> list[str]:
    """The threshold, how many frames lie above it, and what it rests on, as one line.

    Args:
        result: the figures of metrics.json.
        frames: what the test frames are called.
        evidence: what the threshold rests on, if that is known.
    """
    rate = result["frame"].get("false_positive_rate")  # absent without normal frames that are labelled
    normal = "" if rate is None else f", {100 * rate:.1f} % of those that are labelled normal"
    origin = f"Threshold {result['threshold']:.4f}, from normal frames;"
    above = f"{100 * result['anomaly_rate']:.1f} % of the {frames} lie above it{normal}."
    return [" ".join([origin, above, *sentences(evidence)])]


def event_sentences(result: dict[str, Any]) -> list[str]:
    """Sentences that compare events with labels; empty without labels.

    Args:
        result: the figures of metrics.json.
    """
    if not (event := result.get("event")):
        return []
    found = delay = ""
    if event["labelled"]:
        if "delay_median" in event:
            delay = (
                f", {event['delay_median']:.2f} s after the start (median), "
                f"{event['delay_median_delivered']:.2f} s as delivered live"
            )
        found = (
            f"{event['found']} of {event['labelled']} labelled events detected{delay}; "
            f"{event['on_time']} on time, {event['on_time_delivered']} as delivered live. "
        )
    lines = ["", f"Events: {found}False alarms: {event['false_alarms']} in {_amount(event)}."]
    if event["labelled"]:
        loose, strict = event["f1"]["iou_20"], event["f1"]["iou_50"]
        lines += [
            "",
            f"F1 of events paired one to one with labelled events: {loose:.2f} if a pair must share 20 % of "
            f"the time that the two cover together, {strict:.2f} if 50 %.",
        ]
    return lines


def _amount(event: dict[str, Any]) -> str:
    """The normal footage in which false alarms occur, their rate, and how much of it is alarmed."""
    text = f"{event['hours']:.3g} hours of normal footage"
    if "false_alarms_per_hour" not in event:
        return text
    rate, low, high = (number(event[f"false_alarms_per_hour{end}"]) for end in ("", "_low", "_high"))
    return (
        f"{text}, {rate} per hour (95 % confidence interval {low} to {high}); events cover "
        f"{100 * event['alarm_fraction_normal']:.1f} % of it"
    )


def causes(folder: Path, labels: bool) -> list[str]:
    """The section that names the longest events and where most alarms come from; empty without alarms.

    Args:
        folder: folder of the stage `evaluate`, with the tables.
        labels: whether any clip is labelled.
    """
    events, alarms = _read_table(folder / "events.csv"), _read_table(folder / "alarms.csv")
    if not len(alarms):
        return []
    lines = ["## What raises most alarms", ""]
    key, where, outside = "seconds", "", float(alarms["seconds_outside_labels"].sum())
    if labels:
        if outside < LEAST_OUTSIDE:
            return [*lines, OVERHANG.format(outside) if outside else ALL_LABELLED, ""]
        key, where = "seconds_outside_labels", " outside labelled anomalies"
    if events[key].any():
        longest = events.sort_values(key, ascending=False, kind="stable").head(LONGEST)
        named = [
            f"`{event['clip']}` {event['from']} to {event['to']} ({event[key]:.1f} s, "
            f"frames {event['start']} to {event['end'] - 1}{event['area'] and ', ' + event['area']})"
            for event in longest[longest[key] > 0].to_dict("records")
        ]
        lines.append(f"- Longest events{where}: {'; '.join(named)}.")
    hotspots = _read_table(folder / "hotspots.csv")
    located, zone = alarms[(alarms["area"] != "") & (alarms[key] > 0)], []
    if len(located):
        most = located.sort_values(key, ascending=False, kind="stable").to_dict("records")[0]
        camera, (x0, y0, x1, y1) = most["camera"], _shares(most["area"])
        share = 100 * most[key] / alarms[key].sum()
        lines.append(
            f"- Area that is alarmed longest{where}: {most['area']} of the picture of {_camera(camera)} "
            f"(x {x0:.2f} to {x1:.2f}, y {y0:.2f} to {y1:.2f} in shares of width and height), {share:.0f} % "
            "of all such time."
        )
        if camera not in set(hotspots["camera"]):
            zone = [
                f"If nothing that happens at the {most['area']} of {_camera(camera)} matters, leave it out: "
                "paste this into data/zones.yaml, move the corners until nothing else lies inside, since "
                "what zones leave out is never alarmed, and run `dvc repro`.",
                "",
                *_zone(camera, (x0, y0, x1, y1)),
            ]
    return [*lines, "", *_hotspots(hotspots), *zone, ADVICE, ""]


def _camera(name: str) -> str:
    """A camera in words; one without a name of its own is the only one."""
    return "the only camera" if name == UNNAMED else f"camera `{name}`"


def _shares(area: str) -> tuple[float, float, float, float]:
    """The box of an area, x0, y0, x1, y1, in shares of width and height."""
    row, column = divmod(AREAS.index(area), SIDE)
    return column / SIDE, row / SIDE, (column + 1) / SIDE, (row + 1) / SIDE


def _hotspots(hotspots: pd.DataFrame) -> list[str]:
    """Hints at zones, with what to paste into data/zones.yaml; empty without a hotspot."""
    lines = []
    for hotspot in hotspots.to_dict("records"):
        camera, (x0, y0, x1, y1) = hotspot["camera"], (hotspot[key] for key in ("x0", "y0", "x1", "y1"))
        lines += [
            f"{100 * hotspot['time_share']:.0f} % of the alarmed time of camera `{camera}` comes from "
            f"the same {100 * (x1 - x0) * (y1 - y0):.1f} % of its picture, in {hotspot['events']} events. If "
            "nothing that happens there matters (a clock in the picture, a TV, a tree), leave it out: paste "
            "this into data/zones.yaml, move the corners until the whole of it lies inside (this is only "
            "where scores are highest), and run `dvc repro`.",
            "",
            *_zone(camera, (x0, y0, x1, y1)),
        ]
    return lines


def _zone(camera: str, box: tuple[float, float, float, float]) -> list[str]:
    """The lines of data/zones.yaml that leave out a box, x0, y0, x1, y1 in shares of width and height."""
    x0, y0, x1, y1 = box
    corners = ", ".join(f"[{x:.2f}, {y:.2f}]" for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
    return [
        "```yaml",
        f"{json.dumps(camera, ensure_ascii=False)}:",
        "  - kind: ignore",
        f"    polygon: [{corners}]",
        "```",
        "",
    ]


def _read_table(path: Path) -> pd.DataFrame:
    names = dict.fromkeys(("clip", "camera", "from", "to", "area"), "str")  # a clip may be called 007 or NA
    return pd.read_csv(path, keep_default_na=False, dtype=names)
