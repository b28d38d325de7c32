"""Contact sheets: a few frames of every split with regions and zones, and people as tall as body heights.

`write` writes train.png, val.png and test.png, which `dvc plots` shows, and clips.csv with figures about
every clip. The choice of clips depends only on their ids, and the choice of frames only on their regions, so
that the sheets of two revisions can be compared.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad.drawing import overlays, paper
from vad.drawing.clip_figures import FIGURES, count, figures, summarise
from vad.drawing.clip_pictures import ClipArrays, draw_flow, draw_frame, full_colour_speed, open_clip
from vad.drawing.overlays import FAINT, INK, PAPER, SILHOUETTE, TRACKS, Mark, font
from vad.drawing.paper import COLUMNS, MARGIN
from vad.store.body_heights import BodyHeights
from vad.store.cards import read_card
from vad.store.manifest import SPLITS, Clip
from vad.store.tables import read_table
from vad.store.zones import Zones

ROWS, ROWS_WITH_FLOW = 6, 4  # maximum clips of a split; with flow, a clip has two rows of pictures
SIGN_COLORS = np.array([INK, PAPER, FAINT, SILHOUETTE, *TRACKS], np.uint8)  # fixed colours of the palette


def write(
    folder: Path,
    clips: Sequence[Clip],
    frames: Path,
    flow: Path,
    regions: Path,
    heights: BodyHeights,
    zones: Zones,
) -> None:
    """Writes <split>.png for every split, also for splits without clips, and clips.csv.

    A sheet above paper.BYTES shows fewer clips.

    Args:
        folder: folder of the files to write.
        clips: all clips.
        frames: folder of the stage extract; only the frames shown are read.
        flow: folder of the stage flow; only the frames shown are read.
        regions: folder of the stage preprocess.
        heights: body heights of all cameras, drawn as figures of people in the first picture of each clip.
        zones: zones of all cameras.

    Raises:
        UserError: if a file is missing or broken, or if silhouettes do not fit their frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for split in SPLITS:
        of_split = sorted((clip for clip in clips if clip.split == split), key=lambda clip: clip.clip)
        has_flow = any(read_card(flow / clip.clip)["method"] != "none" for clip in of_split)
        chosen = choose(of_split, ROWS_WITH_FLOW if has_flow else ROWS)
        rows_of_split, opened = [], []
        for clip in of_split:
            table, card = read_table(regions / clip.clip), read_card(regions / clip.clip)
            length = read_card(frames / clip.clip)["shape"][0]
            rows_of_split.append(figures(clip, table, length, card.get("foreground")))
            if clip in chosen:
                opened.append(open_clip(clip, table, frames, flow, regions, heights, zones))
        colors = np.concatenate([SIGN_COLORS, overlays.flow_colors()]) if has_flow else SIGN_COLORS
        picture = _fitting_sheet(split, rows_of_split, opened, chosen, colors)
        (folder / f"{split}.png").write_bytes(picture)
        rows += rows_of_split
    table = pd.DataFrame(rows, columns=FIGURES).sort_values("clip").round(6)
    table.to_csv(folder / "clips.csv", index=False, lineterminator="\n", encoding="utf-8")


def choose(clips: Sequence[Clip], number: int) -> list[Clip]:
    """Chooses the clips to show: the first clips in a pseudo-random order in which cameras alternate.

    A new clip replaces at most one of them.

    Args:
        clips: the clips of a split, in any order.
        number: how many to choose.
    """
    taken: Counter[str] = Counter()
    ranked = []
    for clip in sorted(clips, key=_rank):
        ranked.append((taken[clip.camera], _rank(clip), clip))
        taken[clip.camera] += 1
    return [clip for *_, clip in sorted(ranked, key=lambda entry: entry[:2])[:number]]


def _rank(clip: Clip) -> bytes:
    # a hash of the id, so that the order does not change when clips are added
    return hashlib.md5(clip.clip.encode()).digest()


def pick_frames(with_regions: np.ndarray, length: int) -> list[int]:
    """Chooses the frames to show: a frame from each of COLUMNS equal parts of the clip.

    From each part it takes the frame with regions that is nearest to the middle, or the middle if no frame
    has regions.

    Args:
        with_regions: indices of the frames with regions, int [N], in any order, possibly repeated.
        length: number of frames of the clip.

    Returns:
        Ascending indices of frames; fewer than COLUMNS for a shorter clip.
    """
    out = []
    for start, end in pairwise(np.linspace(0, length, COLUMNS + 1).astype(int)):
        middle = (start + end) // 2
        candidates = np.unique(with_regions[(with_regions >= start) & (with_regions < end)])
        if start < end:  # parts are empty if the clip has fewer frames than COLUMNS
            nearest = candidates[np.abs(candidates - middle).argmin()] if len(candidates) else middle
            out.append(int(nearest))
    return out


def _fitting_sheet(
    split: str,
    rows: Sequence[dict[str, Any]],
    opened: Sequence[ClipArrays],
    chosen: Sequence[Clip],
    colors: np.ndarray,
) -> bytes:
    """The PNG of a split; the last of the chosen clips are omitted until it is small enough."""
    number = len(chosen)
    while True:
        shown = [arrays for arrays in opened if arrays.clip in chosen[:number]]
        picture = paper.encode(_sheet(split, rows, shown), colors)
        if len(picture) <= paper.BYTES or number <= 1:
            return picture
        number -= 1


def _sheet(split: str, rows: Sequence[dict[str, Any]], shown: Sequence[ClipArrays]) -> np.ndarray:
    """The picture of a split, uint8 [H, WIDTH, 3]: title, legend, and the clips from top to bottom."""
    if not rows:
        return paper.strip(64, (f"{split}: no clips", font(20, True), INK))
    figures_of = {row["clip"]: row for row in rows}
    times = [pick_frames(arrays.numbers[:, 0], len(arrays.frames)) for arrays in shown]
    full = full_colour_speed(
        [
            arrays.flow.displacement(t)
            for arrays, ts in zip(shown, times, strict=True)
            if arrays.flow is not None
            for t in ts
        ]
    )
    signs: set[str] = set()
    sources: set[str] = set()
    strips = []
    for arrays, ts in zip(shown, times, strict=True):
        name, camera = arrays.clip.clip, arrays.clip.camera
        about = f"camera {camera}  ·  {summarise([figures_of[name]])}"
        strips.append(paper.strip(36, (name, font(14, True), INK), (about, font(12), FAINT)))
        drawn = [draw_frame(arrays, t, people=t == ts[0]) for t in ts]
        signs = signs.union(*(frame.signs for frame in drawn))
        sources = sources.union(*(frame.sources for frame in drawn))
        strips.append(paper.row([frame.picture for frame in drawn]))
        strips.append(
            paper.captions([f"frame {t}: {frame.caption}" for t, frame in zip(ts, drawn, strict=True)])
        )
        if arrays.flow is not None:
            signs.add("flow")
            strips += [paper.row([draw_flow(arrays, arrays.flow, t, full) for t in ts]), paper.strip(6)]
    about = f"{count(len(rows), 'clip')} ({len(shown)} shown)  ·  {summarise(rows)}"
    title = paper.strip(44, (split, font(20, True), INK), (about, font(14), INK))
    return np.concatenate([title, _legend(signs, sources, full), *strips, paper.strip(MARGIN)])


def _legend(signs: set[str], sources: set[str], full: float) -> np.ndarray:
    """The legend of the signs that occur.

    Args:
        signs: the signs that were drawn.
        sources: the sources of the boxes that were drawn.
        full: speed drawn in full colour, in pixels per frame.
    """
    gray = np.full((20, 30, 3), 120, np.uint8)
    items: list[tuple[np.ndarray, str]] = []
    for source in sorted(sources):
        overlays.outline(swatch := gray.copy(), Mark((0, 0, 30, 20), 0, source, 1.0))
        items.append((swatch, f"region, source: {source}"))
    if "track" in signs:
        swatch, _ = overlays.tags(gray, [Mark((6, 16, 30, 19), 12, "", 1.0)])
        items.append((swatch, "its track (colours repeat)"))
    if "confidence" in signs:
        swatch, _ = overlays.tags(gray, [Mark((1, 0, 30, 4), -1, "", 0.87)])
        items.append((swatch, "its confidence"))
    if "path" in signs:
        overlays.path(swatch := gray.copy(), np.array([[3, 14], [12, 7], [27, 4]]), TRACKS[1])
        items.append((swatch, "centres of the track in the past second"))
    if "silhouette" in signs:
        overlays.tint(swatch := gray.copy(), np.pad(np.ones((12, 22), bool), 4))
        items.append((swatch, "silhouette"))
    if "people" in signs:
        overlays.person(swatch := gray.copy(), 15, 19, 18)
        items.append((swatch, "how tall people are taken to be (preprocess.body_height)"))
    if "zones" in signs:
        overlays.exclude(swatch := gray.copy(), np.indices((20, 30))[1] < 10)
        items.append((swatch, "hatched: not judged (data/zones.yaml)"))
    if "whole" in signs:
        items.append((gray[:, :0], "“the whole frame”: the only region is the frame itself, no box is drawn"))
    if "flow" in signs:
        text = f"flow, below its frame: hue is direction, full colour is {full:g} px per frame or more"
        items.append((overlays.wheel(20), text))
    return paper.legend(items)
