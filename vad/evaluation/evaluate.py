"""Evaluates a run: all figures, tables and plot data, from scores and labels."""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad import UserError
from vad.drawing import strips
from vad.evaluation import curves, frame_metrics, groups, plots
from vad.evaluation.alarm_tables import alarm_tables
from vad.evaluation.baselines import Scores, against_trivial
from vad.evaluation.event_metrics import ClipEvents, event_level
from vad.evaluation.listing import write_listing
from vad.evaluation.params import EvaluateParams
from vad.evaluation.scored_clip import ScoredClip, counted
from vad.scoring.calibration import Calibration
from vad.store.cards import write_json


def evaluate(
    clips: Sequence[ScoredClip], trivial: Scores, calibration: Calibration, params: EvaluateParams
) -> dict[str, Any]:
    """Computes all figures of frames, events, clips and regions.

    If some clips are labelled, the others count in no figure.

    Args:
        clips: all test clips.
        trivial: the result of `baselines.trivial_scorers` for these clips.
        calibration: by which the clips were scored.
        params: the section `evaluate`.

    Returns:
        Nested figures; undefined figures are absent or None, and `absent` states the reason.

    Raises:
        UserError: if there are no clips.
    """
    if not clips:
        raise UserError(
            "no test clips are left to evaluate; data/frames/skipped.csv and data/tensors/skipped.csv list "
            "what was skipped"
        )
    threshold, clips = calibration.threshold, counted(clips)
    events = [
        ClipEvents(c.events, c.anomalous, c.fps, _wait(c, calibration))
        for c in clips
        if c.anomalous is not None
    ]
    result = {
        "clips": len(clips),
        "subjects": len({part.subject for part in groups.by_person(clips)} - {""}),
        "frame": frame_metrics.frame_level(clips, threshold),
        **against_trivial(clips, trivial, params),
        "branch": frame_metrics.branch_level(clips),
        "event": event_level(events, params.max_delay) if events else {},
        "clip": frame_metrics.clip_level(clips),
        "region": groups.region_counts(clips),
        "threshold": threshold,
        "lookahead": {"frames": calibration.lookahead, "seconds": calibration.delay},
        "anomaly_rate": groups.table_row(clips, threshold)["anomaly_rate"],
        # not called "error": DVC takes a key of that name in a metrics file for a failure to read it
        "reconstruction_error": groups.error_spread(clips),
    }
    return {key: value for key, value in result.items() if value not in ({}, None)}


def _wait(clip: ScoredClip, calibration: Calibration) -> float:
    """Seconds from the start of an event until it is known live."""
    lookahead = clip.regions.lookahead + calibration.smoothing(clip.fps).lookahead
    return lookahead / clip.fps + calibration.params.events.min_duration


def headline(result: dict[str, Any]) -> str:
    """The most important figures, as a line for the log."""
    frame = result["frame"]
    if "absent" in frame:
        return f"no frame-level AUC: {frame['absent']}; anomaly rate {result['anomaly_rate']:.3f}"
    beside = ", ".join(f"{name} {aucs['auc_micro']:.3f}" for name, aucs in result["baseline"].items())
    return (
        f"frame AUC micro {frame['auc_micro']:.4f} (trivial scorers: {beside}), "
        f"average precision {frame['average_precision']:.4f}, F1 {frame['f1']:.4f}, "
        f"anomaly rate {result['anomaly_rate']:.3f}"
    )


def without_labels(clips: Sequence[ScoredClip]) -> str | None:
    """A line for the log about clips without labels beside labelled ones; None if there are none.

    Args:
        clips: all test clips.
    """
    names = [clip.name for clip in clips if clip.anomalous is None]
    if not names or len(names) == len(clips):
        return None
    return (
        f"clips that are not labelled: {len(names)} of {len(clips)}, for example {names[0]}; they are scored "
        "and listed, but count in no metric"
    )


def write(
    folder: Path,
    clips: Sequence[ScoredClip],
    shown: Sequence[ScoredClip],
    trivial: Scores,
    calibration: Calibration,
    result: dict[str, Any],
) -> None:
    """Writes all files except heat maps: metrics.json, tables as CSV, frames.txt, plots/, curves.png.

    If some clips are labelled, the others do not count in cameras.csv and subjects.csv. tracks.csv is omitted
    if no box belongs to a track. strips.png shows all clips if the curves do not.

    Args:
        folder: folder of the files.
        clips: all test clips.
        shown: those whose curves are drawn (`selection.select`).
        trivial: the result of `baselines.trivial_scorers` for all test clips.
        calibration: by which the clips were scored.
        result: the figures.
    """
    threshold = calibration.threshold
    events, alarms, hotspots = alarm_tables(clips, calibration)
    _write_csv(folder / "events.csv", events)
    _write_csv(folder / "alarms.csv", alarms)
    _write_csv(folder / "hotspots.csv", hotspots)
    write_json(folder / "metrics.json", _without_none(result))
    _write_csv(folder / "frames.csv", pd.concat([_frame_table(clip, threshold) for clip in clips]))
    write_listing(
        folder / "frames.txt", ((c.name, c.source_frames, c.scores, c.scores > threshold) for c in clips)
    )
    of_clips = [
        {"clip": c.name, "camera": c.camera, "subject": c.subject, **groups.table_row([c], threshold)}
        for c in clips
    ]
    _write_csv(folder / "clips.csv", pd.DataFrame(of_clips))
    _write_csv(
        folder / "cameras.csv", _group_table(counted(clips), threshold, "camera", lambda clip: clip.camera)
    )
    persons = groups.by_person(counted(clips))
    _write_csv(
        folder / "subjects.csv", _group_table(persons, threshold, "subject", lambda clip: clip.subject)
    )
    if len(tracks := groups.track_table(clips, threshold)):
        _write_csv(folder / "tracks.csv", tracks)
    _write_csv(folder / "plots/curves.csv", plots.score_curves(shown, threshold))
    curves.draw(folder / "curves.png", shown, threshold, total=len(clips))
    if len(shown) < len(clips):
        every = [strips.Strip(clip.name, clip.scores, clip.anomalous) for clip in clips]
        strips.draw(folder / "strips.png", every, threshold)
    for name, table in plots.plot_data(clips, trivial, threshold).items():
        _write_csv(folder / f"plots/{name}.csv", table)


def _group_table(
    clips: Sequence[ScoredClip], threshold: float, column: str, key: Callable[[ScoredClip], str]
) -> pd.DataFrame:
    """A row for each group of clips with the same key, which is in the column `column`."""
    return pd.DataFrame(
        {column: name or plots.NOT_GIVEN, "clips": len(group), **groups.table_row(group, threshold)}
        for name, group in ((name, list(group)) for name, group in groupby(sorted(clips, key=key), key=key))
    )


def _without_none(value: Any) -> Any:
    """The figures without None, at any depth."""
    if isinstance(value, dict):
        return {key: _without_none(entry) for key, entry in value.items() if entry is not None}
    return value


def _frame_table(clip: ScoredClip, threshold: float) -> pd.DataFrame:
    columns = {
        "clip": clip.name,
        "frame": np.arange(len(clip.scores)),
        "source_frame": clip.source_frames,
        "seconds": clip.seconds,
        "score": clip.scores,
        "alarm": (clip.scores > threshold).astype(int),
        **{f"{branch}_error": errors for branch, errors in clip.errors.items()},
        "anomalous": pd.NA if clip.anomalous is None else clip.anomalous.astype(int),
    }
    return pd.DataFrame(columns)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.8g", lineterminator="\n")
