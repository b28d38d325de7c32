"""The layout `table`: a CSV file lists the clips, which can be anywhere below data.root.

    root/
      table.csv                  data.table.file
      any/where/walk 01.mp4      a video file or a folder of pictures
      …

    file,split,camera,subject,start,end,first,last
    any/where/walk 01.mp4,train,hall,anna,,,,
    any/where/fall.mp4,test,hall,ben,120,185,,
    any/where/fall.mp4,test,hall,ben,300,340,,

There is a row per clip, or per interval if a clip has several. All frame numbers count from 0 at the
beginning of the file.

file            path below data.root
split           train, val or test
camera, subject optional; may be empty
start, end      anomalous frames, end exclusive; both empty: labelled normal; `unlabelled` as start, without
                an end: not labelled; without these two columns, no clip is labelled
first, last     optional: first and last frame to use, both inclusive; empty for the beginning and the end of
                the file. start and end count from the beginning of the file nevertheless
"""

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from vad import UserError
from vad.footage.csv_rows import combine, frame_number, has_columns, labelled_intervals, read_rows
from vad.footage.source_clip import SourceClip
from vad.footage.video import VIDEOS
from vad.layouts.base import LAYOUTS, Layout
from vad.layouts.tree import open_root
from vad.pipeline.params import Field, Section
from vad.store.manifest import SPLITS

REQUIRED = ("file", "split")  # columns of the table


@LAYOUTS.register
class Table(Layout):
    """Clips listed in a CSV file."""

    class Params(Section):
        """`data.table`"""

        file: str = Field("table.csv", min_length=1, description="the table, a path below the root")

    params: Params

    def read(self, root: Path) -> list[SourceClip]:
        """Lists the clips of the table; a UserError about a row names its line."""
        open_root(root)
        path = root / _below(self.params.file, root, "data.table.file")
        if not path.is_file():
            raise self.mismatch(root, f"the table {self.params.file} (data.table.file)")
        rows = read_rows(path, REQUIRED)
        if not rows:
            raise UserError(f"{path}: no rows; expected one per clip")
        if ("start" in rows[0][1]) != ("end" in rows[0][1]):
            raise UserError(f"{path}: has only one of the columns start and end; expected both or neither")
        return _clips(root, rows)

    def auxiliary_files(self) -> tuple[str, ...]:
        return (glob.escape(str(_below(self.params.file, Path(), "data.table.file"))),)

    @classmethod
    def advice(cls, root: Path) -> str | None:
        for path in root.glob("*.csv"):
            if path.is_file() and has_columns(path, REQUIRED):
                return f"data.format: table with data.table.file: {path.name}"
        return None


def _clips(root: Path, rows: Sequence[tuple[str, dict[str, str]]]) -> list[SourceClip]:
    """Makes a clip per file, with the intervals of all its rows."""
    clips: dict[Path, SourceClip] = {}
    for where, row in rows:
        clip = _clip(root, where, row)
        if (earlier := clips.get(clip.source)) is not None:
            _refuse_difference(where, earlier, clip)
            clip = replace(clip, intervals=combine(where, earlier.intervals, clip.intervals))
        clips[clip.source] = clip
    return list(clips.values())


def _clip(root: Path, where: str, row: dict[str, str]) -> SourceClip:
    below, split = _below(row["file"], root, f"{where}: file"), row["split"]
    if split not in SPLITS:
        raise UserError(f"{where}: split = {split!r}; expected {', '.join(SPLITS)}")
    source = root / below
    if not source.exists():
        raise UserError(f"{where}: {source} not found (paths are relative to data.root = {str(root)!r})")
    # links to folders that are not hidden were refused before; a table may also name hidden ones
    if (source.is_dir() and source.is_symlink()) or any((root / p).is_symlink() for p in below.parents[:-1]):
        raise UserError(f"{where}: {source} lies behind a link to a folder, which DVC does not follow")
    if not source.is_file() and not source.is_dir():
        raise UserError(f"{where}: {source} is neither a file nor a folder; expected a video or pictures")
    first, last = frame_number(where, row, "first"), frame_number(where, row, "last")
    if first is not None and last is not None and first > last:
        raise UserError(f"{where}: first = {first}, last = {last}; expected first <= last, both included")
    is_video = below.suffix.lower() in VIDEOS and not source.is_dir()
    return SourceClip(
        split=split,
        name=str(below.with_suffix("") if is_video else below),
        source=source,
        camera=row.get("camera") or "camera",
        subject=row.get("subject", ""),
        first=first or 0,
        end=None if last is None else last + 1,
        intervals=labelled_intervals(where, row) if "start" in row else None,
    )


def _below(file: str, root: Path, what: str) -> PurePosixPath:
    """Reads a path relative to the root; raises UserError if it leads out of it.

    DVC tracks only data.root, so a change of a file outside it would go unnoticed.
    """
    path = PurePosixPath(file.replace("\\", "/"))
    if path == PurePosixPath() or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise UserError(f"{what} = {file!r}; expected a path below data.root = {str(root)!r}")
    return path


def _refuse_difference(where: str, earlier: SourceClip, clip: SourceClip) -> None:
    """Raises UserError if two rows of the same file contradict each other."""
    for field in ("split", "camera", "subject", "first", "end"):
        if getattr(earlier, field) != getattr(clip, field):
            column = "last" if field == "end" else field
            raise UserError(
                f"{where}: {column} of {clip.source.name} differs from an earlier row; rows of the same file "
                "may differ only in start and end"
            )
