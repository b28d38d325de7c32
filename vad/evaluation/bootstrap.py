"""How sure the headline is: confidence intervals of frame AUCs, by drawing clips again.

Frames of a clip depend on each other, clips hardly; so whole clips are drawn, as many as there are, with
replacement, and the AUC of each such resample is taken. The interval holds the middle 95 % of them, the
percentile method (B. Efron, "Nonparametric standard errors and confidence intervals", Canadian Journal of
Statistics 9, 1981).

No resample is ever put together: an AUC counts in how many pairs the anomalous frame is above the normal
one (D. Bamber, "The area above the ordinal dominance graph and the area below the receiver operating
characteristic graph", Journal of Mathematical Psychology 12, 1975), and those of two clips are counted once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MICRO, MACRO = "auc_micro", "auc_macro"


def pairs(labels: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> np.ndarray:
    """U float64 [C, C]: in how many pairs an anomalous frame of clip i is above a normal one of clip j.

    `labels` bool [T] and `scores` float [T] of each clip; a tie counts half. Exact.
    """
    count = len(labels)
    anomalous = np.concatenate([s[y] for y, s in zip(labels, scores, strict=True)])
    owner = np.repeat(np.arange(count), [int(y.sum()) for y in labels])
    rising = np.argsort(anomalous)  # neighbours land near each other, which makes the search much faster
    anomalous, owner = anomalous[rising], owner[rising]
    won = np.empty((count, count))
    for j, (y, s) in enumerate(zip(labels, scores, strict=True)):
        normal = np.sort(s[~y])
        twice = np.searchsorted(normal, anomalous, "left") + np.searchsorted(normal, anomalous, "right")
        won[:, j] = np.bincount(owner, twice, count) / 2
    return won


def weights(clips: int, resamples: int, seed: int) -> np.ndarray:
    """How often each clip is drawn: int64 [resamples, clips]; each row sums to `clips`, at least 1."""
    return np.random.default_rng(seed).multinomial(clips, np.full(clips, 1 / clips), resamples)


def micro(won: np.ndarray, anomalous: np.ndarray, normal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC over all frames of each resample, float64 [R]; NaN where it has one class alone.

    `won` are the `pairs` [C, C]; `anomalous` and `normal` [C] count each clip's frames; `weights` [R, C].
    Exactly the AUC of the clips put together, each as often as it was drawn.
    """
    w = weights.astype(float)
    return _ratio(((w @ won) * w).sum(1), (w @ anomalous) * (w @ normal))


def macro(aucs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of the AUCs [C] of each resample's clips, float64 [R]; `weights` [R, C].

    A clip without an AUC is NaN and left out; NaN where this leaves nothing of a resample.
    """
    w = weights * np.isfinite(aucs)
    return _ratio(w @ np.nan_to_num(aucs), w.sum(1))


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """(low, high): the middle `level` of the values [R], undefined ones (NaN) left out; one must be left."""
    low, high = np.nanquantile(values, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def headline(
    labels: Sequence[np.ndarray], scores: Sequence[np.ndarray], resamples: int, seed: int
) -> dict[str, Any]:
    """95 % intervals of the frame AUC, micro and macro, over labelled clips.

    `auc_micro` and `auc_macro` each with `low`, `high` and `defined`, the number of resamples in which
    there was an AUC; or with `absent`, the reason why there is no interval. Beside them `clips` and
    `resamples`.
    """
    return _summary(labels, [scores], resamples, seed)


def gain(
    labels: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    other_scores: Sequence[np.ndarray],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """What one scorer adds to another: the observed `difference` of their AUCs, and its 95 % interval.

    Otherwise like `headline`. Both are seen on the same resamples, so what makes footage hard for both
    does not widen the interval.
    """
    return _summary(labels, [scores, other_scores], resamples, seed)


def _summary(
    labels: Sequence[np.ndarray], scorers: Sequence[Sequence[np.ndarray]], resamples: int, seed: int
) -> dict[str, Any]:
    """`headline` of a single scorer, `gain` of the first of two over the second."""
    absent = _absent(labels)
    figures: dict[str, Any] = {name: {"absent": why} for name, why in absent.items()}
    if len(absent) < 2:
        drawn = weights(len(labels), resamples, seed)
        observed = np.ones((1, len(labels)), int)
        weighted = np.concatenate([observed, drawn])
        own, *others = (_aucs(labels, scores, weighted) for scores in scorers)
        for name in own.keys() - absent.keys():
            values = own[name] - others[0][name] if others else own[name]
            difference = {"difference": float(values[0])} if others else {}
            figures[name] = difference | _bounds(values[1:])
    return {MICRO: figures[MICRO], MACRO: figures[MACRO], "clips": len(labels), "resamples": resamples}


def _aucs(
    labels: Sequence[np.ndarray], scores: Sequence[np.ndarray], weights: np.ndarray
) -> Mapping[str, np.ndarray]:
    """Micro and macro AUC of each resample, [R] each."""
    won = pairs(labels, scores)
    anomalous = np.array([y.sum() for y in labels], float)
    normal = np.array([(~y).sum() for y in labels], float)
    own = _ratio(won.diagonal(), anomalous * normal)
    return {MICRO: micro(won, anomalous, normal, weights), MACRO: macro(own, weights)}


def _absent(labels: Sequence[np.ndarray]) -> dict[str, str]:
    """Which of the two have no interval, and why.

    Drawing again what does not vary gives an interval without width, which would look like certainty.
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


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where below is 0."""
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below != 0)
