"""Test clips' errors to metrics, tables and plots: what a run found, on paper."""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad import UserError
from vad.evaluation import event_metrics, frame_metrics, groups, listing, plots
from vad.evaluation.params import EvaluateParams
from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.calibration import Calibration
from vad.store.cards import write_json


def evaluate(clips: Sequence[ScoredClip], calibration: Calibration, params: EvaluateParams) -> dict[str, Any]:
    """All figures of frames, events and clips, nested; what is undefined is left out, with the reason.

    Raises UserError if there are no clips.
    """
    if not clips:
        raise UserError(
            "no test clips are left to evaluate; see data/frames/skipped.csv for what was skipped"
        )
    total = groups.row(clips, calibration.threshold)
    watched = [event_metrics.Watched(c.events, c.anomalous, c.fps) for c in frame_metrics.labelled(clips)]
    result = {
        "clips": len(clips),
        "subjects": len({part.subject for part in groups.by_person(clips)} - {""}),
        "frame": frame_metrics.frame_level(clips, calibration.threshold),
        **frame_metrics.against_trivial(clips, params),
        "branch": frame_metrics.branch_level(clips),
        "event": event_metrics.event_level(watched, params.max_delay) if watched else {},
        "clip": frame_metrics.clip_level(clips),
        "region": groups.regions(clips),
        "threshold": calibration.threshold,
        "anomaly_rate": total["anomaly_rate"],
        # not called "error": DVC takes a key of that name in a metrics file for a failure to read it
        "reconstruction_error": groups.spread(clips),
    }
    return {key: value for key, value in result.items() if value not in ({}, None)}


def headline(result: dict[str, Any]) -> str:
    """One line for the log."""
    frame = result["frame"]
    if "absent" in frame:
        return f"no frame-level AUC: {frame['absent']}; anomaly rate {result['anomaly_rate']:.3f}"
    beside = ", ".join(f"{name} {aucs['auc_micro']:.3f}" for name, aucs in result["baseline"].items())
    return (
        f"frame AUC micro {frame['auc_micro']:.4f} (trivial scorers: {beside}), "
        f"average precision {frame['average_precision']:.4f}, F1 {frame['f1']:.4f}, "
        f"anomaly rate {result['anomaly_rate']:.3f}"
    )


def write(
    folder: Path,
    clips: Sequence[ScoredClip],
    calibration: Calibration,
    params: EvaluateParams,
    result: dict[str, Any],
) -> None:
    """Writes into the folder: metrics.json; frames, clips, cameras and subjects as CSV; frames.txt,
    the listing for people; plots/; curves.png. tracks.csv too, where regions are boxes that belong to tracks.
    """
    write_json(folder / "metrics.json", _defined(result))
    threshold = calibration.threshold
    _csv(folder / "frames.csv", pd.concat([_frames(clip, threshold) for clip in clips]))
    alarmed = ((plots.name(c), c.source_frames, c.scores, c.scores > threshold) for c in clips)
    listing.write(folder / "frames.txt", alarmed)
    rows = [
        {"clip": plots.name(c), "camera": c.camera, "subject": c.subject, **groups.row([c], threshold)}
        for c in clips
    ]
    _csv(folder / "clips.csv", pd.DataFrame(rows))
    cameras = _together(clips, threshold, "camera", lambda clip: clip.camera)
    _csv(folder / "cameras.csv", cameras)
    subjects = _together(groups.by_person(clips), threshold, "subject", lambda clip: clip.subject)
    _csv(folder / "subjects.csv", subjects)
    tracks = [(plots.name(clip), groups.tracks(clip, threshold)) for clip in clips]
    if followed := [table.assign(clip=name) for name, table in tracks if len(table)]:
        table = pd.concat(followed)
        _csv(folder / "tracks.csv", table[["clip", *table.columns.drop("clip")]])
    _csv(folder / "plots/curves.csv", plots.curves(clips, threshold))
    plots.draw_curves(folder / "curves.png", clips, threshold)
    trivial = frame_metrics.trivial_scorers(clips, params.seed)
    for name, table in plots.figures(clips, trivial, threshold).items():
        _csv(folder / f"plots/{name}.csv", table)


def _together(
    clips: Sequence[ScoredClip], threshold: float, what: str, key: Callable[[ScoredClip], str]
) -> pd.DataFrame:
    """A row for each camera or subject."""
    groups = ((name, list(group)) for name, group in groupby(sorted(clips, key=key), key=key))
    return pd.DataFrame(
        {what: name or "(not given)", "clips": len(own), **groups.row(own, threshold)} for name, own in groups
    )


def _defined(value: Any) -> Any:
    """Without what is None."""
    if isinstance(value, dict):
        return {key: _defined(entry) for key, entry in value.items() if entry is not None}
    return value


def _frames(clip: ScoredClip, threshold: float) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "clip": plots.name(clip),
            "frame": np.arange(len(clip.scores)),
            "source_frame": clip.source_frames,
            "seconds": clip.seconds,
            "score": clip.scores,
            "alarm": (clip.scores > threshold).astype(int),
        }
    )
    errors = {f"{branch}_error": own for branch, own in clip.errors.items()}
    table = table.assign(causal_score=clip.causal, **errors)
    return table.assign(anomalous=pd.NA if clip.anomalous is None else clip.anomalous.astype(int))


def _csv(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.8g", lineterminator="\n")
