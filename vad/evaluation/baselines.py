"""Trivial scorers, which learn nothing, and the gain of the model over the best of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vad.evaluation import bootstrap
from vad.evaluation.frame_metrics import why_absent
from vad.evaluation.params import EvaluateParams
from vad.evaluation.roc_metrics import aucs
from vad.evaluation.scored_clip import ScoredClip, labelled, labels_of
from vad.scoring.scorer import LEARNED

Scores = Mapping[str, Sequence[np.ndarray]]  # scorer -> float [T] of each labelled clip


def trivial_scorers(clips: Sequence[ScoredClip], seed: int) -> dict[str, list[np.ndarray]]:
    """Scores of the trivial scorers: random numbers, the time, and branches without training, like `speed`.

    Args:
        clips: all test clips.
        seed: seed of the random numbers.

    Returns:
        Scores of each labelled clip, float [T], by scorer: `random`, `time` since the start of the clip, and
        each branch that does not learn and that all these clips have.
    """
    generator, scored = np.random.default_rng(seed), labelled(clips)
    scorers = {
        "random": [generator.random(len(clip.scores)) for clip in scored],
        "time": [clip.seconds - clip.seconds[0] for clip in scored],
    }
    if scored:
        everywhere = set.intersection(*(set(clip.branches) for clip in scored))
        unlearned = everywhere - {LEARNED, *scored[0].regions.learned}
        for branch in scored[0].branches:
            if branch in unlearned:
                scorers[branch] = [clip.branches[branch] for clip in scored]
    return scorers


def against_trivial(clips: Sequence[ScoredClip], trivial: Scores, params: EvaluateParams) -> dict[str, Any]:
    """AUCs of the trivial scorers, and the gain of the model over the best of them.

    Args:
        clips: all test clips.
        trivial: the result of `trivial_scorers` for these clips.
        params: `resamples` and `seed` are used, for the bootstrap.

    Returns:
        `baseline`: AUCs by scorer; `interval`: confidence intervals of the model's AUCs; `gain`: the AUCs of
        the model minus those of the scorer with the highest micro AUC (`over`), with confidence intervals.
        Empty without labels of both classes.
    """
    if why_absent(clips):
        return {}
    scored = labelled(clips)
    labels, scores = labels_of(scored), [clip.scores for clip in scored]
    baseline = {name: aucs(labels, values) for name, values in trivial.items()}
    best = max(baseline, key=lambda name: baseline[name]["auc_micro"] or 0.0)
    draws = (params.resamples, params.seed)
    return {
        "baseline": baseline,
        "interval": bootstrap.headline(labels, scores, *draws),
        "gain": {"over": best, **bootstrap.gain(labels, scores, trivial[best], *draws)},
    }
