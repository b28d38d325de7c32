"""The table of a clip's regions: one row per region, in the order of the frames, and its card.

Columns: `frame` int32, from 0 in the extracted clip; `track` int32, the same person or thing through
time, -1 without a track; `x0`, `y0`, `x1`, `y1` int32, in pixels of the extracted frame, end exclusive;
`source` text: frame, motion or detector; `confidence` float32 in [0, 1]. A frame may have no region.

The card <stem>.json holds `regions`, their number; `hash`; and `picture`, what a mode makes of the frame
for a tensor: some of "frame" (unchanged), "masked" (black outside the silhouettes) and "silhouette" (255
in the silhouettes, 0 outside). Modes that subtract the background add `foreground`, the share of foreground
pixels; modes that read frames add `changing`, the share of pixels that differ from the clip's temporal
median.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad.store import cards, tables
from vad.store.digests import digest_bytes

COLUMNS = {
    **dict.fromkeys(("frame", "track", "x0", "y0", "x1", "y1"), "int32"),
    "source": "str",
    "confidence": "float32",
}


def write(
    stem: Path,
    table: pd.DataFrame,
    picture: Sequence[str] = ("frame",),
    also: Sequence[str] = (),
    **card: Any,
) -> None:
    """Writes a clip's regions to <stem>.parquet and their card to <stem>.json.

    Args:
        stem: of the files.
        table: has all of COLUMNS, in any order and of any numeric type; others are dropped.
        picture: what the mode makes of the frame, for the card.
        also: hashes of the files written beside the table, which belong to the hash of the card.
        **card: what else the card says.

    Raises:
        KeyError: if a column is missing.
    """
    table = table.astype(COLUMNS)[list(COLUMNS)]
    tables.write_table(stem, table)
    parts = [tables.hash_table(table), *picture, *also]
    card |= {
        "regions": len(table),
        "picture": list(picture),
        "hash": digest_bytes(" ".join(parts).encode()),
    }
    cards.write_json(Path(f"{stem}.json"), card)


def whole_frames(length: int, height: int, width: int) -> pd.DataFrame:
    """A table whose only region in each of `length` frames is the frame itself; all are one track."""
    box = {"x0": 0, "y0": 0, "x1": width, "y1": height}
    rows = pd.DataFrame({"frame": np.arange(length), "track": 0})
    return rows.assign(**box, source="frame", confidence=1)
