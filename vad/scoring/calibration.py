"""A calibration turns errors into scores: branches are standardised, fused and smoothed over time.

Errors of frames are standardised on normal footage (by quantiles: median -> 0, 95th percentile -> 1), then
summed over branches or reduced to their maximum, then smoothed. Higher scores are more anomalous. The mapping
is strictly increasing and the same for all clips (of a camera).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vad import UserError
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.params import CalibrateParams
from vad.scoring.pooling import cell_errors, frame_errors, region_errors
from vad.scoring.smoothing import smooth
from vad.store.cards import read_json, write_json

ALL_CAMERAS = ""  # the key of the standardisation on all cameras together
FLOOR = 0.01  # standardised errors below 0 are compressed into (-FLOOR, 0)
# branch -> {"centre": the error mapped to 0, "spread": the difference to the error mapped to 1}
Standardisation = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Calibration:
    """The standardisation of errors, the fusion of branches, and the thresholds of scores.

    Attributes:
        params: the section `calibrate`.
        standardisation: for errors of frames, by camera and for ALL_CAMERAS together.
        causal_standardisation: the same for errors smoothed without frames ahead.
        cell_standardisation: for errors of cells, from the highest error among the cells of each frame.
        gains: gains of the areas of the picture by branch, [rows, columns]; empty without `calibrate.grid`.
        threshold: threshold of frame scores.
        causal_threshold: threshold of causal frame scores.
        cell_threshold: threshold of cell scores, a percentile of the highest cell scores of normal frames.
        frames, hours: amount of normal footage that the calibration was fitted to.
    """

    params: CalibrateParams
    standardisation: dict[str, Standardisation]
    causal_standardisation: dict[str, Standardisation]
    cell_standardisation: Standardisation
    gains: dict[str, list[list[float]]]
    threshold: float
    causal_threshold: float
    cell_threshold: float
    frames: int
    hours: float

    @property
    def branches(self) -> list[str]:
        """The branches that are fused."""
        chosen = self.params.branches
        return list(self.standardisation[ALL_CAMERAS]) if chosen == "all" else list(chosen)

    def fuse(
        self,
        errors: Mapping[str, ArrayLike],
        camera: str = ALL_CAMERAS,
        branches: Sequence[str] | None = None,
        causal: bool = False,
    ) -> np.ndarray:
        """Standardises errors and fuses the branches.

        Args:
            errors: errors by branch, float [N].
            camera: the camera whose standardisation is used; that of all cameras if it has none.
            branches: the branches to fuse; by default those of the calibration.
            causal: whether the errors were smoothed without frames ahead.

        Returns:
            Scores before smoothing over time, float64 [N].

        Raises:
            UserError: if a branch is missing.
        """
        cameras = self.causal_standardisation if causal else self.standardisation
        norms = cameras.get(camera, cameras[ALL_CAMERAS])
        chosen = self.branches if branches is None else branches
        if missing := sorted(set(chosen) - set(errors)):
            raise UserError(
                f"errors lack the branches {', '.join(missing)}; there are {', '.join(errors)}: change "
                "calibrate.branches, or run `dvc repro`"
            )
        standardised = [
            level_off((np.asarray(errors[branch], float) - norms[branch]["centre"]) / norms[branch]["spread"])
            for branch in chosen
        ]
        return np.sum(standardised, axis=0) if self.params.fuse == "sum" else np.max(standardised, axis=0)

    def frame_errors(self, clip: ClipErrors, causal: bool = False) -> dict[str, np.ndarray]:
        """Errors of the frames before standardisation.

        Args:
            clip: the errors of a clip.
            causal: whether errors of cells and tracks are smoothed without frames ahead.

        Returns:
            float64 [T] by branch, for the calibrated branches that the clip has.
        """
        calibrated = [branch for branch in clip.branches if branch in self.standardisation[ALL_CAMERAS]]
        return frame_errors(clip, calibrated, self.params, causal, self._gains)

    def frame_scores(
        self, clip: ClipErrors, causal: bool | None = None, branches: Sequence[str] | None = None
    ) -> np.ndarray:
        """Scores of the frames, smoothed over time: float64 [T].

        Args:
            clip: the errors of a clip.
            causal: whether to use no frames ahead; by default `calibrate.smooth.causal`.
            branches: the branches to fuse; by default those of the calibration.

        Raises:
            UserError: if the clip lacks errors of a branch.
        """
        causal = self.params.smooth.causal if causal is None else causal
        return self.smoothed(self.frame_errors(clip, causal), clip.camera, causal, branches)

    def smoothed(
        self,
        errors: Mapping[str, np.ndarray],
        camera: str,
        causal: bool,
        branches: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Scores as from `frame_scores`, from errors of frames.

        Args:
            errors: the result of `frame_errors` for the same `causal`.
            camera: the camera that filmed the clip.
            causal: whether to use no frames ahead.
            branches: the branches to fuse; by default those of the calibration.
        """
        return smooth(self.fuse(errors, camera, branches, causal), self.params.smooth, causal)

    def region_scores(self, clip: ClipErrors) -> np.ndarray:
        """Scores of the regions, float64 [N], by the branches that have errors of regions."""
        branches = [branch for branch in self.branches if branch in clip.region_branches]
        if not branches:
            return np.zeros(len(clip.table))
        errors = {branch: region_errors(clip, branch, self._gains) for branch in branches}
        return self.fuse(errors, clip.camera, branches, self.params.smooth.causal)

    def cell_scores(
        self, clip: ClipErrors, only: tuple[int, int] | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Scores of the cells, in chunks of frames.

        Args:
            clip: the errors of a clip.
            only: start and end (exclusive) of the frames to score; by default all.

        Yields:
            The frames of a chunk, and their maps of scores, float32 [n, rows, columns].
        """
        chosen = [branch for branch in self.branches if branch in clip.branches]
        sigma, causal = self.params.error_sigma, self.params.smooth.causal
        centre, spread = (
            np.array([self.cell_standardisation[b][key] for b in chosen], np.float32)[:, None, None]
            for key in ("centre", "spread")
        )
        for frames, errors in cell_errors(clip, chosen, sigma, causal, self._gains, only):
            standardised = level_off((errors - centre) / spread)
            yield frames, standardised.sum(1) if self.params.fuse == "sum" else standardised.max(1)

    @property
    def _gains(self) -> dict[str, np.ndarray]:
        return {branch: np.array(gains, np.float32) for branch, gains in self.gains.items()}

    def without_footage(self, cameras: Iterable[str]) -> list[str]:
        """The cameras that lack normal footage; empty unless `calibrate.per_camera` is set."""
        return sorted(set(cameras) - set(self.standardisation)) if self.params.per_camera else []

    def save(self, path: Path) -> None:
        """Writes calibration.json."""
        write_json(path, asdict(self) | {"params": self.params.model_dump(mode="json")})

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Reads calibration.json.

        Raises:
            UserError: if the file is missing or is not a calibration.
        """
        try:
            raw: dict[str, Any] = read_json(path)
            return cls(**raw | {"params": CalibrateParams(**raw["params"])})
        except (TypeError, KeyError, ValueError) as e:
            reason = str(e).splitlines()[0]
            raise UserError(f"{path}: not a calibration ({reason}); run `dvc repro calibrate`") from None


def level_off(z: np.ndarray) -> np.ndarray:
    """Compresses standardised errors below 0 into (-FLOOR, 0), keeping their order.

    So an error far below the median in a branch cannot cancel a high error in another: a person lying
    motionless after a fall has a low error of flow and a high error of appearance.

    Args:
        z: standardised errors, of any shape.
    """
    return np.where(z > 0, z, FLOOR * np.expm1(np.minimum(z, 0)))
