"""The calibration of single pictures, by the errors that need no motion.

A picture has boxes of a detector, or is a region as a whole, but nothing in it moves and nothing can be
smoothed. So its score is the fused, standardised errors of its regions, and norms and threshold of their own
are fitted to the frames of normal clips as if each were a picture. Frames of pictures have no rate, so the
threshold is always a percentile of normal frames.
"""

from collections.abc import Callable, Sequence

from vad import UserError
from vad.scoring.calibrate import calibrate
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.params import CalibrateParams, SmoothParams

Log = Callable[[str], None]


def calibrate_pictures(
    normal: Sequence[ClipErrors], params: CalibrateParams, log: Log = lambda line: None
) -> Calibration | None:
    """Fits norms and threshold for single pictures to normal footage.

    Args:
        normal: errors of normal clips.
        params: the section `calibrate`; the threshold is its `threshold.percentile`, whatever its policy.
        log: writes a line of text.

    Returns:
        A calibration without smoothing, whose evidence says how many normal frames it alarms that it was not
        fitted to; None if no branch has errors of single pictures, or too few frames have any.
    """
    branches = [
        branch
        for branch in (normal[0].single_frame if normal else ())
        if params.branches == "all" or branch in params.branches
    ]
    if not branches:
        log("single pictures cannot be judged: all branches need motion")
        return None
    try:
        return calibrate([clip.as_pictures(branches) for clip in normal], of_pictures(params), log)
    except UserError as e:
        log(f"single pictures cannot be judged: {e}")
        return None


def of_pictures(params: CalibrateParams) -> CalibrateParams:
    """The section `calibrate` for single pictures: no smoothing, and a threshold by percentile.

    Args:
        params: the section for videos.
    """
    return params.model_copy(
        update={
            "branches": "all",
            "aggregate": "region",
            "error_sigma": 0.0,
            "smooth": SmoothParams(median=0.0, gaussian=0.0),
            "threshold": params.threshold.model_copy(update={"policy": "percentile"}),
        }
    )
