"""Regions: the table every mode writes, its card, and what is said of clips that look wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vad import UserError, regions
from vad.regions import none
from vad.store import arrays, cards, tables
from vad.store.manifest import Clip

TYPES = {
    "frame": "int32",
    "track": "int32",
    "x0": "int32",
    "y0": "int32",
    "x1": "int32",
    "y1": "int32",
    "source": "str",
    "confidence": "float32",
}


def table(rows: int = 2, **columns: Any) -> pd.DataFrame:
    """In no particular order of columns, and with wide types."""
    return pd.DataFrame(
        {
            "source": ["detector", "motion"] * (rows // 2),
            "confidence": np.linspace(0, 1, rows),
            "x1": 9,
            "y1": 8,
            "x0": 1,
            "y0": 2,
            "track": -1,
            "frame": np.arange(rows),
        }
        | columns
    )


def card_of(folder: Path, rows: pd.DataFrame, *args: Any, **card: Any) -> dict[str, Any]:
    regions.write(folder / "r", rows, *args, **card)
    return cards.read_card(folder / "r")


def test_a_table_has_the_columns_and_types_it_promises(tmp_path):
    card = card_of(tmp_path, table())
    found = tables.read_table(tmp_path / "r")
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == TYPES
    assert list(found.columns) == list(TYPES)
    assert found["source"].tolist() == ["detector", "motion"]
    assert found.loc[1].to_dict() == table().assign(confidence=1.0).loc[1].to_dict()
    assert card.keys() == {"regions", "picture", "hash"}
    assert (card["regions"], card["picture"]) == (2, ["frame"])


def test_a_table_without_regions_has_them_too(tmp_path):
    card = card_of(tmp_path, table(0))
    found = tables.read_table(tmp_path / "r")
    assert len(found) == card["regions"] == 0
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == TYPES
    assert card["hash"] != card_of(tmp_path, table(2))["hash"]


def test_what_else_a_mode_says_stands_in_the_card(tmp_path):
    card = card_of(tmp_path, table(), ["frame", "silhouette"], foreground=0.25)
    assert (card["picture"], card["foreground"]) == (["frame", "silhouette"], 0.25)


def test_the_hash_stands_for_all_that_was_written(tmp_path):
    """Those who read regions know by it alone whether anything changed."""
    first = card_of(tmp_path, table())["hash"]
    assert card_of(tmp_path, table())["hash"] == first
    assert card_of(tmp_path, table()[list(TYPES)])["hash"] == first  # the same once written
    others = [
        card_of(tmp_path, table(x0=0)),
        card_of(tmp_path, table(confidence=[0, 0.5])),
        card_of(tmp_path, table(source="motion")),
        card_of(tmp_path, table(track=[-1, 3])),
        card_of(tmp_path, table(4)),
        card_of(tmp_path, table(), ["masked"]),
        card_of(tmp_path, table(), ["frame", "silhouette"]),
        card_of(tmp_path, table(), also=["0a"]),
        card_of(tmp_path, table(), also=["0b"]),
    ]
    assert len({first, *(card["hash"] for card in others)}) == 1 + len(others)


def test_the_same_regions_have_the_same_bytes(tmp_path):
    for name in "ab":
        regions.write(tmp_path / name, table(), foreground=0.1)
    for suffix in ("parquet", "json"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_a_column_that_is_missing_is_a_bug(tmp_path):
    with pytest.raises(KeyError):
        regions.write(tmp_path / "r", table().drop(columns="source"))


@pytest.mark.parametrize("shape", [(3, 20, 30), (1, 20, 30, 3)])
def test_looking_everywhere_is_one_region_per_frame(tmp_path, shape):
    arrays.write_array(tmp_path / "frames", np.zeros(shape, np.uint8), fps=10.0)
    ready, hashes = none.prepare(none.Params(), tmp_path)
    none.regions(tmp_path / "r", tmp_path / "frames", tmp_path / "flow", none.Params(), ready, threads=1)
    assert hashes == []
    found = tables.read_table(tmp_path / "r")
    expected = {"track": 0, "x0": 0, "y0": 0, "x1": 30, "y1": 20, "source": "frame", "confidence": 1.0}
    assert found["frame"].tolist() == list(range(shape[0]))
    assert all((found[name] == value).all() for name, value in expected.items())
    assert cards.read_card(tmp_path / "r")["picture"] == ["frame"]
    assert not none.SAME_SIZE


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
    for found, shape in clips.items():
        arrays.write_array(folder / found.clip, np.zeros((2, *shape), np.uint8))
    return list(clips)


def test_frames_of_one_size_per_camera_pass(tmp_path):
    clips = write_frames(
        tmp_path,
        {clip("a", "east"): (20, 30), clip("b", "east", "test"): (20, 30, 3), clip("c", "west"): (40, 30)},
    )
    regions.check_sizes(clips, tmp_path)
    regions.check_sizes([], tmp_path)


def test_frames_of_different_sizes_of_one_camera_are_refused(tmp_path):
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
        r"but boxes and blobs are judged in pixels; convert .* one size, or give them cameras of their own$"
    )
    with pytest.raises(UserError, match=message):
        regions.check_sizes(clips, tmp_path)


def reviewed(folder: Path, cards: dict[Clip, dict[str, Any]]) -> list[str]:
    """What the log says."""
    for found, card in cards.items():
        cards.write_json(folder / f"{found.clip}.json", card)
    lines: list[str] = []
    regions.review(list(cards), folder, lines.append)
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
    assert lines[0].startswith("clip 'train/shaken': 83% of its pixels differ from its usual picture")
    assert "does the camera move" in lines[0]
    assert lines[1].startswith("clip 'test/swung': 51%")


@pytest.mark.parametrize("others", [[], [("v", "val"), ("t", "test")]])
def test_training_clips_in_which_nothing_is_found_are_refused(tmp_path, others):
    cards = {clip("a"): {"regions": 0}, clip("b"): {"regions": 0}}
    cards |= {clip(name, split=split): {"regions": 4} for name, split in others}
    message = (
        r"^nothing was found in any of the 2 training clips.*reports/preprocess.*set preprocess\.mode: none$"
    )
    with pytest.raises(UserError, match=message):
        reviewed(tmp_path, cards)


def test_validation_clips_in_which_nothing_is_found_are_refused(tmp_path):
    cards = {clip("a"): {"regions": 1}, clip("b", split="val"): {"regions": 0}}
    with pytest.raises(UserError, match=r"any of the 1 validation clips, .* to calibrate with"):
        reviewed(tmp_path, cards)


def test_a_moving_camera_is_named_before_the_refusal(tmp_path):
    lines: list[str] = []
    cards.write_json(tmp_path / "train/a.json", {"regions": 0, "changing": 0.9})
    with pytest.raises(UserError, match="nothing was found"):
        regions.review([clip("a")], tmp_path, lines.append)
    assert len(lines) == 1


def test_some_clips_without_regions_are_only_mentioned(tmp_path):
    cards = {clip("a"): {"regions": 0}, clip("b"): {"regions": 2}, clip("t", split="test"): {"regions": 0}}
    assert reviewed(tmp_path, cards) == ["nothing moves or is found in 2 of 3 clips: train/a, test/t"]


def test_of_many_clips_without_regions_a_few_are_named(tmp_path):
    cards = {clip(f"n{i}", split="test"): {"regions": 0} for i in range(8)} | {clip("a"): {"regions": 1}}
    (line,) = reviewed(tmp_path, cards)
    assert line == "nothing moves or is found in 8 of 9 clips: " + ", ".join(
        f"test/n{i}" for i in range(5)
    ) + (" and 3 more")


def test_without_training_clips_there_is_nothing_to_refuse(tmp_path):
    assert reviewed(tmp_path, {clip("t", split="test"): {"regions": 0}}) == [
        "nothing moves or is found in 1 of 1 clips: test/t"
    ]
