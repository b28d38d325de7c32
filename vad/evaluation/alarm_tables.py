"""Tables of what raised alarms: every event with its area in the picture, and the areas of all alarms.

An area is a ninth of the picture of a camera. An alarmed frame has the area of its region with the highest
score; without a region that is scored above normal, such as where regions are whole frames, that of its cells
with the highest score.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.calibration import Calibration
from vad.scoring.event_tables import table

SIDE = 3  # areas in each direction
AREAS = (
    *("upper left", "upper centre", "upper right"),
    *("left", "centre", "right"),
    *("lower left", "lower centre", "lower right"),
    "",
)  # row by row, and the name of NOWHERE
NOWHERE = -1  # no cell stands out, such as in scores of whole frames
SAMPLES = 8  # maximum number of frames of a clip whose cells are scored, which takes time
AMOUNTS = ["seconds", "seconds_outside_labels"]
EVENTS = ["clip", "camera", "from", "to", "start", "end", *AMOUNTS, "area"]
ALARMS = ["camera", "area", "x0", "y0", "x1", "y1", *AMOUNTS]


def alarm_tables(clips: Sequence[ScoredClip], calibration: Calibration) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All events, and the areas of all alarmed frames.

    Args:
        clips: all test clips.
        calibration: by which the clips were scored.

    Returns:
        Two tables with the same measure: `seconds`, and `seconds_outside_labels`, how many of them are not
        labelled anomalous (all, if the clip is not labelled).

        - A row per event, by clip and time, with the columns EVENTS. `from`, `to`, `start` and `end` are
          those of `event_tables.table`; `area` is that of most of its alarmed frames, "" if it is unknown.
        - A row per camera, size of its pictures, and area with alarmed frames, with the columns ALARMS; the
          row with the most seconds outside labels first, then the one with the most seconds. The box is in
          pixels of the source; without an area it is the whole picture.
    """
    events, of_events, alarms = [], [], []
    for clip in clips:
        alarmed = np.flatnonzero(clip.scores > calibration.threshold)
        if not len(alarmed):
            continue
        outside = np.ones(len(clip.scores), bool) if clip.anomalous is None else ~clip.anomalous
        areas = np.full(len(clip.scores), NOWHERE)
        areas[alarmed] = _areas(clip, alarmed, calibration)
        events.append(table(clip.name, clip.events, clip.fps, clip.source_frames, clip.seconds))
        for event in clip.events:
            span = slice(event.start, event.end)
            amount = (event.end - event.start, np.count_nonzero(outside[span]))
            # the first to be counted is NOWHERE, which is left out
            counts = np.bincount(areas[span] + 1, minlength=2)[1:]
            area = AREAS[counts.argmax() if counts.any() else NOWHERE]
            of_events.append((clip.camera, *(frames / clip.fps for frames in amount), area))
        for number, frames in enumerate(np.bincount(areas[alarmed] + 1), NOWHERE):
            if frames:
                free = np.count_nonzero(outside[alarmed[areas[alarmed] == number]])
                where = (clip.camera, AREAS[number], *_box(clip.source_size, number))
                alarms.append((*where, frames / clip.fps, free / clip.fps))
    # put together once, since every table costs a millisecond
    by_event = pd.concat(events or [table("", [], 1.0, *[np.zeros(0)] * 2)], ignore_index=True)
    by_event[["camera", *AMOUNTS, "area"]] = pd.DataFrame(
        of_events, columns=["camera", *AMOUNTS, "area"], index=by_event.index
    )
    by_place = pd.DataFrame(alarms, columns=ALARMS).groupby(ALARMS[:-2], as_index=False).sum()
    return by_event[EVENTS], by_place.sort_values(AMOUNTS[::-1], ascending=False, kind="stable")


def _areas(clip: ScoredClip, alarmed: np.ndarray, calibration: Calibration) -> np.ndarray:
    """The area of each alarmed frame: int [N] from int [N], NOWHERE if it is unknown."""
    errors = clip.regions
    scores, boxes = errors.table["score"].to_numpy(), errors.boxes
    whole = (boxes == (0, 0, *errors.size[::-1])).all(1)
    if whole.all() and not errors.maps:
        return np.full(len(alarmed), NOWHERE)
    rows = np.flatnonzero((scores > 0) & ~whole)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    numbers, first = np.unique(errors.numbers[rows], return_index=True)  # the first has the highest score
    highest = boxes[rows[first]]
    of_number = np.full(-(-errors.frames // errors.stride), NOWHERE)
    of_number[numbers] = _area((highest[:, :2] + highest[:, 2:]) / 2, errors.size)
    areas = of_number[errors.nearest[alarmed]]
    if len(rest := np.flatnonzero(areas == NOWHERE)):
        for part in np.array_split(rest, min(len(rest), SAMPLES)):
            # the frame in the middle stands for the others
            areas[part] = _area_of_cells(clip, int(alarmed[part[len(part) // 2]]), calibration)
    return areas


def _area_of_cells(clip: ScoredClip, t: int, calibration: Calibration) -> int:
    """The area of the cells with the highest score in frame t."""
    errors = clip.regions
    scores = next(calibration.cell_scores(errors, (t, t + 1)))[1][0]
    highest = scores == scores.max()
    if highest.all():
        return NOWHERE
    centre = (np.argwhere(highest).mean(0)[::-1] + 0.5) * errors.cell
    return int(_area(centre[None], errors.size)[0])


def _area(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The areas of points x, y of a picture of (height, width): int [N] from float [N, 2]."""
    ninths = np.minimum(points * SIDE // size[::-1], SIDE - 1).astype(int)
    return ninths[:, 1] * SIDE + ninths[:, 0]


def _box(size: tuple[int, int], area: int) -> tuple[int, int, int, int]:
    """The box of an area in a picture of (height, width), the whole picture if the area is unknown."""
    height, width = size
    if area == NOWHERE:
        return 0, 0, width, height
    row, column = divmod(area, SIDE)
    x0, x1 = (round(width * i / SIDE) for i in (column, column + 1))
    y0, y1 = (round(height * i / SIDE) for i in (row, row + 1))
    return x0, y0, x1, y1
