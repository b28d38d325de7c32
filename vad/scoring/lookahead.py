"""How many frames ahead the filters use, and how long scores therefore take."""

from typing import NamedTuple

from vad.scoring.filters import Gaussian, Median, radius
from vad.scoring.params import CalibrateParams


class Shares(NamedTuple):
    """Frames ahead that each filter uses.

    Attributes:
        errors: the gaussian along cells and tracks.
        median: the median of scores.
        gaussian: the gaussian of scores.
    """

    errors: int
    median: int
    gaussian: int


def shares(params: CalibrateParams) -> Shares:
    """Divides `calibrate.lookahead` among the filters, which stand in a row, so that their delays add up.

    The median comes first: cut off, it shows the onset of an anomaly late by half its length, since it needs
    a majority. Then the gaussians of errors and of scores get a frame each in turn, since the weights of a
    gaussian decrease outwards: the first frames ahead change most. Errors are smoothed whatever
    `aggregate` is: with `region`, those of the branches that have maps only, and the scores of cells.

    Args:
        params: the section `calibrate`.
    """
    wanted = Shares(
        errors=radius(params.error_sigma),
        median=Median(params.smooth.median).lookahead,
        gaussian=radius(params.smooth.gaussian),
    )
    if params.lookahead is None:
        return wanted
    left = params.lookahead
    median = min(left, wanted.median)
    left = min(left - median, wanted.errors + wanted.gaussian)
    # in turn, errors first; what one of them does not want, the other gets
    errors = min(wanted.errors, max(-(-left // 2), left - wanted.gaussian))
    return Shares(errors, median, left - errors)


def smoothing(params: CalibrateParams) -> tuple[Median, Gaussian]:
    """The filters of scores over time, in their order."""
    share = shares(params)
    return Median(params.smooth.median, share.median), Gaussian(params.smooth.gaussian, share.gaussian)
