"""Chooses what is drawn: the frames of the galleries, the pictures of events and cameras, the videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from vad.pipeline.clipwise import Job
from vad.report.footage import Footage, TestedClip
from vad.report.media import Alarm, Wanted
from vad.report.params import ReportParams
from vad.report.scripts import safe_name
from vad.store.digests import digest_files


@dataclass(frozen=True)
class Spot:
    """A frame of a gallery.

    Attributes:
        clip: id of the clip.
        frame: its index.
        start, end: the frames that were alarmed or missed; equal if there are none.
        score: of the frame.
        threshold: with which it was compared.
        kind: as of `vad.report.contents.Moment`.
    """

    clip: str
    frame: int
    start: int
    end: int
    score: float
    threshold: float
    kind: str


@dataclass(frozen=True)
class Plan:
    """What the page shows pictures of.

    Attributes:
        anomalous, mistakes, left_out: the galleries.
        cameras: by camera, the clip and the frame of its picture.
        wanted: what is to be drawn, by id of the clip.
    """

    anomalous: Sequence[Spot]
    mistakes: Sequence[Spot]
    left_out: Sequence[Spot]
    cameras: Mapping[str, tuple[str, int]]
    wanted: Mapping[str, Wanted]


def make_plan(footage: Footage, params: ReportParams) -> Plan:
    """Chooses what is drawn.

    Args:
        footage: test clips and normal clips.
        params: the section `report`.
    """
    threshold, number = footage.calibration.threshold, params.moments
    anomalous = _anomalous(footage.tested, threshold)[:number]
    mistakes = _mistakes(footage.tested, threshold)[:number]
    left_out = _left_out(footage)[:number]
    cameras = _cameras(footage)
    wanted = {clip.id: _wanted(clip, params, footage) for clip in footage.tested}
    for spot in left_out:
        normal = wanted.get(spot.clip) or _empty(spot.clip, params, footage)
        alarm = Alarm(spot.frame, spot.score, spot.threshold)
        wanted[spot.clip] = replace(normal, alarms=(*normal.alarms, alarm))
    for clip, frame in cameras.values():
        of_clip = wanted.get(clip) or _empty(clip, params, footage)
        wanted[clip] = replace(of_clip, plain=(*of_clip.plain, frame))
    return Plan(anomalous, mistakes, left_out, cameras, wanted)


def picture_jobs(footage: Footage, plan: Plan) -> list[Job]:
    """The work of drawing pictures and videos (`vad.report.media.draw_clip`), a job per clip.

    Args:
        footage: test clips and normal clips.
        plan: what is to be drawn.
    """
    sources, version, jobs = footage.sources, digest_files([footage.sources.calibration]), []
    for clip, wanted in plan.wanted.items():
        stems = [sources.errors / clip, sources.frames / clip, sources.regions / clip]
        normal = clip in footage.normal  # which has no scores
        scores, args = ([], [None]) if normal else ([sources.scores / clip], [])
        parts = (*args, wanted, footage.calibration)
        also = [version, wanted.hash]
        jobs.append(Job.on(clip, [*stems, *scores], *parts, name=safe_name(clip), also=also))
    return jobs


def coded_clips(footage: Footage, plan: Plan, params: ReportParams) -> list[TestedClip]:
    """The clips that get a video of their reconstruction: those with a video whose regions are whole frames.

    None if people are to be hidden, whom a reconstruction shows.

    Args:
        footage: test clips.
        plan: what is to be drawn.
        params: the section `report`.
    """
    clips = [clip for clip in footage.tested if plan.wanted[clip.id].video and params.privacy == "none"]
    # the mode is the same for all clips
    return clips if clips and footage.open(clips[0].id).whole_frames() else []


def _empty(clip: str, params: ReportParams, footage: Footage) -> Wanted:
    camera = footage.camera(clip)
    return Wanted(clip, camera, footage.zones.of(camera), params.privacy)


def _wanted(clip: TestedClip, params: ReportParams, footage: Footage) -> Wanted:
    """What is to be drawn of a test clip, independent of other clips, so that one more costs only one.

    The galleries of all clips together hold no more of it than those that it would have alone.
    """
    threshold, number = footage.calibration.threshold, params.moments
    spots = [*_anomalous([clip], threshold)[:number], *_mistakes([clip], threshold)[:number]]
    stills = {spot.frame for spot in spots}
    of_interest = bool(clip.scores.events) or bool(clip.labels)
    video = params.videos == "all" or (params.videos == "events" and of_interest)
    return replace(_empty(clip.id, params, footage), video=video, stills=tuple(sorted(stills)))


def _anomalous(clips: Sequence[TestedClip], threshold: float) -> list[Spot]:
    """The peaks of all events, the highest first; then the highest frame of each clip without an event."""
    events, others = [], []
    for clip in clips:
        for event in clip.scores.events:
            events.append(Spot(clip.id, event.peak, event.start, event.end, event.score, threshold, "event"))
        if not clip.scores.events:
            peak = int(clip.scores.scores.argmax())
            score = float(clip.scores.scores[peak])
            others.append(Spot(clip.id, peak, peak, peak, score, threshold, "highest"))
    return [spot for part in (events, others) for spot in sorted(part, key=lambda spot: -spot.score)]


def _mistakes(clips: Sequence[TestedClip], threshold: float) -> list[Spot]:
    """False alarms, the highest first, and missed labelled events, the lowest first, in turn."""
    alarms, missed = [], []
    for clip in clips:
        if clip.anomalous is None:
            continue
        events, scores = clip.scores.events, clip.scores.scores
        for event in events:
            if not clip.anomalous[event.start : event.end].any():
                alarms.append(
                    Spot(clip.id, event.peak, event.start, event.end, event.score, threshold, "false alarm")
                )
        for start, end in clip.labels:
            if not any(event.start < end and event.end > start for event in events):
                peak = start + int(scores[start:end].argmax())
                missed.append(Spot(clip.id, peak, start, end, float(scores[peak]), threshold, "missed"))
    alarms.sort(key=lambda spot: -spot.score)
    missed.sort(key=lambda spot: spot.score)
    return [spot for pair in zip_longest(alarms, missed) for spot in pair if spot is not None]


def _left_out(footage: Footage) -> list[Spot]:
    """The alarms of normal footage by calibrations that were fitted without it, the highest first."""
    evidence = footage.calibration.evidence
    alarms = () if evidence is None else evidence.alarms
    spots = [
        Spot(alarm.clip, alarm.peak, alarm.start, alarm.end, alarm.score, alarm.threshold, "left out")
        for alarm in alarms
        if alarm.clip in footage.normal
    ]
    return sorted(spots, key=lambda spot: -spot.score)


def _cameras(footage: Footage) -> dict[str, tuple[str, int]]:
    """For each camera, the frame with most regions in the second half of a clip, if possible a normal one.

    So there are people to compare heights with; and late in a clip, the background behind hidden people is
    known.
    """
    chosen: dict[str, tuple[str, int]] = {}
    rows = [*footage.normal.values(), *(clip.row for clip in footage.tested)]
    for row in rows:
        if row.camera not in chosen:
            counts = footage.open(row.clip).counts()
            late = len(counts) // 2
            chosen[row.camera] = row.clip, late + int(counts[late:].argmax())
    return dict(sorted(chosen.items()))
