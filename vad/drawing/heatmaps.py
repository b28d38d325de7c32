"""Heat maps: what raised the scores of chosen frames, laid over them, beside the labelled pixels.

All pictures share the colour scale of frame scores, also between revisions whose scores have the same scale:
no colour at 0, the median of normal footage, and full colour at twice the threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure

from vad import UserError
from vad.drawing import paper
from vad.drawing.overlays import INK, PAPER, TRACKS, Color

TOP, FALSE, MISSED = "most anomalous", "false alarm", "missed"
ALARMED, LABELLED = TRACKS[:2]  # colours of outlines
SIDE, COLUMN = 320, 200  # pixels: longer side of a picture; least width of a column
MARGIN, LINE, FOOT, DPI = 12, 22, 64, 100
HIGHEST = "The cell that raised a score most\nhas the score of its frame."
WHOLE = "There are errors of whole frames alone. For maps:\nbranches.reconstruction.maps: true"
LEVELS = 12  # colours of the map; the threshold is in the middle
HEAT = np.column_stack(  # RGBA, from nearly transparent over yellow to red
    [colormaps["YlOrRd"](np.linspace(0.1, 0.85, LEVELS))[:, :3], np.linspace(0, 0.7, LEVELS)]
)
COLORMAP = ListedColormap(HEAT)


@dataclass(frozen=True)
class Panel:
    """A frame to draw.

    Attributes:
        kind: why the frame was chosen, a key from `choose`.
        number: index of the source frame.
        score: score of the frame.
        anomalous: label of the frame; None if it is not labelled.
        frame: uint8 [h, w] or [h, w, 3] RGB.
        map: contributions of the cells to the score, float [rows, columns]; the highest is the score.
        truth: mask of anomalous pixels of the source frame, bool [H, W], possibly of another size than the
            extracted frame; None without mask.
    """

    kind: str
    number: int
    score: float
    anomalous: bool | None
    frame: np.ndarray
    map: np.ndarray
    truth: np.ndarray | None = None


def choose(
    scores: np.ndarray, anomalous: np.ndarray | None, alarmed: np.ndarray, threshold: float
) -> dict[str, int]:
    """Chooses the frames of a clip to draw: the most anomalous frame and the worst mistake.

    The worst mistake is the `false alarm` with the highest score or the `missed` frame with the lowest score,
    whichever is further from the threshold. If the worst mistake of a kind is the most anomalous frame
    itself, the kind is omitted, since neighbouring frames look the same. Ties go to the first frame, and to
    the false alarm.

    Args:
        scores: scores of the frames, float [T], T > 0.
        anomalous: labels, bool [T]; None without labels, and then there is no mistake.
        alarmed: whether each frame is alarmed, bool [T].
        threshold: threshold of the scores.

    Returns:
        Index of the frame by kind.
    """
    chosen = {TOP: int(np.argmax(scores))}
    if anomalous is None:
        return chosen
    excess = {  # distance of mistaken frames from the threshold
        FALSE: np.where(alarmed & ~anomalous, scores - threshold, -np.inf),
        MISSED: np.where(~alarmed & anomalous, threshold - scores, -np.inf),
    }
    worst = {kind: int(np.argmax(by)) for kind, by in excess.items() if np.isfinite(by).any()}
    others = [kind for kind, t in worst.items() if t != chosen[TOP]]
    if others:
        kind = max(others, key=lambda kind: excess[kind][worst[kind]])
        chosen[kind] = worst[kind]
    return chosen


def title(panel: Panel, threshold: float) -> str:
    """The title of a panel: `missed: frame 56, score 0.31 (threshold 1.40), labelled anomalous`."""
    label = {None: "not labelled", True: "labelled anomalous", False: "labelled normal"}[panel.anomalous]
    score = f"score {panel.score:z.2f} (threshold {threshold:z.2f})"
    return f"{panel.kind}: frame {panel.number}, {score}, {label}"


def draw(path: Path, clip_name: str, panels: Sequence[Panel], threshold: float, cell: int) -> None:
    """Writes a PNG with a row for each panel: the frame, the map over it, and outlines.

    The outlines surround the cells above the threshold and the labelled pixels. The same panels give the same
    bytes.

    Args:
        path: path of the PNG.
        clip_name: name of the clip, for the title.
        panels: frames of the clip, of the same size.
        threshold: of frame scores; full colour is at twice this value, or at 1 if it is not above 0.
        cell: pixels of the frame per cell, in each direction.

    Raises:
        UserError: if a map does not fit its frame.
    """
    for panel in panels:
        _check(clip_name, panel, cell)
    size = panels[0].frame.shape[:2]
    height, width = (SIDE * side / max(size) for side in size)
    lefts = [MARGIN + i * (max(width, COLUMN) + MARGIN) for i in range(3)]
    row = LINE + height + MARGIN
    sheet = _Sheet(lefts[-1] + max(width, COLUMN) + MARGIN, MARGIN + LINE + len(panels) * row + FOOT)
    sheet.text(MARGIN, MARGIN, clip_name, weight="bold", size=11)
    full = 2 * threshold if threshold > 0 else 1.0
    for i, panel in enumerate(panels):
        y = MARGIN + LINE + i * row
        sheet.text(MARGIN, y + 2, title(panel, threshold))
        plain, mapped, outlined = (sheet.axes(left, y + LINE, width, height) for left in lefts)
        for axes in (plain, mapped, outlined):
            _show(axes, panel.frame)
        extent = (0, panel.map.shape[1] * cell, panel.map.shape[0] * cell, 0)
        mapped.imshow(panel.map, COLORMAP, vmin=0, vmax=full, extent=extent, interpolation="nearest")
        above = _enlarge(panel.map > threshold, cell)[: size[0], : size[1]]
        _outline(outlined, above, size, ALARMED)
        if panel.truth is not None:
            _outline(outlined, panel.truth, size, LABELLED)
        for axes in (mapped, outlined):  # the last cells may reach beyond the frame
            axes.set(xlim=(0, size[1]), ylim=(size[0], 0))
    outlines = {ALARMED: "cells above the threshold"}
    if any(panel.truth is not None for panel in panels):
        outlines[LABELLED] = "labelled anomalous"
    even = all(panel.map.min() == panel.map.max() for panel in panels) and panels[0].map.any()
    _legend(sheet, lefts, full, threshold, outlines, WHOLE if even else HIGHEST)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(paper.encode(sheet.pixels(), _palette()))


def _legend(
    sheet: "_Sheet",
    lefts: Sequence[float],
    full: float,
    threshold: float,
    outlines: dict[Color, str],
    note: str,
) -> None:
    y = sheet.height - FOOT
    for left, what in zip(lefts, ("frame", "what raised the score", "outlines"), strict=True):
        sheet.text(left, y, what, weight="bold")
    sheet.text(lefts[0], y + 20, note, size=8)
    for i, (color, meaning) in enumerate(outlines.items()):
        sheet.text(lefts[2], y + 20 + i * 18, "■", color=_hex(color))
        sheet.text(lefts[2] + 18, y + 20 + i * 18, meaning)
    bar = sheet.axes(lefts[1] + 4, y + 20, COLUMN - 20, 12)
    bar.imshow(np.arange(LEVELS)[None], COLORMAP, aspect="auto", extent=(0, full, 0, 1))
    ticks = {0.0: "0", full: f"≥ {full:.3g}"}
    if threshold > 0:
        ticks[threshold] = f"threshold {threshold:.3g}"
    bar.set_axis_on()
    bar.set_xticks(list(ticks), ticks.values(), size=8)


def _palette() -> np.ndarray:
    """Fixed colours of the palette: those of signs and of the map's legend, uint8 [N, 3]."""
    color, alpha = HEAT[2:, :3] * 255, HEAT[2:, 3:]  # without the lowest levels, which are nearly white
    legend = np.rint(alpha * color + (1 - alpha) * np.array(PAPER))
    return np.concatenate([[INK, PAPER, ALARMED, LABELLED], legend]).astype(np.uint8)


def _check(clip_name: str, panel: Panel, cell: int) -> None:
    height, width = panel.frame.shape[:2]
    if panel.map.shape != (expected := (-(-height // cell), -(-width // cell))):
        raise UserError(
            f"clip {clip_name!r}: the map of frame {panel.number} has {panel.map.shape[0]} x "
            f"{panel.map.shape[1]} cells, but a frame of {height} x {width} pixels in cells of {cell} has "
            f"{expected[0]} x {expected[1]} (rows x columns); run `dvc repro`"
        )


def _show(axes: Axes, frame: np.ndarray) -> None:
    height, width = frame.shape[:2]
    kind = "nearest" if max(height, width) <= SIDE else "auto"
    axes.imshow(frame, "gray", vmin=0, vmax=255, extent=(0, width, height, 0), interpolation=kind)


def _outline(axes: Axes, mask: np.ndarray, size: tuple[int, int], color: Color) -> None:
    """The edges of a mask, bool [H, W], laid over a picture of `size` (height, width)."""
    fine = _enlarge(mask, -(-SIDE // max(mask.shape)))  # since contours cut the corners of pixels
    inside = np.pad(fine, 1).astype(np.uint8)  # closes contours at the edge of the picture
    y, x = ((np.arange(n + 2) - 0.5) * (to / n) for n, to in zip(fine.shape, size, strict=True))
    axes.contour(x, y, inside, [0.5], colors=_hex(color), linewidths=1.6).set_clip_on(False)


def _enlarge(mask: np.ndarray, factor: int) -> np.ndarray:
    return mask.repeat(factor, axis=0).repeat(factor, axis=1)


def _hex(color: Color) -> str:
    red, green, blue = color
    return to_hex((red / 255, green / 255, blue / 255))


class _Sheet:
    """A figure of width x height pixels; positions on it are pixels from its upper left corner."""

    def __init__(self, width: float, height: float):
        self.width, self.height = round(width), round(height)
        self.figure = Figure((self.width / DPI, self.height / DPI), DPI)

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Writes a line of text with its top at y."""
        defaults: dict[str, Any] = {"size": 9, "va": "top", "color": _hex(INK), "parse_math": False}
        self.figure.text(x / self.width, 1 - y / self.height, text, **(defaults | style))

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Adds axes without frame and ticks; y is their top."""
        bottom = self.height - y - height
        rectangle = (x / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(rectangle, xticks=[], yticks=[])
        axes.set_axis_off()
        return axes

    def pixels(self) -> np.ndarray:
        """The figure as a picture, uint8 [height, width, 3] RGB."""
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()
        return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
