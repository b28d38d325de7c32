"""The page: index.html, made from the templates, and data.js with what its clip viewer needs.

Browsers do not fetch files from the disk, so the data are scripts: data.js calls `report.data`, and the
script of a clip calls `report.clip`. Both files have the id of the run, so that the page notices if they are
mixed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vad.overlay.wording import LEAST_SHARE, clip_time, share_texts
from vad.report import charts
from vad.report.branch_words import meaning
from vad.report.contents import Clip, Contents, Event, Moment
from vad.report.scripts import call
from vad.report.wording import auc, count, counted, duration, number, share
from vad.store.digests import digest

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("report.js", "list.js", "curve.js", "player.js", "viewer.js")  # in this order
MOST_EVENTS = 500  # rows of the table of all events
VIEWER = (  # attributes of clips that the viewer needs
    *("id", "name", "camera", "subject", "frames", "fps", "seconds", "highest", "peak", "auc", "labels"),
    *("curve", "data", "video", "reconstruction", "size"),
)


@dataclass(frozen=True)
class Row:
    """A row of the list of clips.

    Attributes:
        clip: the clip.
        link: to its viewer.
        state: what became of its labels, in words.
        missed, false_alarms: numbers of labelled stretches without an event, of events without a label.
        sparkline: of its scores.
        text: in which the filter looks.
    """

    clip: Clip
    link: str
    state: str
    missed: int
    false_alarms: int
    sparkline: charts.Sparkline
    text: str


def write(folder: Path, contents: Contents) -> None:
    """Writes index.html and data.js.

    Args:
        folder: of the page; the paths in the contents are relative to it.
        contents: what the page shows.
    """
    values = asdict(contents)
    run = digest(values)
    (folder / "index.html").write_text(html(contents, run), "utf-8", newline="\n")
    (folder / "data.js").write_text(data(contents, run), "utf-8", newline="\n")


def data(contents: Contents, run: str) -> str:
    """The script with the data of the viewer.

    Args:
        contents: what the page shows.
        run: id of the run.
    """
    clips = []
    for clip in contents.clips:
        values = {name: getattr(clip, name) for name in VIEWER}
        clips.append(values | {"events": [asdict(event) for event in clip.events]})
    value = {
        "run": run,
        "threshold": contents.threshold,
        "branches": list(contents.branches),
        "meanings": [meaning(branch) for branch in contents.branches],
        "clips": clips,
    }
    return call("report.data", _finite(value))


def _finite(value: Any) -> Any:
    """The value with None in place of numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return value


def html(contents: Contents, run: str) -> str:
    """The page.

    Args:
        contents: what the page shows.
        run: id of the run, also in data.js.
    """
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number,
        "auc": auc,
        "count": count,
        "counted": counted,
        "share": share,
        "duration": duration,
        "time": clip_time,
        "shares": _shares,
        "meaning": meaning,
        "meanings": _meanings,
    }
    environment.globals |= {"styles": charts.styles}
    ids = {clip.id for clip in contents.clips}
    events = [(clip, event) for clip in contents.clips for event in clip.events]
    # the highest, in the order of clips and times
    kept = sorted(sorted(range(len(events)), key=lambda i: -events[i][1].score)[:MOST_EVENTS])
    return environment.get_template("page.html").render(
        run=run,
        contents=contents,
        rows=[row(clip, contents.threshold) for clip in contents.clips],
        seconds=sum(clip.seconds for clip in contents.clips),
        frames=sum(clip.frames for clip in contents.clips),
        cameras=len({clip.camera for clip in contents.clips}),
        persons=len({clip.subject for clip in contents.clips if clip.subject}),
        events=[(*events[i], link(events[i][0].id, events[i][1].start)) for i in kept],
        more_events=len(events) - len(kept),
        link=lambda moment: link(moment.clip, moment.seconds) if moment.clip in ids else None,
        roc=charts.roc(contents.roc, contents.point) if contents.roc else None,
        precision_recall=(
            charts.precision_recall(contents.precision_recall, contents.point)
            if contents.precision_recall
            else None
        ),
        losses=charts.losses(contents.losses),
        histogram=(
            charts.histogram(contents.histogram, contents.threshold, contents.labelled)
            if len(contents.histogram[0]) > 1
            else None
        ),
        people=[charts.people(camera) for camera in contents.cameras],
        style=Markup((TEMPLATES / "style.css").read_text("utf-8")),
        scripts=[Markup((TEMPLATES / name).read_text("utf-8")) for name in SCRIPTS],
    )


def link(clip: str, seconds: float | None = None) -> str:
    """The fragment that opens a clip in the viewer, perhaps at a moment.

    Args:
        clip: id of the clip.
        seconds: since its start.
    """
    at = "" if seconds is None else f"&t={seconds:.3f}".rstrip("0").rstrip(".")
    return f"#clip={quote(clip, safe='')}{at}"


def row(clip: Clip, threshold: float) -> Row:
    """The row of a clip in the list.

    Args:
        clip: the clip.
        threshold: of scores.
    """
    labels = clip.labels or ()
    missed = sum(not any(e.start < end and e.end > start for e in clip.events) for start, end in labels)
    false_alarms = sum(event.labelled is False for event in clip.events)
    if clip.labels is None:
        state = "not labelled"
    elif labels:
        state = f"{len(labels) - missed} of {len(labels)} found"
    else:
        state = "normal"
    if false_alarms:
        state += f", {counted(false_alarms, 'false alarm')}"
    text = " ".join([clip.id, clip.camera, clip.subject]).lower()
    return Row(clip, link(clip.id), state, missed, false_alarms, charts.sparkline(clip, threshold), text)


def _shares(item: Event | Moment) -> str:
    return ", ".join(share_texts(item.shares)).replace(" %", "\u00a0%")


def _meanings(item: Event | Moment) -> str:
    """What the branches with a share in a score mean, a line each."""
    named = [(name, meaning(name)) for name, share in item.shares.items() if share >= LEAST_SHARE]
    return "\n".join(f"{name}: {text}" for name, text in named if text)
