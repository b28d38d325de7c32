"""The contact sheet of the check: for each kind an example, three frames and the scores around them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vad.drawing import paper
from vad.drawing.overlays import FAINT, INK, PAPER, font
from vad.validation.figures import ScoredStretch, Scores
from vad.validation.footage import Footage
from vad.validation.passages import CONTEXT, Passage, Stretch

MEANINGS = {
    "sped_up": "somebody moves two or three times as fast",
    "reversed": "somebody moves backwards",
    "spliced": "somebody's motion is cut into pieces, shown in another order",
    "pasted": "somebody of another time moves by, enlarged or upside down",
}
BLUE, RED, GRAY = "#4c78a8", "#e45756", "#8a8a8a"
DPI = 100


def draw(
    path: Path,
    stretches: Sequence[ScoredStretch],
    passages: Sequence[Passage],
    altered: Sequence[Scores],
    footage: Callable[[str], Footage],
    normal: Mapping[str, Scores],
    result: Mapping[str, Any],
    threshold: float,
) -> None:
    """Writes the PNG. The example of a kind is its stretch with the median mean score.

    Args:
        path: path of the PNG.
        stretches: all altered stretches; without any, the sheet says so.
        passages: the passages.
        altered: scores of the passages.
        footage: opens the footage of a clip by its id.
        normal: scores of the unaltered clips, by id.
        result: the figures.
        threshold: of the scores.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not stretches:
        sheet = paper.strip(64, ("no stretch was altered", font(18, True), INK))
        path.write_bytes(paper.encode(sheet, np.array([INK, PAPER], np.uint8)))
        return
    about = (
        f"normal footage is altered, and its scores should rise  ·  AUC {result['auc']:.2f} "
        f"({result['low']:.2f} to {result['high']:.2f})"
    )
    title = "Check without labels"
    parts = [
        paper.strip(44, (title, font(20, True), INK), (about, font(14), INK)),
        paper.strip(
            26,
            (
                "blue: score as altered; gray: of the same frames as they are; shaded: the altered stretch; "
                "dashed: alarm threshold",
                font(12),
                FAINT,
            ),
        ),
    ]
    for kind, of_kind in result["kind"].items():
        scored = _middle([stretch for stretch in stretches if stretch.kind == kind])
        passage, of_passage = passages[scored.passage], altered[scored.passage].scores
        stretch = passage.stretches[scored.number]
        shown = [int(t) for t in np.linspace(stretch.start, stretch.end - 1, 7)[1::2].round()]
        of_clip = footage(passage.clip)
        frames = of_clip.frames
        pictures = [_fitted(passage.picture(frames, t)) for t in shown]
        height = max(180, *(len(picture) for picture in pictures))
        first, last = curve_frames(stretch, of_clip.fps)
        times = np.arange(first, last) - stretch.start
        curves = (
            of_passage[first - passage.start : last - passage.start],
            normal[passage.clip].scores[first:last],
        )
        pictures.append(_curve(times, curves, stretch.end - stretch.start, threshold, height))
        text = f"{MEANINGS[kind]}  ·  AUC {of_kind['auc']:.2f} over {of_kind['stretches']} stretches"
        parts.append(paper.strip(36, (kind.replace("_", " "), font(14, True), INK), (text, font(12), FAINT)))
        parts.append(paper.row(pictures))
        captions = [f"frame {t}, score {of_passage[t - passage.start]:.2f}" for t in shown]
        parts.append(paper.captions([*captions, f"score by frame, in {passage.clip}"]))
    sheet = np.concatenate([*parts, paper.strip(paper.MARGIN)])
    path.write_bytes(paper.encode(sheet, np.array([INK, FAINT, PAPER], np.uint8)))


def _middle(stretches: Sequence[ScoredStretch]) -> ScoredStretch:
    """The stretch with the median of their mean scores, the upper of two."""
    return sorted(stretches, key=lambda stretch: float(stretch.altered.scores.mean()))[len(stretches) // 2]


def curve_frames(stretch: Stretch, fps: float) -> tuple[int, int]:
    """The frames of a curve, end exclusive: up to the neighbouring stretches, which are altered, too."""
    around = max(1, round(CONTEXT * fps))
    return stretch.start - around, stretch.end + around


def _fitted(pixels: np.ndarray) -> np.ndarray:
    """A frame at the size of a picture of the sheet, uint8 [h, w, 3]."""
    picture = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    scale = paper.CELL / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _curve(
    times: np.ndarray, curves: tuple[np.ndarray, np.ndarray], end: int, threshold: float, height: int
) -> np.ndarray:
    """The scores around a stretch, uint8 [height, CELL, 3].

    Args:
        times: frames since the start of the stretch, int [n].
        curves: scores as altered and unaltered, float [n] each.
        end: of the stretch.
        threshold: of the scores.
        height: of the picture in pixels.
    """
    figure = Figure(figsize=(paper.CELL / DPI, height / DPI), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.axvspan(0, end, color=RED, alpha=0.2, lw=0)
    for values, color in zip(curves, (BLUE, GRAY), strict=True):
        axis.plot(times, values, lw=1.2, color=color)
    axis.axhline(threshold, ls="--", lw=0.9, color=GRAY)
    axis.tick_params(labelsize=7)
    axis.margins(x=0)
    axis.set_ylim(bottom=min(0.0, *(float(values.min()) for values in curves)))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
