"""A calibration turns errors into scores: standardised branch by branch, fused, smoothed over time.

Errors of frames are standardised on normal footage (by quantiles: median -> 0, 95th percentile -> 1);
branches are added, or their maximum is taken; the result is smoothed. The higher, the more anomalous. All
clips (of a camera) share one strictly increasing mapping.
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
FLOOR = 0.01  # standardised errors below the median are squeezed into (-FLOOR, 0)
# branch -> {"centre": the error that becomes 0, "spread": the distance from it to the error that becomes 1}
Standardisation = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Calibration:
    """What is normal, and how errors become scores.

    Attributes:
        params: the section `calibrate`.
        standardisation: by camera, ALL_CAMERAS among them, for errors of frames.
        causal_standardisation: the same for errors that are smoothed without frames ahead.
        cell_standardisation: for the highest error among a frame's cells.
        gains: by branch [rows, columns] of areas of the picture; empty without `calibrate.grid`.
        threshold: a frame with a higher score is alarmed.
        causal_threshold: the same for causal scores.
        cell_threshold: for scores of cells: the percentile of normal frames' highest.
        frames, hours: of normal footage that all of this rests on.
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
        """Scores that are not smoothed, float64 [N].

        Args:
            errors: by branch [N].
            camera: whose standardisation is used, if it has one.
            branches: of these alone.
            causal: whether the errors were smoothed without frames ahead.

        Raises:
            UserError: if a branch is missing.
        """
        cameras = self.causal_standardisation if causal else self.standardisation
        norms = cameras.get(camera, cameras[ALL_CAMERAS])
        chosen = self.branches if branches is None else branches
        if missing := sorted(set(chosen) - set(errors)):
            raise UserError(
                f"errors lack the branches {', '.join(missing)}; there are {', '.join(errors)}: mend "
                "calibrate.branches, or run `dvc repro`"
            )
        z = [
            level_off((np.asarray(errors[branch], float) - norms[branch]["centre"]) / norms[branch]["spread"])
            for branch in chosen
        ]
        return np.sum(z, axis=0) if self.params.fuse == "sum" else np.max(z, axis=0)

    def frame_errors(self, clip: ClipErrors, causal: bool = False) -> dict[str, np.ndarray]:
        """By branch the errors of frames, float64 [T], before standardisation."""
        calibrated = [branch for branch in clip.branches if branch in self.standardisation[ALL_CAMERAS]]
        return frame_errors(clip, calibrated, self.params, causal, self._gains)

    def frame_scores(
        self, clip: ClipErrors, causal: bool | None = None, branches: Sequence[str] | None = None
    ) -> np.ndarray:
        """Scores of the frames, float64 [T].

        Args:
            clip: its errors.
            causal: whether to do without frames ahead; by default as `params.smooth` says.
            branches: of these alone; by default of all that are fused.

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
        """What `frame_scores` gives, from what `frame_errors` gave for the same `causal`."""
        return smooth(self.fuse(errors, camera, branches, causal), self.params.smooth, causal)

    def region_scores(self, clip: ClipErrors) -> np.ndarray:
        """Scores of the regions, float64 [N], from the branches that have errors of regions."""
        branches = [branch for branch in self.branches if branch in clip.region_branches]
        if not branches:
            return np.zeros(len(clip.table))
        errors = {branch: region_errors(clip, branch, self._gains) for branch in branches}
        return self.fuse(errors, clip.camera, branches, self.params.smooth.causal)

    def cell_scores(
        self, clip: ClipErrors, only: tuple[int, int] | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Maps of scores in chunks of frames: (frames, float32 [n, rows, columns]).

        Args:
            clip: its errors.
            only: of the frames [start, end) alone.
        """
        chosen = [branch for branch in self.branches if branch in clip.branches]
        sigma, causal = self.params.error_sigma, self.params.smooth.causal
        centre, spread = (
            np.array([self.cell_standardisation[b][key] for b in chosen], np.float32)[:, None, None]
            for key in ("centre", "spread")
        )
        for frames, errors in cell_errors(clip, chosen, sigma, causal, self._gains, only):
            z = level_off((errors - centre) / spread)
            yield frames, z.sum(1) if self.params.fuse == "sum" else z.max(1)

    @property
    def _gains(self) -> dict[str, np.ndarray]:
        return {branch: np.array(gains, np.float32) for branch, gains in self.gains.items()}

    def without_footage(self, cameras: Iterable[str]) -> list[str]:
        """The cameras without normal footage, if `params.per_camera` asks for a standardisation of each."""
        return sorted(set(cameras) - set(self.standardisation)) if self.params.per_camera else []

    def save(self, path: Path) -> None:
        """Writes calibration.json."""
        write_json(path, asdict(self) | {"params": self.params.model_dump(mode="json")})

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Reads calibration.json.

        Raises:
            UserError: if it is missing or not what `save` wrote.
        """
        try:
            raw: dict[str, Any] = read_json(path)
            return cls(**raw | {"params": CalibrateParams(**raw["params"])})
        except (TypeError, KeyError, ValueError) as e:
            reason = str(e).splitlines()[0]
            raise UserError(f"{path}: not a calibration ({reason}); run `dvc repro calibrate`") from None


def level_off(z: np.ndarray) -> np.ndarray:
    """Standardised errors, those below 0 squeezed into (-FLOOR, 0) in their order.

    An error far below the median in a branch must not outweigh a high one in another: who lies still after a
    fall does not move, but looks odd.
    """
    return np.where(z > 0, z, FLOOR * np.expm1(np.minimum(z, 0)))
