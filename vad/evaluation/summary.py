"""The summary of a run: few figures, and tables per clip and subject as Markdown."""

from math import ceil, floor
from pathlib import Path
from typing import Any

import pandas as pd

HEADERS = {
    "anomalous_frames": "anomalous",
    "auc": "AUC",
    "anomaly_rate": "anomaly rate",
    "score_max": "highest score",
}
MEAN = "_error_mean"  # the end of a column's name
MAX_EVENTS = 100  # in the summary


def metrics(result: dict[str, Any]) -> dict[str, Any]:
    """What `dvc metrics` shows: the numbers, rounded to what repeats between processors."""
    return _rounded(result)


def markdown(result: dict[str, Any], folder: Path, events: pd.DataFrame, skipped: dict[str, str]) -> str:
    """The summary page as Markdown: headline beside the trivial scorers, events, tables.

    Args:
        result: the metrics.
        folder: of the stage `evaluate`, with the tables.
        events: the table that the stage `score` writes.
        skipped: reason by clip.
    """
    frame, lines = result["frame"], ["# Evaluation", ""]
    if "absent" in frame:
        lines += [f"No frame-level metrics: {frame['absent']}.", ""]
    else:
        lines += [*_headline(result), *_scorers(result)]
    lines += [
        f"Threshold {result['threshold']:.4f}, from normal validation frames; "
        f"{100 * result['anomaly_rate']:.1f} % of the test frames lie above it.",
        *_more(result),
        *_regions(result),
        "",
        *_events(events),
        *_table("Clips", folder / "clips.csv"),
        *_table("Cameras", folder / "cameras.csv"),
        *(_table("Subjects", folder / "subjects.csv") if result["subjects"] else []),
        "## Skipped clips",
        "",
        *([f"- `{clip}`: {reason}" for clip, reason in skipped.items()] or ["None."]),
        "",
    ]
    return "\n".join(lines)


def read_events(path: Path) -> pd.DataFrame:
    """The table of events that the stage `score` writes."""
    return pd.read_csv(path, keep_default_na=False, dtype={"clip": str, "branches": str})


def _events(events: pd.DataFrame) -> list[str]:
    """The events, one per row, the first MAX_EVENTS of them."""
    lines = ["## Events", ""]
    if not len(events):
        return [*lines, "No frame lies above the threshold.", ""]
    lines += ["| clip | from | to | peak score | branches |", "|---|---|---|---|---|"]
    for event in events.head(MAX_EVENTS).itertuples():
        start, end = minutes(floor(event.start_seconds)), minutes(ceil(event.end_seconds))
        lines.append(_line(str(event.clip), start, end, f"{event.score:.2f}", event.branches))
    if (more := len(events) - MAX_EVENTS) > 0:
        lines += ["", f"… and {more} more, in data/scores/events.csv."]
    return [*lines, ""]


def minutes(seconds: int) -> str:
    """`m:ss`"""
    return f"{seconds // 60}:{seconds % 60:02}"


def _headline(result: dict[str, Any]) -> list[str]:
    frame, interval, gain = result["frame"], result["interval"]["auc_micro"], result["gain"]["auc_micro"]
    text = (
        f"{frame['frames']} test frames in {result['clips']} clips, {frame['anomalous_frames']} of them "
        f"labelled anomalous. Micro AUC: all frames together, raw scores; macro: mean of the "
        f"{frame['clips_in_macro']} clips with both classes ({frame['clips_with_one_class']} have one)."
    )
    if "low" in interval:
        text += (
            f" 95 % interval of the micro AUC over clips: {interval['low']:.3f} to {interval['high']:.3f}."
        )
    if "low" in gain:
        text += (
            f" Gain over the best scorer that learns nothing ({result['gain']['over']}): "
            f"{gain['difference']:+.3f}, {gain['low']:+.3f} to {gain['high']:+.3f}."
        )
    return [text, ""]


def _scorers(result: dict[str, Any]) -> list[str]:
    frame, branches = result["frame"], result["branch"]
    nothing = ("", "", "", "", "")
    alone = branches.items() if len(branches) > 1 else ()
    return [
        "| scorer | AUC micro | AUC macro | average precision | EER | precision | recall | F1 at threshold |",
        "|---|---|---|---|---|---|---|---|",
        _line("**model**", *(frame.get(k) for k in _HEADLINE)),
        *(_line(f"branch {name} alone", *_aucs(aucs), *nothing) for name, aucs in alone),
        _line("model, causal", *_aucs(frame["causal"]), *nothing),
        _line("model, min-max per clip", *_aucs(frame["minmax_per_clip"]), *nothing),
        *(
            _line(f"{name} (learns nothing)", *_aucs(aucs), *nothing)
            for name, aucs in result["baseline"].items()
        ),
        "",
    ]


def _aucs(scorer: dict[str, Any]) -> tuple[Any, Any]:
    return scorer.get("auc_micro"), scorer.get("auc_macro")


_HEADLINE = ("auc_micro", "auc_macro", "average_precision", "eer", "precision", "recall", "f1")


def _more(result: dict[str, Any]) -> list[str]:
    """Sentences on events, clips and pixels, as far as there are labels and masks."""
    lines = []
    event, clip, pixel = (result.get(key, {}) for key in ("event", "clip", "pixel"))
    if event.get("labelled"):
        delay = f", {event['delay_median']:.2f} s after its start (median)" if "delay_median" in event else ""
        lines += [
            "",
            f"Events: {event['found']} of {event['labelled']} labelled ones found{delay}; "
            f"{event['on_time']} on time. {event['false_alarms']} false alarms in {event['hours']:.3g} hours "
            "of normal footage.",
        ]
    elif event:
        lines += ["", f"Events: {event['false_alarms']} false alarms in {event['hours']:.3g} hours."]
    if "auc" in clip:
        lines += [
            "",
            f"Clips: AUC of the highest score {clip['auc']:.3f} ({clip['auc_smoothed']:.3f} smoothed), "
            f"{clip['anomalous']} clips with an anomaly against {clip['normal']} without.",
        ]
    if "auc" in pixel:
        located = result["localisation"]
        mahadevan, rbdc, tbdc = (
            _number(value) for value in (pixel.get("mahadevan_auc"), located.get("rbdc"), located.get("tbdc"))
        )
        lines += [
            "",
            f"Pixels: AUC {pixel['auc']:.3f}, 40 % criterion {mahadevan}, F1 of masks {pixel['f1']:.3f}; "
            f"RBDC {rbdc}, TBDC {tbdc}.",
        ]
    return lines


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _regions(result: dict[str, Any]) -> list[str]:
    """A paragraph about regions, where these are boxes."""
    if not (regions := result.get("region")):
        return []
    tracks = f"{regions['tracks']} tracks, one by one in tracks.csv." if regions["tracks"] else "No tracks."
    return [
        "",
        f"{regions['per_frame']:.2f} regions per frame on average; {regions['frames_without']} frames have "
        f"none, and so error 0 in the branches of regions. {tracks}",
    ]


def _table(title: str, path: Path) -> list[str]:
    """A table as Markdown, mean and deviation of a branch's errors in one cell."""
    kinds = dict.fromkeys(("clip", "camera", "subject"), str) | {"anomalous_frames": "Int64"}
    table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=kinds).dropna(axis=1, how="all")
    for mean in [name for name in table.columns if name.endswith(MEAN)]:
        branch = mean.removesuffix(MEAN)
        both = zip(table[mean].map(_cell), table.pop(f"{branch}_error_std").map(_cell), strict=True)
        table[mean] = [" ± ".join(pair) for pair in both]
        table = table.rename(columns={mean: f"{branch} error"})
    head = [HEADERS.get(column, column) for column in table.columns]
    rows = (_line(*row) for row in table.astype(object).where(table.notna(), "").itertuples(index=False))
    return [f"## {title}", "", _line(*head), "|" + "---|" * len(head), *rows, ""]


def _line(*cells: object) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or abs(value) >= 0.01 else f"{value:.3g}"
    return "" if value is None else str(value).replace("|", "\\|")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items() if entry is not None}
    return float(f"{value:.6g}") if isinstance(value, float) else value
