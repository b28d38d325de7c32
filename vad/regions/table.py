"""The table of the regions of a clip, a row per region in the order of the frames, and its card.

Columns: `frame` int32, from 0 in the extracted clip; `track` int32, the number of the person or thing through
time, -1 without a track; `x0`, `y0`, `x1`, `y1` int32, in pixels of the extracted frame, end exclusive;
`source` text: frame, motion or detector; `confidence` float32 in [0, 1]. A frame may have no region.

The card <stem>.json holds `regions`, the number of rows; `hash`; `lookahead`, the frames ahead that the mode
needs, and `warm_up`, those that it needs before the first result; and `picture`, the content of the channel
`picture`: a list of "frame" (unchanged), "masked" (black outside the silhouettes) and "silhouette" (255
inside the silhouettes, 0 outside). Modes that compute motion or foreground add `foreground`, the mean share
of these pixels; modes that read frames add `changing`, the share of pixels that differ from the temporal
median of the clip.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    """Writes the regions of a clip to <stem>.parquet and their card to <stem>.json.

    Args:
        stem: path of the files, without suffix.
        table: with all of COLUMNS, in any order and of any numeric type; other columns are dropped.
        picture: content of the channel `picture`, for the card.
        also: hashes of further files of the clip, which become part of the hash in the card.
        **card: further entries of the card.

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
