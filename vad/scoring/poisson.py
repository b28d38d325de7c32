"""The uncertainty of a count of events that happen independently of each other, such as false alarms."""

from scipy.special import gammaincinv

CONFIDENCE = 0.95


def poisson_interval(count: int) -> tuple[float, float]:
    """The exact interval of the mean of a Poisson distribution (F. Garwood, Biometrika, 1936).

    Two-sided, except that of 0, which has only an upper bound: 0 to 3.0 (the rule of three).

    Args:
        count: what was counted, 0 or more.

    Returns:
        The bounds of the mean, which hold with CONFIDENCE.
    """
    outside = 1 - CONFIDENCE
    if not count:
        return 0.0, float(gammaincinv(1, 1 - outside))
    return float(gammaincinv(count, outside / 2)), float(gammaincinv(count + 1, 1 - outside / 2))
