"""Scores and events of a clip, and the files that hold them: what the stage `score` writes.

| file | what |
|---|---|
| <clip>.parquet | a row per frame, with the columns below |
| <clip>.regions.parquet | a row per region of the errors: `score` float64 |
| <clip>.json | the card: `fps`, `events`, `hash` |

| column | what |
|---|---|
| `source_frame` | int32, number of the frame in the footage |
| `seconds` | float64, since the start of the clip |
| `score` | float64, of all branches, smoothed: what is compared with the threshold |
| `unsmoothed` | float64, the same before smoothing |
| `causal` | float64, without frames ahead |
| `error_<branch>` | float64, before standardisation |
| `score_<branch>` | float64, of the branch alone, smoothed; `score_learned` of all branches that learned |

No label is read, so unlabelled footage has scores and events, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vad import UserError
from vad.scoring import events
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import read_clip
from vad.scoring.events import Event
from vad.store.cards import read_card, write_json
from vad.store.digests import digest
from vad.store.tables import hash_table, read_table, write_table

LEARNED = "learned"  # all branches that learned from normal footage, together
ERROR, SCORE = "error_", "score_"  # prefixes of columns


@dataclass(frozen=True)
class ClipScores:
    """Scores of a clip.

    Attributes:
        scores: float64 [T], smoothed: those that are compared with the threshold.
        unsmoothed: before smoothing.
        causal: those without frames ahead.
        branches: of each branch alone, and of all that learned as LEARNED, smoothed.
        errors: of frames by branch, before standardisation.
        regions: float64 [N], of the regions.
        seconds: float64 [T] since the start of the clip.
        source_frames: int32 [T].
        fps: of the extracted frames.
        events: in the order of time.
    """

    scores: np.ndarray
    unsmoothed: np.ndarray
    causal: np.ndarray
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
        stem: of the files to be written.
        errors, frames: stems of the clip's errors and frames.
        clip: its id.
        camera: whose standardisation is used.
        calibration: turns errors into scores.
        threads: is not used.

    Raises:
        UserError: if errors and frames differ in number.
    """
    measured, times = read_clip(errors, clip, camera), read_table(frames)
    if len(times) != measured.frames:
        raise UserError(
            f"{errors} has errors of {measured.frames} frames, but {frames} has {len(times)}; run `dvc repro`"
        )
    causal = calibration.params.smooth.causal
    frame_errors = calibration.frame_errors(measured, causal)
    scores = calibration.smoothed(frame_errors, camera, causal)
    learned = [branch for branch in calibration.branches if branch in measured.learned]
    chosen = {branch: [branch] for branch in frame_errors}
    if 1 < len(learned) < len(calibration.branches):
        chosen[LEARNED] = learned
    branches = {
        name: calibration.smoothed(frame_errors, camera, causal, names) for name, names in chosen.items()
    }
    fused = {name: branches[name] for name in calibration.branches}
    write_scores(
        stem,
        ClipScores(
            scores=scores,
            unsmoothed=calibration.fuse(frame_errors, camera, causal=causal),
            causal=scores if causal else calibration.frame_scores(measured, causal=True),
            branches=branches,
            errors=frame_errors,
            regions=calibration.region_scores(measured),
            seconds=times["seconds"].to_numpy(),
            source_frames=times["source_frame"].to_numpy(),
            fps=measured.fps,
            events=events.find(scores, calibration.threshold, measured.fps, calibration.params.events, fused),
        ),
    )


def write_scores(stem: Path, scores: ClipScores) -> None:
    """Writes the three files of a clip; `stem` is their path without suffix."""
    columns = {
        "source_frame": scores.source_frames,
        "seconds": scores.seconds,
        "score": scores.scores,
        "unsmoothed": scores.unsmoothed,
        "causal": scores.causal,
        **{ERROR + branch: values for branch, values in scores.errors.items()},
        **{SCORE + branch: values for branch, values in scores.branches.items()},
    }
    frames, regions = pd.DataFrame(columns), pd.DataFrame({"score": scores.regions})
    write_table(stem, frames)
    write_table(Path(f"{stem}.regions"), regions)
    # a list, since JSON with sorted keys would lose the order of the shares
    listed = [asdict(event) | {"shares": list(event.shares.items())} for event in scores.events]
    card = {"fps": scores.fps, "events": listed}
    card["hash"] = digest([hash_table(frames), hash_table(regions), listed])
    write_json(Path(f"{stem}.json"), card)


def read_scores(stem: Path) -> ClipScores:
    """Reads what `score_clip` wrote.

    Raises:
        UserError: if a file is missing or broken.
    """
    frames, card = read_table(stem), read_card(stem)
    try:
        return ClipScores(
            scores=frames["score"].to_numpy(),
            unsmoothed=frames["unsmoothed"].to_numpy(),
            causal=frames["causal"].to_numpy(),
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
        scores: of the clips, by id.

    Returns:
        a row per event, with the columns `events.COLUMNS`; clips are called by their name without the split.
    """
    tables = [
        events.table(clip.partition("/")[2], scored.events, scored.fps, scored.source_frames, scored.seconds)
        for clip, scored in scores.items()
        if scored.events
    ]
    return pd.concat(tables) if tables else pd.DataFrame(columns=events.COLUMNS)


def _by_branch(frames: pd.DataFrame, prefix: str) -> dict[str, np.ndarray]:
    names = [name for name in frames.columns if name.startswith(prefix)]
    return {name.removeprefix(prefix): frames[name].to_numpy() for name in names}
