"""The filters of errors and of scores over time at a frame rate, and how many frames ahead they look."""

from dataclasses import dataclass

from vad.scoring.filters import Gaussian, Median, radius, round_frames
from vad.scoring.params import CalibrateParams


@dataclass(frozen=True)
class Smoothing:
    """The filters, in frames. Each filters the results of the one before, so their lookaheads add up.

    Attributes:
        error_sigma: standard deviation of the gaussian along cells and tracks.
        median: length of the median of scores, odd.
        gaussian: standard deviation of the gaussian of scores.
        errors_ahead, median_ahead, gaussian_ahead: number of frames ahead that each filter uses.
    """

    error_sigma: float
    median: int
    gaussian: float
    errors_ahead: int
    median_ahead: int
    gaussian_ahead: int

    @classmethod
    def of(cls, params: CalibrateParams, fps: float) -> "Smoothing":
        """The filters at a frame rate, with `calibrate.lookahead` divided among them.

        The median gets its share first: with no frame ahead it shows the onset of an anomaly late by half its
        length, as it needs a majority. Then the gaussians of errors and of scores get a frame each in turn,
        as their weights decrease outwards, so the first frames ahead matter most. Errors are smoothed
        whatever `aggregate` is: with `region`, in the branches that only have maps, and for scores of cells.

        Args:
            params: the section `calibrate`.
            fps: frames per second.
        """
        error_sigma, gaussian = params.error_sigma * fps, params.smooth.gaussian * fps
        side = round_frames(params.smooth.median * fps / 2)  # as many frames ahead as back
        errors, median, scores = radius(error_sigma), side, radius(gaussian)
        if params.lookahead is not None:
            left = round_frames(params.lookahead * fps)
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
