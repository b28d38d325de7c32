"""Fills the contents of the page from the files of the stages."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad.evaluation.params import EvaluateParams
from vad.overlay.overlay import Overlay
from vad.overlay.peak import EVERYWHERE, area_of, peak_box
from vad.report import contents as page
from vad.report import curves, figures, sentences
from vad.report.footage import Footage, TestedClip
from vad.report.params import ReportParams
from vad.report.plan import Plan, Spot
from vad.report.scripts import safe_name
from vad.report.stored_clip import StoredClip, session_info
from vad.report.trace import trace
from vad.scoring.events import branch_shares
from vad.store.cards import read_card, read_json
from vad.store.manifest import read_skipped

NOT_GIVEN = "(not given)"  # stands for an empty name


def gather(
    folder: Path, footage: Footage, plan: Plan, evaluate: EvaluateParams, params: ReportParams
) -> page.Contents:
    """All that the page shows.

    Args:
        folder: of the page, with the pictures and videos that were drawn by the plan.
        footage: test clips and normal clips.
        plan: what was drawn.
        evaluate, params: the sections `evaluate` and `report`.
    """
    sources = footage.sources
    result = read_json(sources.evaluation / "metrics.json")
    check = read_json(sources.validation)
    labelled = any(clip.anomalous is not None for clip in footage.tested)
    tables = _Tables(sources.evaluation)
    clips = [_clip(folder, clip, footage, tables, plan) for clip in footage.tested]
    advice, notes = sentences.advice(footage, sources.evaluation)
    moments = _Moments(folder, footage, clips)
    plots = sources.evaluation / "plots"
    return page.Contents(
        summary=sentences.summary(footage, result),
        warning=sentences.warning(footage.calibration.evidence),
        advice=advice,
        threshold=footage.calibration.threshold,
        branches=footage.calibration.branches,
        labelled=labelled,
        privacy=params.privacy,
        clips=clips,
        anomalous=moments.of(plan.anomalous),
        mistakes=moments.of(plan.mistakes),
        left_out=moments.of(plan.left_out),
        figures=figures.figures(result, check, labelled),
        scorers=figures.scorers(result),
        check=figures.check_table(check),
        roc=curves.roc(plots / "roc.csv"),
        precision_recall=curves.precision_recall(plots / "pr.csv"),
        losses=curves.losses(sources.history),
        point=curves.point(plots),
        histogram=curves.histogram(plots / "histogram.csv"),
        cameras=_cameras(folder, footage, plan),
        by_camera=tables.by_camera(footage),
        by_person=tables.by_person(footage),
        skipped=sorted(
            {clip: why for path in sources.skipped for clip, why in read_skipped(path).items()}.items()
        ),
        trace=trace(footage, evaluate, params),
        notes=notes,
    )


def media(folder: Path, clip: str, suffix: str) -> str | None:
    """Path of a file of a clip, relative to the folder of the page; None if there is none.

    Args:
        folder: of the page.
        clip: id of the clip.
        suffix: with a dot.
    """
    path = f"media/{safe_name(clip)}{suffix}"
    return path if (folder / path).is_file() else None


class _Tables:
    """Tables of the stage `evaluate`."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.clips = {row["clip"]: row for row in self._rows("clips")}
        self.areas = {(row["clip"], row["start"]): row["area"] for row in self._rows("events")}

    def _rows(self, name: str) -> list[dict[str, Any]]:
        names = ("clip", "camera", "subject", "from", "to", "area")  # a clip may be called 007 or NA
        numbers: dict[str, Any] = {"anomalous_frames": "Int64"}
        table = pd.read_csv(
            self._folder / f"{name}.csv",
            keep_default_na=False,
            na_values={"auc": [""], "anomalous_frames": [""]},
            dtype=dict.fromkeys(names, "str") | numbers,
        )
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        return [{str(key): value for key, value in row.items()} for row in rows]

    def by_camera(self, footage: Footage) -> list[page.Group]:
        """Rates per camera; empty if there is only one."""
        clips = _counted(footage.tested)
        events: defaultdict[str, int] = defaultdict(int)
        seconds: defaultdict[str, float] = defaultdict(float)
        for clip in clips:
            name = clip.row.camera or NOT_GIVEN
            events[name] += len(clip.scores.events)
            seconds[name] += clip.duration
        rows = self._rows("cameras")
        groups = [_group(row, row["camera"], events[row["camera"]], seconds[row["camera"]]) for row in rows]
        return groups if len(groups) > 1 else []

    def by_person(self, footage: Footage) -> list[page.Group]:
        """Rates per person; empty if there is only one, or none is given."""
        clips = _counted(footage.tested)
        per_frame = sum(clip.duration for clip in clips) / sum(len(clip.scores.scores) for clip in clips)
        rows = self._rows("subjects")
        groups = [_group(row, row["subject"], None, row["frames"] * per_frame) for row in rows]
        return groups if len(groups) > 1 else []


def _counted(clips: Sequence[TestedClip]) -> list[TestedClip]:
    """The clips that the tables of groups are about: those that are labelled, or all if none is."""
    return [clip for clip in clips if clip.anomalous is not None] or list(clips)


def _group(row: Mapping[str, Any], name: str, events: int | None, seconds: float) -> page.Group:
    return page.Group(
        name=name,
        clips=row["clips"],
        frames=row["frames"],
        anomalous_frames=row["anomalous_frames"],
        auc=row["auc"],
        alarmed=row["anomaly_rate"],
        highest=row["score_max"],
        events=events,
        hours=seconds / 3600,
    )


def _clip(folder: Path, clip: TestedClip, footage: Footage, tables: _Tables, plan: Plan) -> page.Clip:
    scores, row = clip.scores.scores, tables.clips[clip.name]
    peak = int(scores.argmax())
    camera = clip.row.camera
    shape = read_card(footage.sources.frames / clip.id)["shape"]
    info = session_info(
        clip.id,
        camera,
        clip.scores.fps,
        (shape[1], shape[2]),
        1,
        footage.calibration,
        footage.zones.of(camera),
    )
    parts = np.array_split(scores, min(len(scores), page.CURVE))
    data = media(folder, clip.id, ".js")
    assert data is not None
    events = [
        page.Event(
            number=number,
            start=clip.time(event.start),
            end=clip.end(event.end),
            peak=clip.time(event.peak),
            frame=int(clip.scores.source_frames[event.peak]),
            score=event.score,
            where=tables.areas.get((clip.name, int(clip.scores.source_frames[event.start])), ""),
            shares=dict(event.shares),
            labelled=_labelled(clip, event.start, event.end),
            picture=media(folder, clip.id, f".{event.peak}.jpg"),
        )
        for number, event in enumerate(clip.scores.events, 1)
    ]
    return page.Clip(
        id=clip.id,
        name=clip.name,
        camera=camera,
        subject=row["subject"],
        frames=len(scores),
        fps=clip.scores.fps,
        seconds=clip.duration,
        highest=float(scores[peak]),
        peak=clip.time(peak),
        alarmed=float((scores > footage.calibration.threshold).mean()),
        auc=row["auc"],
        events=events,
        labels=None if clip.anomalous is None else [(clip.time(a), clip.end(b)) for a, b in clip.labels],
        curve=[float(f"{part.max():.4g}") for part in parts],
        data=data,
        video=media(folder, clip.id, ".mp4"),
        reconstruction=_reconstruction(folder, clip.id),
        size=Overlay(info, strip=False).size,
    )


def _labelled(clip: TestedClip, start: int, end: int) -> bool | None:
    return None if clip.anomalous is None else bool(clip.anomalous[start:end].any())


def _reconstruction(folder: Path, clip: str) -> str | None:
    path = f"reconstruction/{safe_name(clip)}.mp4"
    return path if (folder / path).is_file() else None


class _Moments:
    """Pictures of galleries, with what there is to say about them."""

    def __init__(self, folder: Path, footage: Footage, clips: Sequence[page.Clip]):
        self._folder, self._footage = folder, footage
        self._tested = {clip.id: clip for clip in footage.tested}
        # by clip and source frame of the peak
        self._events = {(clip.id, event.frame): event for clip in clips for event in clip.events}
        self._open: dict[str, StoredClip] = {}

    def of(self, spots: Sequence[Spot]) -> list[page.Moment]:
        """The pictures of a gallery.

        Args:
            spots: its frames.
        """
        return [self._moment(spot) for spot in spots]

    def _moment(self, spot: Spot) -> page.Moment:
        if spot.clip not in self._open:
            self._open[spot.clip] = self._footage.open(spot.clip)
        stored = self._open[spot.clip]
        frame = int(stored.numbers[spot.frame])
        event = self._events.get((spot.clip, frame))
        tested = self._tested.get(spot.clip)
        branches = stored.branch_scores if tested is None else tested.scores.branches
        alone = {name: float(values[spot.frame]) for name, values in branches.items()}
        start, end = float(stored.seconds[spot.frame]), float(stored.seconds[spot.frame])
        if spot.end > spot.start:
            start = float(stored.seconds[spot.start])
            end = float(stored.seconds[spot.end - 1]) + 1 / stored.info.fps
        return page.Moment(
            clip=spot.clip,
            name=spot.clip.partition("/")[2],
            seconds=float(stored.seconds[spot.frame]),
            frame=frame,
            score=spot.score,
            threshold=spot.threshold,
            where=event.where if event is not None else self._where(stored, spot),
            shares=branch_shares(alone, self._footage.calibration.branches),
            picture=media(self._folder, spot.clip, f".{spot.frame}.jpg"),
            kind=spot.kind,
            start=start,
            end=end,
        )

    def _where(self, stored: StoredClip, spot: Spot) -> str:
        """The area of the picture that is most anomalous; "" if that is all of it."""
        scored = next(stored.each({spot.frame: spot.score}, spot.frame, spot.frame + 1))
        area = area_of(peak_box(stored.info, scored.result), stored.info.picture_size)
        return "" if area == EVERYWHERE else area


def _cameras(folder: Path, footage: Footage, plan: Plan) -> list[page.Camera]:
    cameras = []
    for camera, (clip, frame) in plan.cameras.items():
        shape = read_card(footage.sources.frames / clip)["shape"]
        height = footage.body_heights.of(camera, shape[1])
        cameras.append(
            page.Camera(
                name=camera or NOT_GIVEN,
                size=(shape[1], shape[2]),
                height_far=height.far,
                height_near=height.near,
                least=height.least,
                origin=height.origin,
                zones=[(zone.kind, zone.name, zone.polygon) for zone in footage.zones.of(camera).zones],
                picture=media(folder, clip, f".{frame}.plain.jpg"),
            )
        )
    return cameras
