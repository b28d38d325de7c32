"""The notes of a survey on footage that can be read: a line per kind, with a count and an example."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vad.footage.info import Note
from vad.footage.source_clip import SourceClip
from vad.store.manifest import Clip

SHORT = 1.0  # seconds


def lines(
    clips: Sequence[SourceClip], rows: Sequence[Clip], notes: Mapping[Path, Sequence[Note]], root: Path
) -> Iterator[str]:
    """Yields the lines about the clips of a survey.

    Args:
        clips: as a layout lists them.
        rows: of the manifest.
        notes: of each source that was read.
        root: data.root.
    """
    yield from _notes({source.relative_to(root).as_posix(): notes[source] for source in sorted(notes)})
    yield from _short(rows)
    yield from _sizes(rows)
    yield from _by_default([clip for clip in clips if clip.by_default])


def _notes(notes: Mapping[str, Sequence[Note]]) -> Iterator[str]:
    """Yields a line per kind of note.

    Args:
        notes: source -> its notes.
    """
    examples: defaultdict[str, list[str]] = defaultdict(list)
    for source, of_source in notes.items():
        for note in of_source:
            examples[note.kind].append(f"{source} ({note.detail})" if note.detail else source)
    for kind, listed in sorted(examples.items()):
        count = "1 clip," if len(listed) == 1 else f"{len(listed)} clips, for example"
        yield f"{kind}: {count} {listed[0]}"


def _short(rows: Sequence[Clip]) -> Iterator[str]:
    """Yields a line about clips that are shorter than a second."""
    short = [row for row in rows if row.end - row.first < SHORT * row.fps]
    if short:
        row, n = short[0], len(short)
        frames = row.end - row.first
        what = "1 clip is shorter than a second:"
        if n > 1:
            what = f"{n} clips are shorter than a second, for example"
        yield f"{what} {row.clip} ({frames} frames, {frames / row.fps:.2f} s)"


def _sizes(rows: Sequence[Clip]) -> Iterator[str]:
    """Yields a line per camera whose clips differ in the size of their frames."""
    sizes: defaultdict[str, dict[str, str]] = defaultdict(dict)  # camera -> size -> first clip
    for row in rows:
        sizes[row.camera].setdefault(f"{row.width}x{row.height}", row.clip)
    for camera, clip_of_size in sorted(sizes.items()):
        if len(clip_of_size) > 1:
            listed = ", ".join(f"{size} ({clip})" for size, clip in [*clip_of_size.items()][:3])
            yield (
                f"camera {camera!r}: its clips have frames of {len(clip_of_size)} sizes, {listed}; sizes of "
                "boxes are compared in pixels, so give the clips different cameras, or bring their frames to "
                "one size (extract.max_side, if they have the same shape)"
            )


def _by_default(clips: Sequence[SourceClip]) -> Iterator[str]:
    """Yields a line about clips that count as normal only because they have no row in labels.csv."""
    if clips:
        name, n = clips[0].name, len(clips)
        what = "1 clip has no row in labels.csv and counts as normal:"
        if n > 1:
            what = f"{n} clips have no row in labels.csv and count as normal, for example"
        yield f"{what} test/{name}; the row `{name},unlabelled,` marks it as not labelled"
