"""The layout `ucsd`: UCSD Ped1 and Ped2 as published (svcl.ucsd.edu), and data sets in the same form.

    UCSDped2/                    data.root, or the only data set in data.root
      Train/Train001/001.tif …   also .jpg, .png, .bmp
      Test/Test001/001.tif …
      Test/Test001_gt/001.bmp …  optional: masks; Ped1 has them for 10 of its 36 test clips
      Test/UCSDped2.m            optional: the labels, a line per test clip, in the order of the clips

A line has the form `TestVideoFile{end+1}.gt_frame = [5:90, 140:200];`. Its frames count from 1 and both ends
are included, so this line becomes [4, 90) and [139, 200).
"""

import re
from collections.abc import Mapping
from pathlib import Path

from vad import UserError
from vad.footage.source_clip import SourceClip
from vad.layouts.base import LAYOUTS, Layout
from vad.layouts.tree import entries, open_root
from vad.pipeline.params import Section
from vad.store.intervals import Intervals

EXPECTED = "Train/Train001/, … and Test/Test001/, … with pictures"
SPLIT_FOLDERS = {"Train", "Test"}


@LAYOUTS.register
class Ucsd(Layout):
    """UCSD Ped1 and Ped2 as published."""

    picture_fps = 10.0  # as they were filmed

    class Params(Section):
        """`data.ucsd`: no parameters."""

    def read(self, root: Path) -> list[SourceClip]:
        """Lists a clip per numbered folder, with the labels and masks of the test clips."""
        root = self._data_set(root)
        train, test = self._numbered(root, "Train"), self._numbered(root, "Test")
        ground_truth = _ground_truth(root / "Test")
        # ped1 or ped2: the ground-truth file keeps this name even where the folder was renamed
        match = re.search(r"ped\d", (ground_truth.name if ground_truth else root.resolve().name).lower())
        camera = match.group() if match else root.resolve().name
        labels = _labels(ground_truth, test) if ground_truth else {}
        clips = [SourceClip("train", path.name, path, camera) for path in train.values()]
        for number, path in test.items():
            masks = path.with_name(path.name + "_gt")
            clips.append(
                SourceClip(
                    "test",
                    path.name,
                    path,
                    camera,
                    intervals=labels.get(number),
                    masks=masks if masks.is_dir() else None,
                )
            )
        return clips

    def auxiliary_files(self) -> tuple[str, ...]:
        return ("*Test/*.m", "*Test/*.m~")

    @classmethod
    def advice(cls, root: Path) -> str | None:
        return "data.format: ucsd" if _has_splits(root) else None

    def _data_set(self, root: Path) -> Path:
        """The folder with Train and Test: the root itself, or the only such folder in it."""
        content = open_root(root)
        if _has_splits(root):
            return root
        below = [path for path in content if path.is_dir() and _has_splits(path)]
        if len(below) > 1:
            names = ", ".join(path.name for path in below)
            raise UserError(f"{root} holds several data sets ({names}): let data.root name one of them")
        if not below:
            raise self.mismatch(root, EXPECTED)
        return below[0]

    def _numbered(self, root: Path, split: str) -> dict[int, Path]:
        """Clip folders by number: {1: …/Test001}."""
        folders: dict[int, Path] = {}
        for path in entries(root / split):
            match = re.fullmatch(rf"{split}_?(\d+)", path.name, re.IGNORECASE)
            if match and path.is_dir() and (other := folders.setdefault(int(match[1]), path)) is not path:
                raise UserError(f"{path} and {other} have the same number; expected one folder per clip")
        if not folders:
            raise self.mismatch(root / split, f"{split}001/, {split}002/, …")
        return dict(sorted(folders.items()))


def _has_splits(folder: Path) -> bool:
    return {path.name for path in entries(folder) if path.is_dir()} >= SPLIT_FOLDERS


def _ground_truth(test: Path) -> Path | None:
    """The .m file, or None; the outdated copy .m~ in the published data sets is ignored."""
    files = [path for path in entries(test) if path.suffix == ".m" and path.is_file()]
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise UserError(f"{test}: several ground-truth files ({names}); expected one, such as UCSDped2.m")
    return files[0] if files else None


def _labels(path: Path, test: Mapping[int, Path]) -> dict[int, Intervals]:
    """Clip number -> intervals; raises UserError unless there is a line per test folder."""
    lines = read_intervals(path.read_text("latin-1"), str(path))
    if len(lines) != len(test):
        raise UserError(
            f"{path}: labels for {len(lines)} clips, but {path.parent} has {len(test)} folders Test…; "
            "expected a line for each"
        )
    if missing := sorted({*range(1, len(lines) + 1)} - test.keys()):
        raise UserError(f"{path}: line {missing[0]} belongs to Test{missing[0]:03}, which is not there")
    return dict(enumerate(lines, 1))


def read_intervals(text: str, where: str) -> list[Intervals]:
    """Reads a ground-truth file.

    Args:
        text: content of the file, whose ranges count from 1 and include both ends.
        where: name of the file, for messages.

    Returns:
        The intervals [start, end) of each clip, from 0.

    Raises:
        UserError: naming the line, if it is not a list of ranges.
    """
    clips = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("%")[0]  # Matlab comments begin with %
        if "gt_frame" not in line:
            continue
        match = re.fullmatch(r"\s*TestVideoFile\{end\s*\+\s*1\}\.gt_frame\s*=\s*\[(.*)\]\s*;?\s*", line)
        # "?" stands for a line in another form: it is no range either, so the error below covers both
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
            intervals.append((first - 1, last))  # from 1, inclusive -> from 0, end exclusive
        clips.append(intervals)
    return clips
