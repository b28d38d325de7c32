"""Tables between stages: Parquet files that name no library versions."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vad import UserError
from vad.store import digests


def write_table(stem: Path, table: pd.DataFrame) -> None:
    """Writes <stem>.parquet, without the index and without the metadata that would name library versions."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(arrow, f"{stem}.parquet", compression="zstd")


def read_table(stem: Path) -> pd.DataFrame:
    """Reads <stem>.parquet.

    Raises:
        UserError: if it is missing or broken.
    """
    path = Path(f"{stem}.parquet")
    try:
        return pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as e:
        raise UserError(f"{path}: cannot be read ({e}); `dvc repro` makes it anew") from None


def hash_table(table: pd.DataFrame) -> str:
    """Content hash of a table: names, types and values of its columns, in order."""
    hasher = digests.new()
    for name in table.columns:
        hasher.update(f"{name}:{table[name].dtype};".encode())
        hasher.update(pd.util.hash_array(table[name].to_numpy()).tobytes())
    return hasher.hexdigest()
