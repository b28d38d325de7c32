"""What raised a score: how much each cell contributes to the score of a frame.

The error of a frame may be that of its highest cell. Then a cell contributes the level of its own error.

Or it is the error of a window, which pools pixels, as a mean does. Then a frame can be alarmed although each
of its cells is below the highest of normal frames. There a cell contributes to the level of its frame in
proportion to the excess of its error over the error that is normal at this cell, since a background that is
always reproduced badly raises no score.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vad.scoring.calibration import Calibration
from vad.scoring.gains import Gains, at_cells
from vad.scoring.params import CalibrateParams

if TYPE_CHECKING:  # loads pandas
    from vad.scoring.clip_errors import ClipErrors

FRAMES = 200  # of a camera that normal errors of cells are taken from
DIGITS = 4  # significant ones of normal errors


class Contributions:
    """The contributions of cells, for the frames of a clip or camera.

    Args:
        calibration: by which the frames are scored.
        region_branches: the branches with errors of regions.
        map_branches: the branches with maps.
        camera: the camera that filmed the frames.

    Attributes:
        branches: the branches whose errors are wanted, in this order.
        pooled: those of them whose frame errors pool pixels.
    """

    def __init__(
        self,
        calibration: Calibration,
        region_branches: Sequence[str],
        map_branches: Sequence[str],
        camera: str,
    ):
        self.calibration = calibration
        self.branches = [b for b in calibration.branches if b in region_branches or b in map_branches]
        self.pooled = pooled(self.branches, region_branches, map_branches, calibration.params)
        normal = calibration.normal_cells.get(camera, {})
        self._normal = {branch: np.array(normal[branch], np.float32) for branch in normal}

    def of_frame(self, errors: np.ndarray, score: float, branch_scores: Mapping[str, float]) -> np.ndarray:
        """The contributions of a frame's cells, on the scale of frame scores.

        The cell that contributes most has the score of the frame, so it is above the threshold if and only if
        the frame is alarmed.

        Args:
            errors: errors of the cells, smoothed (`Calibration.cell_errors`): float32
                [branches, rows, columns].
            score: of the frame.
            branch_scores: scores of the frame by each branch alone; if one is absent, `score` counts.

        Returns:
            float32 [rows, columns], 0 or more; all 0 if no error is above what is normal.
        """
        if not self.pooled:
            return scaled(self.calibration.fuse_cells(errors[None], self.branches)[0], score)
        levels = np.empty_like(errors)
        for i, branch in enumerate(self.branches):
            if branch in self.pooled:
                excess = self._excess(branch, errors[i])
                levels[i] = excess * (
                    max(branch_scores.get(branch, score), 0.0) / max(float(excess.max()), 1e-12)
                )
            else:
                levels[i] = self.calibration.cell_standardisation[branch].levels(errors[i])
        return scaled(self.calibration.combine(np.maximum(levels, 0)), score)

    def _excess(self, branch: str, errors: np.ndarray) -> np.ndarray:
        """Errors above those that are normal at each cell, or of an unknown camera, in the frame."""
        normal = self._normal.get(branch)
        if normal is None or normal.shape != errors.shape:
            normal = np.median(errors)
        return np.maximum(errors - normal, 0)


def scaled(cells: np.ndarray, score: float) -> np.ndarray:
    """Scores of cells, scaled so that the highest is the score of their frame.

    Args:
        cells: float32 [rows, columns].
        score: of the frame.

    Returns:
        float32 [rows, columns], 0 or more.
    """
    cells = np.maximum(cells, 0)
    highest = float(cells.max(initial=0))
    return cells * np.float32(max(score, 0.0) / highest) if highest > 0 else cells


def pooled(
    branches: Sequence[str],
    region_branches: Sequence[str],
    map_branches: Sequence[str],
    params: CalibrateParams,
) -> list[str]:
    """The branches whose frame errors pool the pixels of windows, while maps tell these pixels apart.

    Args:
        branches: names of branches.
        region_branches: those with errors of regions.
        map_branches: those with maps.
        params: `aggregate` is used.
    """
    if params.aggregate == "cell":
        return []
    return [branch for branch in branches if branch in region_branches and branch in map_branches]


def fit_normal_cells(
    normal: Sequence["ClipErrors"], branches: Sequence[str], params: CalibrateParams, gains: Gains
) -> dict[str, dict[str, list[list[float]]]]:
    """The median errors of cells in normal frames, of the branches that `pooled` names.

    Args:
        normal: errors of normal clips.
        branches: names of the branches.
        params: `aggregate` is used.
        gains: by which errors of cells are divided.

    Returns:
        By camera and branch, [rows, columns]. Of a camera with clips of several sizes, the first counts.
    """
    out: dict[str, dict[str, list[list[float]]]] = {}
    for camera in sorted({clip.camera for clip in normal}):
        clips = [clip for clip in normal if clip.camera == camera]
        clips = [clip for clip in clips if clip.shape == clips[0].shape]
        chosen = pooled(branches, clips[0].region_branches, list(clips[0].maps), params)
        step = -(-sum(clip.frames for clip in clips) // FRAMES)
        of_camera = {}
        for branch in chosen:
            maps = np.concatenate([clip.maps[branch][::step] for clip in clips]).astype(np.float32)
            median = np.median(maps, axis=0)
            if branch in gains.areas:
                median /= at_cells(gains.areas[branch], clips[0].shape)
            of_camera[branch] = [[float(f"{value:.{DIGITS}g}") for value in row] for row in median.tolist()]
        if of_camera:
            out[camera] = of_camera
    return out
