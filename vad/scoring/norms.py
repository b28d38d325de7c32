"""Norms: they standardise errors by those of normal frames, so that branches can be compared.

The result is the *level* of an error: 0 for an ordinary one, 1 or more for one that is rare in normal frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from vad.scoring.tail import LN10, Tail, fit_tail

QUANTILES = (0.5, 0.95)  # of normal errors; their levels are 0 and 1
TAIL = 0.1  # the highest normal errors, to which a tail is fitted
KNOTS = 17  # quantiles from the median to the tail, at most 5 % of the errors between neighbours


@dataclass(frozen=True)
class Line:
    """A linear norm.

    Attributes:
        centre: the error of level 0.
        spread: difference between the errors of level 1 and level 0, above 0.
    """

    centre: float
    spread: float

    def levels(self, errors: np.ndarray) -> np.ndarray:
        """The levels of errors, an array of the same shape.

        Args:
            errors: float, of any shape.
        """
        return (errors - self.centre) / self.spread


@dataclass(frozen=True)
class TailProbability(Line):
    """A norm by tail probability, the share of normal frames with a higher error: -log10(2 * share).

    The factor 2 gives level 0 to the median of normal errors, 1 to the 95th percentile, and 2 to an error
    that one of 200 normal frames exceeds. Below the tail, shares are those counted in normal frames; in the
    tail, those of a fitted distribution without an upper end, so that levels increase strictly and without
    bound. Below the median, levels are linear.

    Attributes:
        centre: median of normal errors.
        spread: difference between their 95th percentile and the median.
        errors: normal errors from the median to the start of the tail, increasing.
        shares: the share of normal errors above each of them, decreasing from 0.5.
        tail: distribution of the excesses of higher errors over the last of them.
    """

    errors: tuple[float, ...]
    shares: tuple[float, ...]
    tail: Tail

    def levels(self, errors: np.ndarray) -> np.ndarray:
        knots, levels = self._knots
        above = np.interp(errors, knots, levels) + self.tail.rarity(np.maximum(errors - knots[-1], 0))
        return np.where(errors < self.centre, super().levels(errors), above)

    @cached_property
    def _knots(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.errors), -np.log10(2 * np.array(self.shares))


Norm = Line | TailProbability


def from_json(raw: Mapping[str, Any]) -> Norm:
    """A norm from its attributes, as `dataclasses.asdict` gives them.

    Args:
        raw: names and values.
    """
    if "tail" not in raw:
        return Line(**raw)
    norm = TailProbability(**{**raw, "tail": Tail(**raw["tail"])})
    return replace(norm, errors=tuple(norm.errors), shares=tuple(norm.shares))


def fit_norm(errors: np.ndarray, normalisation: str) -> Norm | None:
    """The norm of normal errors; None if they have no spread.

    Args:
        errors: float [N].
        normalisation: `calibrate.normalisation`.
    """
    if not len(errors):
        return None
    if normalisation == "z_score":
        centre, spread = float(errors.mean()), float(errors.std())
        return Line(centre, spread) if spread > 0 else None
    # all quantiles at once, as each pass over the errors takes as long as the last
    shares = np.geomspace(0.5, TAIL, KNOTS)
    centre, high, *quantiles = (float(q) for q in np.quantile(errors, [*QUANTILES, *(1 - shares)]))
    if not high > centre:
        return None
    if normalisation == "quantile":
        return Line(centre, high - centre)
    # of equal errors the first knot is kept, so that the level rises only beyond them
    knots, first = np.unique([centre, *quantiles[1:]], return_index=True)
    excesses = errors[errors > knots[-1]] - knots[-1]
    # if nothing lies beyond the last knot, levels go on by 1 per spread
    tail = fit_tail(excesses) if len(excesses) else Tail(0.0, (high - centre) / LN10)
    return TailProbability(centre, high - centre, tuple(knots.tolist()), tuple(shares[first].tolist()), tail)
