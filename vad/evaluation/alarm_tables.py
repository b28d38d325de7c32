"""Tables of what raised alarms: every event with its area in the picture, and the areas of all alarms.

An area is a ninth of the picture of a camera. An alarmed frame has the area of its region with the highest
score; without a region that is scored above normal, such as where regions are whole frames, that of its cells
with the highest score.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vad.evaluation.alarm_hotspots import Alarms, alarm_hotspots
from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.areas import AREAS, SIDE, areas_of
from vad.scoring.calibration import Calibration
from vad.scoring.contributions import Contributions
from vad.scoring.event_tables import table

NOWHERE = -1  # no cell stands out, such as in scores of whole frames
NAMES = (*AREAS, "")  # of areas, and of NOWHERE
SAMPLES = 8  # maximum number of frames of a clip whose cells are scored, which takes time
AMOUNTS = ["seconds", "seconds_outside_labels"]
EVENTS = ["clip", "camera", "from", "to", "start", "end", "start_seconds", "end_seconds", *AMOUNTS, "area"]
ALARMS = ["camera", "area", "x0", "y0", "x1", "y1", *AMOUNTS]


def alarm_tables(
    clips: Sequence[ScoredClip], calibration: Calibration
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """All events, the areas of all alarmed frames, and the hotspots of alarms.

    Args:
        clips: all test clips.
        calibration: by which the clips were scored.

    Returns:
        Two tables with the same measure: `seconds`, and `seconds_outside_labels`, how many of them are not
        labelled anomalous (all, if the clip is not labelled). And the result of `alarm_hotspots`.

        - A row per event, by clip and time, with the columns EVENTS. `from`, `to`, `start` and `end` are
          those of `event_tables.table`; `area` is that of most of its alarmed frames, "" if it is unknown.
        - A row per camera, size of its pictures, and area with alarmed frames, with the columns ALARMS; the
          row with the most seconds outside labels first, then the one with the most seconds. The box is in
          pixels of the source; without an area it is the whole picture.
    """
    events, of_events, alarms = [], [], []
    outside_labels: list[Alarms] = []
    for clip in clips:
        alarmed = np.flatnonzero(clip.scores > calibration.threshold)
        if not len(alarmed):
            continue
        outside = np.ones(len(clip.scores), bool) if clip.anomalous is None else ~clip.anomalous
        boxes = _boxes(clip, alarmed, calibration)
        areas = np.full(len(clip.scores), NOWHERE)
        areas[alarmed] = _areas(boxes, clip.regions.size)
        events.append(table(clip.name, clip.events, clip.fps, clip.source_frames, clip.seconds))
        for event in clip.events:
            span = slice(event.start, event.end)
            amount = (event.end - event.start, np.count_nonzero(outside[span]))
            # the first to be counted is NOWHERE, which is left out
            counts = np.bincount(areas[span] + 1, minlength=2)[1:]
            area = NAMES[counts.argmax() if counts.any() else NOWHERE]
            of_events.append((clip.camera, *(frames / clip.fps for frames in amount), area))
        numbers = np.full(len(clip.scores), -1)
        for number, event in enumerate(clip.events):
            numbers[event.start : event.end] = number
        free, (height, width) = outside[alarmed], clip.regions.size
        shares = boxes[free] / (width, height, width, height)
        outside_labels.append(Alarms(clip.camera, clip.name, clip.fps, shares, numbers[alarmed[free]]))
        for number, frames in enumerate(np.bincount(areas[alarmed] + 1), NOWHERE):
            if frames:
                unlabelled = np.count_nonzero(outside[alarmed[areas[alarmed] == number]])
                where = (clip.camera, NAMES[number], *_box(clip.source_size, number))
                alarms.append((*where, frames / clip.fps, unlabelled / clip.fps))
    # put together once, since every table costs a millisecond
    by_event = pd.concat(events or [table("", [], 1.0, *[np.zeros(0)] * 2)], ignore_index=True)
    by_event[["camera", *AMOUNTS, "area"]] = pd.DataFrame(
        of_events, columns=["camera", *AMOUNTS, "area"], index=by_event.index
    )
    by_area = pd.DataFrame(alarms, columns=ALARMS).groupby(ALARMS[:-2], as_index=False).sum()
    by_area = by_area.sort_values(AMOUNTS[::-1], ascending=False, kind="stable")
    return by_event[EVENTS], by_area, alarm_hotspots(outside_labels)


def _boxes(clip: ScoredClip, alarmed: np.ndarray, calibration: Calibration) -> np.ndarray:
    """What raised the alarm of each alarmed frame.

    Returns:
        Boxes in pixels of the frame, float [N, 4], NaN if it is unknown; of cells, a box of their size.
    """
    errors = clip.regions
    scores, boxes = errors.table["score"].to_numpy(), errors.boxes
    whole = (boxes == (0, 0, *errors.size[::-1])).all(1)
    if whole.all() and not errors.maps:
        return np.full((len(alarmed), 4), np.nan)
    rows = np.flatnonzero((scores > 0) & ~whole)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    numbers, first = np.unique(errors.numbers[rows], return_index=True)  # the first has the highest score
    of_number = np.full((-(-errors.frames // errors.stride), 4), np.nan)
    of_number[numbers] = boxes[rows[first]]
    out = of_number[errors.nearest[alarmed]]
    if len(rest := np.flatnonzero(np.isnan(out[:, 0]))):
        for part in np.array_split(rest, min(len(rest), SAMPLES)):
            # the frame in the middle stands for the others
            out[part] = _box_of_cells(clip, int(alarmed[part[len(part) // 2]]), calibration)
    return out


def _box_of_cells(clip: ScoredClip, t: int, calibration: Calibration) -> np.ndarray:
    """A box of the size of a cell in the middle of the cells with the highest score in frame t: float [4].

    Where frames are scored as a whole, of the cells that raised the score most.
    """
    errors = clip.regions
    cells = Contributions(calibration, errors.region_branches, list(errors.maps), errors.camera)
    if cells.pooled:
        alone = {branch: float(scores[t]) for branch, scores in clip.branches.items()}
        scores = cells.at(errors, t, float(clip.scores[t]), alone)
    else:
        scores = next(calibration.cell_scores(errors, (t, t + 1)))[1][0]
    highest = scores == scores.max()
    if highest.all():
        return np.full(4, np.nan)
    corner = np.argwhere(highest).mean(0)[::-1] * errors.cell
    return np.concatenate([corner, corner + errors.cell])


def _areas(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The areas of boxes in a picture of (height, width): int [N], NOWHERE if they are unknown."""
    unknown = np.isnan(boxes[:, 0])
    return np.where(unknown, NOWHERE, areas_of(np.where(unknown[:, None], 0, boxes), size))


def _box(size: tuple[int, int], area: int) -> tuple[int, int, int, int]:
    """The box of an area in a picture of (height, width), the whole picture if the area is unknown."""
    height, width = size
    if area == NOWHERE:
        return 0, 0, width, height
    row, column = divmod(area, SIDE)
    x0, x1 = (round(width * i / SIDE) for i in (column, column + 1))
    y0, y1 = (round(height * i / SIDE) for i in (row, row + 1))
    return x0, y0, x1, y1
