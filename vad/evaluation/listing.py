"""A plain text listing of scores for people who read rather than plot: a line per frame."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

Listing = tuple[str, np.ndarray, np.ndarray, np.ndarray]  # the arguments of `lines`


def lines(clip_name: str, source_frames: np.ndarray, scores: np.ndarray, alarmed: np.ndarray) -> list[str]:
    """A heading, then a line per frame: `Frame 056  score 0.0072  anomaly`, nothing after a normal score.

    Args:
        clip_name: for the heading.
        source_frames: int [T], printed with as many digits as the largest has, and at least 3.
        scores: float [T].
        alarmed: bool [T].

    Raises:
        ValueError: if the arrays differ in length.
    """
    return list(_lines(clip_name, source_frames, scores, alarmed))


def write_listing(path: Path, clips: Iterable[Listing]) -> None:
    """Writes the listings of clips with an empty line between them.

    Line by line: memory does not grow with the number of frames, nor, if `clips` is a generator, with that of
    clips.

    Args:
        path: of the file; its folder is made.
        clips: arguments of `lines` for each clip.
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
