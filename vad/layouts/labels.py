"""labels.csv: which frames of which clips are anomalous."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from vad import UserError
from vad.footage.csv_rows import labelled_intervals, nfc, read_rows
from vad.footage.source_clip import SourceClip
from vad.store.intervals import Intervals
from vad.store.manifest import SPLITS


def label_clips(clips: Sequence[SourceClip], path: Path) -> list[SourceClip]:
    """The clips with the intervals of `labels.csv`, if there is such a file.

    Test clips without a row are then labelled normal; without the file, nobody labelled any clip.

    Args:
        clips: without intervals.
        path: a CSV file with the columns clip, start, end; frames from 0, end exclusive. `clip` is the path
            below test/ or below the root, with or without suffix.

    Raises:
        UserError: that names the line, for a clip that is not there or an interval that is none.
    """
    if not path.exists():
        return list(clips)
    names = _names(clips)
    labels: dict[str, Intervals] = {clip.id: [] for clip in clips if clip.split == "test"}
    for where, row in read_rows(path, ("clip", "start", "end")):
        clip = names.get(nfc(row["clip"]))
        if clip is None:
            raise UserError(f"{where}: unknown clip {row['clip']!r}; {_suggestion(nfc(row['clip']), names)}")
        labels.setdefault(clip.id, []).extend(labelled_intervals(where, row))
    return [replace(clip, intervals=labels.get(clip.id)) for clip in clips]


def _names(clips: Sequence[SourceClip]) -> dict[str, SourceClip]:
    """What labels.csv may call each clip."""
    names: dict[str, SourceClip] = {}
    below_root = [(f"{clip.split}/", clip) for clip in clips]
    below_test = [("", clip) for clip in clips if clip.split == "test"]
    # in this order: a path below the root goes before the same path below test/
    for folder, clip in below_root + below_test:
        for suffix in ("", clip.source.suffix):
            names.setdefault(nfc(f"{folder}{clip.name}{suffix}"), clip)
    return names


def _suggestion(name: str, names: Collection[str]) -> str:
    """The end of the message about an unknown clip: what was expected, and names that are similar."""
    similar = [f"{split}/{name}" for split in SPLITS if f"{split}/{name}" in names]
    similar += difflib.get_close_matches(name, names, n=3)
    if similar:
        return f"expected its path below test/; similar: {', '.join(similar)}"
    examples = [name for name in names if name.startswith("test/")][:3]
    return f"expected its path below test/; clips are, for example: {', '.join(examples)}"
