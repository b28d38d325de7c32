"""Sizes, fonts, colours and file formats of figures for print.

Colours are those of Okabe and Ito (2008, jfly.uni-koeln.de/color), which colour-blind people can tell apart.
Each comes with a second cue, so that figures can be read in gray print: kind of line, position, hatch.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

ONE_COLUMN, TWO_COLUMNS = 88.0, 180.0  # width in mm
SIZE = 7.0  # of letters, in points
LEGEND = SIZE - 0.5  # the same, in legends
HANDLE = 9.0  # mm of a legend beside an entry's text: the sample of its line, and gaps
MOST_COLUMNS = 4  # of a legend
SCORE, LABELLED, ALARM, NORMAL, GRAY = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#666666"
FORMATS = ("pdf", "svg", "png")
DPI = 300
FONT = "DejaVu Sans"
STYLE: dict[Any, Any] = {
    "font.family": FONT,  # comes with matplotlib, so figures are the same everywhere
    "font.size": SIZE,
    "axes.titlesize": SIZE,
    "axes.labelsize": SIZE,
    "xtick.labelsize": SIZE - 1,
    "ytick.labelsize": SIZE - 1,
    "legend.fontsize": LEGEND,
    "legend.frameon": False,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
    "figure.constrained_layout.h_pad": 0.06,  # inches
    "pdf.fonttype": 42,  # letters stay text, and can be searched and edited
    "svg.fonttype": "none",
    "svg.hashsalt": "vad",  # otherwise ids are drawn at random
    "text.parse_math": False,  # a clip may be called $x
}
# neither times nor versions, so that the same results give the same bytes
METADATA = {
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def figure(width: float, height: float) -> Figure:
    """A figure whose parts are laid out without overlap.

    Args:
        width, height: in mm.
    """
    return Figure((width / 25.4, height / 25.4), layout="constrained")


def save(drawn: Figure, folder: Path, name: str) -> list[Path]:
    """Writes a figure in all FORMATS.

    Args:
        drawn: the figure, made in `style`.
        folder: for the files.
        name: of the files, without suffix.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{form}" for form in FORMATS]
    for path, form in zip(paths, FORMATS, strict=True):
        drawn.savefig(path, dpi=DPI, metadata=METADATA[form])
    return paths


def style() -> AbstractContextManager[None]:
    """The context in which figures are made and saved."""
    return matplotlib.rc_context(STYLE)


def wrapped(text: str, width: float, size: float = SIZE) -> str:
    """Text broken into lines that fit, if possible behind `/`, `_`, `-` or a space; nothing is left out.

    Args:
        text: a line.
        width: of the lines, in mm.
        size: of the letters, in points.
    """
    lines, line = [], ""
    for letter in text:
        if line and _width(line + letter, size) > width:
            cut = max(line.rfind(mark) for mark in "/_- ") + 1
            cut = cut if cut > len(line) // 2 else len(line)
            lines.append(line[:cut])
            line = line[cut:]
        line += letter
    return "\n".join([*lines, line])


def _width(text: str, size: float) -> float:
    """In mm."""
    font = FontProperties(family=FONT, size=size)
    return TextToPath().get_text_width_height_descent(text, font, False)[0] / 72 * 25.4


def legend(drawn: Figure, *axes: Axes) -> None:
    """One legend for all axes, above the figure: what any of them shows."""
    handles: dict[str, Any] = {}
    for part in axes:
        for handle, name in zip(*part.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    widest = max(_width(name, LEGEND) for name in handles) + HANDLE
    columns = min(MOST_COLUMNS, int(drawn.get_figwidth() * 25.4 / widest))
    drawn.legend(
        list(handles.values()),
        list(handles),
        loc="outside upper left",
        ncols=min(len(handles), max(1, columns)),
        handlelength=1.8,
        columnspacing=1.2,
    )
