"""Contact sheets: a few frames of every split with what preprocessing found in them.

`write` fills a folder with train.png, val.png and test.png, which `dvc plots` shows, and clips.csv with
the figures of every clip. Which clips are shown depends on their ids alone, and which frames on their
regions, so that the sheets of two revisions can be laid side by side.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from vad import UserError
from vad.drawing import overlays, paper
from vad.drawing.overlays import INK, PAPER, SILHOUETTE, TRACKS, Mark, font
from vad.drawing.paper import CELL, COLUMNS, MARGIN
from vad.store import arrays, bitmasks, cards, tables
from vad.store.manifest import SPLITS, Clip

ROWS, ROWS_WITH_FLOW = 6, 4  # clips of a split, at most; with flow a row has two lines of pictures
LEVEL = 8  # frames are drawn in steps of so many gray levels: half the bytes, hardly seen
FAINT = (110, 110, 110)
SIGNS = np.array([INK, PAPER, FAINT, SILHOUETTE, *TRACKS], np.uint8)  # colours to be kept as they are
NUMBERS = ["frame", "track", "x0", "y0", "x1", "y1"]
FIGURES = (
    "clip", "split", "camera", "frames", "regions", "regions_per_frame", "frames_without_regions",
    "tracks", "motion", "detector", "foreground", "median_width", "median_height",
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A clip on a sheet; its arrays are memory maps."""

    clip: Clip
    figures: dict[str, Any]
    frames: np.ndarray  # uint8 [T, H, W] or [T, H, W, 3]
    fps: float
    numbers: np.ndarray  # int [N, 6], the columns NUMBERS of the regions
    sources: Sequence[str]
    confidences: np.ndarray  # float32 [N]
    silhouettes: bitmasks.Masks | None
    flow: np.ndarray | None  # int8 [T, h, w, 2]
    scale: float  # pixels of the frame in a count of the flow

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of its pictures on the sheet."""
        height, width = self.frames.shape[1:3]
        scale = CELL / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def displacement(self, t: int) -> np.ndarray:
        """Flow of a frame in pixels of the frame, float32 [h, w, 2]."""
        return self.flow[t].astype(np.float32) * np.float32(self.scale)

    def marks(self, t: int) -> list[Mark]:
        """The regions of a frame as they are drawn, from large to small, none thinner than 3 pixels."""
        (rows,) = np.nonzero(self.numbers[:, 0] == t)
        boxes = np.rint(self.numbers[rows, 2:] * np.tile(self.to_cell, 2)).astype(int)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 3)
        marks = [
            Mark(tuple(box), int(self.numbers[row, 1]), self.sources[row], float(self.confidences[row]))
            for row, box in zip(rows, boxes.tolist(), strict=True)
        ]
        return sorted(marks, key=lambda mark: -mark.area)

    def is_whole(self, t: int) -> bool:
        """Whether the only region of a frame is the frame itself."""
        height, width = self.frames.shape[1:3]
        return self.numbers[self.numbers[:, 0] == t, 2:].tolist() == [[0, 0, width, height]]

    def centers(self, track: int, t: int) -> np.ndarray:
        """Where a track was in the second up to frame t: [N, 2], x and y in pixels of the picture."""
        frame, number = self.numbers[:, 0], self.numbers[:, 1]
        past = self.numbers[(number == track) & (frame <= t) & (frame >= t - self.fps)]
        past = past[np.argsort(past[:, 0], kind="stable")]
        return (past[:, 2:4] + past[:, 4:6]) / 2 * self.to_cell

    @property
    def to_cell(self) -> np.ndarray:
        """Pixels of the picture in a pixel of the frame: x, y."""
        return np.array(self.cell) / self.frames.shape[2:0:-1]


def write(folder: Path, clips: Sequence[Clip], frames: Path, flow: Path, regions: Path) -> None:
    """Writes <split>.png for every split, also for one without clips, and clips.csv.

    `frames`, `flow` and `regions` are the folders of the stages; of the arrays only what is drawn is
    read. A sheet of more than paper.BYTES gets fewer clips. Raises UserError if a file is missing or
    broken, or if silhouettes do not fit their frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    every = []
    for split in SPLITS:
        of_split = sorted((clip for clip in clips if clip.split == split), key=lambda clip: clip.clip)
        flowing = any(cards.read_card(flow / clip.clip)["method"] != "none" for clip in of_split)
        chosen = choose(of_split, ROWS_WITH_FLOW if flowing else ROWS)
        rows, shown = [], []
        for clip in of_split:
            table, card = tables.read_table(regions / clip.clip), cards.read_card(regions / clip.clip)
            length = cards.read_card(frames / clip.clip)["shape"][0]
            rows.append(figures(clip, table, length, card.get("foreground")))
            if clip in chosen:
                shown.append(_open(clip, rows[-1], table, frames, flow, regions))
        signs = np.concatenate([SIGNS, overlays.flow_colors()]) if flowing else SIGNS
        picture = paper.encode(_sheet(split, rows, shown), signs)
        while len(picture) > paper.BYTES and len(shown) > 1:
            chosen.pop()
            shown = [one for one in shown if one.clip in chosen]
            picture = paper.encode(_sheet(split, rows, shown), signs)
        (folder / f"{split}.png").write_bytes(picture)
        every += rows
    table = pd.DataFrame(every, columns=FIGURES).sort_values("clip").round(6)
    table.to_csv(folder / "clips.csv", index=False, lineterminator="\n", encoding="utf-8")


def figures(clip: Clip, table: pd.DataFrame, length: int, foreground: float | None) -> dict[str, Any]:
    """A row of clips.csv; None where a figure is unknown or undefined.

    `tracks` counts track numbers, `motion` and `detector` regions by source, `frames_without_regions`
    frames; `foreground` is a share of pixels, `median_width` and `median_height` are pixels of the frame.
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


def choose(clips: Sequence[Clip], count: int) -> list[Clip]:
    """The first `count` clips of an order in which cameras take turns; a new clip displaces at most one."""
    taken: Counter[str] = Counter()
    ranked = []
    for clip in sorted(clips, key=_place):
        ranked.append((taken[clip.camera], _place(clip), clip))
        taken[clip.camera] += 1
    return [clip for *_, clip in sorted(ranked, key=lambda entry: entry[:2])[:count]]


def _place(clip: Clip) -> bytes:
    return hashlib.md5(clip.clip.encode()).digest()


def pick_frames(known: np.ndarray, length: int) -> list[int]:
    """The frames to show: of each of COLUMNS equal parts of the clip the one nearest to its middle among
    those with regions, `known` [N]; the middle itself if there are none."""
    out = []
    for start, end in pairwise(np.linspace(0, length, COLUMNS + 1).astype(int)):
        middle = (start + end) // 2
        here = np.unique(known[(known >= start) & (known < end)])
        if start < end:  # else a clip of fewer frames than columns
            out.append(int(here[np.abs(here - middle).argmin()] if len(here) else middle))
    return out


def _open(
    clip: Clip, found: dict[str, Any], table: pd.DataFrame, frames: Path, flow: Path, regions: Path
) -> Shown:
    video, card = arrays.open_array(frames / clip.clip)
    motion = cards.read_card(flow / clip.clip)
    silhouettes = None
    if Path(f"{regions / clip.clip}.silhouette.json").exists():
        silhouettes = bitmasks.open_masks(stem := Path(f"{regions / clip.clip}.silhouette"))
        if (size := (len(silhouettes), silhouettes.height, silhouettes.width)) != video.shape[:3]:
            raise UserError(
                f"{stem}.npy: silhouettes of {size} (frames, height, width), but the frames of the clip are "
                f"{video.shape[:3]}; run `dvc repro`"
            )
    return Shown(
        clip=clip,
        figures=found,
        frames=video,
        fps=card["fps"],
        numbers=table[NUMBERS].to_numpy(),
        sources=table["source"].tolist(),
        confidences=table["confidence"].to_numpy(),
        silhouettes=silhouettes,
        flow=None if motion["method"] == "none" else arrays.open_array(flow / clip.clip)[0],
        scale=motion.get("scale", 0.0),
    )


def _sheet(split: str, rows: Sequence[dict[str, Any]], shown: Sequence[Shown]) -> np.ndarray:
    """The picture of a split, uint8 [H, WIDTH, 3]: title, legend, the clips one below the other."""
    if not rows:
        return paper.strip(64, (f"{split}: no clips", font(20, True), INK))
    times = [pick_frames(one.numbers[:, 0], len(one.frames)) for one in shown]
    moving = [(one, ts) for one, ts in zip(shown, times, strict=True) if one.flow is not None]
    full = _full_speed([one.displacement(t) for one, ts in moving for t in ts])
    seen: set[str] = set()
    parts = []
    for one, ts in zip(shown, times, strict=True):
        about = f"camera {one.clip.camera}  ·  {_summary([one.figures])}"
        parts.append(paper.strip(36, (one.clip.clip, font(14, True), INK), (about, font(12), FAINT)))
        cells = [_frame(one, t, seen) for t in ts]
        parts.append(paper.row([picture for picture, _ in cells]))
        parts.append(paper.captions([f"frame {t}: {what}" for t, (_, what) in zip(ts, cells, strict=True)]))
        if one.flow is not None:
            seen.add("flow")
            parts += [paper.row([_flow(one, t, full) for t in ts]), paper.strip(6)]
    about = f"{_count(len(rows), 'clip')} ({len(shown)} shown)  ·  {_summary(rows)}"
    title = paper.strip(44, (split, font(20, True), INK), (about, font(14), INK))
    return np.concatenate([title, _legend(seen, full), *parts, paper.strip(MARGIN)])


def _summary(rows: Sequence[dict[str, Any]]) -> str:
    """The figures of clips in words."""
    frames = sum(row["frames"] for row in rows)
    empty = sum(row["frames_without_regions"] for row in rows) / frames
    words = [
        _count(frames, "frame"),
        f"{sum(row['regions'] for row in rows) / frames:.2f} regions per frame",
        f"{empty:.1%} of frames without regions" if empty else "no frame without regions",
    ]
    if any(row["tracks"] > 1 for row in rows):
        words.append(_count(sum(row["tracks"] for row in rows), "track"))
    if known := [row for row in rows if row["foreground"] is not None]:
        weights = [row["frames"] for row in known]
        words.append(f"foreground {np.average([row['foreground'] for row in known], weights=weights):.1%}")
    return "  ·  ".join(words)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _frame(one: Shown, t: int, seen: set[str]) -> tuple[np.ndarray, str]:
    """(a frame with all that was found in it, how many regions these are); adds to `seen` what was drawn."""
    smaller = one.cell[0] < one.frames.shape[2]
    picture = cv2.resize(
        np.array(one.frames[t]), one.cell, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    )
    picture = picture // LEVEL * LEVEL + LEVEL // 2
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    if one.silhouettes is not None:
        seen.add("silhouette")
        overlays.tint(picture, one.silhouettes[t])
    if one.is_whole(t):
        seen.add("whole")
        return picture, "the whole frame"
    marks = one.marks(t)
    for track in dict.fromkeys(mark.track for mark in marks if mark.track >= 0):
        if len(points := one.centers(track, t)) > 1:
            seen.add("path")
            overlays.path(picture, points, overlays.color_of(track))
    for mark in marks:
        seen.add(f"source {mark.source}")
        overlays.outline(picture, mark)
    picture, written = overlays.tags(picture, marks)
    seen |= written
    return picture, _count(len(marks), "region") if marks else "no regions"


def _full_speed(fields: Sequence[np.ndarray]) -> float:
    """The speed of full colour, pixels per frame, at least 0.5: little of what moves is faster.

    Rounded up to 1, 2 or 5 times a power of ten, so that sheets of two revisions mostly agree.
    """
    speed = np.concatenate([np.hypot(f[..., 0], f[..., 1]).ravel() for f in fields] or [np.zeros(0)])
    moving = speed[speed > 0.5]
    wanted = np.percentile(moving, 95) if len(moving) else 0.5
    steps = np.outer(10.0 ** np.arange(-1, 4), (1, 2, 5)).ravel()
    return float(steps[np.searchsorted(steps, wanted)])


def _flow(one: Shown, t: int, full: float) -> np.ndarray:
    """The flow of a frame, with the boxes as thin lines."""
    picture = overlays.color_flow(cv2.resize(one.displacement(t), one.cell), full)
    marks = [] if one.is_whole(t) else one.marks(t)
    for x0, y0, x1, y1 in [mark.box for mark in marks] + [(0, 0, *one.cell)]:
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), FAINT, 1)
    return picture


def _legend(seen: set[str], full: float) -> np.ndarray:
    """What the signs mean, of those that occur."""
    gray = np.full((20, 30, 3), 120, np.uint8)
    items: list[tuple[np.ndarray, str]] = []
    for source in sorted(word.partition(" ")[2] for word in seen if word.startswith("source ")):
        overlays.outline(swatch := gray.copy(), Mark((0, 0, 30, 20), 0, source, 1.0))
        items.append((swatch, f"region, source: {source}"))
    if "track" in seen:
        items.append(
            (overlays.tags(gray, [Mark((6, 16, 30, 19), 12, "", 1.0)])[0], "its track (colours repeat)")
        )
    if "confidence" in seen:
        items.append((overlays.tags(gray, [Mark((1, 0, 30, 4), -1, "", 0.87)])[0], "its confidence"))
    if "path" in seen:
        overlays.path(swatch := gray.copy(), np.array([[3, 14], [12, 7], [27, 4]]), TRACKS[1])
        items.append((swatch, "centres of the track in the past second"))
    if "silhouette" in seen:
        overlays.tint(swatch := gray.copy(), np.pad(np.ones((12, 22), bool), 4))
        items.append((swatch, "silhouette"))
    if "whole" in seen:
        items.append((gray[:, :0], "“the whole frame”: the only region is the frame itself, no box is drawn"))
    if "flow" in seen:
        text = f"flow, below its frame: hue is direction, full colour is {full:g} px per frame or more"
        items.append((overlays.wheel(20), text))
    return paper.legend(items)
