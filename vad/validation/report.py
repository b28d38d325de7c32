"""Scores the altered passages and writes the report of the check."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import read_clip
from vad.store.cards import write_json
from vad.store.manifest import Clip
from vad.validation import sheet
from vad.validation.figures import figures, score, stretches_of, table
from vad.validation.footage import Footage
from vad.validation.params import ValidateParams
from vad.validation.passages import CONTEXT, Passage


def report(
    folder: Path,
    passages: Sequence[Passage],
    seconds: float,
    clips: Sequence[Clip],
    footage: Callable[[str], Footage],
    errors: Path,
    altered: Path,
    calibration: Calibration,
    params: ValidateParams,
) -> list[str]:
    """Writes metrics.json, scores.csv and sheet.png.

    Args:
        folder: folder of the report.
        passages: the altered passages; the errors of the i-th are the files `<altered>/<i>`, i with 4 digits.
        seconds: duration of the passages.
        clips: the normal clips that were left out of training.
        footage: opens the footage of a clip by its id.
        errors: folder of the errors of clips.
        altered: folder of the errors of passages.
        calibration: turns errors into scores.
        params: the section `validate`.

    Returns:
        Lines for the log.

    Raises:
        UserError: if errors are missing or broken.
    """
    normal = {c.clip: score(read_clip(errors / c.clip, c.clip, c.camera), calibration) for c in clips}
    cameras = {clip.clip: clip.camera for clip in clips}
    scored = [
        score(read_clip(altered / f"{i:04d}", passage.clip, cameras[passage.clip]), calibration)
        for i, passage in enumerate(passages)
    ]
    stretches = stretches_of(passages, scored, normal)
    if stretches:
        result = figures(stretches, normal, params.seed)
        result |= {"clips": len({passage.clip for passage in passages}), "seconds": seconds}
    else:
        result = {"absent": _absent(clips, params)}
    shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / "metrics.json", result)
    table(stretches, passages, normal).to_csv(
        folder / "scores.csv", index=False, float_format="%.8g", lineterminator="\n"
    )
    sheet.draw(
        folder / "sheet.png", stretches, passages, scored, footage, normal, result, calibration.threshold
    )
    return _lines(result, params)


def _absent(clips: Sequence[Clip], params: ValidateParams) -> str:
    if not params.seconds:
        return "validate.seconds is 0"
    if not clips:
        return "no normal clip was left out of training"
    need = params.stretch + 2 * CONTEXT
    if params.seconds < need:
        return (
            f"validate.seconds = {params.seconds:g} is less than the {need:g} seconds of a stretch with the "
            "unaltered parts around it; raise it, or lower validate.stretch"
        )
    return (
        f"none of the {len(clips)} normal clips that were left out of training has {need:g} seconds with "
        f"regions; film longer clips, or lower validate.stretch = {params.stretch:g}"
    )


def _lines(result: Mapping[str, Any], params: ValidateParams) -> list[str]:
    """The lines for the log."""
    if "absent" in result:
        return [f"no check without labels: {result['absent']}"]
    lines = [
        f"AUC {result['auc']:.3f} ({result['low']:.3f} to {result['high']:.3f}) of normal footage that was "
        f"altered, {result['stretches']} stretches in {result['clips']} clips; the same places unaltered "
        f"{result['unaltered']:.3f}"
    ]
    kinds = result["kind"]
    lines.append(", ".join(f"{kind.replace('_', ' ')} {kinds[kind]['auc']:.3f}" for kind in kinds))
    if missing := [kind for kind in params.kinds if kind not in kinds]:
        lines.append(
            f"no place for: {', '.join(missing)}; clips or validate.stretch = {params.stretch:g} are too "
            "short, or too little moves"
        )
    return lines
