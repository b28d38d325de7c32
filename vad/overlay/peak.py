"""Where in its picture a frame is most anomalous."""

import numpy as np

from vad.overlay.scored_frame import SessionInfo
from vad.scoring.areas import AREAS, areas_of
from vad.scoring.items import FrameResult

Box = tuple[int, int, int, int]
EVERYWHERE = "whole picture"


def peak_box(info: SessionInfo, result: FrameResult) -> Box | None:
    """What has the highest score in a frame.

    That is the highest region, unless regions are whole frames or below the threshold. Then it is the cell
    that raised the score most, if the frame is alarmed: branches such as `speed` have cells only.

    Args:
        info: of the session.
        result: of the frame.

    Returns:
        x0, y0, x1, y1 in pixels of the source's picture, end exclusive; None if that is the whole picture.
    """
    regions, cells = result.regions, result.contributions
    parts = np.flatnonzero(regions.sources != "frame")
    best = parts[np.argmax(result.region_scores[parts])] if len(parts) else None
    box = None if best is None else regions.boxes[best]
    if cells is not None and (box is None or result.region_scores[best] <= info.threshold):
        row, column = np.unravel_index(np.argmax(cells), cells.shape)
        # if all cells contribute the same, there are errors of whole frames alone
        if cells[row, column] > max(info.threshold, float(cells.min())):
            box = np.array([column, row, column + 1, row + 1]) * info.cell
    if box is None:
        return None
    height, width = info.picture_size
    x0, y0, x1, y1 = np.clip(np.rint(info.on_picture(box)[0]), 0, (width, height) * 2).astype(int).tolist()
    return x0, y0, x1, y1


def area_of(box: Box | None, size: tuple[int, int]) -> str:
    """The area of the picture in which the centre of a box lies, in words.

    Args:
        box: x0, y0, x1, y1 in pixels of the picture; None for all of it.
        size: (height, width) of the picture.
    """
    return EVERYWHERE if box is None else AREAS[areas_of(np.array([box]), size)[0]]
