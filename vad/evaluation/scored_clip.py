"""A test clip with its scores and labels: what all metrics are computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vad.evaluation.identity import Identity
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.events import Event
from vad.scoring.scores import read_scores
from vad.store.intervals import Intervals, frame_labels
from vad.store.manifest import Clip


@dataclass(frozen=True)
class ScoredClip:
    """A test clip: its scores, and its labels if it is labelled.

    Attributes:
        clip: id.
        camera: that filmed it.
        subject: the person of the whole clip, "" if nobody is named.
        scores: float64 [T], smoothed: the headline's.
        causal: those without frames ahead.
        unsmoothed: those before smoothing.
        branches: those of each branch alone, and of all that learned as `learned`.
        errors: of frames by branch, float64 [T], before standardisation.
        seconds: float64 [T] since the start of the clip.
        source_frames: int [T].
        source_size: (height, width) of the source.
        fps: of the extracted frames.
        anomalous: bool [T], None if it is not labelled.
        events: in the order of time.
        regions: the errors; their table has the columns `score` and `person` ("" if nobody is named), too.
    """

    clip: str
    camera: str
    subject: str
    scores: np.ndarray
    causal: np.ndarray
    unsmoothed: np.ndarray
    branches: Mapping[str, np.ndarray]
    errors: Mapping[str, np.ndarray]
    seconds: np.ndarray
    source_frames: np.ndarray
    source_size: tuple[int, int]
    fps: float
    anomalous: np.ndarray | None
    events: Sequence[Event]
    regions: ClipErrors


def read_clips(
    clips: Sequence[Clip],
    labels: Mapping[str, Intervals],
    scores: Path,
    errors: Sequence[ClipErrors],
    identity: Identity,
) -> list[ScoredClip]:
    """Test clips with their scores and labels.

    Args:
        clips: rows of the manifest.
        labels: intervals by clip id; a labelled clip without any is normal.
        scores: folder that the stage `score` filled.
        errors: of the clips, in their order.
        identity: who is who.

    Raises:
        UserError: if scores are missing or broken.
    """
    out = []
    for clip, measured in zip(clips, errors, strict=True):
        scored = read_scores(scores / clip.clip)
        table = measured.table.assign(
            score=scored.regions, person=identity.persons(clip, measured.table["track"].to_numpy())
        )
        intervals = labels.get(clip.clip, [])
        out.append(
            ScoredClip(
                clip=clip.clip,
                camera=clip.camera,
                subject=identity.person(clip),
                scores=scored.scores,
                causal=scored.causal,
                unsmoothed=scored.unsmoothed,
                branches=scored.branches,
                errors=scored.errors,
                seconds=scored.seconds,
                source_frames=scored.source_frames,
                source_size=(clip.height, clip.width),
                fps=scored.fps,
                anomalous=frame_labels(intervals, scored.source_frames) if clip.labelled else None,
                events=scored.events,
                regions=replace(measured, table=table),
            )
        )
    return out
