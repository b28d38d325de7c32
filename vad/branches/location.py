"""Base of branches whose error is the distance of a region's features from normal ones at its location.

A location is the cell of the foot point, the middle of the lower edge of a box. The error is the Mahalanobis
distance (Mahalanobis 1936) of the features from the distribution that `vad.branches.density` fits for that
cell. Where normal footage has few regions, it takes after the distribution of the whole camera, so a region
is never anomalous for its location alone.

Regions may be divided into groups, such as those that are cut off by the border of the frame, which are
compared only with regions of the same group.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from vad import UserError
from vad.branches.base import Branch, BranchErrors, ClipFormat, Log, NormalClip, Statistics, WindowProcessor
from vad.branches.density import (
    MEAN,
    ROWS,
    WHITENING,
    Samples,
    are_densities,
    cells_of,
    fit_densities,
)
from vad.branches.graph import Graph
from vad.pipeline.params import Field, Section
from vad.store.body_heights import OTHER_CAMERAS
from vad.stream import WindowsOfFrame

WHOLE = "frame"  # source of regions that are whole frames, which have neither location nor shape


class LocationParams(Section):
    """Parameters of the distributions.

    On UCSD Ped2, these defaults are among those with the highest likelihood of left-out normal clips; they
    were chosen without labels.
    """

    neighbours: float = Field(
        100.0, gt=0, description="number of nearest normal regions that a region is compared with"
    )
    prior: float = Field(
        20.0,
        ge=0,
        description="weight of all normal regions of the camera beside these neighbours, in regions",
    )
    rate: float = Field(
        4.0,
        gt=0,
        description="regions per second of a track that count fully; at higher frame rates each counts less, "
        "since consecutive frames hardly differ",
    )


class LocationBranch(Branch):
    """Base class of branches that compare features of a region with those of normal regions nearby.

    Subclasses define `features`, `processor`, and a `fit` that calls `fit_locations`. An instance that is
    fitted several times, once per fold, computes the features of each clip only once.

    Attributes:
        floors: least standard deviation of each feature, in its unit. Their squares are added to the
            variances, so that errors stay finite if a feature hardly varies in normal footage.
        unknown: for each group of regions, which features are unknown, bool [groups, D].
        one_sided: for each group of regions, whether only features above the mean count, since a region may
            show only a part of somebody, bool [groups].
        lacking: what clips lack for which `features` gives None.
    """

    floors: ClassVar[Sequence[float]]
    unknown: ClassVar[Sequence[Sequence[bool]]]
    one_sided: ClassVar[Sequence[bool]]
    lacking: ClassVar[str] = "clips"
    params: LocationParams

    def __init__(self, params: LocationParams):
        super().__init__(params)
        self._samples: dict[NormalClip, Samples | None] = {}

    def open(self, autoencoder: Path | Graph, statistics: Path) -> str:
        """Loads the statistics, as `Branch.open`.

        Raises:
            UserError: if they are missing or broken, or of another version of this branch.
        """
        hashed = super().open(autoencoder, statistics)
        if self.statistics is not None and not are_densities(self.statistics, *np.shape(self.unknown)):
            raise UserError(
                f"{statistics}: no statistics that this version can use; run `dvc repro statistics`"
            )
        return hashed

    def features(self, clip: NormalClip, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
        """Computes the features of regions of a normal clip.

        Args:
            clip: the clip.
            frames: index of the frame of each region, int [N], ascending.
            boxes: int [N, 4] in pixels of the frame.

        Returns:
            float [N, D]; None if the clip lacks the data for them.
        """
        raise NotImplementedError

    def groups(self, boxes: np.ndarray, sources: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
        """The groups of regions; by default all are in group 0.

        Args:
            boxes: int [N, 4] in pixels of the frame.
            sources: `motion` or `detector`, text [N].
            frame: (height, width) in pixels.

        Returns:
            int [N], indices into `unknown`.
        """
        return np.zeros(len(boxes), np.int64)

    def fit_locations(self, clips: Sequence[NormalClip], log: Log) -> Statistics | None:
        """Fits the distributions of all cameras.

        Args:
            clips: all clips to learn from.
            log: writes a line of text.

        Returns:
            The arrays of `fit_densities`; None if no clip has regions with features.
        """
        for clip in clips:
            if clip not in self._samples:
                self._samples[clip] = self._read(clip)
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
        neighbours, prior = self.params.neighbours, self.params.prior
        return fit_densities(of_cameras, neighbours, prior, np.square(self.floors), np.array(self.unknown))

    def _read(self, clip: NormalClip) -> Samples | None:
        """Reads a clip; None if it lacks the data for the features."""
        # loads pandas, which processors do without
        from vad.store.tables import BOX, read_table

        table = read_table(clip.regions)
        boxes = table[BOX].to_numpy(np.int64)
        usable = (table["source"] != WHOLE).to_numpy()
        frames, boxes = table["frame"].to_numpy()[usable], boxes[usable]
        sources = table["source"].to_numpy().astype(str)[usable]
        features = self.features(clip, frames, boxes)
        if features is None:
            return None
        weight = min(1.0, self.params.rate / clip.fps)
        columns = -(-clip.frame[1] * ROWS // clip.frame[0])
        cells = self.groups(boxes, sources, clip.frame), *cells_of(boxes, clip.frame)
        return Samples(cells, columns, features.astype(np.float64), weight)


class LocationProcessor(WindowProcessor):
    """Computes the errors of regions from the tables of a camera; subclasses define `features`.

    Args:
        branch: the branch with its statistics.
        clip: what is the same for all frames.
    """

    def __init__(self, branch: LocationBranch, clip: ClipFormat):
        super().__init__()
        assert branch.statistics is not None, "the branch was not fitted"
        self.columns, self.branch, self.clip = (branch.name,), branch, clip
        statistics = branch.statistics
        camera = clip.camera if MEAN + clip.camera in statistics else OTHER_CAMERAS
        mean, whitening = statistics[MEAN + camera], statistics[WHITENING + camera]
        _, self._rows, self._columns, n = mean.shape
        self._mean, self._whitening = mean.reshape(-1, n), whitening.reshape(-1, n, n)
        # least difference from the mean that counts, by group
        self._least = np.where(branch.one_sided, np.float32(0), np.float32(-np.inf))[:, None]

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
        """The Mahalanobis distances of features at the locations of their boxes.

        Args:
            boxes: int [N, 4] in pixels of the frame.
            sources: `motion` or `detector`, text [N].
            features: float [N, D].

        Returns:
            float32 [N], 0 or more.
        """
        rows, columns = cells_of(boxes, self.clip.frame)
        groups = self.branch.groups(boxes, sources, self.clip.frame)
        # OTHER_CAMERAS has a single cell; and frames may be wider than those of normal clips
        rows = np.minimum(rows, self._rows - 1) + groups * self._rows
        cells = rows * self._columns + np.minimum(columns, self._columns - 1)
        from_mean = np.maximum(features - self._mean.take(cells, 0), self._least.take(groups, 0))
        white = np.matmul(self._whitening.take(cells, 0), from_mean[:, :, None])[:, :, 0]
        return np.sqrt((white * white).sum(1)).astype(np.float32)
