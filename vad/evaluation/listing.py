"""A plain text listing of scores for people who read rather than plot: a line per frame."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

Row = tuple[str, np.ndarray, np.ndarray, np.ndarray]  # what `lines` takes


def lines(clip_name: str, source_frames: np.ndarray, scores: np.ndarray, alarmed: np.ndarray) -> list[str]:
    """A heading, then a line per frame: `Frame 056  score 0.0072  anomaly`, nothing after a normal score.

    `source_frames` int [T] are the numbers that are printed, padded to the width of the largest and at
    least 3 digits; `scores` float [T]; `alarmed` bool [T]. Raises ValueError if they differ in length.
    """
    return list(_lines(clip_name, source_frames, scores, alarmed))


def write(path: Path, clips: Iterable[Row]) -> None:
    """Writes the listings of clips, with an empty line between them; `clips` as `lines` takes them.

    Line by line: memory does not depend on how many frames there are, nor, if `clips` is a generator, on
    how many clips.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for i, clip in enumerate(clips):
            file.write("\n" if i else "")
            file.writelines(f"{line}\n" for line in _lines(*clip))


def _lines(
    clip_name: str, source_frames: np.ndarray, scores: np.ndarray, alarmed: np.ndarray
) -> Iterator[str]:
    yield f"Clip {clip_name}  frames {len(scores)}  anomalies {np.count_nonzero(alarmed)}"
    width = max(3, len(str(np.max(source_frames, initial=0))))
    for number, score, alarm in zip(source_frames, scores, alarmed, strict=True):
        yield f"Frame {number:0{width}d}  score {score:z.4f}" + ("  anomaly" if alarm else "")
