"""A test clip with its scores and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vad.scoring.events import Event
from vad.scoring.pooling import ClipErrors


@dataclass(frozen=True)
class Scored:
    """A test clip: its scores, and its labels where somebody labelled it.

    `scores` float64 [T] are the headline's; `causal` those without frames ahead; `unsmoothed` those before
    smoothing; `branches` those of each branch by itself, and of all but speed as `learned`. `errors` by
    branch, float64 [T], before calibration; `seconds` float64 [T] since the clip's start; `source_frames`
    int [T]; `source_size` (height, width) of these; `fps` of the extracted frames; `anomalous` bool [T] or
    None; `events` as the threshold makes them. The table of `regions` has columns `score` and `person` (""
    where nobody said) beside those of the errors; `subject` is the person of the whole clip.
    """

    clip: str
    camera: str
    subject: str
    scores: np.ndarray
    causal: np.ndarray
    unsmoothed: np.ndarray
    branches: Mapping[str, np.ndarray]
    errors: Mapping[str, np.ndarray]
    seconds: np.ndarray
    source_frames: np.ndarray
    source_size: tuple[int, int]
    fps: float
    anomalous: np.ndarray | None
    events: Sequence[Event]
    regions: ClipErrors
