"""Localisation: score maps against masks of anomalous pixels, and pictures of both."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vad.drawing import heatmaps
from vad.evaluation.params import EvaluateParams
from vad.evaluation.pixel_metrics import PixelLevel, cell_counts
from vad.evaluation.region_metrics import RegionLevel
from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.calibration import Calibration
from vad.scoring.contributions import Contributions
from vad.store.arrays import open_array
from vad.store.bitmasks import Masks, open_masks

THRESHOLDS = 100  # number of thresholds for the region-level curves


def locate(
    clips: Sequence[ScoredClip], calibration: Calibration, masks: Path, params: EvaluateParams
) -> dict[str, Any]:
    """Metrics of pixels and regions over the labelled clips. Memory does not grow with the length of clips.

    A clip with only normal frames needs no masks; a clip with anomalous frames but without masks is omitted.

    Args:
        clips: all test clips.
        calibration: turns errors into score maps.
        masks: folder of the masks that the stage `ingest` wrote.
        params: `mask_percentile` is used.

    Returns:
        `pixel`, the result of `PixelLevel`; `localisation`, the result of `RegionLevel` with
        `clips_without_masks`, the number of omitted clips. Empty if no clip has masks.
    """
    usable: list[tuple[ScoredClip, Masks | None]] = []
    left_out = 0
    for clip in clips:
        if clip.anomalous is not None:
            masks_of_clip = _open_masks(clip, masks)
            if masks_of_clip is not None or not clip.anomalous.any():
                usable.append((clip, masks_of_clip))
            else:
                left_out += 1
    if all(masks_of_clip is None for _, masks_of_clip in usable):
        return {}
    pixels, regions = PixelLevel(params.mask_percentile), RegionLevel(_thresholds(usable, calibration))
    for clip, masks_of_clip in usable:
        maps = _counted(clip, masks_of_clip, calibration, pixels)
        truth = (_mask(clip, masks_of_clip, t) for t in range(len(clip.scores)))
        regions.add(clip.clip, maps, truth, clip.regions.size, clip.regions.cell)
    return {
        "pixel": pixels.result(calibration.cell_threshold),
        "localisation": regions.result() | {"clips_without_masks": left_out},
    }


def _thresholds(clips: Sequence[tuple[ScoredClip, Masks | None]], calibration: Calibration) -> np.ndarray:
    """Quantiles of the highest cell score of each frame, descending, without duplicates."""
    highest = [maps.max((1, 2)) for clip, _ in clips for _, maps in calibration.cell_scores(clip.regions)]
    quantiles = np.quantile(np.concatenate(highest), np.linspace(0, 1, THRESHOLDS))
    # the next lower number, so that a cell with exactly the quantile is above the threshold
    return np.unique(np.nextafter(quantiles, -np.inf))[::-1]


def _counted(
    clip: ScoredClip, masks: Masks | None, calibration: Calibration, pixels: PixelLevel
) -> Iterator[np.ndarray]:
    """Yields the score maps of a clip in order of time, [rows, columns] each, and adds each to `pixels`."""
    for frames, maps in calibration.cell_scores(clip.regions):
        for t, scores in enumerate(maps, frames.start):
            counts = cell_counts(_mask(clip, masks, t), clip.regions.size, clip.regions.cell)
            pixels.add(scores, *counts)
            yield scores


def draw(
    folder: Path, clips: Sequence[ScoredClip], calibration: Calibration, frames: Path, masks: Path
) -> None:
    """Draws a picture per clip: its most anomalous frame and its worst mistake, with what raised the score.

    Args:
        folder: folder of the pictures.
        clips: all test clips.
        calibration: by which the clips were scored.
        frames: folder of the extracted frames.
        masks: folder of the masks that the stage `ingest` wrote.
    """
    threshold = calibration.threshold
    for clip in clips:
        chosen = heatmaps.choose(clip.scores, clip.anomalous, clip.scores > threshold, threshold)
        video, masks_of_clip = open_array(frames / clip.clip)[0], _open_masks(clip, masks)
        cells = Contributions(calibration, clip.regions.region_branches, list(clip.regions.maps), clip.camera)
        panels = [
            heatmaps.Panel(
                kind=kind,
                number=int(clip.source_frames[t]),
                score=float(clip.scores[t]),
                anomalous=None if clip.anomalous is None else bool(clip.anomalous[t]),
                frame=video[t],
                map=_contributions(clip, t, cells),
                truth=None if masks_of_clip is None else _mask(clip, masks_of_clip, t),
            )
            for kind, t in chosen.items()
        ]
        path = folder / f"clip_{clip.name}.png"  # DVC fails on pictures whose names are only digits
        heatmaps.draw(path, clip.name, panels, threshold, clip.regions.cell)


def _contributions(clip: ScoredClip, t: int, cells: Contributions) -> np.ndarray:
    """The contributions of the cells to the score of frame t, float32 [rows, columns]."""
    alone = {branch: float(scores[t]) for branch, scores in clip.branches.items()}
    return cells.at(clip.regions, t, float(clip.scores[t]), alone)


def _open_masks(clip: ScoredClip, folder: Path) -> Masks | None:
    """Opens the masks of a clip; None if it has no masks."""
    stem = folder / clip.clip
    return open_masks(stem) if Path(f"{stem}.json").is_file() else None


def _mask(clip: ScoredClip, masks: Masks | None, t: int) -> np.ndarray:
    """The mask of extracted frame t, bool [H, W] in pixels of the source; all False without masks."""
    return np.zeros(clip.source_size, bool) if masks is None else masks[int(clip.source_frames[t])]
