"""The clips that pictures show, if there are too many clips for a picture of each."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from vad.evaluation.scored_clip import ScoredClip


def pictured(clips: Sequence[ScoredClip], threshold: float, number: int) -> list[ScoredClip]:
    """Chooses the clips that people want to see first: what is most anomalous, and the worst mistakes.

    There are three lists: clips by their highest score, by the highest score of a false alarm, and clips with
    an anomaly but no alarm during it, the lowest score first. They are taken from in turn.

    Args:
        clips: all test clips.
        threshold: frames with a higher score are alarmed.
        number: maximum number of clips.

    Returns:
        The chosen clips in the order of `clips`; all of them if they are not more than `number`.
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
    chosen = sorted(list(dict.fromkeys(in_turn))[:number])
    return [clips[i] for i in chosen]
