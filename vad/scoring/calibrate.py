"""Fits a calibration to the errors of normal validation clips."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vad import UserError
from vad.scoring.calibration import ALL_CAMERAS, Calibration, Standardisation
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.gains import Gains, fit_gains
from vad.scoring.lookahead import divide_lookahead
from vad.scoring.params import CalibrateParams
from vad.scoring.pooling import frame_errors
from vad.scoring.thresholds import fit_threshold

QUANTILES = (0.5, 0.95)  # of normal errors; standardisation maps them to 0 and 1
Norm = dict[str, float]  # {"centre", "spread"}
Log = Callable[[str], None]


def calibrate(
    normal: Sequence[ClipErrors], params: CalibrateParams, log: Log = lambda line: None
) -> Calibration:
    """Fits standardisation, gains and thresholds to normal footage.

    Branches with errors of regions are standardised on frames with regions only: in mostly empty footage,
    nearly all frames have error 0, and quantiles would coincide. Thresholds are set on all frames.

    Args:
        normal: errors of validation clips, which have no anomalies.
        params: the section `calibrate`.
        log: writes a line of text.

    Raises:
        UserError: if there are no clips or no regions, errors have no spread, or there are too few frames for
            the threshold.
    """
    _require_errors(normal, params)
    branches = normal[0].branches
    gains = fit_gains(normal, branches, params.grid) if params.grid else {}
    # gains in float32, as in `Calibration`, so that both divide errors by exactly the same numbers
    sample = _Sample(normal, params, {b: gain.astype(np.float32) for b, gain in gains.items()}, branches)
    branches = _with_spread(sample.norms(branches), params, log)
    standardisation = sample.by_camera(branches)
    lookahead = max(clip.lookahead for clip in normal) + sum(divide_lookahead(params))
    calibration = Calibration(
        params=params,
        standardisation=standardisation,
        cell_standardisation=sample.of_cells(branches, standardisation[ALL_CAMERAS]),
        gains={branch: gain.tolist() for branch, gain in gains.items()},
        threshold=0.0,
        cell_threshold=0.0,
        frames=sum(clip.frames for clip in normal),
        hours=sum(clip.frames / clip.fps for clip in normal) / 3600,
        lookahead=lookahead,
        delay=lookahead / min(clip.fps for clip in normal),
    )
    scores = [
        (calibration.smoothed(errors, clip.camera), clip.fps)
        for clip, errors in zip(normal, sample.errors, strict=True)
    ]
    highest_cells = [maps.max((1, 2)) for clip in normal for _, maps in calibration.cell_scores(clip)]
    return replace(
        calibration,
        threshold=fit_threshold(params.threshold, scores, params.events, log),
        cell_threshold=float(np.percentile(np.concatenate(highest_cells), params.threshold.percentile)),
    )


class _Sample:
    """The errors of normal footage that standardisation is fitted to.

    Attributes:
        errors: errors of the frames of each clip, by branch.
    """

    def __init__(
        self, clips: Sequence[ClipErrors], params: CalibrateParams, gains: Gains, branches: Sequence[str]
    ):
        self.clips, self.params, self.gains = clips, params, gains
        self.errors = [frame_errors(clip, branches, params, gains) for clip in clips]

    def norms(self, branches: Sequence[str]) -> dict[str, Norm | None]:
        """Centre and spread by branch, over all cameras; None for a branch without spread."""
        return self._norms(branches, self.errors)

    def by_camera(self, branches: Sequence[str]) -> dict[str, Standardisation]:
        """Standardisation by camera; without spread at a camera, a branch has that of all cameras."""
        groups = {ALL_CAMERAS: list(range(len(self.clips)))}
        if self.params.per_camera:
            for camera in sorted({clip.camera for clip in self.clips}):
                groups[camera] = [i for i, clip in enumerate(self.clips) if clip.camera == camera]
        out: dict[str, Standardisation] = {}
        for camera, rows in groups.items():
            clips = [self.clips[i] for i in rows]
            norms = {b: self._norm(b, clips, [self.errors[i][b] for i in rows]) for b in branches}
            out[camera] = {b: norm if norm is not None else out[ALL_CAMERAS][b] for b, norm in norms.items()}
        return out

    def of_cells(self, branches: Sequence[str], otherwise: Standardisation) -> Standardisation:
        """Standardisation of the highest cell error of a frame; `otherwise` for a branch without spread."""
        params = self.params.model_copy(update={"aggregate": "cell", "pool": "max"})
        if params == self.params:
            errors = self.errors
        else:
            errors = [frame_errors(clip, branches, params, self.gains) for clip in self.clips]
        norms = self._norms(branches, errors)
        return {branch: norm if norm is not None else otherwise[branch] for branch, norm in norms.items()}

    def _norms(
        self, branches: Sequence[str], errors: Sequence[Mapping[str, np.ndarray]]
    ) -> dict[str, Norm | None]:
        return {branch: self._norm(branch, self.clips, [e[branch] for e in errors]) for branch in branches}

    def _norm(self, branch: str, clips: Sequence[ClipErrors], errors: Sequence[np.ndarray]) -> Norm | None:
        """Centre and spread of the errors of frames, float [T] for each clip; None without spread."""
        by_region = branch in clips[0].region_branches
        pairs = zip(clips, errors, strict=True)
        values = np.concatenate([e[clip.counts() > 0] if by_region else e for clip, e in pairs])
        if not len(values):
            return None
        if self.params.normalisation == "quantile":
            centre, high = (float(q) for q in np.quantile(values, QUANTILES))
            spread = high - centre
        else:
            centre, spread = float(values.mean()), float(values.std())
        return {"centre": centre, "spread": spread} if spread > 0 else None


def _require_errors(normal: Sequence[ClipErrors], params: CalibrateParams) -> None:
    if not normal:
        raise UserError("no validation clips to calibrate with; raise data.val_fraction or add a val folder")
    if not any(len(clip.table) for clip in normal):
        frames = sum(clip.frames for clip in normal)
        raise UserError(
            f"none of the {len(normal)} validation clips ({frames} frames) has a region, so there is no "
            "normal error to standardise on; see reports/preprocess, lower the thresholds of "
            "preprocess.mode, or hold out more clips by data.val_fraction"
        )
    branches = normal[0].branches
    if params.branches != "all" and (unknown := sorted(set(params.branches) - set(branches))):
        raise UserError(
            f"calibrate.branches: there are no errors of {', '.join(unknown)}, only of {', '.join(branches)}"
        )


def _with_spread(norms: Mapping[str, Norm | None], params: CalibrateParams, log: Log) -> list[str]:
    """The branches whose errors have a spread.

    Raises:
        UserError: if a branch named in the parameters has no spread, or if no branch has a spread.
    """
    flat = [branch for branch, norm in norms.items() if norm is None]
    named = set() if params.branches == "all" else set(params.branches)
    if flat and (len(flat) == len(norms) or named & set(flat)):
        raise UserError(
            f"all validation frames have the same error of the branch {', '.join(flat)}, so there is no "
            "scale for scores; check that the validation clips show more than a still picture"
        )
    if flat:
        log(f"{', '.join(flat)} left out: (nearly) all validation frames have the same error there")
    return [branch for branch in norms if branch not in flat]
