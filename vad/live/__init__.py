"""Live use: a trained model at work on a camera or a file, frame by frame, without the stages.

`trained_model` loads what the pipeline trained, `deployed_model` what it exported; `session` and `picture`
feed frames through the processors of all packages and compute nothing themselves, so that scores equal those
of the pipeline. Imports all packages up to `scoring`.
"""

from vad.live.deployed_model import load_deployed
from vad.live.picture import PictureResult, PictureScorer
from vad.live.session import Session
from vad.live.trained_model import TrainedModel
from vad.scoring.items import FrameResult

__all__ = ["FrameResult", "PictureResult", "PictureScorer", "Session", "TrainedModel", "load_deployed"]
