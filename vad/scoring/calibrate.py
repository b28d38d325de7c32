"""Fits a calibration to the errors of normal clips."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vad import UserError
from vad.scoring.calibration import ALL_CAMERAS, Calibration, Standardisation
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.contributions import fit_normal_cells
from vad.scoring.gains import Gains, fit_gains
from vad.scoring.left_out import gather_evidence
from vad.scoring.norms import Norm
from vad.scoring.params import CalibrateParams
from vad.scoring.pooling import frame_errors
from vad.scoring.smoothing import Smoothing
from vad.scoring.standardisation import NormalErrors, fit_by_camera, fit_norms
from vad.scoring.thresholds import fit_threshold, require_frames

Log = Callable[[str], None]


def calibrate(
    normal: Sequence[ClipErrors], params: CalibrateParams, log: Log = lambda line: None
) -> Calibration:
    """Fits standardisation, gains and thresholds to normal footage.

    In branches with errors of regions, only frames with regions count for standardisation
    (`NormalErrors.reference`). Thresholds are set on all frames.

    Args:
        normal: errors of normal clips, which have no anomalies.
        params: the section `calibrate`.
        log: writes a line of text.

    Raises:
        UserError: if there are no clips or no regions, errors have no spread, or there are too few frames for
            the threshold.
    """
    _require_errors(normal, params)
    branches = normal[0].branches
    gains = fit_gains(normal, branches, params)
    pooled = _pooled(normal, branches, params, gains)
    branches = _with_spread(fit_norms(pooled, branches, params), params, log)
    standardisation = {
        camera: _complete(norms) for camera, norms in fit_by_camera(pooled, branches, params).items()
    }
    ahead = [(clip.lookahead + Smoothing.of(params, clip.fps).lookahead, clip.fps) for clip in normal]
    calibration = Calibration(
        params=params,
        standardisation=standardisation,
        cell_standardisation=_of_cells(pooled, branches, params, gains, standardisation[ALL_CAMERAS]),
        gains={branch: gain.tolist() for branch, gain in gains.areas.items()},
        border_gains=dict(gains.border),
        threshold=0.0,
        cell_threshold=0.0,
        frames=sum(clip.frames for clip in normal),
        hours=sum(clip.frames / clip.fps for clip in normal) / 3600,
        lookahead=max(frames for frames, _ in ahead),
        delay=max(frames / fps for frames, fps in ahead),
        normal_cells=fit_normal_cells(normal, branches, params, gains),
    )
    scores = [
        (calibration.smoothed(part.errors, part.clip.fps, part.clip.camera), part.clip.fps) for part in pooled
    ]
    highest_cells = [maps.max((1, 2)) for clip in normal for _, maps in calibration.cell_scores(clip)]
    return replace(
        calibration,
        threshold=fit_threshold(params.threshold, scores, params.events, log),
        cell_threshold=float(np.percentile(np.concatenate(highest_cells), params.threshold.percentile)),
        evidence=gather_evidence(pooled, calibration),
    )


def _pooled(
    normal: Sequence[ClipErrors], branches: Sequence[str], params: CalibrateParams, gains: Gains
) -> list[NormalErrors]:
    return [
        NormalErrors(clip, 0, clip.frames, frame_errors(clip, branches, params, gains)) for clip in normal
    ]


def _complete(norms: Mapping[str, Norm | None]) -> Standardisation:
    """The norms of branches that all have a spread."""
    return {branch: norm for branch, norm in norms.items() if norm is not None}


def _of_cells(
    pooled: Sequence[NormalErrors],
    branches: Sequence[str],
    params: CalibrateParams,
    gains: Gains,
    otherwise: Standardisation,
) -> Standardisation:
    """Standardisation of the highest cell error of a frame; `otherwise` for a branch without spread."""
    by_cell = params.model_copy(update={"aggregate": "cell", "pool": "max"})
    if by_cell != params:
        pooled = _pooled([part.clip for part in pooled], branches, by_cell, gains)
    return {**otherwise, **_complete(fit_norms(pooled, branches, params))}


def _require_errors(normal: Sequence[ClipErrors], params: CalibrateParams) -> None:
    if not normal:
        raise UserError(
            "no normal clips to calibrate with; set data.folds above 1, or raise data.val_fraction"
        )
    if not any(len(clip.table) for clip in normal):
        frames = sum(clip.frames for clip in normal)
        raise UserError(
            f"none of the {len(normal)} normal clips ({frames} frames) has a region, so there is no "
            "normal error to standardise on; see reports/preprocess, lower the thresholds of "
            "preprocess.mode, or set data.folds above 1"
        )
    branches = normal[0].branches
    if params.branches != "all" and (unknown := sorted(set(params.branches) - set(branches))):
        raise UserError(
            f"calibrate.branches: there are no errors of {', '.join(unknown)}, only of "
            f"{', '.join(branches)}; name only these, or set calibrate.branches: all"
        )
    require_frames(params.threshold, sum(clip.frames for clip in normal))


def _with_spread(norms: Mapping[str, Norm | None], params: CalibrateParams, log: Log) -> list[str]:
    """The branches whose errors have a spread.

    Raises:
        UserError: if a branch named in the parameters has no spread, or if no branch has a spread.
    """
    flat = [branch for branch, norm in norms.items() if norm is None]
    named = set() if params.branches == "all" else set(params.branches)
    if flat and (len(flat) == len(norms) or named & set(flat)):
        raise UserError(
            f"all normal frames have the same error of the branch {', '.join(flat)}, so there is no "
            "scale for scores; check that they show more than a still picture"
        )
    if flat:
        log(f"{', '.join(flat)} left out: (nearly) all normal frames have the same error there")
    return [branch for branch in norms if branch not in flat]
