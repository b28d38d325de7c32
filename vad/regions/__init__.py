"""Where to look: boxes in frames, one module per mode of preprocessing.

A mode's module has `Params`, its sub-section of params.yaml, and the work function
`regions(stem, frames, flow, params, *, threads)`, which writes one clip: a table <stem>.parquet with a
row per region, in the order of the frames, and a card <stem>.json with the table's hash.

Columns: `frame` int32, from 0 in the extracted clip; `track` int32, the same person or thing through
time, -1 where unknown; `x0`, `y0`, `x1`, `y1` int32, in pixels of the extracted frame, end exclusive;
`source` text: frame, motion or detector; `confidence` float32 in [0, 1].
"""

from pathlib import Path

import pandas as pd

from vad import store
from vad.params import Choice


class PreprocessParams(Choice):
    """`preprocess`: the mode, and a sub-section for each."""

    package = "vad.regions"
    chooser = "mode"
    mode: str


def write(stem: Path, table: pd.DataFrame) -> None:
    """Writes a clip's regions and their card."""
    store.write_table(stem, table)
    store.write_json(Path(f"{stem}.json"), {"regions": len(table), "hash": store.hash_table(table)})
