"""How a threshold does on normal footage that it was not fitted to, by leaving clips out one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from vad.scoring.calibration import ALL_CAMERAS, Calibration, compress_negative
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.events import find
from vad.scoring.evidence import MOST_ALARMS, Evidence, LeftOutAlarm
from vad.scoring.filters import filtered, radius
from vad.scoring.gains import Gains, fit_gains
from vad.scoring.items import Event
from vad.scoring.norms import Norm
from vad.scoring.poisson import poisson_interval
from vad.scoring.pooling import frame_errors
from vad.scoring.standardisation import NormalErrors, fit_by_camera
from vad.scoring.thresholds import fit_threshold

MAX_FITS = 100  # with more clips, several are left out at once
STRETCHES = 4  # into which a single clip is divided
POOLED_FRAMES = 40_000  # in about five seconds; with new gains, each fit pools all frames again
SCORES = 4_000_000  # maximum number in memory at once

Standardisations = Mapping[str, Mapping[str, Norm | None]]  # by camera and branch


@dataclass(frozen=True)
class _Result:
    """Of footage that was left out: the share of its frames that was alarmed, and its false alarms."""

    share: float
    alarms: list[LeftOutAlarm]


def gather_evidence(normal: Sequence[NormalErrors], calibration: Calibration) -> Evidence:
    """What a threshold rests on.

    Errors are read and pooled once, unless new gains are fitted without the left-out clip: then errors are
    pooled again for each fit. Where that would take long, several clips are left out at once; with gains of
    the border alone, these are not fitted again, since with so much footage a single clip hardly changes one
    number per branch.

    Args:
        normal: errors of the normal clips, as the calibration pools them.
        calibration: fitted to them.
    """
    params, stretches = calibration.params.threshold, len(normal) == 1
    unknown = Evidence(
        clips=len(normal),
        hours=sum(part.seconds for part in normal) / 3600,
        asked_share=(100 - params.percentile) / 100 if params.policy == "percentile" else None,
        asked_per_day=params.per_day if params.policy == "false_alarms" else None,
        left_out=0,
        stretches=stretches,
        worst="",
    )
    parts = _stretches(normal[0], calibration) if stretches else list(normal)
    results = _leave_out(parts, calibration) if parts else []
    missing = [_name(part) for part, result in zip(parts, results, strict=True) if result is None]
    given = [result for result in results if result is not None]
    if missing or not given:
        return replace(unknown, worst=missing[0] if missing else "")
    worst = max(range(len(parts)), key=lambda i: given[i].share)
    hours = sum(part.seconds for part in parts) / 3600
    alarms = [alarm for result in given for alarm in result.alarms]
    low, high = poisson_interval(len(alarms))
    return replace(
        unknown,
        left_out=len(parts),
        mean_share=float(np.mean([result.share for result in given])),
        worst_share=given[worst].share,
        worst=_name(parts[worst]),
        left_out_hours=hours,
        left_out_events=len(alarms),
        low_per_day=24 * low / hours,
        high_per_day=24 * high / hours,
        # `sorted` is stable, so the order is the same on every machine
        alarms=tuple(sorted(alarms, key=lambda alarm: alarm.threshold - alarm.score)[:MOST_ALARMS]),
    )


def _stretches(clip: NormalErrors, calibration: Calibration) -> list[NormalErrors]:
    """Stretches of a clip, with gaps between them so that no error depends on frames of two stretches."""
    gap = clip.clip.lookahead + radius(calibration.smoothing(clip.clip.fps).error_sigma)
    # a stretch is at least as long as a gap
    number = min(STRETCHES, (clip.frames + gap) // (max(gap, 1) + gap))
    if number < 2:
        return []
    borders = np.linspace(0, clip.frames + gap, number + 1).astype(int).tolist()
    return [clip.between(a, b - gap) for a, b in pairwise(borders)]


def _leave_out(parts: Sequence[NormalErrors], calibration: Calibration) -> list[_Result | None]:
    """Results of all parts; None where nothing can be fitted to the others."""
    number, frames = min(len(parts), MAX_FITS), sum(part.frames for part in parts)
    # number of fits with new gains that do not take long
    affordable = POOLED_FRAMES // sum(clip.frames for clip in _clips(parts))
    new_gains = bool(calibration.gains) or (bool(calibration.border_gains) and number <= affordable)
    if new_gains:
        number = min(number, max(2, affordable))
    groups = [range(first, len(parts), number) for first in range(number)]
    at_once = 1 if new_gains else max(1, SCORES // frames)
    results: dict[int, _Result] = {}  # by position
    for first in range(0, number, at_once):
        results |= _without(groups[first : first + at_once], parts, calibration, new_gains)
    return [results.get(i) for i in range(len(parts))]


def _without(
    groups: Sequence[Sequence[int]], parts: Sequence[NormalErrors], calibration: Calibration, new_gains: bool
) -> dict[int, _Result]:
    """Results of parts by position, for groups of parts that are left out.

    Args:
        groups: positions of the parts in each group.
        parts: all parts.
        calibration: fitted to all parts.
        new_gains: whether to fit gains to the other parts, too; needs a single group.
    """
    params, branches = calibration.params, calibration.branches
    if new_gains:
        rest = [_of_frames(part) for i, part in enumerate(parts) if i not in groups[0]]
        parts = _pooled(parts, calibration, fit_gains(rest, branches, params))
    fits = []
    for group in groups:
        norms = fit_by_camera([part for i, part in enumerate(parts) if i not in group], branches, params)
        if any(norm is not None for norm in norms[ALL_CAMERAS].values()):
            fits.append((group, norms))
    if not fits:
        return {}
    scores = [_scores(part, [norms for _, norms in fits], calibration) for part in parts]
    results = {}
    for column, (group, _) in enumerate(fits):
        others = [(scores[i][:, column], part.clip.fps) for i, part in enumerate(parts) if i not in group]
        threshold = fit_threshold(params.threshold, others, params.events)
        for i in group:
            alone = scores[i][:, column]
            events = find(alone, threshold, parts[i].clip.fps, params.events)
            alarms = [_alarm(parts[i], event, threshold) for event in events]
            results[i] = _Result(float((alone > threshold).mean()), alarms)
    return results


def _scores(part: NormalErrors, fits: Sequence[Standardisations], calibration: Calibration) -> np.ndarray:
    """Scores of a part by several standardisations, as of `Calibration.smoothed`: float64 [frames, fits]."""
    # a branch without spread is left out, as in a calibration
    left_out = np.full(part.frames, 0.0 if calibration.params.fuse == "sum" else -np.inf)
    levels = []
    for branch in calibration.branches:
        norms = [fit.get(part.clip.camera, fit[ALL_CAMERAS])[branch] for fit in fits]
        errors = part.errors[branch]
        levels.append(
            np.stack([left_out if n is None else compress_negative(n.levels(errors)) for n in norms], 1)
        )
    return filtered(calibration.combine(np.stack(levels)), *calibration.smoothing(part.clip.fps).of_scores())


def _pooled(parts: Sequence[NormalErrors], calibration: Calibration, gains: Gains) -> list[NormalErrors]:
    """The parts with errors that are divided by other gains."""
    errors = {
        clip.clip: frame_errors(clip, calibration.branches, calibration.params, gains)
        for clip in _clips(parts)
    }
    out = []
    for part in parts:
        rows = slice(part.start, part.end)
        out.append(replace(part, errors={b: e[rows] for b, e in errors[part.clip.clip].items()}))
    return out


def _clips(parts: Sequence[NormalErrors]) -> list[ClipErrors]:
    return list({part.clip.clip: part.clip for part in parts}.values())


def _of_frames(part: NormalErrors) -> ClipErrors:
    """The errors of regions and cells of a part's frames, to fit gains to."""
    clip, inside = part.clip, part.clip.table["frame"].between(part.start, part.end - 1)
    maps = {branch: values[part.start : part.end] for branch, values in clip.maps.items()}
    table = clip.table[inside]
    table = table.assign(frame=table["frame"] - part.start)
    return replace(clip, table=table, maps=maps, frames=part.frames)


def _alarm(part: NormalErrors, event: Event, threshold: float) -> LeftOutAlarm:
    start, end, peak = (part.start + frame for frame in (event.start, event.end, event.peak))
    return LeftOutAlarm(part.clip.clip, start, end, peak, event.score, threshold)


def _name(part: NormalErrors) -> str:
    if part.frames == part.clip.frames:
        return part.clip.clip
    return f"{part.clip.clip}, frames {part.start} to {part.end}"
