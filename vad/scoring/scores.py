"""Scores and events of a clip, and the files that the stage `score` writes.

| file | content |
|---|---|
| <clip>.parquet | a row per frame, with the columns below |
| <clip>.regions.parquet | `score` float64 of each region, in the order of the errors |
| <clip>.json | the card: `fps`, `events`, `hash` |

| column | content |
|---|---|
| `source_frame` | int32, index of the frame in the footage |
| `seconds` | float64, time since the start of the clip |
| `score` | float64, score of all branches, smoothed; compared with the threshold |
| `unsmoothed` | float64, the same score before smoothing |
| `error_<branch>` | float64, error before standardisation |
| `score_<branch>` | float64, smoothed score of the branch alone; `score_learned` of all that learned |

No labels are read, so unlabelled footage has scores and events as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vad import UserError
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import read_clip
from vad.scoring.event_tables import COLUMNS, table
from vad.scoring.events import find
from vad.scoring.items import Event
from vad.scoring.pooling import CHUNK
from vad.scoring.scorer import Scorer
from vad.store.cards import read_card, write_json
from vad.store.digests import digest
from vad.store.tables import hash_table, read_table, write_table
from vad.stream import results

ERROR, SCORE = "error_", "score_"  # prefixes of columns


@dataclass(frozen=True)
class ClipScores:
    """Scores and events of a clip.

    Attributes:
        scores: smoothed scores of the frames, compared with the threshold: float64 [T].
        unsmoothed: scores before smoothing, float64 [T].
        branches: smoothed scores of each branch alone, and of all that learned as `learned`, float64 [T].
        errors: errors of the frames by branch, before standardisation: float64 [T] each.
        regions: scores of the regions, float64 [N].
        seconds: time since the start of the clip, float64 [T].
        source_frames: index of each frame in the footage, int32 [T].
        fps: extracted frames per second.
        events: in order of time.
    """

    scores: np.ndarray
    unsmoothed: np.ndarray
    branches: Mapping[str, np.ndarray]
    errors: Mapping[str, np.ndarray]
    regions: np.ndarray
    seconds: np.ndarray
    source_frames: np.ndarray
    fps: float
    events: Sequence[Event]


def score_clip(
    stem: Path,
    errors: Path,
    frames: Path,
    clip: str,
    camera: str,
    calibration: Calibration,
    *,
    threads: int = 1,
) -> None:
    """Work function: writes the scores and events of a clip.

    Args:
        stem: path of the files to write, without suffix.
        errors, frames: stems of the clip's errors and frames.
        clip: id of the clip.
        camera: the camera that filmed the clip.
        calibration: turns errors into scores.
        threads: not used.

    Raises:
        UserError: if errors and frames differ in number.
    """
    measured, times = read_clip(errors, clip, camera), read_table(frames)
    if len(times) != measured.frames:
        raise UserError(
            f"{errors} has errors of {measured.frames} frames, but {frames} has {len(times)}; run `dvc repro`"
        )
    scorer = Scorer(
        calibration,
        measured.size,
        measured.cell,
        measured.fps,
        camera,
        learned=measured.learned,
        chunk=CHUNK,
    )
    frames_of_clip = list(results(scorer, measured.each_frame()))
    # regions stand for several frames if only every n-th frame has windows
    region_scores = [frame.region_scores for frame in frames_of_clip if frame.source == frame.index]
    scores = np.array([frame.score for frame in frames_of_clip])
    branches = _columns([f.branches for f in frames_of_clip])
    fused = {name: branches[name] for name in calibration.branches}
    write_scores(
        stem,
        ClipScores(
            scores=scores,
            unsmoothed=np.array([frame.unsmoothed for frame in frames_of_clip]),
            branches=branches,
            errors=_columns([f.errors for f in frames_of_clip]),
            regions=np.concatenate(region_scores),
            seconds=times["seconds"].to_numpy(),
            source_frames=times["source_frame"].to_numpy(),
            fps=measured.fps,
            events=find(scores, calibration.threshold, measured.fps, calibration.params.events, fused),
        ),
    )


def write_scores(stem: Path, scores: ClipScores) -> None:
    """Writes the three files of a clip.

    Args:
        stem: path of the files without suffix.
        scores: scores and events of the clip.
    """
    columns = {
        "source_frame": scores.source_frames,
        "seconds": scores.seconds,
        "score": scores.scores,
        "unsmoothed": scores.unsmoothed,
        **{ERROR + branch: values for branch, values in scores.errors.items()},
        **{SCORE + branch: values for branch, values in scores.branches.items()},
    }
    frames, regions = pd.DataFrame(columns), pd.DataFrame({"score": scores.regions})
    write_table(stem, frames)
    write_table(Path(f"{stem}.regions"), regions)
    # shares as a list, since writing JSON with sorted keys would lose their order
    listed = [asdict(event) | {"shares": list(event.shares.items())} for event in scores.events]
    card = {"fps": scores.fps, "events": listed}
    card["hash"] = digest([hash_table(frames), hash_table(regions), listed])
    write_json(Path(f"{stem}.json"), card)


def read_scores(stem: Path) -> ClipScores:
    """Reads the files that `score_clip` wrote.

    Args:
        stem: path of the files without suffix.

    Raises:
        UserError: if a file is missing or broken.
    """
    frames, card = read_table(stem), read_card(stem)
    try:
        return ClipScores(
            scores=frames["score"].to_numpy(),
            unsmoothed=frames["unsmoothed"].to_numpy(),
            branches=_by_branch(frames, SCORE),
            errors=_by_branch(frames, ERROR),
            regions=read_table(Path(f"{stem}.regions"))["score"].to_numpy(),
            seconds=frames["seconds"].to_numpy(),
            source_frames=frames["source_frame"].to_numpy(),
            fps=card["fps"],
            events=[Event(**event | {"shares": dict(event["shares"])}) for event in card["events"]],
        )
    except (KeyError, TypeError, ValueError) as e:
        raise UserError(f"{stem}: not the scores of a clip ({e!r}); run `dvc repro score`") from None


def event_table(scores: Mapping[str, ClipScores]) -> pd.DataFrame:
    """The events of all clips.

    Args:
        scores: scores of the clips by id.

    Returns:
        A row per event, with the columns `event_tables.COLUMNS`; `clip` is the id without the split.
    """
    tables = [
        table(clip.partition("/")[2], scored.events, scored.fps, scored.source_frames, scored.seconds)
        for clip, scored in scores.items()
        if scored.events
    ]
    return pd.concat(tables) if tables else pd.DataFrame(columns=COLUMNS)


def _columns(frames: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    return {name: np.array([frame[name] for frame in frames]) for name in frames[0]}


def _by_branch(frames: pd.DataFrame, prefix: str) -> dict[str, np.ndarray]:
    names = [name for name in frames.columns if name.startswith(prefix)]
    return {name.removeprefix(prefix): frames[name].to_numpy() for name in names}
