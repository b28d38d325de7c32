"""Tables between stages: Parquet files without an index and without pandas metadata."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vad import UserError
from vad.store import digests

BOX = ["x0", "y0", "x1", "y1"]  # columns of boxes, in pixels of the frame, end exclusive


def write_table(stem: Path, table: pd.DataFrame) -> None:
    """Writes <stem>.parquet, without the index.

    Args:
        stem: path of the file, without suffix; missing folders are made.
        table: the columns to write.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    # the metadata contains the version of pandas, which would change the bytes of the file
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(arrow, f"{stem}.parquet", compression="zstd")


def read_table(stem: Path) -> pd.DataFrame:
    """Reads <stem>.parquet.

    Raises:
        UserError: if the file is missing or broken.
    """
    path = Path(f"{stem}.parquet")
    try:
        return pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as e:
        raise UserError(f"{path}: cannot be read ({e}); `dvc repro` makes it anew") from None


def hash_table(table: pd.DataFrame) -> str:
    """Content hash of a table: names, types and values of its columns, in their order.

    It is computed from values, not from the file, whose bytes depend on the version of the Parquet library.
    """
    hasher = digests.new()
    for name in table.columns:
        hasher.update(f"{name}:{table[name].dtype};".encode())
        hasher.update(pd.util.hash_array(table[name].to_numpy()).tobytes())
    return hasher.hexdigest()
