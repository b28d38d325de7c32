"""Figures of clips: their scores over time, and their events."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vad.figures import paper
from vad.figures.results import ClipCurve
from vad.store.intervals import intervals_of

POINTS = 1500  # of a curve; of more, each run of neighbouring frames is drawn by its highest score
FEW = 4  # clips that fit into one column of text, one below the other
ROWS, COLUMNS = 7, 3  # of curves on a page
LINE, PAGE = 5.0, 215.0  # mm of a figure of events: of a line of text, and of all lines of a page


def curves(clips: Sequence[ClipCurve], threshold: float) -> Iterator[Figure]:
    """The scores of clips over time, with labels, events and threshold, a page after another.

    Args:
        clips: the clips.
        threshold: of the scores.
    """
    per_page = len(clips) if len(clips) <= FEW else ROWS * COLUMNS
    for start in range(0, len(clips), per_page):
        yield _page(clips[start : start + per_page], threshold)


def _page(clips: Sequence[ClipCurve], threshold: float) -> Figure:
    columns = 1 if len(clips) <= FEW else min(COLUMNS, len(clips))
    rows = -(-len(clips) // columns)
    width = paper.ONE_COLUMN if columns == 1 else paper.TWO_COLUMNS
    drawn = paper.figure(width, 14 + 30 * rows)
    grid = drawn.subplots(rows, columns, squeeze=False, sharey=True)
    highest = max(threshold, *(float(clip.scores.max()) for clip in clips))
    lowest = min(0.0, *(float(clip.scores.min()) for clip in clips))
    for axes, clip in zip(grid.flat, clips, strict=False):
        _curve(axes, clip, threshold, highest)
        axes.set_title(paper.wrapped(clip.title, width / columns - 12), loc="left", pad=3)
    grid[0, 0].set_ylim(lowest - 0.03 * highest, 1.15 * highest if highest > 0 else 1)
    for axes in grid.flat[len(clips) :]:
        axes.remove()
    paper.legend(drawn, *grid.flat[: len(clips)])
    drawn.supxlabel("time in seconds", fontsize=paper.SIZE)
    drawn.supylabel("anomaly score", fontsize=paper.SIZE)
    return drawn


def _curve(axes: Axes, clip: ClipCurve, threshold: float, highest: float) -> None:
    name = "labelled anomalous"
    if clip.anomalous is not None:
        for start, end in intervals_of(clip.anomalous):
            low, high = clip.seconds[start], clip.seconds[end - 1] + clip.step
            axes.axvspan(low, high, color=paper.LABELLED, alpha=0.3, lw=0, label=name)
            name = "_"  # in the legend once
    seconds, scores = _thinned(clip)
    axes.plot(seconds, scores, color=paper.SCORE, lw=0.8, label="anomaly score")
    axes.axhline(threshold, color="black", lw=0.6, ls=(0, (4, 2)), label="threshold")
    name = "event"
    for start, end, _ in clip.events:
        y = 1.09 * highest if highest > 0 else 0.95
        axes.plot([start, end], [y, y], color=paper.ALARM, lw=2.5, solid_capstyle="butt", label=name)
        name = "_"
    axes.set_xlim(clip.seconds[0], clip.seconds[-1] + clip.step or 1.0)


def _thinned(clip: ClipCurve) -> tuple[np.ndarray, np.ndarray]:
    step = -(-len(clip.scores) // POINTS)
    starts = np.arange(0, len(clip.scores), step)
    return clip.seconds[starts], np.maximum.reduceat(clip.scores, starts)


def events(clips: Sequence[ClipCurve]) -> Iterator[Figure]:
    """The events of clips over time, a line per clip, a page after another.

    Args:
        clips: the clips.
    """
    width = paper.ONE_COLUMN if len(clips) <= 2 * FEW else paper.TWO_COLUMNS
    page: list[tuple[ClipCurve, str, float]] = []
    height = 0.0
    for clip in clips:
        name = paper.wrapped(clip.title, width * 0.3, paper.SIZE - 1)
        needed = LINE * (1 + 0.6 * name.count("\n"))
        if page and height + needed > PAGE:
            yield _events_page(page, width, height)
            page, height = [], 0.0
        page.append((clip, name, height + needed / 2))
        height += needed
    yield _events_page(page, width, height)


def _events_page(page: Sequence[tuple[ClipCurve, str, float]], width: float, height: float) -> Figure:
    """A page of events.

    Args:
        page: (clip, its name in lines, the distance of its middle from the top in mm) of each clip.
        width: of the figure, in mm.
        height: of all clips, in mm.
    """
    drawn = paper.figure(width, 22 + height)
    axes = drawn.subplots()
    shown: set[str] = set()

    def once(name: str) -> str:
        new = name not in shown
        shown.add(name)
        return name if new else "_"

    for clip, _, y in page:
        end = clip.seconds[-1] + clip.step
        axes.plot([clip.seconds[0], end], [y, y], color=paper.GRAY, lw=0.6, label=once("clip"))
        if clip.anomalous is not None:
            for first, last in intervals_of(clip.anomalous):
                span = clip.seconds[last - 1] + clip.step - clip.seconds[first]
                axes.barh(
                    y,
                    span,
                    left=clip.seconds[first],
                    height=0.75 * LINE,
                    facecolor="none",
                    edgecolor=paper.LABELLED,
                    lw=0.8,
                    label=once("labelled anomalous"),
                )
        for start, stop, _ in clip.events:
            axes.barh(y, stop - start, left=start, height=0.4 * LINE, color=paper.ALARM, label=once("event"))
    axes.set_yticks([y for *_, y in page], [name for _, name, _ in page])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(height, 0)
    axes.set_xlim(left=0)
    axes.set_xlabel("time in seconds")
    paper.legend(drawn, axes)
    return drawn
