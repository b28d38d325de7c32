"""Areas: the ninths of a camera's picture, by which people are told where something is."""

import numpy as np

SIDE = 3  # areas in each direction
AREAS = (  # names, row by row
    *("upper left", "upper centre", "upper right"),
    *("left", "centre", "right"),
    *("lower left", "lower centre", "lower right"),
)


def areas_of(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The areas in which the centres of boxes lie.

    Args:
        boxes: [N, 4], x0, y0, x1, y1 in pixels of the picture.
        size: (height, width) of the picture.

    Returns:
        int [N], indices of AREAS; centres outside the picture count to the area that is nearest.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    column, row = np.clip(centres * SIDE // size[::-1], 0, SIDE - 1).astype(int).T
    return np.asarray(row * SIDE + column)
