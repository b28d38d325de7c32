"""Smoothing over time: centred, which looks ahead, and causal, for live use.

Centred filters mirror a clip at its ends, so that an outlier there is outvoted as elsewhere; causal ones use
the frames there are, so that the first frame is not counted several times.
"""

import numpy as np
from scipy.ndimage import correlate1d, median_filter

from vad.scoring.params import SmoothParams


def radius(sigma: float) -> int:
    """Frames on each side that a gaussian of this standard deviation covers: four deviations."""
    return int(4 * sigma + 0.5)


def history(params: SmoothParams) -> int:
    """How many frames back a causal score depends on."""
    return params.median - 1 + radius(params.gaussian)


def gaussian(values: np.ndarray, sigma: float, causal: bool) -> np.ndarray:
    """Gaussian filter along axis 0; causal: the half of the kernel that lies in the past.

    Args:
        values: float [T, ...]; the result has its dtype.
        sigma: standard deviation in frames; 0 is off.
        causal: whether to do without frames ahead.
    """
    if (r := radius(sigma)) == 0:
        return values
    weights = np.exp(-0.5 * (np.arange(-r, r + 1) / sigma) ** 2)
    if causal:
        weights[r + 1 :] = 0
    weights /= weights.sum()
    out = correlate1d(values, weights, axis=0, mode="constant" if causal else "reflect")
    if causal:
        mass = np.cumsum(weights[r::-1])[: len(values)]  # of the kernel within the clip, in its first frames
        out[: len(mass)] /= mass.astype(out.dtype).reshape(-1, *[1] * (out.ndim - 1))
    return out


def smooth(scores: np.ndarray, params: SmoothParams, causal: bool) -> np.ndarray:
    """Scores [T], smoothed: float64 [T]."""
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
