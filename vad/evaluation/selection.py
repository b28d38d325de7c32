"""Selects the clips that pictures show, if there are too many clips for a picture of each."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from vad.evaluation.scored_clip import ScoredClip


def select(clips: Sequence[ScoredClip], threshold: float, number: int) -> list[ScoredClip]:
    """Selects the clips to look at first: the most anomalous ones, and those with the worst mistakes.

    There are three lists: clips by their highest score, by the highest score of a false alarm, and clips with
    an anomaly but no alarm during it, the lowest score first. Clips are taken from them in turn.

    Args:
        clips: all test clips.
        threshold: frames with a higher score are alarmed.
        number: maximum number of clips.

    Returns:
        The selected clips in the order of `clips`; all clips if there are at most `number`.
    """
    if len(clips) <= number:
        return list(clips)
    highest, false_alarms, missed = {}, {}, {}
    for i, clip in enumerate(clips):
        highest[i] = -clip.scores.max()
        if clip.anomalous is not None:
            normal = np.max(clip.scores[~clip.anomalous], initial=-np.inf)
            anomalous = np.max(clip.scores[clip.anomalous], initial=-np.inf)
            if normal > threshold:
                false_alarms[i] = -normal
            if -np.inf < anomalous <= threshold:
                missed[i] = anomalous
    # `sorted` is stable, so of clips with the same score the first comes first
    ranked = (sorted(rank, key=rank.__getitem__) for rank in (highest, false_alarms, missed))
    in_turn = (i for turn in zip_longest(*ranked) for i in turn if i is not None)
    selected = sorted(list(dict.fromkeys(in_turn))[:number])
    return [clips[i] for i in selected]
