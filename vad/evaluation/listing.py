"""A plain text listing of scores, with a line per frame."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

Listing = tuple[str, np.ndarray, np.ndarray, np.ndarray]  # the arguments of `lines`


def lines(clip_name: str, source_frames: np.ndarray, scores: np.ndarray, alarmed: np.ndarray) -> list[str]:
    """The listing of a clip: a heading and a line per frame, `Frame 056  score 0.0072  anomaly`.

    Lines of frames that are not alarmed end with the score.

    Args:
        clip_name: name of the clip, for the heading.
        source_frames: index of the source frame of each frame, int [T]; printed with leading zeros, with at
            least 3 digits.
        scores: scores of the frames, float [T].
        alarmed: whether each frame is alarmed, bool [T].

    Raises:
        ValueError: if the arrays differ in length.
    """
    return list(_lines(clip_name, source_frames, scores, alarmed))


def write_listing(path: Path, clips: Iterable[Listing]) -> None:
    """Writes the listings of clips, separated by empty lines.

    The file is written line by line, so memory does not grow with the number of frames, nor with the number
    of clips if `clips` is a generator.

    Args:
        path: path of the file; its folder is created if it does not exist.
        clips: the arguments of `lines` for each clip.
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
