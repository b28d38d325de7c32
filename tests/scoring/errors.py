"""Errors of clips for the tests of calibration and scores."""

import numpy as np
import pandas as pd

from vad.scoring.calibrate import calibrate
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.params import CalibrateParams

PLAIN = {  # no smoothing, and a threshold that needs only two frames
    "branches": "all",
    "aggregate": "region",
    "error_sigma": 0.0,
    "pool": "max",
    "top_k": 1,
    "normalisation": "quantile",
    "per_camera": False,
    "grid": [],
    "border_gain": False,
    "fuse": "sum",
    "smooth": {"median": 0.0, "gaussian": 0.0},
    "lookahead": None,
    "threshold": {
        "policy": "percentile",
        "percentile": 50.0,
        "deviations": 3.0,
        "value": 1.0,
        "per_day": 1440.0,
    },
    "events": {"merge_gap": 1.0, "min_duration": 0.0},
}


def params(**changed) -> CalibrateParams:
    """The parameters PLAIN with changes; sub-sections are merged."""
    sections = {key: PLAIN[key] | changed.pop(key) for key in ("smooth", "threshold") if key in changed}
    return CalibrateParams(**PLAIN | changed | sections)


def clip_errors(errors, frames: int | None = None, at=None, clip="val/a", camera="", **more) -> ClipErrors:
    """A clip with a region per frame, or with regions in the frames `at`, all of them the whole frame.

    `more` are other branches: columns, or maps [T, rows, columns].
    """
    at = np.arange(len(errors)) if at is None else np.asarray(at, int)
    table = pd.DataFrame({"frame": at, "region": np.arange(len(errors)), "track": 0, "error_look": errors})
    table = table.assign(x0=0, y0=0, x1=8, y1=6)
    maps = {branch: np.asarray(v, np.float16) for branch, v in more.items() if np.ndim(v) == 3}
    table = table.assign(**{f"error_{branch}": v for branch, v in more.items() if branch not in maps})
    length = len(errors) if frames is None else frames
    return ClipErrors(clip, length, 1, (6, 8), table, 10.0, 2, maps, camera)


def three_branches(rng: np.random.Generator, frames: int = 60) -> ClipErrors:
    """A clip with branches on different scales; `speed` has only maps."""
    move, speed = 100 * rng.random(frames), 9 * rng.random((frames, 3, 4))
    return clip_errors(rng.random(frames), move=move, speed=speed)


def calibrated(*normal: ClipErrors, **changed) -> Calibration:
    """The calibration on normal clips, with the parameters PLAIN and changes."""
    return calibrate(list(normal), params(**changed))


def squeezed(z) -> np.ndarray:
    """Standardised errors as they are fused, with those below the median compressed."""
    return np.where(np.asarray(z) > 0, z, (np.exp(z) - 1) / 100)
