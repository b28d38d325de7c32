"""Standardisation: the norms of frame errors, by branch and camera."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from vad.scoring.calibration import ALL_CAMERAS
from vad.scoring.norms import Norm, fit_norm
from vad.scoring.params import CalibrateParams

if TYPE_CHECKING:  # loads pandas
    from vad.scoring.clip_errors import ClipErrors


@dataclass(frozen=True, eq=False)
class NormalErrors:
    """Errors of the frames of a normal clip, or of a stretch of it.

    Attributes:
        clip: the clip.
        start, end: the frames, end exclusive.
        errors: errors of these frames by branch, float64 [end - start].
    """

    clip: "ClipErrors"
    start: int
    end: int
    errors: Mapping[str, np.ndarray]

    @property
    def frames(self) -> int:
        """Number of the frames."""
        return self.end - self.start

    @property
    def seconds(self) -> float:
        """Duration of the frames."""
        return self.frames / self.clip.fps

    def between(self, start: int, end: int) -> "NormalErrors":
        """The errors of some of the frames.

        Args:
            start, end: frames of the clip, end exclusive.
        """
        rows = slice(start - self.start, end - self.start)
        return replace(self, start=start, end=end, errors={b: e[rows] for b, e in self.errors.items()})

    def reference(self, branch: str) -> np.ndarray:
        """The errors that the norm of a branch is fitted to, float64 [n].

        In branches with errors of regions, those of frames without regions are left out: in mostly empty
        footage, nearly all frames have error 0, and quantiles would coincide.

        Args:
            branch: name of the branch.
        """
        errors = self.errors[branch]
        return errors[self._with_regions] if branch in self._region_branches else errors

    @cached_property
    def _with_regions(self) -> np.ndarray:
        return self.clip.counts()[self.start : self.end] > 0

    @cached_property
    def _region_branches(self) -> list[str]:
        return self.clip.region_branches


def fit_norms(
    normal: Sequence[NormalErrors], branches: Sequence[str], params: CalibrateParams
) -> dict[str, Norm | None]:
    """The norm of each branch; None for a branch without spread.

    Args:
        normal: errors of normal footage.
        branches: names of the branches.
        params: `normalisation` is used.
    """
    return {
        branch: fit_norm(np.concatenate([part.reference(branch) for part in normal]), params.normalisation)
        for branch in branches
    }


def fit_by_camera(
    normal: Sequence[NormalErrors], branches: Sequence[str], params: CalibrateParams
) -> dict[str, dict[str, Norm | None]]:
    """Norms by camera and branch, and of ALL_CAMERAS together.

    A branch whose errors have no spread at a camera has the norm of all cameras there; without spread there
    as well, None.

    Args:
        normal: errors of normal footage.
        branches: names of the branches.
        params: `normalisation` and `per_camera` are used.
    """
    out = {ALL_CAMERAS: fit_norms(normal, branches, params)}
    if params.per_camera:
        for camera in sorted({part.clip.camera for part in normal}):
            norms = fit_norms([part for part in normal if part.clip.camera == camera], branches, params)
            out[camera] = {b: norm if norm is not None else out[ALL_CAMERAS][b] for b, norm in norms.items()}
    return out
