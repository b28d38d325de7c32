"""A test clip with its scores and labels: the input of all metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vad import UserError
from vad.evaluation.identity import Identity
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.items import Event
from vad.scoring.scores import read_scores
from vad.store.intervals import Intervals, frame_labels
from vad.store.manifest import Clip


@dataclass(frozen=True)
class ScoredClip:
    """A test clip with its scores, and with its labels if it has any. T is its number of extracted frames.

    Attributes:
        clip: id of the clip.
        camera: the camera that filmed it.
        subject: the person of the whole clip, "" if no person is given.
        scores: smoothed scores of the frames, used for the headline: float64 [T].
        unsmoothed: scores before smoothing, float64 [T].
        branches: scores of each branch alone, and of all that learned as `learned`: float64 [T] each.
        errors: errors of the frames by branch, before standardisation: float64 [T] each.
        seconds: time since the start of the clip, float64 [T].
        source_frames: index of each frame in the source, int [T].
        source_size: (height, width) of the source.
        fps: extracted frames per second.
        anomalous: labels of the frames, bool [T]; None if the clip is not labelled.
        events: in order of time.
        regions: errors of the regions, with the further columns `score` and `person` ("" if no person is
            given).
    """

    clip: str
    camera: str
    subject: str
    scores: np.ndarray
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
        """The id without the split, for tables and plots."""
        return self.clip.partition("/")[2]


def read_clips(
    clips: Sequence[Clip],
    labels: Mapping[str, Intervals],
    scores: Path,
    errors: Sequence[ClipErrors],
    identity: Identity,
) -> list[ScoredClip]:
    """Reads test clips with their scores and labels.

    Args:
        clips: rows of the manifest.
        labels: labelled intervals by clip id; a labelled clip without intervals is normal.
        scores: folder of the stage `score`.
        errors: errors of these clips, in the same order.
        identity: the persons that clips and tracks belong to.

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


def counted(clips: Sequence[ScoredClip]) -> list[ScoredClip]:
    """The clips that figures are about: those that are labelled, or all clips if none is."""
    return labelled(clips) or list(clips)


def labels_of(clips: Sequence[ScoredClip]) -> list[np.ndarray]:
    """The labels of the clips that are labelled, in the same order: bool [T] each."""
    return [clip.anomalous for clip in clips if clip.anomalous is not None]
