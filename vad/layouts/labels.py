"""Reads labels.csv: the anomalous intervals of the clips.

    clip,start,end
    hall/fall,120,185              frames [120, 185) are anomalous
    hall/walk,,                    normal
    hall/new,unlabelled,           not labelled: scored, but part of no metric

With this file, a test clip without a row and without masks counts as normal, and ingest says how many do.
Without it, only clips with masks are labelled.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vad import UserError
from vad.footage.csv_rows import combine, labelled_intervals, nfc, read_rows
from vad.footage.source_clip import SourceClip
from vad.store.intervals import Intervals
from vad.store.manifest import SPLITS


def label_clips(clips: Sequence[SourceClip], path: Path) -> list[SourceClip]:
    """Adds the intervals in `labels.csv` to the clips; the module says what a missing row means.

    Args:
        clips: without intervals, but with their masks.
        path: a CSV file with the columns clip, start, end; frames from 0, end exclusive. `clip` is the path
            below test/ or below data.root, with or without suffix. The file may be missing.

    Returns:
        The clips with their intervals.

    Raises:
        UserError: naming the line, for an unknown clip or an invalid interval, or a clip marked as unlabelled
            that has masks or other rows.
    """
    if not path.exists() and not path.is_symlink():  # a dead link is an error, not a missing file
        return list(clips)
    clip_by_name = _clip_by_name(clips)
    labels: dict[str, Intervals | None] = {}
    for where, row in read_rows(path, ("clip", "start", "end")):
        clip = clip_by_name.get(nfc(row["clip"]))
        if clip is None:
            suggestion = _suggestion(nfc(row["clip"]), clip_by_name)
            raise UserError(f"{where}: unknown clip {row['clip']!r}; {suggestion}")
        intervals = labelled_intervals(where, row)
        if intervals is None and clip.masks is not None:
            raise UserError(f"{where}: marked as unlabelled, but it has masks in {clip.masks}; remove either")
        labels[clip.id] = combine(where, labels[clip.id], intervals) if clip.id in labels else intervals
    return [_labelled(clip, labels) for clip in clips]


def _labelled(clip: SourceClip, labels: Mapping[str, Intervals | None]) -> SourceClip:
    if clip.id not in labels and clip.split == "test":
        return replace(clip, intervals=[], by_default=clip.masks is None)
    return replace(clip, intervals=labels.get(clip.id))


def _clip_by_name(clips: Sequence[SourceClip]) -> dict[str, SourceClip]:
    """All names that labels.csv may use for a clip -> the clip."""
    clip_by_name: dict[str, SourceClip] = {}
    below_root = [(f"{clip.split}/", clip) for clip in clips]
    below_test = [("", clip) for clip in clips if clip.split == "test"]
    # in this order, so that a path below the root takes precedence over the same path below test/
    for folder, clip in below_root + below_test:
        for suffix in ("", clip.source.suffix):
            clip_by_name.setdefault(nfc(f"{folder}{clip.name}{suffix}"), clip)
    return clip_by_name


def _suggestion(name: str, names: Mapping[str, SourceClip]) -> str:
    """End of the message about an unknown clip: the expected form and similar names, one for each clip."""
    close = [f"{split}/{name}" for split in SPLITS if f"{split}/{name}" in names]
    close += difflib.get_close_matches(name, names, n=9)
    similar = list({names[candidate].id: candidate for candidate in reversed(close)}.values())[::-1][:3]
    if similar:
        return f"expected its path below test/; similar: {', '.join(similar)}"
    examples = [name for name in names if name.startswith("test/")][:3]
    return f"expected its path below test/; clips are, for example: {', '.join(examples)}"
