"""The survey: opens the footage that a layout lists, checks labels and masks, and assigns folds or splits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import joblib
import numpy as np

from vad import UserError
from vad.footage import masks, notes, splits
from vad.footage.folds import assign_folds
from vad.footage.pictures import DEFAULT_FORMAT, PictureFormat
from vad.footage.probe_cache import Footage, probe_all
from vad.footage.source_clip import SourceClip
from vad.store import bitmasks, intervals, manifest
from vad.store.intervals import Intervals
from vad.store.manifest import Clip

Log = Callable[[str], None]


@dataclass(frozen=True)
class Survey:
    """Result of the survey.

    Attributes:
        clips: rows of the manifest.
        labels: clip id -> anomalous intervals; only clips with anomalies.
        skipped: clip id -> reason why the clip is left out.
    """

    clips: list[Clip]
    labels: dict[str, Intervals]
    skipped: dict[str, str]


def survey(
    clips: Sequence[SourceClip],
    root: Path,
    masks_to: Path,
    memory: Path,
    *,
    val_fraction: float,
    folds: int = 1,
    on_error: Literal["fail", "skip"],
    allow_anomalous_train: bool,
    pictures: PictureFormat = DEFAULT_FORMAT,
    workers: int | None = None,
    log: Log = print,
) -> Survey:
    """Opens all sources and writes the masks.

    Args:
        clips: as a layout lists them.
        root: folder with the footage.
        masks_to: folder for masks; those of a clip go to <masks_to>/<clip id>.
        memory: JSON file with results of earlier surveys (`probe_cache`).
        val_fraction: share of the training clips to hold out, 0 to 1, if there are no validation clips.
        folds: number of parts that the training clips are dealt out to; above 1 none are held out. If the
            footage has validation clips, it counts as 1, and the log says so.
        on_error: "skip" leaves out clips whose footage cannot be read or has fewer than two frames in use.
            Wrong labels and masks are always errors, since ignoring them would make the metrics wrong.
        allow_anomalous_train: accept labelled anomalies in train and val.
        pictures: frame rate and bits of folders of pictures.
        workers: number of reading threads; None for as many as cores.
        log: receives lines for the user.

    Raises:
        UserError: for footage, labels or masks that cannot be read or do not fit together, for duplicate
            ids, for labelled anomalies in train or val (unless allowed), for a split without clips, and for
            too little normal footage for the folds.
    """
    if not clips:
        raise UserError(f"{root}: no clips found")
    for clip in clips:
        _refuse_unwritable(clip)
    splits.refuse_duplicates(clips)
    footage, faults = probe_all([clip.source for clip in clips], memory, pictures, workers, log)
    skipped: dict[str, str] = {}

    def is_skipped(clip: SourceClip, fault: str | None) -> bool:
        if fault and on_error == "fail":
            raise UserError(f"clip {clip.id!r}: {fault} (data.on_error: skip leaves such clips out)")
        if fault:
            # the reason goes into a report, which must not contain absolute paths of this machine
            skipped[clip.id] = fault.replace(f"{root}/", "")
            log(f"skipped {clip.id}: {fault}")
        return bool(fault)

    readable = [clip for clip in clips if not is_skipped(clip, faults.get(clip.source))]
    for clip in readable:
        frames = footage[clip.source].info.frames
        intervals.check_intervals(clip.id, clip.intervals or [], frames)
        _check_bounds(clip, frames)
    if folds > 1 and any(clip.split == "val" for clip in readable):
        log(f"the footage has validation clips of its own, so data.folds is 1, not {folds}")
        folds = 1
    # before and after clips are cut, so that a clip that is too short is not the one to be cut
    for divide in (False, True):
        if divide and folds > 1:
            of_sources = {source: read.info for source, read in footage.items()}
            readable = assign_folds(readable, folds, of_sources, log)
            splits.refuse_duplicates(readable)  # stretches have names of their own
        elif divide:
            readable = splits.cut_validation(readable, val_fraction)
        readable = [c for c in readable if not is_skipped(c, _too_short(c, footage[c.source].info.frames))]
    rows = [_row(clip, footage[clip.source], root) for clip in readable]
    _refuse_empty_splits(rows, skipped)
    labels = _read_labels(readable, rows, masks_to, workers, log)
    if not allow_anomalous_train:
        for row in rows:
            _refuse_anomalies(row, labels.get(row.clip, []))
    noted = {source: read.info.notes for source, read in footage.items()}
    for line in notes.lines(readable, rows, noted, root):
        log(line)
    log(f"{manifest.count_splits(rows)} clips" + (f", {len(skipped)} skipped" if skipped else ""))
    return Survey(rows, labels, skipped)


def _row(clip: SourceClip, footage: Footage, root: Path) -> Clip:
    first, end = clip.span(footage.info.frames)
    return Clip(
        clip=clip.id,
        split=clip.split,
        camera=clip.camera,
        subject=clip.subject,
        source=clip.source.relative_to(root).as_posix(),
        first=first,
        end=end,
        labelled=clip.intervals is not None or clip.masks is not None,
        frames=footage.info.frames,
        fps=footage.info.fps,
        width=footage.info.width,
        height=footage.info.height,
        hash=footage.hash,
        fold=clip.fold,
    )


def _read_labels(
    clips: Sequence[SourceClip], rows: Sequence[Clip], masks_to: Path, workers: int | None, log: Log
) -> dict[str, Intervals]:
    """Writes the masks; returns clip id -> intervals, from masks where a clip has no other labels."""
    masked = [(clip, row) for clip, row in zip(clips, rows, strict=True) if clip.masks is not None]
    pool = joblib.Parallel(workers or joblib.cpu_count(), prefer="threads")
    errors = pool(joblib.delayed(_convert)(clip.masks, row, masks_to) for clip, row in masked)
    if error := next(filter(None, errors), None):
        raise UserError(error)
    labels = {row.clip: clip.intervals for clip, row in zip(clips, rows, strict=True) if clip.intervals}
    for clip, row in masked:
        marked = bitmasks.marked_intervals(bitmasks.open_masks(masks_to / row.clip))
        if not clip.intervals:
            labels[row.clip] = marked
        elif len(differing := _differing(clip.intervals, marked, row.frames)):
            log(
                f"clip {row.clip}: labels and masks disagree about {len(differing)} of {row.frames} frames; "
                f"the first, counted from 0, is frame {differing[0]}"
            )
    return {clip: intervals for clip, intervals in labels.items() if intervals}


def _convert(source: Path, row: Clip, masks_to: Path) -> str | None:
    """Writes the masks of a clip; returns an error message, or None."""
    try:
        masks.convert(masks_to / row.clip, source, row.frames, row.width, row.height)
    except UserError as e:
        return f"clip {row.clip!r}: {e}"
    return None


def _differing(labels: Intervals, marked: Intervals, frames: int) -> np.ndarray:
    """Numbers of the frames about which labels and masks disagree."""
    numbers = np.arange(frames)
    by_labels, by_masks = intervals.frame_labels(labels, numbers), intervals.frame_labels(marked, numbers)
    return np.flatnonzero(by_labels != by_masks)


def _check_bounds(clip: SourceClip, frames: int) -> None:
    last = max(clip.first, (clip.end or 0) - 1)
    if last >= frames:
        raise UserError(
            f"clip {clip.id!r}: frames up to number {last} are to be used, but {clip.source} has {frames}, "
            f"numbered 0 to {frames - 1}"
        )


def _too_short(clip: SourceClip, frames: int) -> str | None:
    """The fault of a clip with fewer than two frames."""
    first, end = clip.span(frames)
    if end - first >= 2:
        return None
    return (
        f"frames [{first}, {end}) of {clip.source} are used; expected at least 2 (check first and last, or "
        "data.val_fraction if the clip was cut for validation)"
    )


def _refuse_unwritable(clip: SourceClip) -> None:
    try:
        f"{clip.source}{clip.name}".encode()
    except UnicodeEncodeError:
        raise UserError(f"{str(clip.source)!a}: the file name is not UTF-8; rename it") from None


def _refuse_empty_splits(rows: Sequence[Clip], skipped: Mapping[str, str]) -> None:
    why = "".join(f"; {len(skipped)} skipped, first {c}: {reason}" for c, reason in [*skipped.items()][:1])
    for split in manifest.needed_splits(rows):
        if not any(row.split == split for row in rows):
            hint = "; set data.val_fraction above 0, or provide some" if split == "val" and not why else ""
            raise UserError(f"no {split} clips: found {manifest.count_splits(rows)}{why}{hint}")


def _refuse_anomalies(row: Clip, intervals: Intervals) -> None:
    """Refuses anomalies among the frames used of a training or validation clip."""
    for start, end in intervals:
        if row.split != "test" and start < row.end and end > row.first:
            raise UserError(
                f"clip {row.clip!r}: frames [{start}, {end}) are labelled anomalous, but {row.split} clips "
                "must be normal; move it to test, use its normal frames alone, or set "
                "data.allow_anomalous_train: true"
            )
