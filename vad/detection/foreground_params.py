"""`preprocess.foreground`: how background subtraction (`vad.detection.background`) works."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import field_validator

from vad.pipeline.params import Field, Section

# of mog2 and knn those of OpenCV; that of median was measured on the sample
THRESHOLDS = {"mog2": 16.0, "knn": 400.0, "median": 15.0}
# What stands for null, by what the foreground is for. Motion boxes need every part of a person: a lower
# threshold, and smaller blobs, which `motion.close` joins; silhouettes need few false pixels.
SILHOUETTES: Mapping[str, Any] = {"open": 0, "close": 7, "min_area": 30}  # threshold: that of the method
MOTION_BOXES: Mapping[str, Any] = {"threshold": 10.0, "open": 0, "close": 3, "min_area": 10}


class ForegroundParams(Section):
    """`preprocess.foreground`: background subtraction, for silhouettes and for motion boxes."""

    method: Literal["mog2", "knn", "median"] = Field(
        "mog2",
        description="model of the background: a mixture of Gaussians per pixel, nearest neighbours among "
        "samples per pixel, or the temporal median of `history` frames, scaled to each frame's brightness",
    )
    history: int = Field(200, ge=1, le=100_000, description="frames after which the past is forgotten")
    initial_frames: int = Field(
        50,
        ge=1,
        le=1000,
        description="frames, spread over the first `history`, from which the background is learned before "
        "frame 0 is judged; for `median`, frames of each `history` of which the median is taken",
    )
    learning_rate: float = Field(
        -1.0,
        ge=-1,
        le=1,
        description="0: the background stays as first learned; 1: it is the last frame; -1: 1 / history",
    )
    threshold: float | None = Field(
        None,
        gt=0,
        description="distance from the background above which a pixel is foreground; `mog2`: squared, in "
        "standard deviations, `knn`: squared, in gray levels, `median`: in gray levels; null: 16, 400 and "
        "15 for silhouettes, 10 for motion boxes",
    )
    background_ratio: float = Field(
        0.7,
        gt=0,
        lt=1,
        description="`mog2` and `knn`: share of the past that belongs to the background; lower if people "
        "stand still, higher if trees wave",
    )
    shadows: bool = Field(True, description="remove shadows from the foreground")
    open: int | None = Field(
        None,
        ge=0,
        le=255,
        description="pixels; diameter of the ellipse by which the foreground is opened, 0 is off; null: 0",
    )
    close: int | None = Field(
        None,
        ge=0,
        le=255,
        description="pixels; diameter of the ellipse by which the foreground is closed, 0 is off; null: 7 "
        "for silhouettes, 3 for motion boxes",
    )
    min_area: int | None = Field(
        None,
        ge=0,
        description="pixels; smaller blobs are removed; null: 30 for silhouettes, 10 for motion boxes",
    )

    @field_validator("learning_rate")
    @classmethod
    def _automatic_or_share(cls, rate: float) -> float:
        if -1 < rate < 0:
            raise ValueError("should be -1 or from 0 to 1")
        return rate

    def resolve(self, defaults: Mapping[str, Any]) -> "ForegroundSettings":
        """The same without nulls.

        Args:
            defaults: what stands for the keys that are null; SILHOUETTES or MOTION_BOXES.
        """
        given = {key: value for key, value in self if value is not None}
        return ForegroundSettings(**{"threshold": THRESHOLDS[self.method], **defaults, **given})


class ForegroundSettings(ForegroundParams):
    """`ForegroundParams` whose nulls are replaced."""

    threshold: float
    open: int
    close: int
    min_area: int
