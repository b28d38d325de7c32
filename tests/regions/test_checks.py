"""Checks of preprocessing: sizes of frames, clips with doubtful regions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vad import UserError
from vad.regions.checks import check_sizes, review
from vad.store.arrays import write_array
from vad.store.cards import write_json
from vad.store.manifest import Clip


def clip(name: str, camera: str = "c", split: str = "train") -> Clip:
    return Clip(
        clip=f"{split}/{name}",
        split=split,
        camera=camera,
        subject="",
        source="",
        first=0,
        end=5,
        labelled=False,
        frames=5,
        fps=10.0,
        width=0,
        height=0,
        hash="",
    )


def write_frames(folder: Path, clips: dict[Clip, tuple[int, ...]]) -> list[Clip]:
    for clip, shape in clips.items():
        write_array(folder / clip.clip, np.zeros((2, *shape), np.uint8))
    return list(clips)


def test_frames_of_the_same_size_per_camera_pass(tmp_path):
    clips = write_frames(
        tmp_path,
        {clip("a", "east"): (20, 30), clip("b", "east", "test"): (20, 30, 3), clip("c", "west"): (40, 30)},
    )
    check_sizes(clips, tmp_path)
    check_sizes([], tmp_path)


def test_frames_of_different_sizes_of_a_camera_are_refused(tmp_path):
    clips = write_frames(
        tmp_path,
        {
            clip("a", "east"): (20, 30),
            clip("b", "west"): (20, 30),
            clip("c", "west"): (20, 30),
            clip("d", "west", "test"): (30, 20),
        },
    )
    message = (
        r"^camera 'west': its clips have frames of different sizes, 20x30 \('test/d'\), 30x20 \('train/b'\), "
        r"but boxes and blobs are measured in pixels; convert .* same size, or give them separate cameras$"
    )
    with pytest.raises(UserError, match=message):
        check_sizes(clips, tmp_path)


def reviewed(folder: Path, cards: dict[Clip, dict[str, Any]]) -> list[str]:
    """The lines of the log."""
    for clip, card in cards.items():
        write_json(folder / f"{clip.clip}.json", card)
    lines: list[str] = []
    review(list(cards), folder, lines.append)
    return lines


def test_clips_that_look_right_are_not_mentioned(tmp_path):
    cards = {clip("a"): {"regions": 3}, clip("b"): {"regions": 9, "changing": 0.3}}
    assert reviewed(tmp_path, cards) == []


def test_a_moving_camera_is_named_with_the_measured_share(tmp_path):
    cards = {
        clip("still"): {"regions": 3, "changing": 0.02},
        clip("shaken"): {"regions": 3, "changing": 0.8349},
        clip("swung", split="test"): {"regions": 3, "changing": 0.51},
    }
    lines = reviewed(tmp_path, cards)
    assert len(lines) == 2
    assert lines[0].startswith("clip 'train/shaken': 83% of its pixels differ from its median picture")
    assert "does the camera move" in lines[0]
    assert lines[1].startswith("clip 'test/swung': 51%")


@pytest.mark.parametrize("others", [[], [("v", "val"), ("t", "test")]])
def test_training_clips_without_regions_are_refused(tmp_path, others):
    cards = {clip("a"): {"regions": 0}, clip("b"): {"regions": 0}}
    cards |= {clip(name, split=split): {"regions": 4} for name, split in others}
    message = r"^none of the 2 training clips has a region.*reports/preprocess.*set preprocess\.mode: none$"
    with pytest.raises(UserError, match=message):
        reviewed(tmp_path, cards)


def test_validation_clips_without_regions_are_refused(tmp_path):
    cards = {clip("a"): {"regions": 1}, clip("b", split="val"): {"regions": 0}}
    with pytest.raises(UserError, match=r"none of the 1 validation clips .* to calibrate with"):
        reviewed(tmp_path, cards)


def test_a_fold_without_regions_is_refused(tmp_path):
    clips = [replace(clip(name), fold=i % 2) for i, name in enumerate("abcd")]
    regions = {"a": 1, "b": 0, "c": 0, "d": 0}
    cards = {of_fold: {"regions": n} for of_fold, n in zip(clips, regions.values(), strict=True)}
    with pytest.raises(UserError, match=r"^fold 1 has no region: none in train/b and 1 more; .* data\.folds"):
        reviewed(tmp_path, cards)
    assert reviewed(tmp_path, cards | {clips[3]: {"regions": 1}}) == [
        "2 of 4 clips have no region: train/b, train/c"
    ]


def test_a_moving_camera_is_named_before_the_refusal(tmp_path):
    lines: list[str] = []
    write_json(tmp_path / "train/a.json", {"regions": 0, "changing": 0.9})
    with pytest.raises(UserError, match="none of the 1 training clips"):
        review([clip("a")], tmp_path, lines.append)
    assert len(lines) == 1


def test_some_clips_without_regions_are_only_mentioned(tmp_path):
    cards = {clip("a"): {"regions": 0}, clip("b"): {"regions": 2}, clip("t", split="test"): {"regions": 0}}
    assert reviewed(tmp_path, cards) == ["2 of 3 clips have no region: train/a, test/t"]


def test_of_many_clips_without_regions_a_few_are_named(tmp_path):
    cards = {clip(f"n{i}", split="test"): {"regions": 0} for i in range(8)} | {clip("a"): {"regions": 1}}
    (line,) = reviewed(tmp_path, cards)
    assert line == "8 of 9 clips have no region: " + ", ".join(f"test/n{i}" for i in range(5)) + (
        " and 3 more"
    )


def test_without_training_clips_there_is_nothing_to_refuse(tmp_path):
    assert reviewed(tmp_path, {clip("t", split="test"): {"regions": 0}}) == [
        "1 of 1 clips have no region: test/t"
    ]
