"""Draws the figures of the last run for a thesis: reports/figures.

    python -m vad.figures
    python -m vad.figures --clip hall_fall --clip hall_walk

Each as PDF, SVG and PNG (300 dpi): score curves and events of clips, ROC, precision and recall, histogram of
scores, losses. One column of text wide, 88 mm, or two, 180 mm. Figures of an earlier call are removed.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from vad import UserError
from vad.figures import clips, metrics, paper, results
from vad.figures.results import ClipCurve, Results

FIGURES = Path("reports/figures")
MOST = 42  # clips, unless asked for more


def draw(folder: Path, run: Results, chosen: Sequence[ClipCurve]) -> Iterator[Path]:
    """Draws all figures for which there are results.

    Args:
        folder: for the files; what is in it is removed.
        run: the results.
        chosen: the clips to draw.

    Yields:
        The files.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with paper.style():
        yield from _pages(folder, "curves", clips.curves(chosen, run.threshold))
        if any(len(clip.events) for clip in chosen):
            yield from _pages(folder, "events", clips.events(chosen))
        if len(run.plots["roc"]):
            yield from paper.save(metrics.roc(run), folder, "roc")
            yield from paper.save(metrics.precision_recall(run), folder, "precision_recall")
        yield from paper.save(metrics.histogram(run), folder, "histogram")
        if len(run.history):
            yield from paper.save(metrics.losses(run), folder, "losses")


def _pages(folder: Path, name: str, pages: Iterable[Figure]) -> Iterator[Path]:
    drawn = list(pages)
    for number, page in enumerate(drawn, 1):
        yield from paper.save(page, folder, name if len(drawn) == 1 else f"{name}_{number}")


def choose(run: Results, names: Sequence[str], most: int) -> tuple[list[ClipCurve], str]:
    """The clips to draw.

    Args:
        run: the results.
        names: of clips; without any, those with the highest scores.
        most: maximum number, if there are no names.

    Returns:
        (the clips in their order, a note if they are not all).

    Raises:
        UserError: if there is no clip of a name.
    """
    if unknown := sorted(set(names) - {clip.name for clip in run.clips}):
        known = ", ".join([clip.name for clip in run.clips[:10]] + ["…"] * (len(run.clips) > 10))
        raise UserError(f"--clip {unknown[0]}: there is no such test clip; there are {known}")
    if names:
        return [clip for clip in run.clips if clip.name in names], ""
    if len(run.clips) <= most:
        return run.clips, ""
    limit = sorted((float(clip.scores.max()) for clip in run.clips), reverse=True)[most - 1]
    chosen = [clip for clip in run.clips if clip.scores.max() >= limit][:most]
    note = f"{most} of {len(run.clips)} clips are drawn, those with the highest scores (--most)"
    return chosen, note


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m vad.figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clip", action="append", default=[], metavar="NAME", help="draw this clip; repeatable"
    )
    parser.add_argument(
        "--most", type=int, default=MOST, metavar="N", help=f"number of clips at most, by default {MOST}"
    )
    given = parser.parse_args(arguments)
    try:
        run = results.read(Path())
        chosen, note = choose(run, given.clip, max(1, given.most))
        stems: dict[str, list[str]] = {}
        for path in draw(FIGURES, run, chosen):
            stems.setdefault(path.with_suffix("").as_posix(), []).append(path.suffix[1:])
    except UserError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(2)
    for stem, forms in stems.items():
        print(f"{stem}.{{{','.join(forms)}}}")
    if note:
        print(note)
    if not len(run.plots["roc"]):
        print(f"no ROC curve: {run.figures['frame'].get('absent', 'there are no labels of both classes')}")


if __name__ == "__main__":
    main()
