"""Figures of the check: how well scores tell altered stretches from normal footage.

| entry | content |
|---|---|
| `auc` | mean of the AUCs of the kinds, so that each counts the same; 0.5 is chance, 1 is perfect |
| `low`, `high` | its 95 % interval, by resampling the stretches of each kind |
| `unaltered` | `auc` of the same frames, unaltered: the effect of where stretches were chosen |
| `alarmed`, `unaltered_alarmed` | share of the stretches with an alarmed frame; of the unaltered stretches |
| `kind` | by kind: `auc` with `low` and `high`, `unaltered`, `alarmed`, number of `stretches`, `branch` |
| `kind.<kind>.branch` | AUC of the score of each branch alone |
| `clips`, `stretches`, `frames` | number of those that were altered |
| `seconds` | duration of the passages, with the unaltered parts around the stretches |
| `normal_clips`, `normal_frames` | number of those with which altered frames are compared |
| `absent` | in place of all these: why there are no figures |

The AUC is the share of pairs of an altered and a normal frame in which the altered one has the higher score.
Normal frames are all frames of the left-out normal clips, as the pipeline scores them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from vad.evaluation.bootstrap import count_wins, draw_weights, interval
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.pooling import CHUNK
from vad.scoring.scorer import Scorer
from vad.stream import results
from vad.validation.passages import Passage

RESAMPLES = 1000
COLUMNS = ["clip", "kind", "passage", "start", "end", "auc", "peak", "unaltered_peak", "alarmed"]


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of the frames of a clip or a passage.

    Attributes:
        scores: scores of all branches together, smoothed, float64 [T].
        alarmed: whether each frame is alarmed, bool [T].
        branches: scores of each branch alone, float64 [T].
    """

    scores: np.ndarray
    alarmed: np.ndarray
    branches: Mapping[str, np.ndarray]

    def at(self, frames: slice) -> "Scores":
        """The scores of some of the frames."""
        branches = {name: values[frames] for name, values in self.branches.items()}
        return Scores(self.scores[frames], self.alarmed[frames], branches)


@dataclass(frozen=True, eq=False)
class ScoredStretch:
    """An altered stretch with its scores.

    Attributes:
        passage: number of the passage that it belongs to.
        number: number of the stretch in the passage.
        kind: kind of the alteration.
        altered: scores of its frames.
        unaltered: scores of the same frames of the clip, unaltered.
    """

    passage: int
    number: int
    kind: str
    altered: Scores
    unaltered: Scores


def score(errors: ClipErrors, calibration: Calibration) -> Scores:
    """Scores errors with the processor that the stage `score` and live use run.

    Args:
        errors: of a clip or a passage.
        calibration: turns errors into scores.
    """
    scorer = Scorer(
        calibration, errors.size, errors.cell, errors.fps, errors.camera, learned=errors.learned, chunk=CHUNK
    )
    frames = list(results(scorer, errors.each_frame()))
    branches = {name: np.array([frame.branches[name] for frame in frames]) for name in frames[0].branches}
    return Scores(
        np.array([frame.score for frame in frames]), np.array([frame.alarmed for frame in frames]), branches
    )


def stretches_of(
    passages: Sequence[Passage], altered: Sequence[Scores], normal: Mapping[str, Scores]
) -> list[ScoredStretch]:
    """The scores of all stretches.

    Args:
        passages: the passages.
        altered: scores of the passages.
        normal: scores of the unaltered clips, by id.
    """
    return [
        ScoredStretch(
            number,
            i,
            stretch.kind,
            scores.at(slice(stretch.start - passage.start, stretch.end - passage.start)),
            normal[passage.clip].at(slice(stretch.start, stretch.end)),
        )
        for number, (passage, scores) in enumerate(zip(passages, altered, strict=True))
        for i, stretch in enumerate(passage.stretches)
    ]


def figures(stretches: Sequence[ScoredStretch], normal: Mapping[str, Scores], seed: int) -> dict[str, Any]:
    """Computes the figures of all entries but those on the amount of footage.

    Args:
        stretches: all altered stretches, at least one.
        normal: scores of the normal clips, by id.
        seed: of the resampling.
    """
    reference = _all_scores(normal)
    kinds, resampled = {}, []
    for kind in dict.fromkeys(stretch.kind for stretch in stretches):
        of_kind = [stretch for stretch in stretches if stretch.kind == kind]
        wins = _wins([stretch.altered.scores for stretch in of_kind], reference)
        frames = np.array([len(stretch.altered.scores) for stretch in of_kind])
        weights = draw_weights(len(of_kind), RESAMPLES, seed)
        resampled.append(weights @ wins / (weights @ frames))
        low, high = interval(resampled[-1])
        kinds[kind] = {
            "auc": float(wins.sum() / frames.sum()),
            "low": low,
            "high": high,
            "unaltered": _auc([stretch.unaltered.scores for stretch in of_kind], reference),
            "alarmed": float(np.mean([stretch.altered.alarmed.any() for stretch in of_kind])),
            "stretches": len(of_kind),
            "branch": {
                branch: _auc(
                    [stretch.altered.branches[branch] for stretch in of_kind],
                    np.concatenate([clip.branches[branch] for clip in normal.values()]),
                )
                for branch in of_kind[0].altered.branches
            },
        }
    low, high = interval(np.mean(resampled, axis=0))
    return {
        "auc": float(np.mean([kind["auc"] for kind in kinds.values()])),
        "low": low,
        "high": high,
        "unaltered": float(np.mean([kind["unaltered"] for kind in kinds.values()])),
        "alarmed": float(np.mean([stretch.altered.alarmed.any() for stretch in stretches])),
        "unaltered_alarmed": float(np.mean([stretch.unaltered.alarmed.any() for stretch in stretches])),
        "kind": kinds,
        "stretches": len(stretches),
        "frames": sum(len(stretch.altered.scores) for stretch in stretches),
        "normal_clips": len(normal),
        "normal_frames": len(reference),
    }


def table(
    stretches: Sequence[ScoredStretch], passages: Sequence[Passage], normal: Mapping[str, Scores]
) -> pd.DataFrame:
    """A row per stretch with COLUMNS; `start` and `end` are frames of the clip, end exclusive.

    The AUC of a kind is the mean of the AUCs of its stretches, weighted by their frames.

    Args:
        stretches: the result of `stretches_of`.
        passages: the passages.
        normal: scores of the normal clips, by id.
    """
    rows = []
    wins = _wins([s.altered.scores for s in stretches], _all_scores(normal)) if stretches else np.empty(0)
    for scored, of_stretch in zip(stretches, wins.tolist(), strict=True):
        passage = passages[scored.passage]
        stretch = passage.stretches[scored.number]
        rows.append(
            (
                *(passage.clip, scored.kind, scored.passage, stretch.start, stretch.end),
                of_stretch / (stretch.end - stretch.start),
                *(scored.altered.scores.max(), scored.unaltered.scores.max(), scored.altered.alarmed.any()),
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _all_scores(normal: Mapping[str, Scores]) -> np.ndarray:
    return np.concatenate([clip.scores for clip in normal.values()])


def _wins(scores: Sequence[np.ndarray], normal: np.ndarray) -> np.ndarray:
    """For each stretch, the sum over its frames of the share of normal frames with a lower score, float64."""
    labels = [np.ones(len(values), bool) for values in scores]
    counts = count_wins([*labels, np.zeros(len(normal), bool)], [*scores, normal])
    return counts[:-1, -1] / len(normal)


def _auc(scores: Sequence[np.ndarray], normal: np.ndarray) -> float:
    return float(_wins(scores, normal).sum() / sum(map(len, scores)))
