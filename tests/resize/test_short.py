"""Clips that are shorter than a window: refused or left out, in `resize` and all stages after it."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import project as tiny
from tests.project import Project, computed, ran, restored
from tests.windows.tensors import numbered, write_frames
from vad import UserError
from vad.footage.encode import encode
from vad.resize.short import skip_short
from vad.store.manifest import Clip
from vad.windows.spec import WindowParams

KEY = "model.unet.window"


def extracted(folder: Path, lengths: dict[str, int]) -> list[Clip]:
    """Clips whose frames lie in a folder."""
    source = {"camera": "a", "subject": "", "source": "a.mp4", "first": 0, "end": 9, "labelled": False}
    size = {"frames": 9, "fps": 10.0, "width": 8, "height": 8, "hash": "h"}
    for clip, length in lengths.items():
        write_frames(folder / clip, numbered(length))
    return [Clip(clip=clip, split=clip.partition("/")[0], **source, **size) for clip in lengths]


@pytest.mark.parametrize(("interval", "position"), [(0.0, "middle"), (0.7, "last")])
def test_a_clip_needs_as_many_frames_as_a_window_has(tmp_path, interval, position):
    """Whatever lies between them: at the ends of a clip frames are repeated."""
    lengths = {"train/a": 5, "train/b": 4, "val/c": 6, "test/d": 50, "test/e": 1, "test/f": 2}
    window = WindowParams(frames=5, frame_interval=interval, position=position)
    clips = extracted(tmp_path, lengths)
    enough, short = skip_short(clips, tmp_path, window, KEY, "skip")
    assert [clip.clip for clip in enough] == ["train/a", "val/c", "test/d"]
    assert short == {
        "train/b": "has 4 frames, fewer than the 5 of a window (model.unet.window.frames)",
        "test/e": "has 1 frame, fewer than the 5 of a window (model.unet.window.frames)",
        "test/f": "has 2 frames, fewer than the 5 of a window (model.unet.window.frames)",
    }
    with pytest.raises(UserError) as error:
        skip_short(clips, tmp_path, window, KEY, "fail")
    assert str(error.value) == (
        "clip 'train/b': has 4 frames, fewer than the 5 of a window (model.unet.window.frames); so have 2 "
        "more; lower that key, or skip such clips by data.on_error: skip"
    )


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_clips_of_the_length_of_a_window_are_all_kept(tmp_path, on_error):
    clips = extracted(tmp_path, {"train/a": 5, "val/c": 5, "test/d": 6})
    assert skip_short(clips, tmp_path, WindowParams(frames=5), KEY, on_error) == (clips, {})


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_clips_left_is_an_error(tmp_path, split):
    lengths = {f"{s}/{n}": 3 if s == split else 5 for s in ("train", "val", "test") for n in "ab"}
    clips = extracted(tmp_path, lengths)
    with pytest.raises(UserError) as error:
        skip_short(clips, tmp_path, WindowParams(frames=5), KEY, "skip")
    assert str(error.value) == (
        f"no {split} clips are left, since all 2 are too short; for example '{split}/a' has 3 frames, fewer "
        "than the 5 of a window (model.unet.window.frames); lower that key or add longer clips"
    )
    others = [clip for clip in clips if clip.split != split]
    with pytest.raises(UserError, match=rf"no {split} clips are left; see data/frames/skipped\.csv"):
        skip_short(others, tmp_path, WindowParams(frames=5), KEY, "skip")


# --- the pipeline

SHORT = {"train": "hall/brief", "val": "lab/brief", "test": "lab/brief"}  # `lab` has no other validation clip


def with_short_clips(folder: Path) -> Project:
    """A tiny project with a validation folder, and a clip of three frames in each split."""
    project = tiny.make(folder, commit=False)
    root = project / "data/tiny"
    (root / "val/hall").mkdir(parents=True)
    last = sorted((root / "train/hall").iterdir())[-1]
    shutil.move(last, root / "val/hall" / last.name)
    rng = np.random.default_rng(0)
    for split, name in SHORT.items():
        encode(root / split / f"{name}.mp4", rng.integers(0, 255, (3, 48, 64), np.uint8), 3.0)
    shutil.copy(next((root / "test").rglob("*fall*.mp4")), root / "test/lab/fall.mp4")
    with open(root / "labels.csv", "a", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("lab/brief", 1, 3), ("lab/fall", 4, 9)])
    project.set({"model.conv2d.window.frames": 4, "calibrate.per_camera": True})
    project.commit("tiny project")
    return project


@pytest.mark.slow
def test_short_clips_stop_the_run_or_count_nowhere(tmp_path):
    project = with_short_clips(tmp_path)
    output = project.repro(fails=True)
    assert "resize" in ran(output)
    assert not {"train", "statistics"} & ran(output)
    assert "Traceback" not in output
    (line,) = re.findall(r"^resize: error: .*", output, re.M)
    assert "clip 'test/lab_brief': has 3 frames" in line
    assert "so have 2 more" in line
    assert "data.on_error: skip" in line

    project.set({"data.on_error": "skip"})
    output = project.repro()
    assert "skipped test/lab_brief: has 3 frames" in output
    assert "camera 'lab' has no normal clips; it is calibrated on those of all cameras" in output
    summary = project.read("reports/summary.md").decode()
    assert re.findall(r"^- `(.+?)`: has 3 frames", summary.partition("## Skipped clips")[2], re.M) == [
        "test/lab_brief",
        "train/hall_brief",
        "val/lab_brief",
    ]
    assert "brief" not in summary.partition("## Skipped clips")[0]
    for folder in ("tensors", "errors", "scores"):
        assert not list((project / "data" / folder).rglob("*brief*"))
    statistics = {p: p.read_bytes() for p in (project / "models/branches").rglob("*") if p.is_file()}
    assert statistics
    metrics = project.read("metrics/evaluate.json")
    assert json.loads(project.read("reports/evaluation/metrics.json"))["clips"] == 3

    for split, name in SHORT.items():
        (project / f"data/tiny/{split}/{name}.mp4").unlink()
    (project / "data/tiny/val/lab").rmdir()
    labels = project / "data/tiny/labels.csv"
    labels.write_text("".join(line for line in labels.read_text().splitlines(True) if "brief" not in line))
    output = project.repro()
    assert "train" not in ran(output) | restored(output), "the tensors are the same without them"
    assert not {"measure", "resize test"} & set(computed(output))
    assert project.read("metrics/evaluate.json") == metrics
    assert {p: p.read_bytes() for p in statistics} == statistics
    assert project.read("reports/summary.md").decode().rstrip().endswith("None.")
