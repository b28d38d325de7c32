"""Strips: the scores of many clips over time, a coloured line per clip, so that a glance covers all.

The colours are those of heat maps: white at 0, red from twice the threshold on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vad.drawing import paper
from vad.drawing.heatmaps import HEAT, LABELLED, LEVELS
from vad.drawing.overlays import FAINT, INK, PAPER, Color, font

COLUMNS, ROWS = 4, 250  # of a page
LINE, BAR, MARK = 15, 9, 3  # heights in pixels: of a line, of its colours, of the labels below them
LENGTH = 170  # pixels of a strip
COLUMN = (paper.WIDTH - 2 * paper.MARGIN) // COLUMNS
NAME = COLUMN - LENGTH - 3 * paper.GAP  # pixels for the name of a clip
# of the levels, on white
COLORS = np.rint(HEAT[:, 3:] * HEAT[:, :3] * 255 + (1 - HEAT[:, 3:]) * np.array(PAPER)).astype(np.uint8)


@dataclass(frozen=True)
class Strip:
    """A clip to draw.

    Attributes:
        name: of the clip.
        scores: scores of the frames, float [T], T > 0.
        anomalous: labels of the frames, bool [T]; None if the clip is not labelled.
    """

    name: str
    scores: np.ndarray
    anomalous: np.ndarray | None


def draw(path: Path, clips: Sequence[Strip], threshold: float) -> None:
    """Writes PNGs with a strip per clip; every strip goes from the start of its clip to the end.

    Args:
        path: path of the PNG, with more than COLUMNS * ROWS clips that of the first page (`paper.page_path`).
        clips: the clips.
        threshold: of the scores.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    per_page = COLUMNS * ROWS
    for page, start in enumerate(range(0, len(clips), per_page), 1):
        of_page = clips[start : start + per_page]
        title = f"{len(clips)} clips"
        if len(clips) > per_page:
            title = f"clips {start + 1} to {start + len(of_page)} of {title}"
        parts = [paper.strip(40, (title, font(18, True), INK)), _legend(), paper.strip(paper.GAP)]
        sheet = np.concatenate([*parts, _lines(of_page, threshold)])
        paper.page_path(path, page).write_bytes(
            paper.encode(sheet, np.concatenate([[INK, FAINT, PAPER, LABELLED], COLORS[2:]]))
        )


def _legend() -> np.ndarray:
    scale = np.repeat(COLORS[None], BAR, axis=0).repeat(6, axis=1)
    label = np.full((MARK, 24, 3), LABELLED, np.uint8)
    return paper.legend(
        [
            (scale, "score from the start of a clip to its end, up to twice the threshold (red)"),
            (label, "labelled anomalous"),
            (label[:, :0], "gray name: not labelled"),
        ]
    )


def _lines(clips: Sequence[Strip], threshold: float) -> np.ndarray:
    """The clips in columns, from top to bottom: uint8 [H, WIDTH, 3]."""
    rows = -(-len(clips) // COLUMNS)
    sheet = np.full((rows * LINE + paper.MARGIN, paper.WIDTH, 3), PAPER, np.uint8)
    names: list[tuple[int, int, str, Color]] = []
    full = 2 * threshold if threshold > 0 else 1.0  # as in heat maps
    for i, clip in enumerate(clips):
        x, y = paper.MARGIN + i // rows * COLUMN, i % rows * LINE
        color = FAINT if clip.anomalous is None else INK
        names.append((x, y, paper.fitted(clip.name, font(11), NAME), color))
        left = x + NAME + paper.GAP
        level = (_squeezed(clip.scores) / full * LEVELS).clip(0, LEVELS - 1).astype(int)
        sheet[y : y + BAR, left : left + LENGTH] = COLORS[level]
        sheet[y + BAR - 1, left : left + LENGTH] = np.minimum(sheet[y + BAR - 1, left : left + LENGTH], 225)
        if clip.anomalous is not None:
            marked = np.flatnonzero(_squeezed(clip.anomalous)) + left
            sheet[y + BAR : y + BAR + MARK, marked] = LABELLED
    pen = ImageDraw.Draw(image := Image.fromarray(sheet))
    for x, y, name, color in names:
        pen.text((x, y + BAR), name, color, font(11), anchor="ls")
    return np.array(image)


def _squeezed(values: np.ndarray) -> np.ndarray:
    """The highest value in each of LENGTH equal parts of [T]; frames of short clips are repeated."""
    return np.maximum.reduceat(values, np.arange(LENGTH) * len(values) // LENGTH)
