"""The filters of errors and of scores over time, for clips of a rate, and how many frames ahead they look."""

from dataclasses import dataclass

from vad.scoring.filters import Gaussian, Median, radius, rounded
from vad.scoring.params import CalibrateParams


@dataclass(frozen=True)
class Smoothing:
    """The filters, in frames. They stand in a row, so that their lookaheads add up.

    Attributes:
        error_sigma: standard deviation of the gaussian along cells and tracks.
        median: length of the median of scores, odd.
        gaussian: standard deviation of the gaussian of scores.
        errors_ahead, median_ahead, gaussian_ahead: number of frames ahead that each of them uses.
    """

    error_sigma: float
    median: int
    gaussian: float
    errors_ahead: int
    median_ahead: int
    gaussian_ahead: int

    @classmethod
    def of(cls, params: CalibrateParams, fps: float) -> "Smoothing":
        """The filters for clips of a rate, with `calibrate.lookahead` divided among them.

        The median comes first: cut off, it shows the onset of an anomaly late by half its length, since it
        needs a majority. Then the gaussians of errors and of scores get a frame each in turn, since the
        weights of a gaussian decrease outwards: the first frames ahead change most. Errors are smoothed
        whatever `aggregate` is: with `region`, those of the branches that have maps only, and the scores of
        cells.

        Args:
            params: the section `calibrate`.
            fps: frames per second.
        """
        error_sigma, gaussian = params.error_sigma * fps, params.smooth.gaussian * fps
        side = rounded(params.smooth.median * fps / 2)  # as many frames ahead as back
        errors, median, scores = radius(error_sigma), side, radius(gaussian)
        if params.lookahead is not None:
            left = rounded(params.lookahead * fps)
            median = min(left, side)
            left = min(left - median, errors + scores)
            # in turn, errors first; what one of them cannot use, the other gets
            errors = min(errors, max(-(-left // 2), left - scores))
            scores = left - errors
        return cls(error_sigma, 2 * side + 1, gaussian, errors, median, scores)

    @property
    def lookahead(self) -> int:
        """Number of frames ahead that all of them use together."""
        return self.errors_ahead + self.median_ahead + self.gaussian_ahead

    def of_errors(self) -> Gaussian:
        """A new filter of errors."""
        return Gaussian(self.error_sigma, self.errors_ahead)

    def of_scores(self) -> tuple[Median, Gaussian]:
        """New filters of scores, in their order."""
        return Median(self.median, self.median_ahead), Gaussian(self.gaussian, self.gaussian_ahead)
