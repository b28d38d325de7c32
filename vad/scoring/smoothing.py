"""Smoothing over time: centred, which looks ahead, and causal, for live use.

Beyond a clip's ends centred filters see it mirrored, so that a single odd frame there is outvoted as it is
elsewhere; causal ones take what there is, so that the first frame does not count for many.
"""

import numpy as np
from scipy.ndimage import correlate1d, median_filter

from vad.pipeline.params import Field, Section


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
    weights /= weights.sum()
    out = correlate1d(values, weights, axis=0, mode="constant" if causal else "reflect")
    if causal:
        seen = np.cumsum(weights[r::-1])[: len(values)]  # of the kernel, in the first frames
        out[: len(seen)] /= seen.astype(out.dtype).reshape(-1, *[1] * (out.ndim - 1))
    return out


def smooth(scores: np.ndarray, params: SmoothParams, causal: bool) -> np.ndarray:
    """Scores [T] as `params` ask for it; float64 [T]."""
    scores = np.asarray(scores, np.float64)
    if params.median > 1:
        behind = (params.median - 1) // 2 if causal else 0  # scipy's even windows begin one frame earlier
        # scipy goes wrong where a window is more than twice as long as what it mirrors
        reach = params.median - 1
        padded = np.pad(scores, reach, mode="symmetric")
        whole = median_filter(padded, params.median, origin=behind)[reach:-reach]
        if causal:
            first = range(min(reach, len(scores)))
            whole[: len(first)] = [np.sort(scores[: t + 1])[(t + 1) // 2] for t in first]
        scores = whole
    return gaussian(scores, params.gaussian, causal)
