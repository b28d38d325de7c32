"""The summary of a run, which git keeps: figures for `dvc metrics`, and a page of Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vad.evaluation.alarm_summary import alert, causes, event_sentences, threshold
from vad.evaluation.validation_summary import validation_section
from vad.scoring.evidence import Evidence
from vad.store.manifest import describe_gap

HEADERS = {
    "anomalous_frames": "anomalous frames",
    "auc": "AUC",
    "anomaly_rate": "share alarmed",
    "score_max": "highest score",
}  # column of a CSV file -> head of the table, where they differ
MEAN, DEVIATION = "_error_mean", "_error_std"  # suffixes of the names of columns
MAX_EVENTS, MAX_ROWS, MAX_GAPS = 100, 100, 20  # maximum events, rows of other tables, and gaps in the summary
DIGITS = 6  # significant digits, which are the same on all processors
FIGURES = (
    "frame.auc_micro",
    "frame.auc_macro",
    "frame.average_precision",
    "frame.f1",
    "frame.false_positive_rate",
    "frame.absent",  # in place of the AUCs
    "event.labelled",
    "event.found",
    "event.on_time",
    "event.delay_median",
    "event.f1.iou_20",
    "event.f1.iou_50",
    "event.false_alarms",
    "event.false_alarms_per_hour",
    "event.alarm_fraction_normal",
    "localisation.rbdc",
    "localisation.tbdc",
    "gain.auc_micro.difference",
    "validation.auc",
    "anomaly_rate",
    "threshold",
)  # those that people compare between runs; the rest is in reports/evaluation/metrics.json


def metrics(result: dict[str, Any]) -> dict[str, Any]:
    """The FIGURES for `dvc metrics` that are defined, rounded to DIGITS significant digits.

    Args:
        result: the figures of metrics.json.
    """
    kept: dict[str, Any] = {}
    for figure in FIGURES:
        *sections, name = figure.split(".")
        source, target = result, kept
        for section in sections:
            source = source.get(section, {})
        if source.get(name) is not None:
            for section in sections:
                target = target.setdefault(section, {})
            target[name] = _rounded(source[name])
    return kept


def markdown(
    result: dict[str, Any],
    folder: Path,
    events: pd.DataFrame,
    skipped: dict[str, str],
    gaps: Sequence[tuple[str, int, float, float]] = (),
    evidence: Evidence | None = None,
) -> str:
    """The summary page in Markdown: the warning, headline and trivial scorers, events, tables.

    Args:
        result: the figures of metrics.json.
        folder: folder of the stage `evaluate`, with the tables.
        events: the result of `read_events`.
        skipped: reason for skipping, by clip.
        gaps: gaps in the time stamps of clips, as `manifest.read_gaps` gives them.
        evidence: what the threshold rests on, if that is known.
    """
    frame, lines = result["frame"], ["# Evaluation", "", *alert(evidence)]
    clips = _read_table(folder / "clips.csv")
    unlabelled = _unlabelled(clips)
    frames = "labelled test frames" if any(unlabelled) else "test frames"
    if "absent" in frame:
        lines += [f"No frame-level metrics: {frame['absent']}.", "", *_lookahead(result)]
    else:
        lines += [*_headline(result), *_lookahead(result), *_scorers(result)]
    lines += [
        *threshold(result, frames, evidence),
        *_not_counted(unlabelled),
        *event_sentences(result),
        *_clip_level(result),
        *_pixel_level(result),
        *_regions(result),
        *_pictures(folder, len(clips)),
        "",
        *validation_section(result),
        *_events(events),
        *causes(folder, labels=not clips["anomalous_frames"].isna().all()),
        *_table("Clips", clips, folder / "clips.csv", unlabelled),
        *_table("Cameras", _read_table(folder / "cameras.csv"), folder / "cameras.csv"),
        *(
            _table("Subjects", _read_table(folder / "subjects.csv"), folder / "subjects.csv")
            if result["subjects"]
            else []
        ),
        "## Skipped clips",
        "",
        *([f"- `{clip}`: {reason}" for clip, reason in skipped.items()] or ["None."]),
        "",
        *_gaps(gaps),
    ]
    return "\n".join(lines)


def _gaps(gaps: Sequence[tuple[str, int, float, float]]) -> list[str]:
    """The section on gaps in time stamps; empty if there are none."""
    if not gaps:
        return []
    lines = [
        "## Gaps in time stamps",
        "",
        "Steps back, and gaps of more than a second and 20 frame intervals, are left out of all times.",
        "",
    ]
    for clip, frame, seconds, gap in gaps[:MAX_GAPS]:
        lines.append(f"- `{clip}`: {describe_gap(gap)} before frame {frame}, at {seconds:.2f} s")
    if len(gaps) > MAX_GAPS:
        lines.append(f"- … ({len(gaps)} in all: data/frames/gaps.csv)")
    return [*lines, ""]


def read_events(path: Path) -> pd.DataFrame:
    """Reads the table of events that the stage `score` wrote: a row per event, by clip and time."""
    # names as text: a clip may be called 007 or NA
    return pd.read_csv(
        path, keep_default_na=False, dtype=dict.fromkeys(("clip", "from", "to", "branches"), "str")
    )


def _branch_label(name: str) -> str:
    """How the table of scorers calls the scores of a branch, or of all that learned (`learned`)."""
    return "all learned branches" if name == "learned" else f"branch {name} alone"


def _headline(result: dict[str, Any]) -> list[str]:
    """A paragraph on the number of test frames and the confidence intervals."""
    frame, interval, gain = result["frame"], result["interval"]["auc_micro"], result["gain"]["auc_micro"]
    text = (
        f"{frame['frames']} test frames in {result['clips']} clips, {frame['anomalous_frames']} of them "
        f"labelled anomalous. Micro AUC: over all frames together, raw scores. Macro AUC: mean over the "
        f"{frame['clips_in_macro']} clips with frames of both classes; clips that lack a class: "
        f"{frame['clips_with_one_class']}."
    )
    if "low" in interval:
        text += (
            f" 95 % confidence interval of the micro AUC, by resampling clips: {interval['low']:.3f} to "
            f"{interval['high']:.3f}."
        )
    if "low" in gain:
        text += (
            f" Gain over the best scorer that learns nothing ({result['gain']['over']}): "
            f"{gain['difference']:+.3f}, 95 % confidence interval {gain['low']:+.3f} to "
            f"{gain['high']:+.3f}."
        )
    return [text, ""]


def _lookahead(result: dict[str, Any]) -> list[str]:
    """How long after a frame its score is known."""
    frames, seconds = result["lookahead"]["frames"], result["lookahead"]["seconds"]
    if not frames:
        return ["Live scores need no frames ahead.", ""]
    return [f"Live scores come {frames} frames ({seconds:.2f} s) after their frame.", ""]


_OF_MODEL = ("auc_micro", "auc_macro", "average_precision", "eer", "precision", "recall", "f1")


def _scorers(result: dict[str, Any]) -> list[str]:
    """The table of the model, its variants, its branches and the trivial scorers."""
    frame, branches = result["frame"], result["branch"]
    others = {_branch_label(name): aucs for name, aucs in branches.items() if len(branches) > 1}
    others |= {"model, min-max per clip": frame["minmax_per_clip"]}
    others |= {f"{name} (learns nothing)": aucs for name, aucs in result["baseline"].items()}
    empty = [""] * (len(_OF_MODEL) - 2)
    heads = (
        "micro AUC",
        "macro AUC",
        "average precision",
        "equal error rate",
        "precision at threshold",
        "recall at threshold",
        "F1 at threshold",
    )
    return [
        _line("scorer", *heads),
        _rule(1 + len(heads)),
        _line("**model**", *(frame.get(key) for key in _OF_MODEL)),
        *(_line(name, aucs.get("auc_micro"), aucs.get("auc_macro"), *empty) for name, aucs in others.items()),
        "",
    ]


def _clip_level(result: dict[str, Any]) -> list[str]:
    """A sentence on the AUC of the highest scores of clips; empty if it is undefined."""
    clip = result.get("clip", {})
    if "auc" not in clip:
        return []
    return [
        "",
        f"Clips: AUC of the highest score {clip['auc']:.3f} ({clip['auc_smoothed']:.3f} smoothed), "
        f"{clip['anomalous']} clips with an anomaly against {clip['normal']} without.",
    ]


def _pixel_level(result: dict[str, Any]) -> list[str]:
    """A sentence on metrics of pixels and regions; empty without masks."""
    pixel = result.get("pixel", {})
    if "auc" not in pixel:
        return []
    located = result["localisation"]
    mahadevan, rbdc, tbdc = (
        "undefined" if value is None else f"{value:.3f}"
        for value in (pixel.get("mahadevan_auc"), located.get("rbdc"), located.get("tbdc"))
    )
    return [
        "",
        f"Pixels: AUC {pixel['auc']:.3f}, AUC of the 40 % criterion {mahadevan}, F1 at the threshold of "
        f"cells {pixel['f1']:.3f}. Regions: RBDC {rbdc}, TBDC {tbdc}.",
    ]


def _regions(result: dict[str, Any]) -> list[str]:
    """A sentence on the number of regions; empty if all regions are whole frames."""
    if not (regions := result.get("region")):
        return []
    tracks = f"{regions['tracks']} tracks, listed in tracks.csv." if regions["tracks"] else "No tracks."
    return [
        "",
        f"{regions['per_frame']:.2f} regions per frame on average; {regions['frames_without']} frames have "
        f"no regions, and therefore error 0 in the branches of regions. {tracks}",
    ]


def _events(events: pd.DataFrame) -> list[str]:
    """The table of the first MAX_EVENTS events."""
    lines = ["## Events", ""]
    if not len(events):
        return [*lines, "No event: no frame lies above the threshold for long enough.", ""]
    lines += [_line("clip", "from", "to", "highest score", "branches"), _rule(5)]
    for event in events.head(MAX_EVENTS).to_dict("records"):
        peak = f"{event['score']:.2f}"
        lines.append(_line(event["clip"], event["from"], event["to"], peak, event["branches"]))
    if (more := len(events) - MAX_EVENTS) > 0:
        lines += ["", f"… and {more} more, in data/scores/events.csv."]
    return [*lines, ""]


def _pictures(folder: Path, clips: int) -> list[str]:
    """A sentence on the clips that pictures show; empty if they show all."""
    if (shown := len(list((folder / "heatmaps").glob("*.png")))) == clips:
        return []
    return [
        "",
        f"Pictures: curves.png and heatmaps/ show {shown} of {clips} clips, those with the highest scores "
        "and the worst mistakes (evaluate.pictures sets the number); strips.png shows all.",
    ]


def _read_table(path: Path) -> pd.DataFrame:
    kinds = dict.fromkeys(("clip", "camera", "subject"), "str") | {"anomalous_frames": "Int64"}
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=kinds)


def _unlabelled(clips: pd.DataFrame) -> list[bool]:
    """Whether each clip is one without labels beside labelled ones."""
    without = clips["anomalous_frames"].isna().tolist()
    return [False] * len(without) if all(without) else without


def _not_counted(unlabelled: Sequence[bool]) -> list[str]:
    """A sentence on clips without labels beside labelled ones; empty without such clips."""
    if not any(unlabelled):
        return []
    return [
        "",
        f"Clips that are not labelled: {sum(unlabelled)} of {len(unlabelled)}. They are scored and listed, "
        "but count in no metric and not in the tables of cameras and subjects.",
    ]


def _table(title: str, table: pd.DataFrame, path: Path, unlabelled: Sequence[bool] = ()) -> list[str]:
    """A table with mean and standard deviation of a branch's errors in the same column.

    Args:
        title: the heading.
        table: the rows; of more than MAX_ROWS, those with the highest scores are written.
        path: the file that holds all rows.
        unlabelled: whether each row is marked as not labelled; by default none is.
    """
    chosen = table.nlargest(MAX_ROWS, "score_max").index.sort_values()
    rest = len(table) - len(chosen)
    table = table.loc[chosen].dropna(axis=1, how="all")
    for mean in [name for name in table.columns if name.endswith(MEAN)]:
        branch = mean.removesuffix(MEAN)
        both = zip(table[mean].map(_cell), table.pop(branch + DEVIATION).map(_cell), strict=True)
        table[mean] = [" ± ".join(pair) for pair in both]
        table = table.rename(columns={mean: f"{branch} error (mean ± deviation)"})
    heads = [HEADERS.get(column, column) for column in table.columns]
    table = table.astype(object).where(table.notna(), "")
    if any(unlabelled):
        table.loc[[i for i in chosen if unlabelled[i]], "anomalous_frames"] = "not labelled"
    rows = [_line(*row) for row in table.itertuples(index=False)]
    if rest > 0:
        rows += ["", f"… and {rest} more with lower scores, in reports/evaluation/{path.name}."]
    return [f"## {title}", "", _line(*heads), _rule(len(heads)), *rows, ""]


def _line(*cells: object) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _rule(columns: int) -> str:
    """The line between head and rows of a table."""
    return "|" + "---|" * columns


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or abs(value) >= 0.01 else f"{value:.3g}"
    return "" if value is None else str(value).replace("|", "\\|")  # a bare | would end the cell


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
