"""Normal distributions of features given the location in the frame, fitted to regions of normal clips.

The frames of a camera are divided into square cells. For each cell, mean and covariance of the nearest
regions are estimated and shrunk to those of all regions of the camera, and these to those of all cameras:
weighted means with the weights n : prior for n regions, as regularised discriminant analysis shrinks the
covariance of a class to that of all classes (Friedman 1989, doi:10.1080/01621459.1989.10478752).

Regions of different groups have distributions of their own. A feature may be unknown in a group, such as the
width of boxes that are cut off. Distributions of a group are shrunk to that of the groups in which all
features are known, with the variance UNKNOWN added to the features that are unknown in the group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vad.branches.base import Statistics
from vad.store.body_heights import OTHER_CAMERAS

ROWS = 30  # number of rows of cells; at 240 rows of pixels, the side of a cell is 8 pixels
MEAN, WHITENING = "mean/", "whitening/"  # start of the names of arrays, before the name of the camera
ROUNDING = 1e-6  # tolerance for counts, which are sums of fractions
UNKNOWN = 1.0  # variance added to an unknown feature; of a logarithm, a factor of e per standard deviation


@dataclass(frozen=True, eq=False)
class Samples:
    """The features of the regions of a normal clip.

    Attributes:
        cells: group, row and column of the cell of each region, int [N] each.
        columns: number of columns of cells in the frame.
        features: float64 [N, D], finite.
        weight: of every region, above 0, at most 1.
    """

    cells: tuple[np.ndarray, np.ndarray, np.ndarray]
    columns: int
    features: np.ndarray
    weight: float


def cells_of(boxes: np.ndarray, frame: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The cells of the foot points of boxes: of the middles of their lower edges.

    Args:
        boxes: int [N, 4] in pixels of the frame.
        frame: (height, width) in pixels.

    Returns:
        Rows and columns, int [N] each.
    """
    # in integers, without rounding, so that frames of any size have the same cells
    rows, columns = boxes[:, 3] * ROWS // frame[0], (boxes[:, 0] + boxes[:, 2]) * ROWS // (2 * frame[0])
    return np.minimum(rows, ROWS - 1), columns


@dataclass(frozen=True, eq=False)
class _Normals:
    """An array of normal distributions of D features.

    Attributes:
        count: number of regions that each was estimated from, the sum of their weights: float64 [...].
        mean: float64 [..., D].
        covariance: float64 [..., D, D].
    """

    count: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, moments: np.ndarray) -> "_Normals":
        """Estimates from moments, [..., 1 + D, 1 + D] (see `_moments`). Those of count 0 have mean 0."""
        count = moments[..., 0, 0]
        divisor = np.where(count > 0, count, 1.0)
        mean = moments[..., 0, 1:] / divisor[..., None]
        products = moments[..., 1:, 1:] / divisor[..., None, None]
        return cls(count, mean, products - mean[..., :, None] * mean[..., None, :])

    def shrunk(self, target: "_Normals", weight: float) -> "_Normals":
        """Shrinks means and covariances towards others: weighted means with the weights count : weight.

        Args:
            target: the others, of a shape that broadcasts to this one.
            weight: weight of the target, in regions.
        """
        # a count of 0 gives the target, even if its weight is 0
        share = np.divide(
            self.count, self.count + weight, out=np.zeros_like(self.count), where=self.count > 0
        )[..., None]
        mean = share * self.mean + (1 - share) * target.mean
        share = share[..., None]
        return _Normals(self.count, mean, share * self.covariance + (1 - share) * target.covariance)

    def table(self, camera: str, ridge: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of a camera, as `fit_densities` returns them.

        Args:
            camera: name of the camera.
            ridge: added to the variances, float64 [D].
        """
        # with the Cholesky decomposition covariance = L L', the distance is |L^-1 (x - mean)|
        whitening = np.linalg.inv(np.linalg.cholesky(self.covariance + np.diag(ridge)))
        arrays = {MEAN: self.mean, WHITENING: whitening}
        return {kind + camera: array.astype(np.float32) for kind, array in arrays.items()}


def fit_densities(
    clips: Mapping[str, Sequence[Samples]],
    neighbours: float,
    prior: float,
    ridge: np.ndarray,
    unknown: np.ndarray,
) -> Statistics:
    """Fits the distributions of all cameras that have regions.

    Args:
        clips: samples of the clips of each camera, with at least one region in all.
        neighbours: number of nearest regions that the distribution of a cell is estimated from.
        prior: weight, in regions, of the distributions towards which others are shrunk.
        ridge: added to the variances, float64 [D].
        unknown: which features are unknown in each group, bool [groups, D].

    Returns:
        By camera, `mean/<camera>` float32 [groups, rows, columns, D], and `whitening/<camera>` float32
        [groups, rows, columns, D, D], the matrix W by which |W (x - mean)| is the Mahalanobis distance of
        features x. OTHER_CAMERAS has a single cell.
    """
    moments = {
        camera: _moments(samples, len(unknown)) for camera, samples in sorted(clips.items()) if samples
    }
    of_groups = np.sum([cells.sum((1, 2), keepdims=True) for cells in moments.values()], axis=0)
    known = of_groups[~unknown.any(1)].sum(0)
    of_known = _Normals.of(known if known.any() else of_groups.sum(0))
    variances = UNKNOWN * unknown[:, None, None, :, None] * np.eye(unknown.shape[1])
    target = _Normals(of_known.count, of_known.mean, of_known.covariance + variances)
    of_all_cameras = _Normals.of(of_groups).shrunk(target, prior)
    tables: dict[str, np.ndarray] = {}
    for camera, cells in moments.items():
        if cells.any():
            of_camera = _Normals.of(cells.sum((1, 2), keepdims=True)).shrunk(of_all_cameras, prior)
            near = np.stack([_neighbourhoods(group, neighbours) for group in cells])
            tables |= _Normals.of(near).shrunk(of_camera, prior).table(camera, ridge)
    return tables | of_all_cameras.table(OTHER_CAMERAS, ridge)


def are_densities(statistics: Statistics, groups: int, features: int) -> bool:
    """Whether arrays have the names and shapes of those of `fit_densities`, and finite values.

    Args:
        statistics: arrays by name.
        groups: number of groups.
        features: number of features.
    """
    means = {name: array for name, array in statistics.items() if name.startswith(MEAN)}
    whitenings = {WHITENING + name.removeprefix(MEAN): (*a.shape, features) for name, a in means.items()}
    return (
        MEAN + OTHER_CAMERAS in means
        and all(a.ndim == 4 and (a.shape[0], a.shape[3]) == (groups, features) for a in means.values())
        and whitenings == {name: a.shape for name, a in statistics.items() if name not in means}
        and all(np.isfinite(array).all() for array in statistics.values())
    )


def _moments(clips: Sequence[Samples], groups: int) -> np.ndarray:
    """Moments of the features x in each cell: weighted sums of outer products of the vectors (1, x).

    Args:
        clips: samples of the clips of a camera.
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
    """Sums of the moments of the cells that hold the regions nearest to each cell.

    All cells at the distance of the farthest one needed are included, so the order does not matter.

    Args:
        cells: moments of the regions in each cell, float64 [rows, columns, 1 + D, 1 + D].
        neighbours: least number of regions in a neighbourhood; if there are fewer, it includes all.

    Returns:
        Moments of the neighbourhood of each cell, of the same shape.
    """
    occupied = cells[..., 0, 0] > 0
    (rows, columns), moments = np.nonzero(occupied), cells[occupied]
    if not len(rows):
        return cells
    out = np.empty_like(cells)
    for row, column in np.ndindex(cells.shape[:2]):
        squared = (rows - row) ** 2 + (columns - column) ** 2  # distances in cells
        # sorted, not counted by distance, since wide frames have far more distances than cells
        order = np.argsort(squared)
        needed = int(np.searchsorted(moments[order, 0, 0].cumsum(), neighbours - ROUNDING))
        last = order[min(needed, len(order) - 1)]
        out[row, column] = moments[squared <= squared[last]].sum(0)
    return out
