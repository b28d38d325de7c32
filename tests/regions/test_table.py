"""The table that every mode writes, and its card."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vad.regions import table as region_table
from vad.store import cards, tables

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
    region_table.write(folder / "r", rows, *args, **card)
    return cards.read_card(folder / "r")


def test_columns_have_their_order_and_types(tmp_path):
    card = card_of(tmp_path, table())
    written = tables.read_table(tmp_path / "r")
    assert {name: str(dtype) for name, dtype in written.dtypes.items()} == TYPES
    assert list(written.columns) == list(TYPES)
    assert written["source"].tolist() == ["detector", "motion"]
    assert written.loc[1].to_dict() == table().assign(confidence=1.0).loc[1].to_dict()
    assert card.keys() == {"regions", "picture", "hash"}
    assert (card["regions"], card["picture"]) == (2, ["frame"])


def test_an_empty_table_has_the_same_columns_and_types(tmp_path):
    card = card_of(tmp_path, table(0))
    written = tables.read_table(tmp_path / "r")
    assert len(written) == card["regions"] == 0
    assert {name: str(dtype) for name, dtype in written.dtypes.items()} == TYPES
    assert card["hash"] != card_of(tmp_path, table(2))["hash"]


def test_the_card_holds_further_values(tmp_path):
    card = card_of(tmp_path, table(), ["frame", "silhouette"], foreground=0.25)
    assert (card["picture"], card["foreground"]) == (["frame", "silhouette"], 0.25)


def test_the_hash_depends_on_everything_that_is_written(tmp_path):
    """The next stage sees changes only by the hash."""
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
        region_table.write(tmp_path / name, table(), foreground=0.1)
    for suffix in ("parquet", "json"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_a_missing_column_raises_a_key_error(tmp_path):
    with pytest.raises(KeyError):
        region_table.write(tmp_path / "r", table().drop(columns="source"))
