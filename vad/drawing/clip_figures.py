"""Figures about a clip's regions: a row of clips.csv, and a line of text on a contact sheet."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from vad.store.manifest import Clip

FIGURES = (
    "clip", "split", "camera", "frames", "regions", "regions_per_frame", "frames_without_regions",
    "tracks", "motion", "detector", "foreground", "median_width", "median_height",
)  # fmt: skip


def figures(clip: Clip, table: pd.DataFrame, length: int, foreground: float | None) -> dict[str, Any]:
    """A row of clips.csv; figures that were not measured or are undefined are None.

    Args:
        clip: the clip.
        table: its regions.
        length: number of its frames.
        foreground: share of foreground pixels, None if it was not measured.

    Returns:
        Figures by name, in the order of FIGURES. `tracks` is the number of tracks, `motion` and `detector`
        are the numbers of regions by source; `median_width` and `median_height` are in pixels of the frame.
    """
    sources = Counter(table["source"])
    width, height = table["x1"] - table["x0"], table["y1"] - table["y0"]
    return {
        "clip": clip.clip,
        "split": clip.split,
        "camera": clip.camera,
        "frames": length,
        "regions": len(table),
        "regions_per_frame": len(table) / length,
        "frames_without_regions": length - table["frame"].nunique(),
        "tracks": table["track"][table["track"] >= 0].nunique(),
        "motion": sources["motion"],
        "detector": sources["detector"],
        "foreground": foreground,
        "median_width": float(width.median()) if len(table) else None,
        "median_height": float(height.median()) if len(table) else None,
    }


def summarise(rows: Sequence[dict[str, Any]]) -> str:
    """Figures of clips, together, as a line of text.

    Args:
        rows: rows of clips.csv, at least one.
    """
    frames = sum(row["frames"] for row in rows)
    empty = sum(row["frames_without_regions"] for row in rows) / frames
    parts = [
        count(frames, "frame"),
        f"{sum(row['regions'] for row in rows) / frames:.2f} regions per frame",
        f"{empty:.1%} of frames without regions" if empty else "no frame without regions",
    ]
    if any(row["tracks"] > 1 for row in rows):
        parts.append(count(sum(row["tracks"] for row in rows), "track"))
    if measured := [row for row in rows if row["foreground"] is not None]:
        weights = [row["frames"] for row in measured]
        foreground = np.average([row["foreground"] for row in measured], weights=weights)
        parts.append(f"foreground {foreground:.1%}")
    return "  ·  ".join(parts)


def count(n: int, noun: str) -> str:
    """`1 frame`, `2 frames`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
