"""How many frames ahead the filters use, and how long scores therefore take."""

from typing import NamedTuple

from vad.scoring.filters import Gaussian, Median, radius
from vad.scoring.params import CalibrateParams


class FilterLookahead(NamedTuple):
    """Frames ahead that each filter uses.

    Attributes:
        errors: the gaussian along cells and tracks.
        median: the median of scores.
        gaussian: the gaussian of scores.
    """

    errors: int
    median: int
    gaussian: int


def divide_lookahead(params: CalibrateParams) -> FilterLookahead:
    """Divides `calibrate.lookahead` among the filters, which stand in a row, so that their delays add up.

    The median comes first: cut off, it shows the onset of an anomaly late by half its length, since it needs
    a majority. Then the gaussians of errors and of scores get a frame each in turn, since the weights of a
    gaussian decrease outwards: the first frames ahead change most. Errors are smoothed whatever
    `aggregate` is: with `region`, those of the branches that have maps only, and the scores of cells.

    Args:
        params: the section `calibrate`.
    """
    centred = FilterLookahead(
        errors=radius(params.error_sigma),
        median=Median(params.smooth.median).lookahead,
        gaussian=radius(params.smooth.gaussian),
    )
    if params.lookahead is None:
        return centred
    left = params.lookahead
    median = min(left, centred.median)
    left = min(left - median, centred.errors + centred.gaussian)
    # in turn, errors first; what one of them cannot use, the other gets
    errors = min(centred.errors, max(-(-left // 2), left - centred.gaussian))
    return FilterLookahead(errors, median, left - errors)


def smoothing(params: CalibrateParams) -> tuple[Median, Gaussian]:
    """The filters of scores over time, in their order.

    Args:
        params: the section `calibrate`.
    """
    ahead = divide_lookahead(params)
    return Median(params.smooth.median, ahead.median), Gaussian(params.smooth.gaussian, ahead.gaussian)
