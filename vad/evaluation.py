"""Test clips' errors to metrics, tables and plots: what a run found, on paper."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad import UserError, metrics, plots, store
from vad.clips import Clip, Intervals, frame_labels
from vad.identity import Identity
from vad.metrics import EvaluateParams, Scored
from vad.scoring import Calibration, ClipErrors, branches_of


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
        times = store.read_table(frames / clip.clip)
        if len(times) != found.frames:
            raise UserError(
                f"clip {clip.clip!r}: errors of {found.frames} frames, but {len(times)} were extracted; "
                "run `dvc repro`"
            )
        source = times["source_frame"].to_numpy()
        table, branches = found.table, branches_of(found.table)
        table = table.assign(
            score=calibration.scores(table),
            error=table[branches].sum(axis=1),
            person=identity.persons(clip, table["track"].to_numpy()),
        )
        out.append(
            Scored(
                clip=clip.clip,
                camera=clip.camera,
                subject=identity.person(clip),
                scores=calibration.frame_scores(found),
                errors=sum(found.per_frame(table[b], calibration.top_k) for b in branches).astype(float),
                seconds=times["seconds"].to_numpy(),
                source_frames=source,
                anomalous=frame_labels(labels.get(clip.clip, []), source) if clip.labelled else None,
                regions=replace(found, table=table),
            )
        )
    return out


def evaluate(clips: Sequence[Scored], calibration: Calibration, params: EvaluateParams) -> dict[str, Any]:
    """All figures of a run, nested; what is undefined is left out, with the reason under `absent`.

    Raises UserError if there are no clips.
    """
    if not clips:
        raise UserError(
            "no test clips are left to evaluate; see data/frames/skipped.csv for what was skipped"
        )
    frame = metrics.frame_level(clips, calibration.threshold)
    total = metrics.row(clips, calibration.threshold)
    regions = metrics.regions(clips)
    result = {
        "clips": len(clips),
        "subjects": len({part.subject for part in metrics.by_person(clips)} - {""}),
        "frame": {key: value for key, value in frame.items() if value is not None},
        "baseline": metrics.trivial_scorers(clips, params.seed),
        "threshold": calibration.threshold,
        "anomaly_rate": total["anomaly_rate"],
        # not called "error": DVC takes a key of that name in a metrics file for a failure to read it
        "reconstruction_error": {"mean": total["error_mean"], "std": total["error_std"]},
    }
    return result | {"regions": regions} if regions else result


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
    """Writes the folder: metrics.json; frames, clips and subjects as CSV; plots/; curves.png.

    tracks.csv too, where regions are boxes that belong to tracks.
    """
    shutil.rmtree(folder, ignore_errors=True)
    store.write_json(folder / "metrics.json", result)
    threshold = calibration.threshold
    _csv(folder / "frames.csv", pd.concat([_frames(clip, threshold) for clip in clips]))
    rows = [
        {"clip": plots.name(c), "camera": c.camera, "subject": c.subject, **metrics.row([c], threshold)}
        for c in clips
    ]
    _csv(folder / "clips.csv", pd.DataFrame(rows))
    by_subject = groupby(sorted(metrics.by_person(clips), key=lambda c: c.subject), key=lambda c: c.subject)
    rows = [
        {"subject": subject or "(not given)", "clips": len(own), **metrics.row(own, threshold)}
        for subject, own in ((subject, list(group)) for subject, group in by_subject)
    ]
    _csv(folder / "subjects.csv", pd.DataFrame(rows))
    tracks = [(plots.name(clip), metrics.tracks(clip, threshold)) for clip in clips]
    if followed := [table.assign(clip=name) for name, table in tracks if len(table)]:
        table = pd.concat(followed)
        _csv(folder / "tracks.csv", table[["clip", *table.columns.drop("clip")]])
    _csv(folder / "plots/curves.csv", plots.curves(clips, threshold, params.plot_points))
    plots.draw_curves(folder / "curves.png", clips, threshold)
    labelled = [clip for clip in clips if clip.anomalous is not None]
    anomalous = np.concatenate([clip.anomalous for clip in labelled] or [np.zeros(0, bool)])
    scores = np.concatenate([clip.scores for clip in labelled] or [np.zeros(0)])
    both = metrics.both_classes(anomalous)
    empty = pd.DataFrame({"fpr": [0.0, 1.0], "tpr": [0.0, 1.0]})  # DVC wants the file in any case
    _csv(folder / "plots/roc.csv", plots.roc(anomalous, scores) if both else empty)
    if not labelled:  # nobody said which frames are anomalous
        scores = np.concatenate([clip.scores for clip in clips])
        anomalous = np.zeros(len(scores), bool)
    _csv(folder / "plots/histogram.csv", plots.histogram(anomalous, scores, threshold, params.histogram_bins))
    aucs = [
        {"clip": plots.name(c), "auc": metrics.auc(c.anomalous, c.scores)}
        for c in clips
        if metrics.both_classes(c.anomalous)
    ]
    _csv(folder / "plots/clip_auc.csv", pd.DataFrame(aucs, columns=["clip", "auc"]))


def _frames(clip: Scored, threshold: float) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "clip": plots.name(clip),
            "frame": np.arange(len(clip.scores)),
            "source_frame": clip.source_frames,
            "seconds": clip.seconds,
            "error": clip.errors,
            "score": clip.scores,
            "alarm": (clip.scores > threshold).astype(int),
        }
    )
    return table.assign(anomalous=pd.NA if clip.anomalous is None else clip.anomalous.astype(int))


def _csv(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.8g", lineterminator="\n")
