"""UCSD Ped1 or Ped2 as published (svcl.ucsd.edu), or anything laid out like them.

    UCSDped2/                    data.root; the folder above it will do if it holds only this one
      Train/Train001/001.tif …   also .jpg, .png, .bmp
      Test/Test001/001.tif …
      Test/Test001_gt/001.bmp …  optional: masks; Ped1 has them for 10 of its 36 test clips
      Test/UCSDped2.m            optional: the labels, a line per test clip, in their order

A line reads `TestVideoFile{end+1}.gt_frame = [5:90, 140:200];`: frames from 1, both ends included. Here
they become [4, 90) and [139, 200).
"""

import re
from pathlib import Path

from vad import UserError
from vad.footage import layouts, source_clip
from vad.pipeline.params import Section
from vad.store import intervals

EXPECTED = "Train/Train001/, … and Test/Test001/, … with pictures"


class Params(Section):
    """`data.ucsd`"""


def read(root: Path, params: Params) -> list[source_clip.SourceClip]:
    """The clips below `root`. Raises UserError if it is not laid out as above."""
    root = _published(root)
    train, test = _numbered(root, "Train"), _numbered(root, "Test")
    ground_truth = _ground_truth(root / "Test")
    named = re.search(r"ped\d", (ground_truth.name if ground_truth else root.resolve().name).lower())
    camera = named.group() if named else root.resolve().name
    labels = _labels(ground_truth, test) if ground_truth else {}
    found = [source_clip.SourceClip("train", p.name, p, camera) for p in train.values()]
    for number, folder in test.items():
        masks = folder.with_name(folder.name + "_gt")
        found.append(
            source_clip.SourceClip(
                "test",
                folder.name,
                folder,
                camera,
                intervals=labels.get(number),
                masks=masks if masks.is_dir() else None,
            )
        )
    return found


def read_intervals(text: str, where: str) -> list[intervals.Intervals]:
    """Intervals [start, end) from 0 of each clip in a ground-truth file (from 1, ends included).

    Raises UserError, beginning with `where` and the line, for what is not a list of ranges.
    """
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("%")[0]  # a comment in Matlab
        if "gt_frame" not in line:
            continue
        match = re.fullmatch(r"\s*TestVideoFile\{end\s*\+\s*1\}\.gt_frame\s*=\s*\[(.*)\]\s*;?\s*", line)
        ranges = re.split(r"[,;\s]+", re.sub(r"\s*:\s*", ":", match[1]).strip(" ,;")) if match else ["?"]
        intervals = []
        for text_range in filter(None, ranges):
            parts = re.fullmatch(r"(\d+)(?::(\d+))?", text_range)
            first, last = (int(parts[1]), int(parts[2] or parts[1])) if parts else (0, 0)
            if not 1 <= first <= last:
                raise UserError(
                    f"{where} line {number}: cannot read {line.strip()!r}; expected "
                    "TestVideoFile{end+1}.gt_frame = [5:90, 140:200]; with frames from 1"
                )
            intervals.append((first - 1, last))
        out.append(intervals)
    return out


def _published(root: Path) -> Path:
    """The folder with Train and Test: the root itself, or the one folder in it that has them."""
    inside = layouts.open_root(root)
    if _fits(root):
        return root
    below = [p for p in inside if p.is_dir() and _fits(p)]
    if len(below) > 1:
        names = ", ".join(p.name for p in below)
        raise UserError(f"{root} holds several data sets ({names}): let data.root name one of them")
    if not below:
        raise layouts.mismatch(root, "ucsd", EXPECTED)
    return below[0]


def _fits(folder: Path) -> bool:
    return {"Train", "Test"} <= {p.name for p in layouts.entries(folder) if p.is_dir()}


def _numbered(root: Path, split: str) -> dict[int, Path]:
    """Clip folders by number: {1: …/Test001}."""
    found: dict[int, Path] = {}
    for path in layouts.entries(root / split):
        match = re.fullmatch(rf"{split}_?(\d+)", path.name, re.IGNORECASE)
        if match and path.is_dir() and (other := found.setdefault(int(match[1]), path)) is not path:
            raise UserError(f"{path} and {other} have the same number; expected one folder per clip")
    if not found:
        raise layouts.mismatch(root / split, "ucsd", f"{split}001/, {split}002/, …")
    return dict(sorted(found.items()))


def _ground_truth(test: Path) -> Path | None:
    """The .m file; the published data has a stale copy .m~ beside it, which is none."""
    found = [p for p in layouts.entries(test) if p.suffix == ".m" and p.is_file()]
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise UserError(f"{test}: several ground-truth files ({names}); expected one, such as UCSDped2.m")
    return found[0] if found else None


def _labels(path: Path, test: dict[int, Path]) -> dict[int, intervals.Intervals]:
    """Intervals by clip number. Raises UserError if lines and test folders do not pair up."""
    lines = read_intervals(path.read_text("latin-1"), str(path))
    if len(lines) != len(test):
        raise UserError(
            f"{path}: labels for {len(lines)} clips, but {path.parent} has {len(test)} folders Test…; "
            "expected a line for each"
        )
    if missing := sorted({*range(1, len(lines) + 1)} - test.keys()):
        raise UserError(f"{path}: line {missing[0]} belongs to Test{missing[0]:03}, which is not there")
    return dict(enumerate(lines, 1))
