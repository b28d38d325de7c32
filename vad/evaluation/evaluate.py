"""Test clips' errors to metrics, tables and plots: what a run found, on paper."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad import UserError
from vad.evaluation import event_metrics, frame_metrics, groups, listing, plots
from vad.evaluation.frame_metrics import EvaluateParams
from vad.evaluation.identity import Identity
from vad.evaluation.scored_clip import Scored
from vad.scoring import events
from vad.scoring.calibration import Calibration
from vad.scoring.pooling import SPEED, ClipErrors
from vad.store import cards, tables
from vad.store.intervals import Intervals, frame_labels
from vad.store.manifest import Clip

LEARNED = "learned"  # all branches but speed, together


def score_clips(
    clips: Sequence[Clip],
    labels: dict[str, Intervals],
    frames: Path,
    errors: Sequence[ClipErrors],
    calibration: Calibration,
    identity: Identity,
) -> list[Scored]:
    """Calibrated frame scores of test clips, with their labels where there are any; `errors` one per clip.

    Raises UserError if errors and frames of a clip differ in number.
    """
    out = []
    for clip, found in zip(clips, errors, strict=True):
        times = tables.read_table(frames / clip.clip)
        if len(times) != found.frames:
            raise UserError(
                f"clip {clip.clip!r}: errors of {found.frames} frames, but {len(times)} were extracted; "
                "run `dvc repro`"
            )
        source = times["source_frame"].to_numpy()
        table = found.table.assign(
            score=calibration.region_scores(found),
            person=identity.persons(clip, found.table["track"].to_numpy()),
        )
        causal = calibration.params.smooth.causal
        frame_errors = calibration.frame_errors(found, causal)
        own = calibration.smoothed(frame_errors, found.camera, causal)
        out.append(
            Scored(
                clip=clip.clip,
                camera=clip.camera,
                subject=identity.person(clip),
                scores=own,
                causal=own if causal else calibration.frame_scores(found, causal=True),
                unsmoothed=calibration.scores(frame_errors, found.camera, causal=causal),
                branches=_branches(frame_errors, calibration, found.camera),
                errors=frame_errors,
                seconds=times["seconds"].to_numpy(),
                source_frames=source,
                source_size=(clip.height, clip.width),
                fps=found.fps,
                anomalous=frame_labels(labels.get(clip.clip, []), source) if clip.labelled else None,
                events=events.find(own, calibration.threshold, found.fps, calibration.params.events),
                regions=replace(found, table=table),
            )
        )
    return out


def _branches(
    frame_errors: dict[str, np.ndarray], calibration: Calibration, camera: str
) -> dict[str, np.ndarray]:
    """Scores of a clip from each branch alone, and from all that is learned."""
    chosen = {branch: [branch] for branch in frame_errors}
    learned = [branch for branch in calibration.branches if branch != SPEED]
    if 1 < len(learned) < len(calibration.branches):
        chosen[LEARNED] = learned
    causal = calibration.params.smooth.causal
    return {name: calibration.smoothed(frame_errors, camera, causal, own) for name, own in chosen.items()}


def evaluate(clips: Sequence[Scored], calibration: Calibration, params: EvaluateParams) -> dict[str, Any]:
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
    clips: Sequence[Scored],
    calibration: Calibration,
    params: EvaluateParams,
    result: dict[str, Any],
) -> None:
    """Writes into the folder: metrics.json; frames, events, clips, cameras and subjects as CSV; frames.txt,
    the listing for people; plots/; curves.png. tracks.csv too, where regions are boxes that belong to tracks.
    """
    cards.write_json(folder / "metrics.json", _defined(result))
    threshold = calibration.threshold
    _csv(folder / "frames.csv", pd.concat([_frames(clip, threshold) for clip in clips]))
    alarmed = ((plots.name(c), c.source_frames, c.scores, c.scores > threshold) for c in clips)
    listing.write(folder / "frames.txt", alarmed)
    happened = [
        events.table(plots.name(c), c.events, c.fps, c.source_frames, c.seconds) for c in clips if c.events
    ]
    _csv(folder / "events.csv", pd.concat(happened) if happened else pd.DataFrame(columns=events.COLUMNS))
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
    _csv(folder / "plots/curves.csv", plots.curves(clips, threshold, params.plot_points))
    plots.draw_curves(folder / "curves.png", clips, threshold)
    trivial = frame_metrics.trivial_scorers(clips, params.seed)
    for name, table in plots.figures(clips, trivial, threshold, params.histogram_bins).items():
        _csv(folder / f"plots/{name}.csv", table)


def _together(
    clips: Sequence[Scored], threshold: float, what: str, key: Callable[[Scored], str]
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


def _frames(clip: Scored, threshold: float) -> pd.DataFrame:
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
