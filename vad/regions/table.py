"""Where to look: boxes in frames, one module per mode of preprocessing.

A mode's module has

- `Params`, its sub-section of params.yaml;
- `SAME_SIZE`: whether these are in pixels, so that all clips of a camera must have frames of one size;
- `needs_flow(params)`: whether the clips' optical flow is read;
- `prepare(params, cache)`, called once before any clip: checks what the mode needs, such as weights,
  and returns (what `regions` gets as `ready`, content hashes of it);
- the work function `regions(stem, frames, flow, params, ready, *, threads)`, which writes one clip: a
  table <stem>.parquet with a row per region, in the order of the frames, and a card <stem>.json.

Columns: `frame` int32, from 0 in the extracted clip; `track` int32, the same person or thing through
time, -1 where unknown; `x0`, `y0`, `x1`, `y1` int32, in pixels of the extracted frame, end exclusive;
`source` text: frame, motion or detector; `confidence` float32 in [0, 1]. A frame may have no region.

The card holds `regions`, their number; `hash`; and `picture`, what a mode makes of the frame for a
tensor: some of "frame" (as it is), "masked" (black where nothing stands out) and "silhouette" (255 where
something does). `foreground`, where known, is the share of pixels that stand out, and `changing` that of
pixels that differ from the clip's usual picture, whatever the mode makes of them. Silhouettes lie
beside the table, as packed bits in the format of `vad.footage.masks`, under the stem `<stem>.silhouette`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad import UserError
from vad.pipeline.params import Choice
from vad.store import cards, tables
from vad.store.manifest import Clip

COLUMNS = {
    **dict.fromkeys(("frame", "track", "x0", "y0", "x1", "y1"), "int32"),
    "source": "str",
    "confidence": "float32",
}
UNSTEADY = 0.3  # share of changing pixels; with a camera that stands still about 0.1


class PreprocessParams(Choice):
    """`preprocess`: the mode, and a sub-section for each."""

    package = "vad.regions"
    chooser = "mode"
    mode: str


def write(
    stem: Path,
    table: pd.DataFrame,
    picture: Sequence[str] = ("frame",),
    also: Sequence[str] = (),
    **card: Any,
) -> None:
    """Writes a clip's regions and their card; `also` are hashes of what was written beside the table."""
    table = table.astype(COLUMNS)[list(COLUMNS)]
    tables.write_table(stem, table)
    parts = [tables.hash_table(table), *picture, *also]
    digest = hashlib.blake2b(" ".join(parts).encode(), digest_size=16).hexdigest()
    card |= {"regions": len(table), "picture": list(picture), "hash": digest}
    cards.write_json(Path(f"{stem}.json"), card)


def whole_frames(length: int, height: int, width: int) -> pd.DataFrame:
    """A table with one region per frame, the frame itself, all of one track."""
    box = {"x0": 0, "y0": 0, "x1": width, "y1": height}
    rows = pd.DataFrame({"frame": np.arange(length), "track": 0})
    return rows.assign(**box, source="frame", confidence=1)


def check_sizes(clips: Sequence[Clip], frames: Path) -> None:
    """Raises UserError if frames of one camera differ in size: parameters in pixels would mean two things."""
    sizes: dict[str, dict[tuple[int, int], str]] = defaultdict(dict)
    for clip in clips:
        height, width = cards.read_card(frames / clip.clip)["shape"][1:3]
        sizes[clip.camera].setdefault((width, height), clip.clip)
    for camera, found in sizes.items():
        if len(found) > 1:
            listed = ", ".join(f"{w}x{h} ({clip!r})" for (w, h), clip in sorted(found.items()))
            raise UserError(
                f"camera {camera!r}: its clips have frames of different sizes, {listed}, but boxes and blobs "
                "are judged in pixels; convert the clips to one size, or give them cameras of their own"
            )


def review(clips: Sequence[Clip], folder: Path, log: Callable[[str], None]) -> None:
    """Says in the log which clips look wrong: hardly any background, or nothing in them at all.

    Raises UserError if no training clip has a region, or no validation clip.
    """
    cards = {clip.clip: cards.read_card(folder / clip.clip) for clip in clips}
    for clip, card in cards.items():
        if card.get("changing", 0) > UNSTEADY:
            log(
                f"clip {clip!r}: {card['changing']:.0%} of its pixels differ from its usual picture; does "
                "the camera move, or the light change? Boxes and silhouettes then mean little"
            )
    empty = [clip for clip, card in cards.items() if not card["regions"]]
    needed = {"train": ("training", "learn from"), "val": ("validation", "calibrate with")}
    for split, (word, purpose) in needed.items():
        names = [clip.clip for clip in clips if clip.split == split]
        if names and set(names) <= set(empty):
            raise UserError(
                f"nothing was found in any of the {len(names)} {word} clips, so there is nothing to "
                f"{purpose}; see reports/preprocess, lower the thresholds of the mode, or set "
                "preprocess.mode: none"
            )
    if empty:
        names = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        log(f"nothing moves or is found in {len(empty)} of {len(clips)} clips: {names}")
