"""The calibration of single pictures.

Nothing in a picture moves, and nothing can be smoothed. So its score is fused from the standardised errors of
its regions alone, with norms and a threshold that are fitted to frames of normal clips, each measured as a
picture (`vad.branches.pictures`). Pictures have no rate of false alarms per day, so the threshold is always a
percentile.
"""

from collections.abc import Callable, Sequence

from vad import UserError
from vad.scoring.calibrate import calibrate
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.evidence import sentences
from vad.scoring.params import CalibrateParams, SmoothParams

Log = Callable[[str], None]
CANNOT = "matters for `vad detect PICTURE` alone: single pictures cannot be scored"


def calibrate_pictures(
    normal: Sequence[ClipErrors], params: CalibrateParams, log: Log = lambda line: None
) -> Calibration | None:
    """Fits norms and threshold for single pictures to frames of normal clips.

    Args:
        normal: errors of frames as pictures, by clip; no clips if the mode finds no regions in pictures.
        params: the section `calibrate`; the threshold is its `threshold.percentile`, whatever its policy.
        log: writes a line of text.

    Returns:
        A calibration without smoothing; its evidence says how many normal pictures of other clips it alarms.
        None if pictures cannot be scored, with the reason in the log.
    """
    if not normal:
        return None
    chosen = normal[0].region_branches
    if params.branches != "all":
        chosen = [branch for branch in chosen if branch in params.branches]
    if not chosen:
        log(f"{CANNOT}: all branches need motion")
        return None
    try:
        calibration = calibrate(normal, of_pictures(params, chosen), log)
    except UserError as e:  # too few frames, or all of them alike: no reason to stop, as videos can be scored
        log(f"{CANNOT}: {e}")
        return None
    log(
        f"single pictures: threshold {calibration.threshold:.4f} (percentile "
        f"{params.threshold.percentile:g}) from {calibration.frames} normal frames, branches "
        f"{', '.join(calibration.branches)}"
    )
    log(f"single pictures: {sentences(calibration.evidence)[1]}")
    return calibration


def of_pictures(params: CalibrateParams, branches: Sequence[str]) -> CalibrateParams:
    """The section `calibrate` for single pictures: no smoothing, and a threshold by percentile.

    Args:
        params: the section for videos.
        branches: the branches that are fused.
    """
    return params.model_copy(
        update={
            "branches": "all" if params.branches == "all" else list(branches),
            "aggregate": "region",
            "error_sigma": 0.0,
            "smooth": SmoothParams(median=0.0, gaussian=0.0),
            "lookahead": None,
            "threshold": params.threshold.model_copy(update={"policy": "percentile"}),
        }
    )
