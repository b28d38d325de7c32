"""The files of errors: written files are read back, broken files are refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.branches.stored_errors import write_errors
from vad import UserError
from vad.branches import error_files
from vad.branches.error_files import ErrorWriter, read_error_files
from vad.store import arrays

RNG = np.random.default_rng(0)
CARD = {"frames": 12, "stride": 3, "frame": [12, 18], "fps": 12.5, "cell": 4, "lookahead": 1}
WINDOWS = pd.DataFrame({"frame": [0, 6], "region": [0, 1], "track": [0, -1]}, dtype=np.int32)


def test_columns_and_maps_are_read_as_they_were_written(tmp_path):
    maps = RNG.random((12, 3, 5)).astype(np.float16)
    for name in ("a", "b"):
        with ErrorWriter(tmp_path / name, WINDOWS, CARD) as out:
            assert out.shape == (3, 5)
            out.add_column("look", np.array([0.5, 0.25]))
            out.declare("speed", learned=False)
            with out.add_map("speed") as writer:
                for frame in maps:
                    writer.append(frame)
    table, read, card = read_error_files(tmp_path / "a")
    assert table["error_look"].tolist() == [0.5, 0.25]
    assert table.dtypes.astype(str).tolist() == ["int32"] * 3 + ["float32"]
    np.testing.assert_array_equal(read["speed"], maps)
    assert card == CARD | {"maps": ["speed"], "learned": ["look"], "hash": card["hash"]}
    for file in (".parquet", ".json", ".map_speed.npy", ".map_speed.json"):
        assert (tmp_path / f"a{file}").read_bytes() == (tmp_path / f"b{file}").read_bytes()


@pytest.mark.parametrize("changed", ["column", "map"])
def test_the_hash_is_of_columns_and_maps(tmp_path, changed):
    hashes = set()
    for name in ("a", "b"):
        other = name == "b"
        with ErrorWriter(tmp_path / name, WINDOWS, CARD) as out:
            out.add_column("look", np.array([0.5, 0.75 if other and changed == "column" else 0.25]))
            with out.add_map("speed") as writer:
                writer.append(np.full((3, 5), other and changed == "map", np.float16))
        hashes.add(read_error_files(tmp_path / name)[2]["hash"])
    assert len(hashes) == 2


def add_twice(stem: Path, kind: str) -> None:
    with ErrorWriter(stem, WINDOWS, CARD) as out:
        out.add_column("look", np.zeros(2))
        with out.add_map("look"):  # a branch may have both
            pass
        out.add_column("look", np.ones(2)) if kind == "column" else out.add_map("look")


@pytest.mark.parametrize("kind", ["column", "map"])
def test_two_branches_of_the_same_name_are_refused(tmp_path, kind):
    with pytest.raises(ValueError, match="two branches are called look"):
        add_twice(tmp_path / "a", kind)
    assert not (tmp_path / "a.json").exists()  # so it counts as not written


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_error_that_is_not_finite_is_refused_with_clip_and_frame(tmp_path, value):
    write_errors(tmp_path / "test/a", [0.1, 0.2, value, 0.4], [0, 3, 6, 9])
    with pytest.raises(UserError, match=r"test/a: the error of frame 6 .*train\.learning_rate"):
        read_error_files(tmp_path / "test/a")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_is_not_finite_is_refused_with_clip_branch_and_frame(tmp_path, monkeypatch, value):
    monkeypatch.setattr(error_files, "CHUNK", 5)
    maps = RNG.random((12, 3, 4)).astype(np.float16)
    maps[7, 1, 2] = value
    arrays.write_array(tmp_path / "test/a.map_speed", maps)
    write_errors(tmp_path / "test/a", [0.5], [0], maps=["speed"])
    with pytest.raises(UserError, match="test/a: the map of speed in frame 7 has values that are not fin"):
        read_error_files(tmp_path / "test/a")


def test_errors_of_an_earlier_version_are_refused(tmp_path):
    write_errors(
        tmp_path / "test/a", [0.1], [0], stride=None, maps=None, cell=None, learned=None, lookahead=None
    )
    with pytest.raises(
        UserError,
        match=r"test/a\.json: lacks cell, learned, lookahead, maps, stride; run `dvc repro measure`",
    ):
        read_error_files(tmp_path / "test/a")
