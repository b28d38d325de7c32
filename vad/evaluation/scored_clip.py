"""A test clip with its scores and labels: the input of all metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vad import UserError
from vad.evaluation.identity import Identity
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.events import Event
from vad.scoring.scores import read_scores
from vad.store.intervals import Intervals, frame_labels
from vad.store.manifest import Clip


@dataclass(frozen=True)
class ScoredClip:
    """A test clip: its scores, and its labels if it is labelled. T is the number of extracted frames.

    Attributes:
        clip: id.
        camera: that filmed it.
        subject: the person of the whole clip, "" if nobody is named.
        scores: float64 [T], smoothed: those of the headline.
        causal: float64 [T], computed without frames ahead.
        unsmoothed: float64 [T], before smoothing.
        branches: float64 [T] by branch: scores of each branch alone, and of all that learned as `learned`.
        errors: float64 [T] by branch: errors of frames, before standardisation.
        seconds: float64 [T] since the start of the clip.
        source_frames: int [T].
        source_size: (height, width) of the source.
        fps: of the extracted frames.
        anomalous: bool [T], None if the clip is not labelled.
        events: in the order of time.
        regions: errors of the regions; their table has the columns `score` and `person` ("" if nobody is
            named), too.
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

    @property
    def name(self) -> str:
        """The id without the split, as tables and plots show it."""
        return self.clip.partition("/")[2]


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
        identity: which person a clip or track belongs to.

    Raises:
        UserError: if scores are missing or broken, or belong to other errors.
    """
    out = []
    for clip, measured in zip(clips, errors, strict=True):
        scored = read_scores(scores / clip.clip)
        if len(scored.regions) != len(measured.table) or len(scored.scores) != measured.frames:
            raise UserError(
                f"clip {clip.clip!r}: scores of {len(scored.scores)} frames and {len(scored.regions)} "
                f"regions, but errors of {measured.frames} and {len(measured.table)}; run `dvc repro score`"
            )
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


def labelled(clips: Sequence[ScoredClip]) -> list[ScoredClip]:
    """The clips that are labelled."""
    return [clip for clip in clips if clip.anomalous is not None]


def labels_of(clips: Sequence[ScoredClip]) -> list[np.ndarray]:
    """`anomalous` of the clips that are labelled, in their order: bool [T] each."""
    return [clip.anomalous for clip in clips if clip.anomalous is not None]
