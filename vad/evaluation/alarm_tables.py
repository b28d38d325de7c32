"""Tables of what raised alarms: every event with its place in the picture, and the places of all alarms.

A place is a ninth of the picture of a camera. An alarmed frame has the place of its region with the highest
score; without a region that is scored above normal, such as where regions are whole frames, that of its cells
with the highest score.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.calibration import Calibration
from vad.scoring.event_tables import table

SIDE = 3  # places in each direction
PLACES = (
    *("upper left", "upper centre", "upper right"),
    *("left", "centre", "right"),
    *("lower left", "lower centre", "lower right"),
    "",
)  # row by row, and the name of NOWHERE
NOWHERE = -1  # no cell stands out, such as in scores of whole frames
SAMPLES = 8  # maximum number of frames of a clip whose cells are scored, which takes time
EVENTS = ["clip", "camera", "from", "to", "start", "end", "seconds", "seconds_outside_labels", "place"]
ALARMS = ["camera", "place", "x0", "y0", "x1", "y1", "seconds", "seconds_outside_labels"]


def alarm_tables(clips: Sequence[ScoredClip], calibration: Calibration) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All events, and the places of all alarmed frames.

    Args:
        clips: all test clips.
        calibration: by which the clips were scored.

    Returns:
        Two tables with the same measure: `seconds`, and `seconds_outside_labels`, how many of them are not
        labelled anomalous (all, if the clip is not labelled).

        - A row per event, by clip and time, with the columns EVENTS. `from`, `to`, `start` and `end` are
          those of `event_tables.table`; `place` is that of most of its alarmed frames, "" if it is unknown.
        - A row per camera, size of its pictures, and place with alarmed frames, with the columns ALARMS; the
          row with the most seconds outside labels first, then the one with the most seconds. The box is in
          pixels of the source; without a place it is the whole picture.
    """
    events, alarms = [], []
    for clip in clips:
        outside = np.ones(len(clip.scores), bool) if clip.anomalous is None else ~clip.anomalous
        alarmed = np.flatnonzero(clip.scores > calibration.threshold)
        places = np.full(len(clip.scores), NOWHERE)
        places[alarmed] = _places(clip, alarmed, calibration)
        if clip.events:
            events.append(_events(clip, places, outside))
        for place in np.unique(places[alarmed]).tolist():
            there = alarmed[places[alarmed] == place]
            amount = (len(there) / clip.fps, np.count_nonzero(outside[there]) / clip.fps)
            alarms.append((clip.camera, PLACES[place], *_box(clip.source_size, place), *amount))
    by_place = pd.DataFrame(alarms, columns=ALARMS).groupby(ALARMS[:-2], sort=True, as_index=False).sum()
    by_place = by_place.sort_values(["seconds_outside_labels", "seconds"], ascending=False, kind="stable")
    return pd.concat(events) if events else pd.DataFrame(columns=EVENTS), by_place


def _events(clip: ScoredClip, places: np.ndarray, outside: np.ndarray) -> pd.DataFrame:
    """The rows of a clip's events, from the place of each frame and whether it lies outside of labels."""
    rows = table(clip.name, clip.events, clip.fps, clip.source_frames, clip.seconds)
    spans = [slice(event.start, event.end) for event in clip.events]
    rows["camera"] = clip.camera
    rows["seconds"] = [(span.stop - span.start) / clip.fps for span in spans]
    rows["seconds_outside_labels"] = [np.count_nonzero(outside[span]) / clip.fps for span in spans]
    # NOWHERE is counted first, and left out unless there is nothing else
    counts = [np.bincount(places[span] + 1, minlength=2)[1:] for span in spans]
    rows["place"] = [PLACES[count.argmax() if count.any() else NOWHERE] for count in counts]
    return rows[EVENTS]


def _places(clip: ScoredClip, alarmed: np.ndarray, calibration: Calibration) -> np.ndarray:
    """The place of each alarmed frame: int [N] from int [N], NOWHERE if it is unknown."""
    if not len(alarmed):
        return alarmed
    errors = clip.regions
    scores, boxes = errors.table["score"].to_numpy(), errors.boxes
    rows = np.flatnonzero((scores > 0) & ~errors.whole_frames())
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    numbers, first = np.unique(errors.numbers[rows], return_index=True)  # the first has the highest score
    highest = boxes[rows[first]]
    of_number = np.full(-(-errors.frames // errors.stride), NOWHERE)
    of_number[numbers] = _place((highest[:, :2] + highest[:, 2:]) / 2, errors.size)
    places = of_number[errors.nearest[alarmed]]
    if len(rest := np.flatnonzero(places == NOWHERE)):
        for part in np.array_split(rest, min(len(rest), SAMPLES)):
            # the frame in the middle stands for the others
            places[part] = _place_of_cells(clip, int(alarmed[part[len(part) // 2]]), calibration)
    return places


def _place_of_cells(clip: ScoredClip, t: int, calibration: Calibration) -> int:
    """The place of the cells with the highest score in frame t."""
    errors = clip.regions
    scores = next(calibration.cell_scores(errors, (t, t + 1)))[1][0]
    highest = scores == scores.max()
    if highest.all():
        return NOWHERE
    centre = (np.argwhere(highest).mean(0)[::-1] + 0.5) * errors.cell
    return int(_place(centre[None], errors.size)[0])


def _place(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The places of points x, y of a picture of (height, width): int [N] from float [N, 2]."""
    ninths = np.minimum(points * SIDE // size[::-1], SIDE - 1).astype(int)
    return ninths[:, 1] * SIDE + ninths[:, 0]


def _box(size: tuple[int, int], place: int) -> tuple[int, int, int, int]:
    """The box of a place in a picture of (height, width), the whole picture if the place is unknown."""
    height, width = size
    if place == NOWHERE:
        return 0, 0, width, height
    row, column = divmod(place, SIDE)
    x0, x1 = (round(width * i / SIDE) for i in (column, column + 1))
    y0, y1 = (round(height * i / SIDE) for i in (row, row + 1))
    return x0, y0, x1, y1
