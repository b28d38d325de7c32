"""Density given the place: how unlike the regions of normal footage at the same place a region is.

The picture of a camera is divided into square cells. A cell has the mean and the covariance of the features
of the normal regions nearest to it, both shrunk to those of all regions of the camera, and these to those of
all cameras: weighted means with the weights n : prior, for n regions, as regularised discriminant analysis
shrinks the covariance of a class to that of all classes (Friedman 1989, doi:10.1080/01621459.1989.10478752).
So where training was thin, a region is compared with what is normal elsewhere; the place itself is never
odd.

Regions may be divided into groups, such as those that the edge of the picture cuts off, which are compared
with each other only. Features that say nothing in a group are unknown until normal footage tells: a group is
shrunk to all regions in whose groups all features are known, with the variance UNKNOWN added to the features
that are unknown in it.

The error of a region is the Mahalanobis distance (Mahalanobis 1936) of its features at the cell of its foot
point, the middle of the lower edge of its box.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from vad import UserError
from vad.branches.base import Branch, BranchErrors, ClipFormat, Log, NormalClip, Statistics, WindowProcessor
from vad.pipeline.params import Field, Section
from vad.stream import WindowsOfFrame

ROWS = 30  # of cells of a picture, whose cells thus have 8 pixels at 240 rows
WHOLE = "frame"  # the source of regions that are whole frames, which have neither place nor shape
MEAN, WHITENING = "mean/", "whitening/"  # of the names of the statistics, before that of the camera
ANY = ""  # the name under which the statistics of all cameras stand
ROUNDING = 1e-6  # of counts, which are sums of fractions
UNKNOWN = 1.0  # variance of an unknown feature; of a logarithm, a factor of 2.7 either way


class PlaceParams(Section):
    """The parameters of a density given the place.

    On UCSD Ped2, these defaults are among those that give regions of left-out normal clips the highest
    density; no label was read for them.
    """

    neighbours: float = Field(
        100.0, gt=0, description="number of the nearest normal regions that tell what is normal at a place"
    )
    prior: float = Field(
        20.0,
        ge=0,
        description="weight, in regions, of what is normal anywhere in the picture, against these neighbours",
    )
    rate: float = Field(
        4.0,
        gt=0,
        description="regions per second of a track that count fully; at higher frame rates each counts less, "
        "since consecutive frames hardly differ",
    )


@dataclass(frozen=True, eq=False)
class Samples:
    """The features of the regions of a normal clip.

    Attributes:
        cells: groups, rows and columns of the cells of the regions, int [N] each.
        columns: number of columns of cells of the picture.
        features: float64 [N, D], finite.
        weight: of each region, above 0 to 1.
    """

    cells: tuple[np.ndarray, np.ndarray, np.ndarray]
    columns: int
    features: np.ndarray
    weight: float


class PlaceBranch(Branch):
    """Base class of branches that compare features of a region with those of normal regions near its place.

    Subclasses define `sample`, `processor`, and a `fit` that calls `fit_places`. A branch that is fitted
    several times, once per fold, computes the features of a clip once.

    Attributes:
        floors: smallest standard deviation of each feature, in its unit; added to all variances, so that
            normal footage in which a feature hardly varies does not make errors infinite.
        unknown: for each group of regions, which features say nothing by themselves, bool [groups, D].
        parts: for each group of regions, whether they may show a part of a thing, so that only features above
            the mean count, bool [groups].
        lacking: what clips are without for which `sample` gives None.
    """

    floors: ClassVar[Sequence[float]]
    unknown: ClassVar[Sequence[Sequence[bool]]]
    parts: ClassVar[Sequence[bool]]
    lacking: ClassVar[str] = "clips"
    params: PlaceParams

    def __init__(self, params: PlaceParams):
        super().__init__(params)
        self._samples: dict[NormalClip, Samples | None] = {}

    def open(self, autoencoder: Path, statistics: Path) -> str:
        """Loads the statistics, as `Branch.open`.

        Raises:
            UserError: if they are missing or broken, or an earlier version of this branch wrote them.
        """
        hashed = super().open(autoencoder, statistics)
        if self.statistics is not None and not self._fits(self.statistics):
            raise UserError(f"{statistics}: statistics of another version; run `dvc repro statistics`")
        return hashed

    def _fits(self, statistics: Statistics) -> bool:
        """Whether the arrays are those that `fit_places` returns."""
        groups, n = np.shape(self.unknown)
        means = {name: array for name, array in statistics.items() if name.startswith(MEAN)}
        whitenings = {WHITENING + name.removeprefix(MEAN): (*a.shape, n) for name, a in means.items()}
        return (
            MEAN + ANY in means
            and all(a.ndim == 4 and (a.shape[0], a.shape[3]) == (groups, n) for a in means.values())
            and whitenings == {name: a.shape for name, a in statistics.items() if name not in means}
        )

    def sample(self, clip: NormalClip, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
        """Computes the features of regions of a normal clip.

        Args:
            clip: the clip.
            frames: index of the frame of each region, int [N], ascending.
            boxes: int [N, 4].

        Returns:
            float [N, D]; None if the clip lacks the data for it.
        """
        raise NotImplementedError

    def groups(self, boxes: np.ndarray, sources: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
        """The groups of regions; by default all are in the group 0.

        Args:
            boxes: int [N, 4].
            sources: `motion` or `detector`, text [N].
            frame: (height, width) in pixels.

        Returns:
            int [N], from 0 on.
        """
        return np.zeros(len(boxes), np.int64)

    def fit_places(self, clips: Sequence[NormalClip], log: Log) -> Statistics | None:
        """Fits the tables of all cameras. Arguments as of `fit`.

        Returns:
            By camera, `mean/<camera>` float32 [groups, rows, columns, D], and `whitening/<camera>` float32
            [groups, rows, columns, D, D], the matrix W by which |W (x - mean)| is the Mahalanobis distance of
            features x. The camera "", which stands for all others, has a single cell. None if no clip has
            data.
        """
        for clip in clips:
            if clip not in self._samples:
                self._samples[clip] = self._sample(clip)
        of_cameras: dict[str, list[Samples]] = {}
        for clip in clips:
            if (samples := self._samples[clip]) is not None:
                of_cameras.setdefault(clip.camera, []).append(samples)
        counts = {camera: sum(len(s.features) for s in samples) for camera, samples in of_cameras.items()}
        if not sum(counts.values()):
            lacking = "regions but whole frames" if of_cameras else self.lacking
            log(f"no {lacking}, so no errors of {self.name}")
            return None
        cameras = sum(map(bool, counts.values()))
        log(f"{sum(counts.values())} regions of {cameras} camera{'s' * (cameras != 1)}")
        return _tables(of_cameras, self.params, np.square(self.floors), np.array(self.unknown))

    def _sample(self, clip: NormalClip) -> Samples | None:
        # takes long to import, and processors do without
        from vad.store.tables import BOX, read_table

        table = read_table(clip.regions)
        boxes = table[BOX].to_numpy(np.int64)
        usable = (table["source"] != WHOLE).to_numpy()
        frames, boxes = table["frame"].to_numpy()[usable], boxes[usable]
        sources = table["source"].to_numpy().astype(str)[usable]
        features = self.sample(clip, frames, boxes)
        if features is None:
            return None
        weight = min(1.0, self.params.rate / clip.fps)
        columns = -(-clip.frame[1] * ROWS // clip.frame[0])
        cells = self.groups(boxes, sources, clip.frame), *cells_of(boxes, clip.frame)
        return Samples(cells, columns, features.astype(np.float64), weight)


class PlaceProcessor(WindowProcessor):
    """Gives the errors of regions by look-up; subclasses define `features`.

    Args:
        branch: with its statistics.
        clip: what is the same for all frames.
    """

    def __init__(self, branch: PlaceBranch, clip: ClipFormat):
        super().__init__()
        assert branch.statistics is not None, "the branch was not fitted"
        self.columns, self.branch, self.clip = (branch.name,), branch, clip
        statistics = branch.statistics
        camera = clip.camera if MEAN + clip.camera in statistics else ANY
        mean, whitening = statistics[MEAN + camera], statistics[WHITENING + camera]
        _, self._rows, self._columns, n = mean.shape
        self._mean, self._whitening = mean.reshape(-1, n), whitening.reshape(-1, n, n)
        self._least = np.where(branch.parts, np.float32(0), np.float32(-np.inf))[:, None]

    def features(self, frame: WindowsOfFrame) -> np.ndarray:
        """The features of the regions `frame.regions`, float [N, D], finite."""
        raise NotImplementedError

    def measure(self, frames: list[WindowsOfFrame]) -> list[BranchErrors]:
        boxes = np.concatenate([frame.regions.boxes for frame in frames])
        features = np.concatenate([self.features(frame) for frame in frames])
        sources = np.concatenate([frame.regions.sources for frame in frames])
        errors = self.errors(boxes, sources, features)
        ends = np.cumsum([len(frame.regions) for frame in frames])
        return [BranchErrors({self.columns[0]: part}) for part in np.split(errors, ends[:-1])]

    def errors(self, boxes: np.ndarray, sources: np.ndarray, features: np.ndarray) -> np.ndarray:
        """The distance of features from those that are normal at the place of a box.

        Args:
            boxes: int [N, 4].
            sources: `motion` or `detector`, text [N].
            features: float [N, D].

        Returns:
            float32 [N], 0 or more.
        """
        rows, columns = cells_of(boxes, self.clip.frame)
        groups = self.branch.groups(boxes, sources, self.clip.frame)
        # of other cameras there is one cell; and pictures may be wider than in training
        rows = np.minimum(rows, self._rows - 1) + groups * self._rows
        cells = rows * self._columns + np.minimum(columns, self._columns - 1)
        from_mean = np.maximum(features - self._mean.take(cells, 0), self._least.take(groups, 0))
        white = np.matmul(self._whitening.take(cells, 0), from_mean[:, :, None])[:, :, 0]
        return np.sqrt((white * white).sum(1)).astype(np.float32)


def cells_of(boxes: np.ndarray, frame: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The cells of the foot points of boxes.

    Cells are squares of 1/30 of the frame's height.

    Args:
        boxes: int [N, 4].
        frame: (height, width) in pixels.

    Returns:
        Rows and columns, int [N] each.
    """
    # in whole numbers, so that pictures of any size have the same cells
    rows, columns = boxes[:, 3] * ROWS // frame[0], (boxes[:, 0] + boxes[:, 2]) * ROWS // (2 * frame[0])
    return np.minimum(rows, ROWS - 1), columns


@dataclass(frozen=True, eq=False)
class _Normals:
    """Normal distributions with D dimensions, an array of any shape of them.

    Attributes:
        count: weight of the regions that each rests on, [...].
        mean: [..., D].
        covariance: [..., D, D].
    """

    count: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, moments: np.ndarray) -> "_Normals":
        """Of the moments [..., 1 + D, 1 + D] (see `_moments`); with count 0, `shrunk` gives its target."""
        count = moments[..., 0, 0]
        divisor = np.where(count > 0, count, 1.0)
        mean = moments[..., 0, 1:] / divisor[..., None]
        products = moments[..., 1:, 1:] / divisor[..., None, None]
        return cls(count, mean, products - mean[..., :, None] * mean[..., None, :])

    def shrunk(self, target: "_Normals", weight: float) -> "_Normals":
        """Weighted means with other distributions.

        Args:
            target: towards which they are shrunk; of a shape that numpy can broadcast to theirs.
            weight: of it, where they have their counts.
        """
        # without regions and with weight 0, the target as well
        share = np.divide(
            self.count, self.count + weight, out=np.zeros_like(self.count), where=self.count > 0
        )[..., None]
        mean = share * self.mean + (1 - share) * target.mean
        share = share[..., None]
        return _Normals(self.count, mean, share * self.covariance + (1 - share) * target.covariance)

    def table(self, camera: str, ridge: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of a camera as `fit_places` returns them.

        Args:
            camera: its name.
            ridge: added to the variances, [D].
        """
        # with covariance = L L', the distance of x is |L^-1 (x - mean)|
        whitening = np.linalg.inv(np.linalg.cholesky(self.covariance + np.diag(ridge)))
        arrays = {MEAN: self.mean, WHITENING: whitening}
        return {prefix + camera: array.astype(np.float32) for prefix, array in arrays.items()}


def _tables(
    clips: dict[str, list[Samples]], params: PlaceParams, ridge: np.ndarray, unknown: np.ndarray
) -> Statistics:
    """The tables of all cameras that have regions.

    Args:
        clips: the samples of the clips of each camera, at least one region in all.
        params: parameters of the density.
        ridge: added to the variances, [D].
        unknown: which features are unknown in each group, bool [groups, D].
    """
    moments = {
        camera: _moments(samples, len(unknown)) for camera, samples in sorted(clips.items()) if samples
    }
    of_groups = np.sum([cells.sum((1, 2), keepdims=True) for cells in moments.values()], axis=0)
    whole = of_groups[~unknown.any(1)].sum(0)
    anything = _Normals.of(whole if whole.any() else of_groups.sum(0))
    variances = UNKNOWN * unknown[:, None, None, :, None] * np.eye(unknown.shape[1])
    ignorance = _Normals(anything.count, anything.mean, anything.covariance + variances)
    everything = _Normals.of(of_groups).shrunk(ignorance, params.prior)
    tables: dict[str, np.ndarray] = {}
    for camera, cells in moments.items():
        if cells.any():
            of_camera = _Normals.of(cells.sum((1, 2), keepdims=True)).shrunk(everything, params.prior)
            near = np.stack([_neighbourhoods(group, params.neighbours) for group in cells])
            tables |= _Normals.of(near).shrunk(of_camera, params.prior).table(camera, ridge)
    return tables | everything.table(ANY, ridge)


def _moments(clips: Sequence[Samples], groups: int) -> np.ndarray:
    """Moments of the features x in each cell: sums of the outer products of the vectors (1, x).

    Args:
        clips: the samples of the clips of a camera.
        groups: number of groups.

    Returns:
        float64 [groups, rows, columns, 1 + D, 1 + D].
    """
    dimensions = 1 + clips[0].features.shape[1]
    out = np.zeros((groups, ROWS, max(clip.columns for clip in clips), dimensions, dimensions))
    for clip in clips:
        vectors = np.insert(clip.features, 0, 1, axis=1)
        np.add.at(out, clip.cells, clip.weight * vectors[:, :, None] * vectors[:, None, :])
    return out


def _neighbourhoods(cells: np.ndarray, neighbours: float) -> np.ndarray:
    """Sums over the cells around each cell that hold its nearest regions.

    Cells as far away as the last that is needed count too, so the result depends on no order. Where people
    are as tall as at the cell, the nearest in pixels are the nearest in body heights.

    Args:
        cells: moments, float64 [rows, columns, 1 + D, 1 + D].
        neighbours: smallest count of a neighbourhood; where there are fewer regions, it holds all.

    Returns:
        Moments, of the same shape.
    """
    occupied = cells[..., 0, 0] > 0
    (rows, columns), moments = np.nonzero(occupied), cells[occupied]
    if not len(rows):
        return cells
    out = np.empty_like(cells)
    for row, column in np.ndindex(cells.shape[:2]):
        squared = (rows - row) ** 2 + (columns - column) ** 2  # distance, in cells
        # sorted, not counted by distance: of a wide picture there are far more distances than cells
        order = np.argsort(squared)
        needed = int(np.searchsorted(moments[order, 0, 0].cumsum(), neighbours - ROUNDING))
        last = order[min(needed, len(order) - 1)]
        out[row, column] = moments[squared <= squared[last]].sum(0)
    return out
