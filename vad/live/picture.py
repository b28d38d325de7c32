"""Scores of single pictures, by the branches that need no motion."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from vad import UserError
from vad.branches.pictures import FPS, picture_errors
from vad.footage.decode import Convert, from_array
from vad.live.trained_model import TrainedModel
from vad.scoring.events import branch_shares
from vad.scoring.scorer import Scorer
from vad.stream import Regions, results


@dataclass(frozen=True, eq=False)
class PictureResult:
    """The result for a picture.

    Attributes:
        score: score of all branches that need no motion; higher is more anomalous. Not comparable with scores
            of videos.
        alarmed: whether the score is above the threshold.
        threshold: for single pictures.
        regions: of the picture, N of them, in pixels after `extract.max_side`.
        region_scores: float64 [N].
        size: (height, width) of the picture after `extract.max_side`, in pixels.
        branch_scores: score of each branch alone.
        branch_errors: error of the picture by branch, before standardisation.
        shares: share of each branch in the score, the largest first; empty if no branch is above 0.
        not_judged: further regions of the picture, which zones leave out; None without zones.
    """

    score: float
    alarmed: bool
    threshold: float
    regions: Regions
    region_scores: np.ndarray
    size: tuple[int, int]
    branch_scores: Mapping[str, float]
    branch_errors: Mapping[str, float]
    shares: Mapping[str, float]
    not_judged: Regions | None = None


class PictureScorer:
    """Scores single pictures of a camera, each by itself: a clip with one frame, through all processors.

        scorer = PictureScorer(model, camera="hall")
        result = scorer.score(pixels)

    Pictures may differ in size; body heights are scaled to their height. OpenCV and torch are set to one
    thread in the whole process.

    Args:
        model: the trained model.
        camera: name of the camera, which selects body heights, statistics and calibration; an unknown camera
            gets those for other cameras.

    Attributes:
        threshold: above which a picture is alarmed.
        branches: the branches by which pictures are scored.

    Raises:
        UserError: if the mode finds no regions in single pictures, the model has no threshold for them, or
            the camera no calibration of its own.
    """

    def __init__(self, model: TrainedModel, camera: str = ""):
        self._mode = model.mode.for_pictures()
        calibration = model.calibration.picture
        if calibration is None:
            raise UserError(
                "the model has no threshold for single pictures: either none of its branches "
                f"({', '.join(model.calibration.branches)}) works without motion, or it was trained with too "
                "little normal footage for one (calibrate.threshold.percentile: 99 needs 40 s); the log of "
                "the stage calibrate says which"
            )
        calibration.require_camera(camera)
        cv2.setNumThreads(1)
        self._model, self._camera, self._calibration = model, camera, calibration
        self._convert = Convert(model.extract.color, model.extract.max_side)
        self.threshold, self.branches = calibration.threshold, calibration.branches

    def score(self, pixels: np.ndarray) -> PictureResult:
        """Scores a picture.

        Args:
            pixels: uint8 [H, W] gray or [H, W, 3] RGB, upright.

        Raises:
            UserError: if the model cannot handle pictures of this size or colour.
            ValueError: if the array has another shape or type.
        """
        model, calibration = self._model, self._calibration
        (frame,) = self._convert.process(from_array(0, 0.0, pixels))
        size = frame.pixels.shape[0], frame.pixels.shape[1]
        errors = picture_errors(
            frame.pixels,
            model.flow,
            self._mode,
            model.resize,
            model.window,
            model.branches,
            model.cell,
            self._camera,
            model.body_heights.of(self._camera, size[0]),
            model.zones.of(self._camera),
        )
        (scored,) = results(Scorer(calibration, size, model.cell, FPS, self._camera), [errors])
        return PictureResult(
            score=scored.score,
            alarmed=scored.alarmed,
            threshold=calibration.threshold,
            regions=scored.regions,
            region_scores=scored.region_scores,
            size=size,
            branch_scores=scored.branches,
            branch_errors=scored.errors,
            shares=branch_shares(scored.branches, calibration.branches),
            not_judged=scored.not_judged,
        )
