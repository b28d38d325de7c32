"""Smoothing over time: centred, which looks ahead, and causal, for live use.

Beyond a clip's ends centred filters see it mirrored, so that a single odd frame there is outvoted as it is
elsewhere; before its start causal ones see its first value.
"""

import numpy as np
from scipy.ndimage import correlate1d, median_filter

from vad.params import Field, Section


class SmoothParams(Section):
    """`calibrate.smooth`, of a clip's scores, in frames.

    First the median of `median` frames (1 is off), which drops what is shorter than half of it and keeps
    onsets; then a gaussian of standard deviation `gaussian` (0 is off). `causal`: the headline scores are
    those that need no frame ahead.
    """

    median: int = Field(ge=1, le=1001)
    gaussian: float = Field(ge=0, le=1000)
    causal: bool

    def reach(self) -> int:
        """How many frames back a causal score depends on."""
        return self.median - 1 + radius(self.gaussian)


def radius(sigma: float) -> int:
    """Frames on one side that a gaussian of this standard deviation takes in: four deviations."""
    return int(4 * sigma + 0.5)


def gaussian(values: np.ndarray, sigma: float, causal: bool) -> np.ndarray:
    """Along axis 0 of [T, ...]; keeps the dtype. Causal: the half of the kernel that lies in the past."""
    if (r := radius(sigma)) == 0:
        return values
    weights = np.exp(-0.5 * (np.arange(-r, r + 1) / sigma) ** 2)
    if causal:
        weights[r + 1 :] = 0
    return correlate1d(values, weights / weights.sum(), axis=0, mode="nearest" if causal else "reflect")


def smooth(scores: np.ndarray, params: SmoothParams, causal: bool) -> np.ndarray:
    """Scores [T] as `params` ask for it; float64 [T]."""
    scores = np.asarray(scores, np.float64)
    if params.median > 1:
        behind = (params.median - 1) // 2 if causal else 0  # scipy's even windows begin one frame earlier
        # scipy goes wrong where a window is more than twice as long as what it mirrors
        reach = params.median - 1
        padded = np.pad(scores, reach, mode="edge" if causal else "symmetric")
        scores = median_filter(padded, params.median, origin=behind)[reach:-reach]
    return gaussian(scores, params.gaussian, causal)
