"""Rows of the tables of clips, cameras, subjects and tracks; and numbers of regions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from vad.branches.names import PREFIX, branches_of
from vad.evaluation.roc_metrics import auc
from vad.evaluation.scored_clip import ScoredClip, labelled, labels_of


def error_spread(clips: Sequence[ScoredClip]) -> dict[str, dict[str, float]]:
    """`mean` and standard deviation `std` (divided by n, not n - 1) of the frames' errors, by branch."""
    out = {}
    for branch in clips[0].errors:
        values = np.concatenate([clip.errors[branch] for clip in clips])
        out[branch] = {"mean": float(values.mean()), "std": float(values.std())}
    return out


def table_row(clips: Sequence[ScoredClip], threshold: float) -> dict[str, Any]:
    """A row of a table, about several clips together.

    Args:
        clips: must not be empty.
        threshold: frames with a higher score are alarmed.

    Returns:
        `frames`; `anomalous_frames`, None if no clip is labelled; `auc` of the labelled clips, None if
        undefined; `anomaly_rate`, the share of alarmed frames; `score_max`; and for each branch
        `<branch>_error_mean` and `<branch>_error_std`.
    """
    scores, scored = np.concatenate([clip.scores for clip in clips]), labelled(clips)
    anomalous = np.concatenate(labels_of(scored)) if scored else None
    errors = {
        f"{branch}_error_{key}": value
        for branch, figures in error_spread(clips).items()
        for key, value in figures.items()
    }
    return {
        "frames": len(scores),
        "anomalous_frames": None if anomalous is None else int(anomalous.sum()),
        "auc": None if anomalous is None else auc(anomalous, np.concatenate([c.scores for c in scored])),
        "anomaly_rate": float((scores > threshold).mean()),
        "score_max": float(scores.max()),
        **errors,
    }


def by_person(clips: Sequence[ScoredClip]) -> list[ScoredClip]:
    """Splits clips into parts that belong to a single person (`subject`), in the order of clips.

    A clip whose regions all belong to its subject is kept with all frames. Otherwise the part of a person has
    the frames with a region of this person, and the score of a frame is the highest score of these regions.

    Args:
        clips: all test clips.
    """
    parts = []
    for clip in clips:
        persons = clip.regions.table["person"]
        if (persons == clip.subject).all():
            parts.append(clip)
        else:
            parts += [_part_of(clip, person) for person in sorted(set(persons))]
    return parts


def _part_of(clip: ScoredClip, person: str) -> ScoredClip:
    """The frames of a clip with a region of a person, scored by these regions."""
    regions = clip.regions.select(clip.regions.table["person"] == person)
    present = regions.counts() > 0
    scores = regions.frame_maximum(regions.table["score"])[present]
    by_region = regions.region_branches  # other branches have only maps, which show all persons
    errors = {
        branch: (regions.frame_maximum(regions.errors(branch)) if branch in by_region else errors)[present]
        for branch, errors in clip.errors.items()
    }
    return replace(
        clip,
        subject=person,
        scores=scores,
        unsmoothed=scores,
        errors=errors,
        seconds=clip.seconds[present],
        source_frames=clip.source_frames[present],
        anomalous=None if clip.anomalous is None else clip.anomalous[present],
        regions=regions,
    )


def track_table(clips: Sequence[ScoredClip], threshold: float) -> pd.DataFrame:
    """A row per track, except tracks whose regions all are the whole frame.

    Args:
        clips: all test clips.
        threshold: threshold of frame scores, which scores of regions are compared with.

    Returns:
        Columns: `clip` (its name), `track`, `person`, `first_frame`, `last_frame`, `frames` (the number of
        frames with a region of the track), `score_mean`, `score_max`, `anomaly_rate` (share of its regions
        above the threshold), and for each branch with errors of regions the mean and the standard deviation
        (divided by n), `<branch>_error_mean` and `<branch>_error_std`. Frames without windows do not count.
    """
    tables = [_of_tracks(clip).assign(number=i) for i, clip in enumerate(clips)]
    # of all clips at once, since grouping costs milliseconds even for a short table
    table = pd.concat(tables, ignore_index=True)
    branches = branches_of(table)
    table = table.astype({PREFIX + branch: np.float64 for branch in branches})
    groups = table.assign(above=table["score"] > threshold).groupby(["number", "track"])
    rows = groups.agg(
        person=("person", "first"),
        first_frame=("frame", "min"),
        last_frame=("frame", "max"),
        frames=("frame", "nunique"),
        score_mean=("score", "mean"),
        score_max=("score", "max"),
        anomaly_rate=("above", "mean"),
    )
    for branch in branches:
        rows[f"{branch}_error_mean"] = groups[PREFIX + branch].mean()
        rows[f"{branch}_error_std"] = groups[PREFIX + branch].std(ddof=0)
    rows = rows.reset_index()
    rows.insert(0, "clip", [clips[i].name for i in rows.pop("number")])
    return rows


def _of_tracks(clip: ScoredClip) -> pd.DataFrame:
    """The regions of the tracks of a clip that `track_table` has."""
    table = clip.regions.table
    boxes = ~clip.regions.whole_frames() & (table["track"] >= 0)
    return table[table["track"].isin(table["track"][boxes].unique())]


def region_counts(clips: Sequence[ScoredClip]) -> dict[str, Any]:
    """Numbers of regions. A frame without windows counts like the nearest frame with windows.

    Args:
        clips: all test clips.

    Returns:
        `per_frame`, the average number of regions; `frames_without`, the number of frames without regions;
        and `tracks`, the number of tracks. Empty if all regions are whole frames.
    """
    counts = np.concatenate([clip.regions.counts() for clip in clips])
    if counts.all() and all(clip.regions.whole_frames().all() for clip in clips):
        return {}
    return {
        "per_frame": float(counts.mean()),
        "frames_without": int((counts == 0).sum()),
        "tracks": sum(_of_tracks(clip)["track"].nunique() for clip in clips),
    }
