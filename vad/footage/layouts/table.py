"""A CSV file that lists the clips, wherever below data.root they lie.

    root/
      table.csv                  data.table.file
      any/where/walk 01.mp4      a video file or a folder of pictures
      …

    file,split,camera,subject,start,end,first,last
    any/where/walk 01.mp4,train,hall,anna,,,,
    any/where/fall.mp4,test,hall,ben,120,185,,
    any/where/fall.mp4,test,hall,ben,300,340,,

A row per clip, or per interval where a clip has several. All frames count from 0 in the file.

file            path below data.root
split           train, val or test
camera, subject optional; may be empty
start, end      anomalous frames, end exclusive; both empty: labelled normal; both columns left out:
                nobody labelled these clips
first, last     optional: first and last frame to use, both included; empty: from the beginning, to the
                end. start and end still count from the beginning of the file
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from vad import UserError
from vad.footage import csv_rows, decode, layouts, source_clip
from vad.pipeline.params import Field, Section
from vad.store import manifest


class Params(Section):
    """`data.table`"""

    file: str = Field(min_length=1)  # path of the table below data.root


def read(root: Path, params: Params) -> list[source_clip.SourceClip]:
    """The clips that the table names. Raises UserError, naming its line, for what cannot be read."""
    layouts.open_root(root)
    path = root / _below(params.file, root, "data.table.file")
    if not path.is_file():
        raise layouts.mismatch(root, "table", f"the table {params.file} (data.table.file)")
    rows = csv_rows.read_rows(path, ("file", "split"))
    if not rows:
        raise UserError(f"{path}: no rows; expected one per clip")
    if ("start" in rows[0][1]) != ("end" in rows[0][1]):
        raise UserError(f"{path}: has one of the columns start and end; expected both or neither")
    found: dict[Path, source_clip.SourceClip] = {}
    for where, row in rows:
        clip = _clip(root, where, row)
        if (before := found.get(clip.source)) is not None:
            _refuse_difference(where, before, clip)
            if clip.intervals is not None:
                clip = replace(clip, intervals=[*before.intervals, *clip.intervals])
        found[clip.source] = clip
    return list(found.values())


def _clip(root: Path, where: str, row: dict[str, str]) -> source_clip.SourceClip:
    below, split = _below(row["file"], root, f"{where}: file"), row["split"]
    if split not in manifest.SPLITS:
        raise UserError(f"{where}: split = {split!r}; expected {', '.join(manifest.SPLITS)}")
    source = root / below
    if not source.exists():
        raise UserError(f"{where}: {source} not found (paths are relative to data.root = {str(root)!r})")
    first, last = csv_rows.whole(where, row, "first"), csv_rows.whole(where, row, "last")
    if first is not None and last is not None and first > last:
        raise UserError(f"{where}: first = {first}, last = {last}; expected first <= last, both included")
    is_video = below.suffix.lower() in decode.VIDEOS and not source.is_dir()
    return source_clip.SourceClip(
        split,
        str(below.with_suffix("") if is_video else below),
        source,
        row.get("camera") or "camera",
        row.get("subject", ""),
        first or 0,
        None if last is None else last + 1,
        intervals=csv_rows.interval(where, row) if "start" in row else None,
    )


def _below(file: str, root: Path, what: str) -> PurePosixPath:
    """A relative path. Raises UserError for one that leads out of the root, which alone DVC watches."""
    path = PurePosixPath(file.replace("\\", "/"))
    if path == PurePosixPath() or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise UserError(f"{what} = {file!r}; expected a path below data.root = {str(root)!r}")
    return path


def _refuse_difference(where: str, before: source_clip.SourceClip, clip: source_clip.SourceClip) -> None:
    """Raises UserError if two rows of one file say different things about it."""
    for field in ("split", "camera", "subject", "first", "end"):
        if getattr(before, field) != getattr(clip, field):
            column = "last" if field == "end" else field
            raise UserError(
                f"{where}: {column} of {clip.source.name} differs from that in an earlier row; rows of one "
                "file differ in start and end alone"
            )
