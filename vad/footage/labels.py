"""labels.csv: which frames of which clips are anomalous."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vad import UserError
from vad.footage.csv_rows import interval, nfc, read_rows
from vad.footage.source_clip import SourceClip
from vad.store.manifest import SPLITS


def label(found: Sequence[SourceClip], path: Path) -> list[SourceClip]:
    """Applies `labels.csv` (clip, start, end; frames from 0, end exclusive), if there is one.

    `clip` is the path below test/ or below the root, with or without suffix. Test clips without a row
    are then labelled normal. Raises UserError for a clip that is not there, with similar names.
    """
    if not path.exists():
        return list(found)
    known: dict[str, SourceClip] = {}
    for clip in found:
        for name in (clip.name, clip.name + clip.source.suffix):
            known.setdefault(nfc(f"{clip.split}/{name}"), clip)
    for clip in found:
        if clip.split == "test":
            for name in (clip.name, clip.name + clip.source.suffix):
                known.setdefault(nfc(name), clip)
    labels = {clip.id: [] for clip in found if clip.split == "test"}
    for where, row in read_rows(path, ("clip", "start", "end")):
        key = nfc(row["clip"])
        if key not in known:
            near = [f"{s}/{key}" for s in SPLITS if f"{s}/{key}" in known]
            near += difflib.get_close_matches(key, known, n=3)
            what, names = (
                ("similar", near)
                if near
                else ("clips are, for example", [k for k in known if k.startswith("test/")][:3])
            )
            raise UserError(
                f"{where}: unknown clip {row['clip']!r}; expected its path below test/; "
                f"{what}: {', '.join(names)}"
            )
        labels.setdefault(known[key].id, []).extend(interval(where, row))
    return [replace(clip, intervals=labels.get(clip.id)) for clip in found]
