"""The tail of a distribution, by peaks over threshold: excesses have a generalised Pareto distribution.

This holds in the limit of high thresholds (J. Pickands, Annals of Statistics, 1975).
"""

from dataclasses import dataclass

import numpy as np

# A shape below 0 means a tail that ends, soon after the highest peak. Footage so short that it needs a fitted
# tail cannot show that. From a shape of 0.5 on, a tail is so heavy that its variance is infinite.
SHAPES = (0.0, 0.5)
MIN_FOR_SHAPE = 20  # with fewer excesses the shape is 0, an exponential distribution
LN10 = float(np.log(10))


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto distribution of excesses.

    Attributes:
        shape: 0 for an exponential distribution, more for a heavier tail.
        scale: in the unit of the excesses.
    """

    shape: float
    scale: float

    def rarity(self, excesses: np.ndarray) -> np.ndarray:
        """-log10 of the share of excesses that are above each excess.

        Args:
            excesses: 0 or more, of any shape.
        """
        if self.shape == 0:
            return excesses / (self.scale * LN10)
        return np.log1p(excesses * (self.shape / self.scale)) / (self.shape * LN10)


def fit_tail(excesses: np.ndarray) -> Tail:
    """Fits a tail by probability-weighted moments, with the shape within SHAPES.

    With up to a few hundred excesses they are as accurate as maximum likelihood, and they always exist
    (J. Hosking and J. Wallis, Technometrics, 1987).

    Args:
        excesses: above 0, float [n], at least one.
    """
    mean, n = float(excesses.mean()), len(excesses)
    if n < MIN_FOR_SHAPE:
        return Tail(0.0, mean)
    above = 1 - (np.arange(1, n + 1) - 0.35) / n  # share of excesses above each, in the order of size
    moment = float((np.sort(excesses) * above).mean())
    shape = 2 - mean / (mean - 2 * moment)
    if shape <= SHAPES[0]:
        return Tail(0.0, mean)
    shape = min(shape, SHAPES[1])
    return Tail(shape, 2 * (2 - shape) * moment)
