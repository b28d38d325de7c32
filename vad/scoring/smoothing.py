"""Smoothing over time: centred, which uses frames ahead, and causal, for live use.

Centred filters mirror the clip at its ends, so that an outlier there is smoothed as elsewhere. Causal filters
use only existing frames, so that the first frame is not counted several times.
"""

import numpy as np
from scipy.ndimage import correlate1d, median_filter

from vad.scoring.params import SmoothParams


def radius(sigma: float) -> int:
    """Frames on each side that a gaussian with this standard deviation covers: four deviations."""
    return int(4 * sigma + 0.5)


def history(params: SmoothParams) -> int:
    """Number of past frames that a causal score depends on."""
    return params.median - 1 + radius(params.gaussian)


def gaussian(values: np.ndarray, sigma: float, causal: bool) -> np.ndarray:
    """Gaussian filter along axis 0; if causal, with the half of the kernel that lies in the past.

    Args:
        values: float [T, ...].
        sigma: standard deviation in frames; 0 is off.
        causal: whether to use no frames ahead.

    Returns:
        The shape and dtype of `values`.
    """
    if (r := radius(sigma)) == 0:
        return values
    weights = np.exp(-0.5 * (np.arange(-r, r + 1) / sigma) ** 2)
    if causal:
        weights[r + 1 :] = 0
    weights /= weights.sum()
    out = correlate1d(values, weights, axis=0, mode="constant" if causal else "reflect")
    if causal:
        # in the first frames, normalise by the part of the kernel that lies within the clip
        mass = np.cumsum(weights[r::-1])[: len(values)]
        out[: len(mass)] /= mass.astype(out.dtype).reshape(-1, *[1] * (out.ndim - 1))
    return out


def smooth(scores: np.ndarray, params: SmoothParams, causal: bool) -> np.ndarray:
    """Smooths scores over time, first by a median, then by a gaussian.

    Args:
        scores: float [T].
        params: the section `calibrate.smooth`.
        causal: whether to use no frames ahead.

    Returns:
        float64 [T].
    """
    scores = np.asarray(scores, np.float64)
    if params.median > 1:
        # shifts the window into the past; for an even length, scipy's window already begins a frame earlier
        shift = (params.median - 1) // 2 if causal else 0
        # mirrored here, as scipy's result is wrong if the window is more than twice as long as the scores
        reach = params.median - 1
        padded = np.pad(scores, reach, mode="symmetric")
        medians = median_filter(padded, params.median, origin=shift)[reach:-reach]
        if causal:
            # the first frames have a shorter past: the median of all frames so far, without mirroring
            first = range(min(reach, len(scores)))
            medians[: len(first)] = [np.sort(scores[: t + 1])[(t + 1) // 2] for t in first]
        scores = medians
    return gaussian(scores, params.gaussian, causal)
