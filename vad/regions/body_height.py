"""Fits body heights to the regions of normal clips: how tall people appear at each row of a camera's frames.

Regions at the border of the frame are left out, since people there are cut off. Of the other regions, the fit
uses upright boxes of the detector's class `person`; if there are too few, upright boxes of all its classes;
if these are too few, all its boxes; without a detector, upright boxes of motion. The line is the mode of the
boxes' heights given their lower edges.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vad.boxes import cut_sides
from vad.regions.base import AUTO, LEAST_BODY_HEIGHT, BodyHeightSetting, RegionMode
from vad.store.arrays import open_array
from vad.store.body_heights import OTHER_CAMERAS, BodyHeight, BodyHeights
from vad.store.cards import read_card
from vad.store.manifest import Clip
from vad.store.tables import BOX, read_table

KEY = "preprocess.body_height"
PERSON = "person"  # name of the class in COCO
MIN_REGIONS, MIN_TRACKS = 50, 3  # with fewer, no line is fitted
MIN_SPAN = 0.1  # of the height of the frame: least distance of the 5th and 95th percentile of lower edges
MAX_REGIONS = 4_000  # more are thinned out, to bound the time of the fit
GRID = 48  # number of heights tried at either end of the line
WIDTH = 0.1  # standard deviation of the kernel, in the logarithm of height / line
STEPS = 20  # iterations that refine the line found on the grid
DIGITS = 3  # after the decimal point, so that rounding errors of a machine do not reach the file
Log = Callable[[str], None]


@dataclass(frozen=True)
class _Sample:
    """Regions of normal clips that may show a whole person.

    Attributes:
        feet: lower edges in pixels, float64 [N].
        heights: heights without margin in pixels, float64 [N].
        tracks: number of the track, unique among all clips, int64 [N]; -1 without a track.
        people: whether the class is `person`, bool [N].
        detected: whether the source is the detector, bool [N]; otherwise it is motion.
        upright: whether the box is at least as tall as wide, bool [N]; always true of square crops.
    """

    feet: np.ndarray
    heights: np.ndarray
    tracks: np.ndarray
    people: np.ndarray
    detected: np.ndarray
    upright: np.ndarray

    def __len__(self) -> int:
        return len(self.feet)

    def __getitem__(self, rows: np.ndarray) -> "_Sample":
        return _Sample(*(column[rows] for column in self._columns()))

    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.feet, self.heights, self.tracks, self.people, self.detected, self.upright

    def scaled(self, factor: float) -> "_Sample":
        """The same regions in frames that are larger by a factor."""
        return replace(self, feet=self.feet * factor, heights=self.heights * factor)

    @property
    def fault(self) -> str:
        """Why there are too few regions for a line; empty if there are enough."""
        if len(self) < MIN_REGIONS:
            return f"there are fewer than {MIN_REGIONS} regions"
        tracked = self.tracks[self.tracks >= 0]
        if len(tracked) and len(np.unique(tracked)) < MIN_TRACKS:
            return f"there are fewer than {MIN_TRACKS} tracks"
        return ""

    def best_kind(self) -> "_Sample":
        """The regions of the best kind that has enough for a line; if none has, of the most frequent kind."""
        upright = self.upright
        choices = (self.people & upright, self.detected & upright, self.detected, ~self.detected & upright)
        kinds = [self._tracked(rows) for rows in choices]
        return next((kind for kind in kinds if not kind.fault), max(kinds, key=len))

    def _tracked(self, rows: np.ndarray) -> "_Sample":
        """The chosen regions that have a track; if none has one, all chosen regions."""
        tracked = rows & (self.tracks >= 0)
        return self[tracked if tracked.any() else rows]

    @classmethod
    def joined(cls, samples: Sequence["_Sample"]) -> "_Sample":
        """The regions of all samples; tracks of different samples keep different numbers."""
        tracks, first = [], 0
        for sample in samples:
            tracks.append(np.where(sample.tracks >= 0, sample.tracks + first, -1))
            first += int(sample.tracks.max(initial=-1)) + 1
        columns = [np.concatenate(parts) for parts in zip(*(s._columns() for s in samples), strict=True)]
        return replace(cls(*columns), tracks=np.concatenate(tracks))


def fit_body_heights(
    clips: Sequence[Clip], frames: Path, regions: Path, setting: BodyHeightSetting, mode: RegionMode, log: Log
) -> BodyHeights:
    """Fits the body height of every camera that has normal clips, and one for all other cameras.

    Test clips are not read.

    Args:
        clips: all clips.
        frames: folder of the stage extract; only cards are read.
        regions: folder of the stage preprocess.
        setting: `preprocess.body_height`.
        mode: the mode of the regions, for their margin.
        log: receives a line per camera.

    Returns:
        An entry per camera with normal clips, and OTHER_CAMERAS: the entry of the only camera, or a fit to
        the regions of all cameras, scaled to frames of the same height, which cameras without regions get
        too. Without normal clips no entries.

    Raises:
        UserError: if a file is missing or broken.
    """
    samples: defaultdict[str, list[_Sample]] = defaultdict(list)
    rows: defaultdict[str, int] = defaultdict(int)
    for clip in sorted(clips, key=lambda clip: clip.clip):
        if clip.split != "test":
            height, width = read_card(frames / clip.clip)["shape"][1:3]
            rows[clip.camera] = max(rows[clip.camera], height)
            samples[clip.camera].append(_read(regions / clip.clip, height, width, mode.margin))
    if not samples:
        return BodyHeights({})
    of_camera = {camera: _Sample.joined(parts) for camera, parts in sorted(samples.items())}
    other, of_others = None, ""
    if len(of_camera) > 1:
        tallest = max(rows.values())
        everything = _Sample.joined([s.scaled(tallest / rows[camera]) for camera, s in of_camera.items()])
        other, of_others = _body_height(everything, tallest, setting)
    cameras = {}
    for camera, sample in of_camera.items():
        cameras[camera], text = _body_height(sample, rows[camera], setting, other)
        log(f"camera {camera!r}: {text}")
    if other is None:
        return BodyHeights({**cameras, OTHER_CAMERAS: next(iter(cameras.values()))})
    log(f"other cameras: {of_others}")
    return BodyHeights({**cameras, OTHER_CAMERAS: other})


def _read(stem: Path, height: int, width: int, margin: float) -> _Sample:
    """The regions of a clip, without whole frames and those at the border of the frame."""
    table = read_table(stem)
    boxes = table[BOX].to_numpy(np.float64)
    inside, (x0, y0, x1, y1) = ~cut_sides(boxes, width, height).any(1), boxes.T
    detected = (table["source"] == "detector").to_numpy()
    moving = (table["source"] == "motion").to_numpy()
    return _Sample(
        feet=y1,
        heights=(y1 - y0) / (1 + 2 * margin),
        tracks=table["track"].to_numpy(np.int64),
        people=detected & _are_people(stem, len(table)),
        detected=detected,
        upright=y1 - y0 >= x1 - x0,
    )[inside & (detected | moving)]


def _are_people(stem: Path, number: int) -> np.ndarray:
    """Whether the most probable class of each region is PERSON, bool [N]; all False without class scores."""
    stem = Path(f"{stem}.classes")
    if not Path(f"{stem}.json").exists():
        return np.zeros(number, bool)
    scores, card = open_array(stem)
    names = card["classes"]
    return scores.argmax(axis=1) == names.index(PERSON) if PERSON in names else np.zeros(number, bool)


def _body_height(
    sample: _Sample, rows: int, setting: BodyHeightSetting, other: BodyHeight | None = None
) -> tuple[BodyHeight, str]:
    """The body height of a camera, and a sentence for the log.

    Args:
        sample: regions of the camera.
        rows: height of its frames in pixels.
        setting: `preprocess.body_height`.
        other: fit to the regions of all cameras, for a camera without regions.
    """
    if setting != AUTO:
        height = _from_params(setting, rows)
        return height, f"people are {_ends(height)} ({KEY})"
    used = sample.best_kind()
    if not len(used) and other is not None and other.regions:
        height = other.scaled(rows)
        return height, (
            "no regions tell how tall people are, so as for other cameras they are assumed to be "
            f"{_ends(height)}; look at reports/preprocess, and set {KEY} if this is wrong"
        )
    if not len(used):
        height = BodyHeight.default(rows)
        return height, (
            f"no regions tell how tall people are, so {height.near:.0f} px are assumed, a sixth of the "
            f"height of the frame; look at reports/preprocess, and set {KEY} if people are not as tall"
        )
    height, fault = _line(used, rows)
    if not fault:
        return height, f"people are {_ends(height)} (fit to {len(used):,} regions)"
    return height, (
        f"people are taken to be {height.near:.0f} px tall at every row, the median of {len(used):,} "
        f"regions, since {fault}; look at reports/preprocess, and set {KEY} if this is wrong"
    )


def _ends(height: BodyHeight) -> str:
    """The heights at the borders of the frame, as text."""
    far, near = height.at_feet([0, height.rows])
    return (
        f"{near:.0f} px tall at every row"
        if height.far == height.near
        else f"{far:.0f} px tall at the upper border, {near:.0f} px at the lower"
    )


def _from_params(setting: float | list[float] | str, rows: int) -> BodyHeight:
    """The body height that the user sets."""
    assert not isinstance(setting, str)
    if not isinstance(setting, list):
        return BodyHeight.constant(setting, rows, "params")
    far, near = setting
    return BodyHeight(far, near, max(far, LEAST_BODY_HEIGHT), rows, "params")


def _line(used: _Sample, rows: int) -> tuple[BodyHeight, str]:
    """The line fitted to regions and an empty text, or their median and why there is no line.

    Args:
        used: at least one region.
        rows: height of the frame in pixels.
    """
    median = BodyHeight.constant(round(float(np.median(used.heights)), DIGITS), rows, "constant", len(used))
    if used.fault:
        return median, used.fault
    low, high = np.percentile(used.feet, [5, 95])
    if high - low < MIN_SPAN * rows:
        return median, "their lower edges are at about the same row"
    chosen = np.linspace(0, len(used) - 1, min(len(used), MAX_REGIONS)).round().astype(int)
    slope, start = _mode_line(used.feet[chosen], used.heights[chosen])
    if slope < 0:
        return median, "they are not taller near the lower border, as if the camera looked down"
    for part in (used.feet <= low, used.feet >= high):
        actual = np.median(used.heights[part])
        if not actual / 2 <= start + slope * np.median(used.feet[part]) <= 2 * actual:
            return median, "no line describes their heights"
    # not extrapolated to rows above the people seen, since towards the horizon the line falls to 0
    least = start + slope * np.percentile(used.feet, 1)
    if least < LEAST_BODY_HEIGHT:  # a few regions above the horizon, such as birds
        least = max(start + slope * low, LEAST_BODY_HEIGHT)
    far, near, least = (round(float(value), DIGITS) for value in (start, start + slope * rows, least))
    return BodyHeight(far, near, least, rows, "fit", len(used)), ""


def _mode_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the line along which points lie most densely.

    This is modal linear regression (Yao & Li 2014, doi:10.1111/sjos.12054), with a gaussian kernel over the
    logarithm of the ratio of a point to the line. Boxes of several people lie above it, boxes of parts of a
    person below; a median or mean would follow them.

    Args:
        x: lower edges, float64 [N], not all the same.
        y: heights, float64 [N], above 0.

    Returns:
        Pixels of height per row, and height in pixels at row 0.
    """
    low, high = np.percentile(x, [5, 95])
    share = (x - low) / (high - low)
    lowest, highest = np.percentile(y, [2, 98])
    heights = np.geomspace(lowest, highest, GRID)  # of the line, at `low` and at `high`
    densities = []
    for start in heights:
        lines = start + (heights[:, None] - start) * share
        densities.append(_kernel(lines, y).mean(1))
    at_low, at_high = np.unravel_index(np.argmax(densities), (GRID, GRID))
    slope = float(heights[at_high] - heights[at_low]) / (high - low)
    start = float(heights[at_low]) - slope * low
    columns = np.column_stack([x, np.ones_like(x)])
    for _ in range(STEPS):  # weighted least squares; each step raises the density
        line = np.maximum(start + slope * x, 1)
        weighted = columns * (_kernel(line, y) / line**2)[:, None]
        matrix = weighted.T @ columns
        if np.linalg.cond(matrix) > 1e12:
            break
        slope, start = (float(v) for v in np.linalg.solve(matrix, weighted.T @ y))
    return slope, start


def _kernel(lines: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights of points by their distance from lines: 1 on the line; of the shape of `lines`."""
    return np.exp(-0.5 * (np.log(y / np.maximum(lines, 1)) / WIDTH) ** 2)
