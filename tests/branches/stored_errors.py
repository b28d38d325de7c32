"""Errors of a clip on disk, as `vad.branches.measure` writes them, for tests of their readers."""

from pathlib import Path

import numpy as np
import pandas as pd

from vad.store import cards, tables


def write_errors(stem: Path, errors, at, **card) -> None:
    """A clip of 12 frames with windows for every third; a region per frame in `at`, the branch `look`.

    Args:
        stem: of the files.
        errors: of the regions.
        at: their frames.
        **card: entries of the card that differ; None removes an entry.
    """
    table = pd.DataFrame({"frame": at, "region": np.arange(len(errors)), "track": 0}).assign(x0=0, y0=0)
    table = table.assign(x1=16, y1=12).astype(np.int32).assign(error_look=np.float32(errors))
    tables.write_table(stem, table)
    whole = {"frames": 12, "stride": 3, "frame": [12, 16], "fps": 12.5, "cell": 4, "maps": []}
    whole |= {"learned": ["look"], "lookahead": 0, "hash": "0"}
    cards.write_json(Path(f"{stem}.json"), {k: v for k, v in (whole | card).items() if v is not None})
