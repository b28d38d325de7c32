"""Where in the frame the anomaly was seen: maps of scores against masks, and pictures of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vad.drawing import heatmaps
from vad.evaluation.params import EvaluateParams
from vad.evaluation.pixel_metrics import PixelLevel, cell_counts
from vad.evaluation.plots import name
from vad.evaluation.region_metrics import RegionLevel
from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.calibration import Calibration
from vad.store import arrays
from vad.store.bitmasks import Masks, open_masks

Truth = Masks | bool | None  # masks of a clip; True if none are needed, None if they are missing
STEPS = 100  # thresholds at which regions are counted


def locate(
    clips: Sequence[ScoredClip], calibration: Calibration, masks: Path, params: EvaluateParams
) -> dict[str, Any]:
    """`pixel` and `localisation` level figures of the labelled clips; empty if none of them has masks.

    A clip of normal frames alone needs no masks; one with anomalous frames and without masks is left out, as
    `clips_without_masks` tells. `masks` is the folder of `vad.footage.masks`. Memory does not grow with the clips.
    """
    known = [(clip, _truth(clip, masks)) for clip in clips if clip.anomalous is not None]
    if not any(isinstance(truth, Masks) for _, truth in known):
        return {}
    usable = [(clip, truth) for clip, truth in known if truth is not None]
    pixels = PixelLevel(params.mask_percentile)
    tops = np.concatenate([m.max((1, 2)) for c, _ in usable for _, m in calibration.cell_scores(c.regions)])
    # just below: what has the score of a threshold is above it
    thresholds = np.nextafter(np.quantile(tops, np.linspace(0, 1, STEPS)), -np.inf)
    regions = RegionLevel(np.unique(thresholds)[::-1])
    for clip, truth in usable:
        maps = _counted(clip, truth, calibration, pixels)
        shown = (_mask(clip, truth, t) for t in range(len(clip.scores)))
        regions.add(clip.clip, maps, shown, clip.regions.size, clip.regions.cell)
    return {
        "pixel": pixels.result(calibration.cell_threshold),
        "localisation": regions.result() | {"clips_without_masks": len(known) - len(usable)},
    }


def _counted(
    clip: ScoredClip, truth: Truth, calibration: Calibration, pixels: PixelLevel
) -> Iterator[np.ndarray]:
    """The maps of a clip in time, counted pixel by pixel on their way."""
    for t, scores in _frames(clip, calibration):
        pixels.add(scores, *cell_counts(_mask(clip, truth, t), clip.regions.size, clip.regions.cell))
        yield scores


def draw(folder: Path, clips: Sequence[ScoredClip], calibration: Calibration, frames: Path, masks: Path) -> None:
    """A picture per clip: its most anomalous frame and its worst mistake, with the map and the truth."""
    for clip in clips:
        threshold = calibration.threshold
        chosen = heatmaps.choose(clip.scores, clip.anomalous, clip.scores > threshold, threshold)
        video, truth = arrays.open_array(frames / clip.clip)[0], _truth(clip, masks)
        panels = [
            heatmaps.Panel(
                kind=kind,
                number=int(clip.source_frames[t]),
                score=float(clip.scores[t]),
                anomalous=None if clip.anomalous is None else bool(clip.anomalous[t]),
                frame=video[t],
                map=next(calibration.cell_scores(clip.regions, (t, t + 1)))[1][0],
                truth=_mask(clip, truth, t) if isinstance(truth, Masks) else None,
            )
            for kind, t in chosen.items()
        ]
        path = folder / f"clip_{name(clip)}.png"  # DVC stumbles over pictures whose names are mere numbers
        heatmaps.draw(path, name(clip), panels, threshold, calibration.cell_threshold, clip.regions.cell)


def _truth(clip: ScoredClip, masks: Path) -> Truth:
    if Path(f"{masks / clip.clip}.json").is_file():
        return open_masks(masks / clip.clip)
    return True if clip.anomalous is not None and not clip.anomalous.any() else None


def _mask(clip: ScoredClip, truth: Truth, t: int) -> np.ndarray:
    """The mask of extracted frame t, bool [H, W]."""
    if isinstance(truth, Masks):
        return truth[int(clip.source_frames[t])]
    return np.zeros(clip.source_size, bool)


def _frames(clip: ScoredClip, calibration: Calibration) -> Iterator[tuple[int, np.ndarray]]:
    """(frame, map of its scores [rows, columns]) in time."""
    for at, chunk in calibration.cell_scores(clip.regions):
        yield from enumerate(chunk, at.start)
