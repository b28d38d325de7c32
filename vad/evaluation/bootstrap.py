"""Confidence intervals of frame AUCs, by resampling clips.

The frames of a clip depend on each other, but clips hardly do; so each resample draws whole clips with
replacement, as many as there are, and its AUC is computed. The interval is the middle 95 % of these AUCs, the
percentile method (B. Efron, "Nonparametric standard errors and confidence intervals", Canadian Journal of
Statistics 9, 1981).

An AUC is the share of pairs in which the anomalous frame has a higher score than the normal frame (D. Bamber,
"The area above the ordinal dominance graph and the area below the receiver operating characteristic graph",
Journal of Mathematical Psychology 12, 1975). So the pairs are counted only once for each two clips, and the
AUC of a resample is a weighted sum of these counts; its frames are never concatenated.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MICRO, MACRO = "auc_micro", "auc_macro"
LEVEL = 0.95  # of the confidence intervals


def count_wins(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> np.ndarray:
    """Counts the pairs of an anomalous frame of clip i and a normal frame of clip j with a lower score.

    Args:
        labels: labels of each of the C clips, bool [T].
        scores: scores of each clip, float [T].

    Returns:
        float64 [C, C] over (i, j), exact; a tie counts half.
    """
    clips = len(labels)
    anomalous = np.concatenate([s[y] for y, s in zip(labels, scores, strict=True)])
    clip_of = np.repeat(np.arange(clips), [int(y.sum()) for y in labels])
    ascending = np.argsort(anomalous)  # sorted queries make `searchsorted` much faster, by locality
    anomalous, clip_of = anomalous[ascending], clip_of[ascending]
    wins = np.empty((clips, clips))
    for j, (y, s) in enumerate(zip(labels, scores, strict=True)):
        normal = np.sort(s[~y])
        # normal frames below, plus normal frames below or equal: counts a win twice and a tie once
        doubled = np.searchsorted(normal, anomalous, "left") + np.searchsorted(normal, anomalous, "right")
        wins[:, j] = np.bincount(clip_of, doubled, clips) / 2
    return wins


def draw_weights(clips: int, resamples: int, seed: int) -> np.ndarray:
    """Draws resamples of the clips, with replacement.

    Args:
        clips: number of clips, at least 1, and size of each resample.
        resamples: number of resamples.
        seed: seed of the random numbers.

    Returns:
        How often each clip occurs in each resample, int64 [resamples, clips].
    """
    return np.random.default_rng(seed).multinomial(clips, np.full(clips, 1 / clips), resamples)


def micro(wins: np.ndarray, anomalous: np.ndarray, normal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC over all frames of each resample, exactly as if its clips were concatenated.

    Args:
        wins: result of `count_wins`, float64 [C, C].
        anomalous: number of anomalous frames of each clip, [C].
        normal: number of normal frames of each clip, [C].
        weights: how often each clip occurs in each resample, [R, C].

    Returns:
        float64 [R]; NaN for a resample that lacks a class.
    """
    w = weights.astype(float)
    # per resample: sum over i, j of w_i wins_ij w_j, over the number of pairs
    return _ratio(((w @ wins) * w).sum(1), (w @ anomalous) * (w @ normal))


def macro(aucs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean AUC of the clips of each resample.

    Args:
        aucs: AUC of each clip, float64 [C]; NaN for a clip that lacks a class, which is omitted from the
            mean.
        weights: how often each clip occurs in each resample, [R, C].

    Returns:
        float64 [R]; NaN for a resample in which no clip has an AUC.
    """
    w = weights * np.isfinite(aucs)
    return _ratio(w @ np.nan_to_num(aucs), w.sum(1))


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The bounds of the middle share `level` of the values.

    Args:
        values: float64 [R]; NaN is ignored, but not all may be NaN.
        level: in (0, 1).

    Returns:
        Lower and upper bound.
    """
    low, high = np.nanquantile(values, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def headline(
    labels: Sequence[np.ndarray], scores: Sequence[np.ndarray], resamples: int, seed: int
) -> dict[str, Any]:
    """95 % confidence intervals of the frame AUC, micro and macro.

    Args:
        labels: labels of each labelled clip, bool [T].
        scores: scores of each of these clips, float [T].
        resamples: number of resamples.
        seed: seed of the resampling.

    Returns:
        `auc_micro` and `auc_macro`, each with `low`, `high` and `defined` (the number of resamples that have
        an AUC), or with `absent`, the reason why there is no interval; and the numbers `clips` and
        `resamples`.
    """
    return _summary(labels, [scores], resamples, seed)


def gain(
    labels: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    baseline: Sequence[np.ndarray],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The gain of a scorer over a baseline: the difference of their AUCs with its 95 % confidence interval.

    Both AUCs are computed on the same resamples, so the interval is not widened by clips that are hard for
    both.

    Args:
        labels: labels of each labelled clip, bool [T].
        scores: scores of each of these clips, float [T].
        baseline: scores of the baseline for each of these clips, float [T].
        resamples: number of resamples.
        seed: seed of the resampling.

    Returns:
        As from `headline`, with the observed `difference` beside each interval.
    """
    return _summary(labels, [scores, baseline], resamples, seed)


def _summary(
    labels: Sequence[np.ndarray], scorers: Sequence[Sequence[np.ndarray]], resamples: int, seed: int
) -> dict[str, Any]:
    """The result of `headline` for a single scorer, of `gain` for two."""
    absent = _why_absent(labels)
    figures: dict[str, Any] = {name: {"absent": reason} for name, reason in absent.items()}
    if len(absent) < 2:
        observed = np.ones((1, len(labels)), int)  # the first row is the sample itself
        weights = np.concatenate([observed, draw_weights(len(labels), resamples, seed)])
        aucs, *baseline = (_aucs(labels, scores, weights) for scores in scorers)
        for name in aucs.keys() - absent.keys():
            values = aucs[name] - baseline[0][name] if baseline else aucs[name]
            difference = {"difference": float(values[0])} if baseline else {}
            figures[name] = difference | _bounds(values[1:])
    return {MICRO: figures[MICRO], MACRO: figures[MACRO], "clips": len(labels), "resamples": resamples}


def _aucs(
    labels: Sequence[np.ndarray], scores: Sequence[np.ndarray], weights: np.ndarray
) -> Mapping[str, np.ndarray]:
    """Micro and macro AUC of each resample, float64 [R] each."""
    wins = count_wins(labels, scores)
    anomalous = np.array([y.sum() for y in labels], float)
    normal = np.array([(~y).sum() for y in labels], float)
    by_clip = _ratio(wins.diagonal(), anomalous * normal)
    return {MICRO: micro(wins, anomalous, normal, weights), MACRO: macro(by_clip, weights)}


def _why_absent(labels: Sequence[np.ndarray]) -> dict[str, str]:
    """The AUCs without a confidence interval, with the reason.

    An AUC that rests on a single clip is the same in all resamples, and an interval of width 0 would pretend
    certainty.
    """
    anomalous = [bool(y.any()) for y in labels]
    normal = [not y.all() for y in labels]
    both = sum(a and n for a, n in zip(anomalous, normal, strict=True))
    absent = {}
    if both < 2:
        absent[MACRO] = f"clips with both classes: {both}; an interval needs 2"
    if not any(anomalous) or not any(normal):
        absent[MICRO] = f"no labelled frame is {'normal' if any(anomalous) else 'anomalous'}"
    elif max(sum(anomalous), sum(normal)) < 2:
        absent[MICRO] = "only one clip has anomalous frames and only one normal ones; an interval needs more"
    return absent


def _bounds(values: np.ndarray) -> dict[str, Any]:
    """Interval of the values of all resamples, of which some may be undefined (NaN)."""
    defined = int(np.isfinite(values).sum())
    if not defined:
        return {"absent": f"none of the {len(values)} resamples has what it needs; draw more"}
    low, high = interval(values)
    return {"low": low, "high": high, "defined": defined}


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(len(denominator), np.nan), where=denominator != 0)
