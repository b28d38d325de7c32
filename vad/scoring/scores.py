"""Scores and events of a clip, and the files that hold them: what the stage `score` writes.

| file | what |
|---|---|
| <clip>.parquet | a row per frame: `source_frame` int32, `seconds`, `score`, `unsmoothed`, `causal`, `error_<branch>`, \
`score_<branch>` float64 (`score_learned`: all branches that learned) |
| <clip>.regions.parquet | a row per region of the errors: `score` float64 |
| <clip>.json | the card: `fps`, `events`, `hash` |

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
    found, times = read_clip(errors, clip, camera), read_table(frames)
    if len(times) != found.frames:
        raise UserError(f"errors of {found.frames} frames, but {len(times)} were extracted; run `dvc repro`")
    causal = calibration.params.smooth.causal
    frame_errors = calibration.frame_errors(found, causal)
    scores = calibration.smoothed(frame_errors, camera, causal)
    learned = [branch for branch in calibration.branches if branch in found.learned]
    chosen = {branch: [branch] for branch in frame_errors}
    if 1 < len(learned) < len(calibration.branches):
        chosen[LEARNED] = learned
    branches = {
        name: calibration.smoothed(frame_errors, camera, causal, own) for name, own in chosen.items()
    }
    fused = {name: branches[name] for name in calibration.branches}
    write_scores(
        stem,
        ClipScores(
            scores=scores,
            unsmoothed=calibration.fuse(frame_errors, camera, causal=causal),
            causal=scores if causal else calibration.frame_scores(found, causal=True),
            branches=branches,
            errors=frame_errors,
            regions=calibration.region_scores(found),
            seconds=times["seconds"].to_numpy(),
            source_frames=times["source_frame"].to_numpy(),
            fps=found.fps,
            events=events.find(scores, calibration.threshold, found.fps, calibration.params.events, fused),
        ),
    )


def write_scores(stem: Path, scores: ClipScores) -> None:
    """Writes the three files of a clip."""
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
    happened = [asdict(event) | {"shares": list(event.shares.items())} for event in scores.events]
    card = {"fps": scores.fps, "events": happened}
    card["hash"] = digest([hash_table(frames), hash_table(regions), happened])
    write_json(Path(f"{stem}.json"), card)


def read_scores(stem: Path) -> ClipScores:
    """What `score_clip` wrote.

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
    except (KeyError, TypeError) as e:
        raise UserError(f"{stem}: not the scores of a clip ({e}); run `dvc repro score`") from None


def event_table(scores: Mapping[str, ClipScores]) -> pd.DataFrame:
    """A row per event of all clips, by id; a clip is called by its name without the split."""
    rows = [
        events.table(clip.partition("/")[2], own.events, own.fps, own.source_frames, own.seconds)
        for clip, own in scores.items()
        if own.events
    ]
    return pd.concat(rows) if rows else pd.DataFrame(columns=events.COLUMNS)


def _by_branch(frames: pd.DataFrame, prefix: str) -> dict[str, np.ndarray]:
    names = [name for name in frames.columns if name.startswith(prefix)]
    return {name.removeprefix(prefix): frames[name].to_numpy() for name in names}
