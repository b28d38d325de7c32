"""Clips: the manifest that lists them, and the labels that say which of their frames are anomalous.

Frames are counted from 0 in the source (the video or picture folder as it lies on disk); intervals
are [start, end), end exclusive. Conventions of other data sets are converted in `vad.footage.layouts` and
nowhere else.
"""

import csv
import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from vad import UserError

SPLITS = ("train", "val", "test")
Intervals = list[tuple[int, int]]


@dataclass(frozen=True)
class Found:
    """A clip as a layout finds it, before anything of it is opened.

    `intervals` is None where nobody labelled the clip; an empty list says "labelled: all normal".
    `masks` is a picture folder, or an .npy or .npz file of shape [frames, height, width].
    """

    split: str
    name: str  # path below the split, without suffix: "cam1/walk 01"
    source: Path  # a video file or a folder of pictures, data.root included in the path
    camera: str = "camera"
    subject: str = ""
    first: int = 0  # first source frame that is used
    end: int | None = None  # one past the last source frame that is used; None: to the end
    part: tuple[float, float] = (0.0, 1.0)  # share of those frames: a tail cut off for validation
    intervals: Intervals | None = None
    masks: Path | None = None

    @property
    def id(self) -> str:
        """`<split>/<name>`, with every run of characters unsafe in a file name as `_`."""
        safe = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", self.name))
        return f"{self.split}/{safe}"

    def span(self, frames: int) -> tuple[int, int]:
        """[first, end) of the source frames that are used, of a source with `frames` frames."""
        end = frames if self.end is None else min(self.end, frames)
        length = max(0, end - self.first)
        return (
            self.first + round(self.part[0] * length),
            self.first + round(self.part[1] * length),
        )


@dataclass(frozen=True)
class Clip:
    """A row of the manifest: a clip whose source was opened and found whole."""

    clip: str  # the id
    split: str
    camera: str
    subject: str
    source: str  # below data.root, with forward slashes
    first: int
    end: int
    labelled: bool
    frames: int  # of the whole source
    fps: float
    width: int  # upright, in pixels of the source
    height: int
    hash: str  # content of the source


def refuse_duplicates(found: Iterable[Found]) -> None:
    """Raises UserError if two sources would get the same clip id."""
    seen: dict[str, Found] = {}
    for clip in found:
        if (other := seen.setdefault(clip.id.casefold(), clip)) is not clip:
            raise UserError(
                f"two clips would both be called {clip.id!r}: {other.source} and {clip.source}; "
                "rename one of them"
            )


def cut_validation(found: Sequence[Found], fraction: float) -> list[Found]:
    """Moves about `fraction` of the training clips to `val`, camera by camera.

    A clip goes to val if the hash of its name, as a number in [0, 1), is below `fraction`: its
    neighbours do not matter, so a new clip moves no other. Two exceptions keep both splits filled:
    a camera none of whose clips (or all of whose clips) would go gives the one with the lowest (keeps
    the one with the highest) number; a camera with a single training clip gives its tail.
    Nothing is cut where val clips exist already, or where `fraction` is 0.
    """
    if fraction == 0 or any(clip.split == "val" for clip in found):
        return list(found)
    cameras = defaultdict(list)
    for clip in found:
        if clip.split == "train":
            cameras[clip.camera].append(clip)
    chosen: set[str] = set()
    for camera in cameras.values():
        if len(camera) > 1:
            ranked = sorted(camera, key=_place)
            n = sum(_place(clip) < fraction for clip in camera)
            chosen.update(clip.id for clip in ranked[: min(max(n, 1), len(camera) - 1)])
    out = []
    for clip in found:
        if clip.id in chosen:
            out.append(replace(clip, split="val"))
        elif clip.split == "train" and len(cameras[clip.camera]) == 1:
            out.append(replace(clip, part=(0.0, 1 - fraction)))
            out.append(replace(clip, split="val", part=(1 - fraction, 1.0)))
        else:
            out.append(clip)
    return out


def _place(clip: Found) -> float:
    name = unicodedata.normalize("NFC", clip.name)  # macOS spells accents in another way
    return int(hashlib.md5(name.encode()).hexdigest()[:8], 16) / 2**32


def check_intervals(clip: str, intervals: Intervals, frames: int) -> None:
    """Raises UserError if an interval is empty, lies outside [0, frames) or overlaps another."""
    before = None
    for start, end in sorted(intervals):
        if not 0 <= start < end:
            raise UserError(
                f"clip {clip!r}: the label [{start}, {end}) is empty or negative; "
                "labels are [start, end) from frame 0, end exclusive"
            )
        if end > frames:
            raise UserError(
                f"clip {clip!r}: the label [{start}, {end}) needs {end} frames, "
                f"but the clip has {frames}; labels count from 0, end exclusive"
            )
        if before and start < before[1]:
            raise UserError(
                f"clip {clip!r}: the labels [{before[0]}, {before[1]}) and [{start}, {end}) overlap; "
                "merge them"
            )
        before = (start, end)


def frame_labels(intervals: Intervals, source_frames: np.ndarray) -> np.ndarray:
    """Which frames are anomalous: bool [T] for source frame numbers [T]."""
    anomalous = np.zeros(len(source_frames), bool)
    for start, end in intervals:
        anomalous |= (source_frames >= start) & (source_frames < end)
    return anomalous


def intervals_of(anomalous: np.ndarray) -> Intervals:
    """Maximal runs of True in a bool [T], as [start, end)."""
    edges = np.flatnonzero(np.diff(np.r_[False, anomalous, False].astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def write_manifest(path: Path, clips: Sequence[Clip]) -> None:
    """Writes one row per clip, sorted by id."""
    names = [f.name for f in fields(Clip)]
    rows = ([getattr(clip, n) for n in names] for clip in sorted(clips, key=lambda c: c.clip))
    _write_csv(path, names, rows)


def read_manifest(path: Path) -> list[Clip]:
    """Reads what `write_manifest` wrote."""
    return [
        Clip(**{f.name: _parse(row[f.name], f.type) for f in fields(Clip)})
        for row in _read_csv(path, {f.name for f in fields(Clip)})
    ]


def available(manifest: Path, frames: Path) -> list[Clip]:
    """The clips of the manifest that were extracted to the folder `frames`, i.e. not skipped there."""
    skipped = read_skipped(frames / "skipped.csv")
    return [clip for clip in read_manifest(manifest) if clip.clip not in skipped]


def write_labels(path: Path, labels: dict[str, Intervals]) -> None:
    """Writes one row per anomalous interval: clip, start, end."""
    rows = ((clip, *pair) for clip in sorted(labels) for pair in sorted(labels[clip]))
    _write_csv(path, ["clip", "start", "end"], rows)


def read_labels(path: Path) -> dict[str, Intervals]:
    """Intervals per clip; a clip without any has no key."""
    labels = defaultdict(list)
    for row in _read_csv(path, {"clip", "start", "end"}):
        labels[row["clip"]].append((int(row["start"]), int(row["end"])))
    return dict(labels)


def write_skipped(path: Path, skipped: dict[str, str]) -> None:
    """Writes the clips that were left out and why; the file exists also when there are none."""
    _write_csv(path, ["clip", "reason"], sorted(skipped.items()))


def read_skipped(path: Path) -> dict[str, str]:
    """Clip -> reason."""
    return {row["clip"]: row["reason"] for row in _read_csv(path, {"clip", "reason"})}


def count_splits(clips: Iterable[Clip]) -> str:
    """`12 train, 4 val, 6 test`, for messages."""
    n = Counter(clip.split for clip in clips)
    return ", ".join(f"{n[split]} {split}" for split in SPLITS)


def _parse(text: str, kind: type) -> object:
    return text == "True" if kind is bool else kind(text)


def _write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)


def _read_csv(path: Path, names: set[str]) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, head = list(reader), set(reader.fieldnames or [])
    except FileNotFoundError:
        raise UserError(f"{path} not found: run `dvc repro`") from None
    if not names <= head:
        raise UserError(f"{path}: columns {sorted(names)} expected, found {sorted(head)}")
    return rows
