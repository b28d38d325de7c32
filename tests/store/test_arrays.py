"""Arrays with their cards, tables and JSON: incomplete files are refused, same content gives same bytes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vad import UserError
from vad.store import arrays, cards, tables

DTYPES = st.sampled_from([np.uint8, np.int16, np.int32, np.float16, np.float32, np.float64, bool])
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("store")


@given(array=ARRAYS)
@settings(max_examples=60, deadline=None)
def test_an_array_is_read_as_written(folder, array):
    arrays.write_array(folder / "x", array, fps=25.0)
    back, card = arrays.open_array(folder / "x")
    assert back.dtype == array.dtype
    assert not back.flags.writeable
    np.testing.assert_array_equal(back, array)
    assert card["shape"] == list(array.shape)
    assert (card["dtype"], card["fps"]) == (array.dtype.name, 25.0)
    plain = np.load(folder / "x.npy")  # any reader of .npy can open it
    assert plain.flags.c_contiguous
    np.testing.assert_array_equal(plain, array)


@given(array=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=3)), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_hash_depends_only_on_the_content(folder, array, data):
    arrays.write_array(folder / "a", array)
    arrays.write_array(folder / "same", array.copy(order="F"))
    other = array.copy()
    i = data.draw(st.integers(0, array.size - 1))
    other.flat[i] ^= data.draw(st.integers(1, 255))
    arrays.write_array(folder / "other", other)
    hashes = [cards.read_card(folder / name)["hash"] for name in ("a", "same", "other")]
    assert hashes[0] == hashes[1] != hashes[2]
    for suffix in (".npy", ".json"):
        assert (folder / f"a{suffix}").read_bytes() == (folder / f"same{suffix}").read_bytes()


def test_shape_and_type_are_part_of_the_content(folder):
    bytes_alike = [np.zeros((4, 2), np.uint8), np.zeros((2, 4), np.uint8), np.zeros((4, 2), bool)]
    for i, array in enumerate(bytes_alike):
        arrays.write_array(folder / f"alike{i}", array)
    assert len({cards.read_card(folder / f"alike{i}")["hash"] for i in range(3)}) == 3


@pytest.mark.parametrize("length", [0, 1, 9, 10, 99, 100, 12345])
def test_the_header_has_room_for_any_length(folder, length):
    """It is written before the length is known and overwritten at the end."""
    with arrays.ArrayWriter(folder / "long", (), np.uint8) as writer:
        for i in range(length):
            writer.append(np.array(i % 256, np.uint8))
        writer.card["more"] = length
    array, card = arrays.open_array(folder / "long")
    np.testing.assert_array_equal(array, np.arange(length) % 256)
    assert card["more"] == length
    assert np.load(folder / "long.npy").shape == (length,)


@pytest.mark.parametrize("item", [(), (3,), (2, 8, 12), (0, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float16])
def test_an_array_without_items_is_valid(tmp_path, item, dtype):
    """For example the windows of a clip without regions."""
    with arrays.ArrayWriter(tmp_path / "x", item, dtype, windows=0):
        pass
    back, card = arrays.open_array(tmp_path / "x")
    assert back.shape == (0, *item)
    assert back.dtype == dtype
    assert card["shape"] == [0, *item]
    assert back[np.zeros(0, int)].shape == (0, *item)
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    with pytest.raises(UserError, match=r"x\.npy: .*dvc repro"):
        arrays.open_array(tmp_path / "x")


def test_an_error_leaves_no_card(tmp_path):
    def write() -> None:
        with arrays.ArrayWriter(tmp_path / "x", (2,), np.uint8) as writer:
            writer.append(np.zeros(2, np.uint8))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write()
    assert not (tmp_path / "x.json").exists()
    with pytest.raises(UserError, match=r"x\.json"):
        arrays.open_array(tmp_path / "x")


@pytest.mark.parametrize("item", [np.zeros(3, np.uint8), np.zeros((2, 1), np.uint8), np.zeros(2, np.int8)])
def test_an_item_of_another_shape_or_type_is_refused(tmp_path, item):
    with (
        pytest.raises(ValueError, match=r"expected uint8 \(2,\), got"),
        arrays.ArrayWriter(tmp_path / "x", (2,), np.uint8) as writer,
    ):
        writer.append(item)


def corrupt(stem: Path, how: str) -> None:
    npy, card = Path(f"{stem}.npy"), Path(f"{stem}.json")
    match how:
        case "no array":
            npy.unlink()
        case "no card":
            card.unlink()
        case "truncated array":
            npy.write_bytes(npy.read_bytes()[:-1])
        case "truncated header":
            npy.write_bytes(npy.read_bytes()[:20])
        case "empty array":
            npy.write_bytes(b"")
        case "junk array":
            npy.write_bytes(b"junk" * 50)
        case "truncated card":
            card.write_bytes(card.read_bytes()[:-9])
        case "empty card":
            card.write_bytes(b"")
        case "card of another kind":
            card.write_text("{}")
        case "another shape":
            np.save(npy, np.zeros((5, 3), np.uint8))
        case "another type":
            np.save(npy, np.zeros((4, 3), np.int8))
        case "objects":
            np.save(npy, np.array([{}, None]), allow_pickle=True)


@pytest.mark.parametrize(
    "how",
    [
        "no array",
        "no card",
        "truncated array",
        "truncated header",
        "junk array",
        "truncated card",
        "empty card",
        "another shape",
        "another type",
        "objects",
        pytest.param("empty array"),
        pytest.param("card of another kind"),
    ],
)
def test_an_incomplete_array_is_refused_with_its_name(tmp_path, how):
    stem = tmp_path / "Test001"
    arrays.write_array(stem, np.zeros((4, 3), np.uint8))
    corrupt(stem, how)
    with pytest.raises(UserError, match=r"Test001\.(npy|json): .*dvc repro"):
        arrays.open_array(stem)


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"junk" * 100])
def test_an_incomplete_table_is_refused_with_its_name(tmp_path, content):
    if content is not None:
        (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.parquet: cannot be read"):
        tables.read_table(tmp_path / "x")


def test_a_truncated_table_is_refused(tmp_path):
    tables.write_table(tmp_path / "x", table())
    file = tmp_path / "x.parquet"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"x\.parquet: cannot be read"):
        tables.read_table(tmp_path / "x")


def table(**changed: object) -> pd.DataFrame:
    columns = {
        "frame": np.arange(3, dtype=np.int32),
        "confidence": np.array([0.5, 1, 0], np.float32),
        "source": ["frame", "motion", "ä"],
    }
    return pd.DataFrame(columns | changed)


def test_a_table_is_read_as_written(tmp_path):
    tables.write_table(tmp_path / "deep/x", table())
    pd.testing.assert_frame_equal(tables.read_table(tmp_path / "deep/x"), table())


def test_a_table_without_rows_keeps_its_columns(tmp_path):
    empty = table().iloc[:0]
    tables.write_table(tmp_path / "x", empty)
    back = tables.read_table(tmp_path / "x")
    assert len(back) == 0
    assert back.dtypes.to_dict() == empty.dtypes.to_dict()
    assert tables.hash_table(back) == tables.hash_table(empty) != tables.hash_table(empty[["frame"]])


def test_a_table_has_no_versions_and_is_repeatable(tmp_path):
    for name in "ab":
        tables.write_table(tmp_path / name, table())
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pq.read_schema(tmp_path / "a.parquet").metadata is None
    assert pd.__version__.encode() not in (tmp_path / "a.parquet").read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        table(frame=np.array([0, 1, 3], np.int32)),
        table(frame=np.arange(3, dtype=np.int64)),
        table(confidence=np.array([0.5, 1, 1e-9], np.float32)),
        table(source=["frame", "motion", "a"]),
        table().rename(columns={"frame": "frames"}),
        table()[["confidence", "frame", "source"]],
        table().iloc[:2],
        table().iloc[[1, 0, 2]],
    ],
    ids=["value", "type", "tiny", "text", "name", "column order", "length", "row order"],
)
def test_the_hash_of_a_table_depends_on_names_types_and_values(other):
    assert tables.hash_table(table()) == tables.hash_table(table())
    assert tables.hash_table(other) != tables.hash_table(table())


def test_json_has_the_same_bytes_for_the_same_value(tmp_path):
    cards.write_json(tmp_path / "new/a.json", {"b": 1, "a": [1.5, None]})
    cards.write_json(tmp_path / "new/b.json", {"a": [1.5, None], "b": 1})
    text = (tmp_path / "new/a.json").read_text()
    assert text == (tmp_path / "new/b.json").read_text()
    assert text.endswith("}\n")
    assert cards.read_json(tmp_path / "new/a.json") == json.loads(text) == {"a": [1.5, None], "b": 1}


def test_json_refuses_numbers_that_it_cannot_represent(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        cards.write_json(tmp_path / "x.json", float("nan"))
    assert not (tmp_path / "x.json").exists()
