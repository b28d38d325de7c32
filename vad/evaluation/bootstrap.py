"""Confidence intervals of frame AUCs, by resampling clips.

Frames of a clip depend on each other, clips hardly; so whole clips are drawn, as many as there are, with
replacement, and the AUC of each resample is computed. The interval holds the middle 95 % of these, the
percentile method (B. Efron, "Nonparametric standard errors and confidence intervals", Canadian Journal of
Statistics 9, 1981).

Resamples are never put together frame by frame: an AUC is the share of pairs in which the anomalous frame has
a higher score than the normal frame (D. Bamber, "The area above the ordinal dominance graph and the area
below the receiver operating characteristic graph", Journal of Mathematical Psychology 12, 1975), and the
pairs of two clips are counted once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MICRO, MACRO = "auc_micro", "auc_macro"
LEVEL = 0.95  # of the confidence intervals


def count_wins(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> np.ndarray:
    """In how many pairs an anomalous frame of clip i has a higher score than a normal frame of clip j.

    Args:
        labels: bool [T] of each of the C clips.
        scores: float [T] of each.

    Returns:
        float64 [C, C] over (i, j), exact; a tie counts half.
    """
    clips = len(labels)
    anomalous = np.concatenate([s[y] for y, s in zip(labels, scores, strict=True)])
    clip_of = np.repeat(np.arange(clips), [int(y.sum()) for y in labels])
    rising = np.argsort(anomalous)  # neighbours land near each other, which makes the search much faster
    anomalous, clip_of = anomalous[rising], clip_of[rising]
    wins = np.empty((clips, clips))
    for j, (y, s) in enumerate(zip(labels, scores, strict=True)):
        normal = np.sort(s[~y])
        # normal frames below, and those below or equal: their sum counts a win twice and a tie once
        doubled = np.searchsorted(normal, anomalous, "left") + np.searchsorted(normal, anomalous, "right")
        wins[:, j] = np.bincount(clip_of, doubled, clips) / 2
    return wins


def draw_weights(clips: int, resamples: int, seed: int) -> np.ndarray:
    """How often each clip is drawn: int64 [resamples, clips]; each row has the sum `clips`, at least 1."""
    return np.random.default_rng(seed).multinomial(clips, np.full(clips, 1 / clips), resamples)


def micro(wins: np.ndarray, anomalous: np.ndarray, normal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC over all frames of each resample, exactly as if its clips were put together.

    Args:
        wins: float64 [C, C], from `count_wins`.
        anomalous: [C], anomalous frames of each clip.
        normal: [C], normal frames of each clip.
        weights: [R, C], how often each clip was drawn.

    Returns:
        float64 [R]; NaN where a resample lacks a class.
    """
    w = weights.astype(float)
    return _ratio(((w @ wins) * w).sum(1), (w @ anomalous) * (w @ normal))


def macro(aucs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the AUCs of each resample's clips.

    Args:
        aucs: float64 [C]; NaN where a clip lacks a class, which is left out.
        weights: [R, C], how often each clip was drawn.

    Returns:
        float64 [R]; NaN where no clip of a resample has an AUC.
    """
    w = weights * np.isfinite(aucs)
    return _ratio(w @ np.nan_to_num(aucs), w.sum(1))


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Bounds of the middle `level` of values.

    Args:
        values: float64 [R]; NaN is left out, and at least one must remain.
        level: in (0, 1).

    Returns:
        (low, high)
    """
    low, high = np.nanquantile(values, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def headline(
    labels: Sequence[np.ndarray], scores: Sequence[np.ndarray], resamples: int, seed: int
) -> dict[str, Any]:
    """95 % confidence intervals of the frame AUC, micro and macro.

    Args:
        labels: bool [T] of each labelled clip.
        scores: float [T] of each.
        resamples: how many.
        seed: of the draws.

    Returns:
        `auc_micro` and `auc_macro`, each with `low`, `high` and `defined`, the number of resamples that have
        an AUC; or with `absent`, the reason why there is no interval. Beside them `clips` and `resamples`.
    """
    return _summary(labels, [scores], resamples, seed)


def gain(
    labels: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    baseline: Sequence[np.ndarray],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """What a scorer adds to a baseline: the difference of their AUCs with its 95 % confidence interval.

    Both are computed on the same resamples, so what makes footage hard for both does not widen the interval.

    Args:
        labels: bool [T] of each labelled clip.
        scores: float [T] of each.
        baseline: float [T] of each, scores of the baseline.
        resamples: how many.
        seed: of the draws.

    Returns:
        as `headline`, with the observed `difference` beside each interval.
    """
    return _summary(labels, [scores, baseline], resamples, seed)


def _summary(
    labels: Sequence[np.ndarray], scorers: Sequence[Sequence[np.ndarray]], resamples: int, seed: int
) -> dict[str, Any]:
    """`headline` of a single scorer, `gain` of the first of two over the second."""
    absent = _why_absent(labels)
    figures: dict[str, Any] = {name: {"absent": reason} for name, reason in absent.items()}
    if len(absent) < 2:
        observed = np.ones((1, len(labels)), int)
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
    """Micro and macro AUC of each resample: [R] each."""
    wins = count_wins(labels, scores)
    anomalous = np.array([y.sum() for y in labels], float)
    normal = np.array([(~y).sum() for y in labels], float)
    by_clip = _ratio(wins.diagonal(), anomalous * normal)
    return {MICRO: micro(wins, anomalous, normal, weights), MACRO: macro(by_clip, weights)}


def _why_absent(labels: Sequence[np.ndarray]) -> dict[str, str]:
    """Which of the two AUCs have no interval, and why.

    Resampling what does not vary gives an interval without width, which would look like certainty.
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
    defined = int(np.isfinite(values).sum())
    if not defined:
        return {"absent": f"none of the {len(values)} resamples has what it needs; draw more"}
    low, high = interval(values)
    return {"low": low, "high": high, "defined": defined}


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(len(denominator), np.nan), where=denominator != 0)
