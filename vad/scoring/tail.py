"""The tail of a distribution: peaks over a threshold, by a generalised Pareto distribution.

Excesses over a high threshold have this distribution in the limit (J. Pickands, Annals of Statistics, 1975).
"""

from dataclasses import dataclass

import numpy as np

# A shape below 0 would be a tail that ends, soon after the highest peak: footage that is short enough to need
# a tail cannot show that. A shape of 0.5 is as heavy as a tail with a variance can be.
SHAPES = (0.0, 0.5)
MIN_FOR_SHAPE = 20  # with fewer excesses the shape is 0, an exponential distribution


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto distribution of excesses.

    Attributes:
        shape: 0 for an exponential distribution, more for a heavier tail.
        scale: in the unit of the excesses.
    """

    shape: float
    scale: float

    def exceeded_by(self, share: float) -> float:
        """The excess that a share of excesses is above.

        Args:
            share: above 0, at most 1.
        """
        if self.shape == 0:
            return float(-self.scale * np.log(share))
        return float(self.scale * np.expm1(-self.shape * np.log(share)) / self.shape)


def fit_tail(excesses: np.ndarray) -> Tail:
    """Fits a tail by maximum likelihood, with the shape within SHAPES.

    Args:
        excesses: above 0, float [n], at least one.
    """
    mean = float(excesses.mean())
    if len(excesses) < MIN_FOR_SHAPE:
        return Tail(0.0, mean)
    from scipy.stats import genpareto  # takes half a second, which only this policy needs

    relative = excesses / mean
    shape, _, scale = genpareto.fit(relative, floc=0)
    if not shape > SHAPES[0]:
        return Tail(0.0, mean)
    if shape > SHAPES[1]:
        shape, _, scale = genpareto.fit(relative, f0=SHAPES[1], floc=0)
    return Tail(float(shape), float(scale) * mean)
