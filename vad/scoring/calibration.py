"""A calibration turns errors into scores: branches are standardised, fused and smoothed over time.

Errors of frames are standardised on normal footage (`norms`: the median -> 0, the 95th percentile -> 1), then
the branches are added, or their maximum is taken, then the result is smoothed. Higher scores are more
anomalous. Standardisation is strictly increasing and the same for all clips (of a camera).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from vad import UserError
from vad.scoring.cells import CellErrors
from vad.scoring.evidence import Evidence
from vad.scoring.filters import filtered
from vad.scoring.gains import Gains, errors_of_regions
from vad.scoring.norms import Norm, from_json
from vad.scoring.params import CalibrateParams
from vad.scoring.pooling import CHUNK, frame_errors
from vad.scoring.smoothing import Smoothing
from vad.store.cards import read_json, write_json
from vad.stream import FrameErrors, results

if TYPE_CHECKING:  # loads pandas
    from vad.scoring.clip_errors import ClipErrors

ALL_CAMERAS = ""  # the key of the standardisation on all cameras together
FLOOR = 0.01  # levels below 0 are compressed into (-FLOOR, 0)
Standardisation = Mapping[str, Norm]  # by branch


@dataclass(frozen=True)
class Calibration:
    """The standardisation of errors, the fusion of branches, and the thresholds of scores.

    Attributes:
        params: the section `calibrate`.
        standardisation: for errors of frames, by camera and for ALL_CAMERAS together.
        cell_standardisation: for errors of cells, from the highest error among the cells of each frame.
        gains: gains of the areas of the picture by branch, [rows, columns]; empty without `calibrate.grid`.
        threshold: threshold of frame scores.
        cell_threshold: threshold of cell scores, a percentile of the highest cell scores of normal frames.
        frames, hours: amount of normal footage that the calibration was fitted to.
        lookahead: number of frames ahead that a score depends on, by its errors and by smoothing; the highest
            of the normal clips.
        delay: the same in seconds; the highest of the normal clips.
        evidence: what the threshold of frame scores rests on.
        folds: number of models whose mean error is scored. With more than one, each normal clip was measured
            by a model that had not learned from it.
        border_gains: gain of regions at the border of the frame by branch; empty without
            `calibrate.border_gain`.
        picture: the calibration of single pictures (`vad.scoring.pictures`); None if they cannot be scored.
        normal_cells: median errors of cells in normal frames by camera and branch, [rows, columns], where
            `vad.scoring.contributions` needs them.
    """

    params: CalibrateParams
    standardisation: dict[str, Standardisation]
    cell_standardisation: Standardisation
    gains: dict[str, list[list[float]]]
    threshold: float
    cell_threshold: float
    frames: int
    hours: float
    lookahead: int
    delay: float
    evidence: Evidence | None = None
    folds: int = 1
    border_gains: dict[str, float] = field(default_factory=dict)
    picture: "Calibration | None" = None
    normal_cells: dict[str, dict[str, list[list[float]]]] = field(default_factory=dict)

    @property
    def branches(self) -> list[str]:
        """The branches that are fused."""
        chosen = self.params.branches
        return list(self.standardisation[ALL_CAMERAS]) if chosen == "all" else list(chosen)

    def smoothing(self, fps: float) -> Smoothing:
        """The filters at a frame rate.

        Args:
            fps: frames per second.
        """
        return Smoothing.of(self.params, fps)

    def require(self, errors: Collection[str], branches: Sequence[str] | None = None) -> None:
        """Checks that there are errors of all branches.

        Args:
            errors: names of the branches that have errors.
            branches: those that must be among them; by default those that are fused.

        Raises:
            UserError: if a branch is missing.
        """
        chosen = self.branches if branches is None else branches
        if missing := sorted(set(chosen) - set(errors)):
            raise UserError(
                f"errors lack the branches {', '.join(missing)}; there are {', '.join(errors)}: change "
                "calibrate.branches, or run `dvc repro`"
            )

    def standardise(
        self,
        errors: Mapping[str, ArrayLike],
        camera: str = ALL_CAMERAS,
        branches: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Standardises errors to levels, and compresses those of errors below the median.

        Args:
            errors: errors by branch, float [N].
            camera: the camera whose standardisation is used; that of all cameras if it has none.
            branches: the branches; by default those that are fused.

        Returns:
            float64 [branches, N].

        Raises:
            UserError: if a branch is missing.
        """
        norms = self.standardisation.get(camera, self.standardisation[ALL_CAMERAS])
        chosen = self.branches if branches is None else branches
        self.require(errors, chosen)
        levels = [norms[branch].levels(np.asarray(errors[branch], np.float64)) for branch in chosen]
        return compress_negative(np.stack(levels))

    def combine(self, levels: np.ndarray, axis: int = 0) -> np.ndarray:
        """Fuses the levels of branches.

        Args:
            levels: float [..., branches, ...].
            axis: the axis of the branches.

        Returns:
            An array without that axis.
        """
        return levels.sum(axis) if self.params.fuse == "sum" else levels.max(axis)

    def fuse(
        self,
        errors: Mapping[str, ArrayLike],
        camera: str = ALL_CAMERAS,
        branches: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Standardises errors and fuses the branches: scores before smoothing over time, float64 [N].

        The arguments are those of `standardise`.
        """
        return self.combine(self.standardise(errors, camera, branches))

    def frame_errors(self, clip: "ClipErrors") -> dict[str, np.ndarray]:
        """Errors of the frames before standardisation.

        Args:
            clip: the errors of a clip.

        Returns:
            float64 [T] by branch, for the calibrated branches that the clip has.
        """
        calibrated = [branch for branch in clip.branches if branch in self.standardisation[ALL_CAMERAS]]
        return frame_errors(clip, calibrated, self.params, self.all_gains)

    def frame_scores(self, clip: "ClipErrors", branches: Sequence[str] | None = None) -> np.ndarray:
        """Scores of the frames, smoothed over time: float64 [T].

        Args:
            clip: the errors of a clip.
            branches: the branches to fuse; by default those of the calibration.

        Raises:
            UserError: if the clip lacks errors of a branch.
        """
        return self.smoothed(self.frame_errors(clip), clip.fps, clip.camera, branches)

    def smoothed(
        self, errors: Mapping[str, np.ndarray], fps: float, camera: str, branches: Sequence[str] | None = None
    ) -> np.ndarray:
        """Scores as from `frame_scores`, from errors of frames.

        Args:
            errors: the result of `frame_errors`.
            fps: frames per second of the clip.
            camera: the camera that filmed the clip.
            branches: the branches to fuse; by default those of the calibration.
        """
        return filtered(self.fuse(errors, camera, branches), *self.smoothing(fps).of_scores())

    def region_scores(
        self, item: FrameErrors, size: tuple[int, int], camera: str = ALL_CAMERAS
    ) -> np.ndarray:
        """Scores of a frame's regions, by the branches that have errors of regions.

        Args:
            item: the errors of a frame.
            size: (height, width) of the frame in pixels.
            camera: the camera that filmed the frame.

        Returns:
            float64 [N], not smoothed.
        """
        branches = [branch for branch in self.branches if branch in item.errors]
        if not branches or not len(item.regions):
            return np.zeros(len(item.regions))
        errors = errors_of_regions(item, branches, size, self.all_gains)
        return self.fuse(dict(zip(branches, errors, strict=True)), camera, branches)

    def fuse_cells(self, maps: np.ndarray, branches: Sequence[str]) -> np.ndarray:
        """Scores of cells, from their smoothed errors.

        Args:
            maps: float32 [n, branches, rows, columns].
            branches: names of the branches.

        Returns:
            float32 [n, rows, columns].
        """
        levels = [self.cell_standardisation[branch].levels(maps[:, i]) for i, branch in enumerate(branches)]
        return self.combine(
            compress_negative(np.stack(levels, 1, dtype=np.float32, casting="same_kind")), axis=1
        )

    def cell_scores(
        self, clip: "ClipErrors", only: tuple[int, int] | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Scores of the cells, in chunks of frames. Memory does not grow with the clip.

        Args:
            clip: the errors of a clip.
            only: start and end (exclusive) of the frames to score; by default all.

        Yields:
            The frames of a chunk, and their maps of scores, float32 [n, rows, columns].
        """
        branches = [branch for branch in self.branches if branch in clip.branches]
        for frames, maps in self.cell_errors(clip, branches, only):
            yield frames, self.fuse_cells(maps, branches)

    def cell_errors(
        self, clip: "ClipErrors", branches: Sequence[str], only: tuple[int, int] | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Errors of the cells, smoothed over time, in chunks of frames.

        Args:
            clip: the errors of a clip.
            branches: names of branches that the clip has.
            only: start and end (exclusive) of the frames; by default all.

        Yields:
            The frames of a chunk, and their maps of errors, float32 [n, branches, rows, columns].
        """
        gaussian = self.smoothing(clip.fps).of_errors()
        start, end = only or (0, clip.frames)
        # with the neighbours that the gaussian reaches, which are dropped below
        first, last = max(0, start - gaussian.before), min(clip.frames, end + gaussian.lookahead)
        cells = CellErrors(branches, clip.size, clip.cell, gaussian, self.all_gains, chunk=CHUNK)
        for maps in results(cells, clip.each_frame(first, last)):
            low, high = max(start, first), min(end, first + len(maps))
            if low < high:
                yield slice(low, high), maps[low - first : high - first]
            first += len(maps)

    @cached_property
    def all_gains(self) -> Gains:
        """Gains of areas and of the border; in float32, so they equal the fitted ones."""
        areas = {branch: np.array(gains, np.float32) for branch, gains in self.gains.items()}
        return Gains(areas, self.border_gains)

    def without_footage(self, cameras: Iterable[str]) -> list[str]:
        """The cameras that lack normal footage; empty unless `calibrate.per_camera` is set."""
        return sorted(set(cameras) - set(self.standardisation)) if self.params.per_camera else []

    def require_camera(self, camera: str) -> None:
        """Checks that a camera has a calibration.

        Args:
            camera: name of the camera; "" for that of all cameras.

        Raises:
            UserError: if `per_camera` is set, and the camera is not among those of normal footage.
        """
        if camera and self.without_footage([camera]):
            known = ", ".join(name for name in self.standardisation if name)
            raise UserError(
                f"camera {camera!r} has no calibration (calibrate.per_camera; known: {known}); leave the "
                "camera out to use that of all cameras"
            )

    def save(self, path: Path) -> None:
        """Writes calibration.json."""
        write_json(path, self._to_json())

    def _to_json(self) -> dict[str, Any]:
        picture = None if self.picture is None else self.picture._to_json()
        raw = asdict(replace(self, picture=None))
        return raw | {"params": self.params.model_dump(mode="json"), "picture": picture}

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Reads calibration.json.

        Raises:
            UserError: if the file is missing or is not a calibration.
        """
        try:
            return cls._from_json(read_json(path))
        except (AttributeError, TypeError, KeyError, ValueError) as e:
            reason = str(e).splitlines()[0]
            raise UserError(f"{path}: not a calibration ({reason}); run `dvc repro calibrate`") from None

    @classmethod
    def _from_json(cls, raw: Mapping[str, Any]) -> "Calibration":
        evidence, picture = raw.get("evidence"), raw.get("picture")
        read = {
            "params": CalibrateParams(**raw["params"]),
            "standardisation": {camera: _norms(norms) for camera, norms in raw["standardisation"].items()},
            "cell_standardisation": _norms(raw["cell_standardisation"]),
            "evidence": evidence and Evidence.from_json(evidence),
            "picture": picture and cls._from_json(picture),
        }
        return cls(**{**raw, **read})


def _norms(raw: Mapping[str, Any]) -> Standardisation:
    return {branch: from_json(norm) for branch, norm in raw.items()}


def compress_negative(levels: np.ndarray) -> np.ndarray:
    """Compresses levels below 0 into (-FLOOR, 0), keeping their order.

    So an error far below the median in a branch cannot cancel a high error in another: a person lying
    motionless after a fall has a low error of flow and a high error of appearance.

    Args:
        levels: float, of any shape.
    """
    return np.where(levels > 0, levels, FLOOR * np.expm1(np.minimum(levels, 0)))
