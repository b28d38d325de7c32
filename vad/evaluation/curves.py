"""Pictures of score curves."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vad.drawing import paper
from vad.evaluation.scored_clip import ScoredClip, labelled
from vad.store.intervals import intervals_of

SHADE, SCORE, THRESHOLD = "#e45756", "#4c78a8", "#666666"  # colours
PAGE = 36  # maximum number of curves of a picture, since the time for its layout grows with their square
SIGNS = "shaded: labelled anomalous; dashed: alarm threshold from normal footage"


def draw(path: Path, clips: Sequence[ScoredClip], threshold: float, total: int) -> None:
    """Draws the score of clips over time, with labelled intervals shaded and the threshold as a dashed line.

    Args:
        path: path of the PNG, with more than PAGE clips that of the first page (`paper.page_path`).
        clips: the clips to draw.
        threshold: frames with a higher score are alarmed.
        total: number of all test clips; if there are more than `clips`, the title says so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    title = SIGNS
    if (n := len(clips)) < total:
        title += f"\n{n} of {total} clips: the highest scores and the worst mistakes; all clips: strips.png"
    mixed = 0 < len(labelled(clips)) < len(clips)
    for page, start in enumerate(range(0, len(clips), PAGE), 1):
        figure = _figure(clips[start : start + PAGE], threshold, title, mixed)
        # no version, so that bytes do not depend on it
        figure.savefig(paper.page_path(path, page), dpi=90, metadata={"Software": None})


def _figure(clips: Sequence[ScoredClip], threshold: float, title: str, mixed: bool) -> Figure:
    columns = min(3, len(clips))
    rows = -(-len(clips) // columns)
    figure = Figure(figsize=(4.2 * columns, 1.9 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axis, clip in zip(axes.flat, clips, strict=False):
        _curve(axis, clip, threshold)
        name = f"{clip.name} (not labelled)" if mixed and clip.anomalous is None else clip.name
        axis.set_title(name, fontsize=9, fontweight="bold")
    for axis in axes.flat[len(clips) :]:
        axis.remove()
    figure.supxlabel("frame", fontsize=9)
    figure.supylabel("anomaly score", fontsize=9)
    figure.suptitle(title, fontsize=9)
    return figure


def _curve(axis: Axes, clip: ScoredClip, threshold: float) -> None:
    if clip.anomalous is not None:
        for start, end in intervals_of(clip.anomalous):
            first, last = clip.source_frames[start], clip.source_frames[end - 1]
            axis.axvspan(first, last + 1, color=SHADE, alpha=0.22, lw=0)
    axis.plot(clip.source_frames, clip.scores, lw=1.1, color=SCORE)
    axis.axhline(threshold, ls="--", lw=0.9, color=THRESHOLD)
    axis.tick_params(labelsize=7)
    axis.margins(x=0)
