"""The survey: opens the footage that a layout found, holds labels and masks against it, cuts val.

What was read of a file (its length, rate, picture and content hash) is remembered in a small JSON
file under the file's path, size and time of change, so that a second survey reads only new footage.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
from tqdm import tqdm

from vad import UserError
from vad.footage import decode, masks, splits
from vad.footage.source_clip import SourceClip
from vad.pipeline import closure
from vad.store import bitmasks, intervals, manifest
from vad.store.intervals import Intervals
from vad.store.manifest import Clip

Log = Callable[[str], None]


@dataclass(frozen=True)
class Footage:
    """What there is to know of a source."""

    info: decode.Info
    hash: str  # content


@dataclass(frozen=True)
class Survey:
    """What ingest writes: rows of the manifest, intervals by clip, and {clip: reason} of those left out."""

    clips: list[Clip]
    labels: dict[str, Intervals]
    skipped: dict[str, str]


def survey(
    found: Sequence[SourceClip],
    root: Path,
    masks_to: Path,
    memory: Path,
    *,
    val_fraction: float,
    on_error: Literal["fail", "skip"],
    allow_anomalous_train: bool,
    workers: int | None = None,
    log: Log = print,
) -> Survey:
    """Opens all sources below `root`, writes masks to `<masks_to>/<clip id>`, returns the rest.

    `memory` is the JSON file of what was read before. `on_error` "skip" leaves out clips whose footage
    cannot be read; wrong labels and masks always stop, since without them figures would be wrong.
    Raises UserError for these, for duplicate ids, for labelled anomalies in train or val (unless
    allowed), and for a split without clips.
    """
    if not found:
        raise UserError(f"{root}: no clips found")
    for clip in found:
        _refuse_unwritable(clip)
    splits.refuse_duplicates(found)
    footage = _open([clip.source for clip in found], memory, workers, log)
    whole, skipped = [], {}
    for clip in found:
        if isinstance(reason := footage[clip.source], str):
            if on_error == "fail":
                raise UserError(f"clip {clip.id!r}: {reason} (data.on_error: skip leaves such clips out)")
            skipped[clip.id] = reason.replace(f"{root}/", "")  # reports name no folders of this machine
            log(f"skipped {clip.id}: {reason}")
        else:
            whole.append(clip)
    for clip in whole:
        intervals.check_intervals(clip.id, clip.intervals or [], footage[clip.source].info.frames)
        _check_bounds(clip, footage[clip.source].info.frames)
    cut = splits.cut_validation(whole, val_fraction)
    rows = [_row(clip, footage[clip.source], root) for clip in cut]
    _refuse_empty_splits(rows, skipped)
    labels = _read_labels(cut, rows, masks_to, workers, log)
    if not allow_anomalous_train:
        for row in rows:
            _refuse_anomalies(row, labels.get(row.clip, []))
    log(f"{manifest.count_splits(rows)} clips" + (f", {len(skipped)} skipped" if skipped else ""))
    return Survey(rows, labels, skipped)


def _open(sources: Sequence[Path], memory: Path, workers: int | None, log: Log) -> dict[Path, Footage | str]:
    """What each source holds, or why it cannot be read."""
    remembered = _recall(memory)
    out: dict[Path, Footage | str] = {}
    todo: dict[Path, str | None] = {}  # source -> its stamp, None if it cannot be had
    for source in dict.fromkeys(sources):
        stamp = _stamp(source)
        entry = remembered.get(str(source.resolve()))
        if stamp and entry and entry["stamp"] == stamp:
            out[source] = Footage(decode.Info(**entry["info"]), entry["hash"])
        else:
            todo[source] = stamp
    log(f"{len(out) + len(todo)} sources, {len(todo)} of them to be read")
    # threads: reading, hashing and decoding all release Python's lock
    pool = joblib.Parallel(workers or joblib.cpu_count(), prefer="threads", return_as="generator")
    try:
        results = pool(joblib.delayed(_read)(source) for source in todo)
        shown = tqdm(results, "reading", len(todo), leave=False, unit="clip", disable=not sys.stderr.isatty())
        for source, result in zip(todo, shown, strict=True):
            out[source] = result
            if isinstance(result, Footage) and todo[source]:
                remembered[str(source.resolve())] = {"stamp": todo[source], **asdict(result)}
    finally:  # what was read stays known also when a later file stops the run
        if todo:
            _remember(memory, remembered)
    return out


def _read(source: Path) -> Footage | str:
    try:
        return Footage(decode.probe(source), decode.hash_source(source))
    except UserError as e:
        return str(e)


def _stamp(source: Path) -> str | None:
    """Names, sizes and times of change of the files of a source, as a digest."""
    try:
        files = decode.list_pictures(source) if source.is_dir() else [source]
        seen = [(f.name, (s := f.stat()).st_size, s.st_mtime_ns) for f in files]
    except (OSError, UserError):
        return None
    return hashlib.blake2b(repr(seen).encode(), digest_size=16).hexdigest()


def _code() -> str:
    """Digest of the code that reads footage: what an older version read is not believed."""
    files = sorted(closure.sources("vad.footage.decode"))
    return hashlib.blake2b(b"".join((closure.ROOT / f).read_bytes() for f in files)).hexdigest()


def _recall(memory: Path) -> dict[str, Any]:
    try:
        known = json.loads(memory.read_text("utf-8"))
        return known["footage"] if known["code"] == _code() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _remember(memory: Path, footage: dict[str, Any]) -> None:
    there = {path: entry for path, entry in footage.items() if os.path.exists(path)}  # noqa: PTH110
    part = memory.with_name(f"{memory.name}.{os.getpid()}.part")
    memory.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(json.dumps({"code": _code(), "footage": there}), "utf-8")
    part.replace(memory)


def _row(clip: SourceClip, footage: Footage, root: Path) -> Clip:
    first, end = clip.span(footage.info.frames)
    if end - first < 2:
        raise UserError(
            f"clip {clip.id!r}: frames [{first}, {end}) of {clip.source} are used; expected at least 2 "
            "(check first and last, or data.val_fraction if the clip was cut for validation)"
        )
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
    )


def _read_labels(
    found: Sequence[SourceClip], rows: Sequence[Clip], masks_to: Path, workers: int | None, log: Log
) -> dict[str, Intervals]:
    """Intervals of the labelled clips; writes the masks, which label the clips that have no intervals."""
    masked = [(clip, row) for clip, row in zip(found, rows, strict=True) if clip.masks is not None]
    pool = joblib.Parallel(workers or joblib.cpu_count(), prefer="threads")
    errors = pool(joblib.delayed(_convert)(clip, row, masks_to) for clip, row in masked)
    if error := next(filter(None, errors), None):
        raise UserError(error)
    labels = {row.clip: clip.intervals for clip, row in zip(found, rows, strict=True) if clip.intervals}
    for clip, row in masked:
        shown = bitmasks.intervals(bitmasks.open_masks(masks_to / row.clip))
        if not clip.intervals:
            labels[row.clip] = shown
        elif len(differing := _differing(clip.intervals, shown, row.frames)):
            log(
                f"clip {row.clip}: labels and masks disagree about {len(differing)} of {row.frames} frames; "
                f"the first, counted from 0, is frame {differing[0]}"
            )
    return {clip: intervals for clip, intervals in labels.items() if intervals}


def _convert(clip: SourceClip, row: Clip, masks_to: Path) -> str | None:
    try:
        masks.convert(masks_to / row.clip, clip.masks, row.frames, row.width, row.height)
    except UserError as e:
        return f"clip {row.clip!r}: {e}"
    return None


def _differing(one: Intervals, other: Intervals, frames: int) -> np.ndarray:
    """Numbers of the frames that only one of the two holds anomalous."""
    numbers = np.arange(frames)
    return np.flatnonzero(intervals.frame_labels(one, numbers) != intervals.frame_labels(other, numbers))


def _check_bounds(clip: SourceClip, frames: int) -> None:
    last = max(clip.first, (clip.end or 0) - 1)
    if last >= frames:
        raise UserError(
            f"clip {clip.id!r}: frames up to number {last} are to be used, but {clip.source} has {frames}, "
            f"numbered 0 to {frames - 1}"
        )


def _refuse_unwritable(clip: SourceClip) -> None:
    try:
        f"{clip.source}{clip.name}".encode()
    except UnicodeEncodeError:
        raise UserError(f"{str(clip.source)!a}: the file name is not UTF-8; rename it") from None


def _refuse_empty_splits(rows: Sequence[Clip], skipped: dict[str, str]) -> None:
    why = "".join(f"; {len(skipped)} skipped, first {c}: {reason}" for c, reason in [*skipped.items()][:1])
    for split in manifest.SPLITS:
        if not any(row.split == split for row in rows):
            hint = "; set data.val_fraction above 0, or provide some" if split == "val" and not why else ""
            raise UserError(f"no {split} clips: found {manifest.count_splits(rows)}{why}{hint}")


def _refuse_anomalies(row: Clip, intervals: Intervals) -> None:
    """Train and val must be normal in the frames that are used of them."""
    for start, end in intervals:
        if row.split != "test" and start < row.end and end > row.first:
            raise UserError(
                f"clip {row.clip!r}: frames [{start}, {end}) are labelled anomalous, but {row.split} clips "
                "must be normal; move it to test, use its normal frames alone, or set "
                "data.allow_anomalous_train: true"
            )
