"""Rows of tables: per clip, camera, subject and track; how many regions there are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from vad.evaluation.frame_metrics import auc, both_classes, labelled
from vad.evaluation.scored_clip import ScoredClip
from vad.branches.error_files import PREFIX, branches_of
from vad.scoring.pooling import pool_regions


def spread(clips: Sequence[ScoredClip]) -> dict[str, dict[str, float]]:
    """By branch the mean and the population's standard deviation of frames' errors before calibration."""
    out = {}
    for branch in clips[0].errors:
        values = np.concatenate([clip.errors[branch] for clip in clips])
        out[branch] = {"mean": float(values.mean()), "std": float(values.std())}
    return out


def row(clips: Sequence[ScoredClip], threshold: float) -> dict[str, Any]:
    """A line of a table about some clips together: frames, AUC, anomaly rate, mean and deviation of errors.

    `anomaly_rate` is the share of frames above the threshold; `auc` None where it is undefined.
    """
    scores, known = np.concatenate([clip.scores for clip in clips]), labelled(clips)
    y = np.concatenate([clip.anomalous for clip in known]) if known else None
    errors = {
        f"{branch}_error_{key}": value for branch, own in spread(clips).items() for key, value in own.items()
    }
    return {
        "frames": len(scores),
        "anomalous_frames": None if y is None else int(y.sum()),
        "auc": auc(y, np.concatenate([c.scores for c in known])) if both_classes(y) else None,
        "anomaly_rate": float((scores > threshold).mean()),
        "score_max": float(scores.max()),
        **errors,
    }


def by_person(clips: Sequence[ScoredClip]) -> list[ScoredClip]:
    """The parts of clips that belong to one person each (`subject`), in the order of clips.

    A clip whose regions all belong to its own person counts as a whole, with every frame of it. Where some
    are another's, each person has the frames in which a region of his is, and the highest of these counts.
    """
    parts = []
    for clip in clips:
        owners = clip.regions.table["person"]
        if (owners == clip.subject).all():
            parts.append(clip)
            continue
        for person in sorted(set(owners)):
            own = clip.regions.select(owners == person)
            seen = own.counts() > 0
            columns = {b: own.table[PREFIX + b] for b in branches_of(own.table)}
            parts.append(
                replace(
                    clip,
                    subject=person,
                    scores=pool_regions(own, own.table["score"])[seen],
                    unsmoothed=pool_regions(own, own.table["score"])[seen],
                    errors={
                        branch: pool_regions(own, columns[branch])[seen] if branch in columns else errors[seen]
                        for branch, errors in clip.errors.items()
                    },
                    seconds=clip.seconds[seen],
                    source_frames=clip.source_frames[seen],
                    anomalous=None if clip.anomalous is None else clip.anomalous[seen],
                    regions=own,
                )
            )
    return parts


def tracks(clip: ScoredClip, threshold: float) -> pd.DataFrame:
    """A row per track of a clip; none for a track that never was anything but the whole frame.

    Columns: `track`, `person`, `first_frame`, `last_frame` and `frames` (of those with windows, in which it
    has a region), `score_mean`, `score_max`, `anomaly_rate` (share of its regions above the threshold), and
    for each branch the mean and the population's deviation of its errors, `<branch>_error_mean`, `…_std`.
    """
    table = clip.regions.table
    followed = table["track"][~clip.regions.whole_frames() & (table["track"] >= 0)].unique()
    table = table[table["track"].isin(followed)]
    groups = table.assign(above=table["score"] > threshold).groupby("track")
    rows = groups.agg(
        person=("person", "first"),
        first_frame=("frame", "min"),
        last_frame=("frame", "max"),
        frames=("frame", "nunique"),
        score_mean=("score", "mean"),
        score_max=("score", "max"),
        anomaly_rate=("above", "mean"),
    )
    for branch in branches_of(table):
        rows[f"{branch}_error_mean"] = groups[PREFIX + branch].mean()
        rows[f"{branch}_error_std"] = groups[PREFIX + branch].std(ddof=0)
    return rows.reset_index()


def regions(clips: Sequence[ScoredClip]) -> dict[str, Any]:
    """How many regions there are: per frame, frames without any, tracks. Empty for whole frames.

    A frame that no window was made for counts like the nearest that has.
    """
    counts = np.concatenate([clip.regions.counts() for clip in clips])
    if counts.all() and all(clip.regions.whole_frames().all() for clip in clips):
        return {}
    return {
        "per_frame": float(counts.mean()),
        "frames_without": int((counts == 0).sum()),
        "tracks": sum(len(tracks(clip, 0.0)) for clip in clips),
    }
