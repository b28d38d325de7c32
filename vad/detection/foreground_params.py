"""`preprocess.foreground`: the parameters of background subtraction (`vad.detection.background`)."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import field_validator

from vad.durations import count_frames
from vad.pipeline.params import Field, Section

# for mog2 and knn the defaults of OpenCV; for median measured on the sample
THRESHOLDS = {"mog2": 16.0, "knn": 400.0, "median": 15.0}
# Values for null, which depend on the use of the foreground. Motion boxes need all parts of a person, so they
# have a lower threshold and smaller blobs, which `motion.close` joins; silhouettes need few false pixels.
SILHOUETTES: Mapping[str, Any] = {"open": 0, "close": 7, "min_area": 30}  # with the threshold of the method
MOTION_BOXES: Mapping[str, Any] = {"threshold": 10.0, "open": 0, "close": 3, "min_area": 10}


class ForegroundParams(Section):
    """`preprocess.foreground`: background subtraction, for silhouettes and for motion boxes."""

    method: Literal["mog2", "knn", "median"] = Field(
        "mog2",
        description="model of the background: a mixture of Gaussians per pixel, nearest neighbours among "
        "samples per pixel, or the temporal median of `history` frames, scaled to each frame's brightness",
    )
    history: float = Field(
        16.0, gt=0, le=86_400, description="seconds of footage that the model of the background covers"
    )
    initial_frames: int = Field(
        50,
        ge=1,
        le=1000,
        description="number of frames, spread over the first `history`, from which the background is learned "
        "before frame 0 is processed; for `median`, of frames of each `history` from which the median is "
        "computed",
    )
    learning_rate: float = Field(
        -1.0,
        ge=-1,
        le=1,
        description="share of a frame in the background. 0: the background stays as learned at first; 1: it "
        "is the latest frame; -1: 1 / (frames of `history`)",
    )
    threshold: float | None = Field(
        None,
        gt=0,
        description="distance from the background above which a pixel is foreground; `mog2`: squared, in "
        "standard deviations, `knn`: squared, in gray levels, `median`: in gray levels; null: for "
        "silhouettes 16, 400 and 15, for motion boxes 10",
    )
    background_ratio: float = Field(
        0.7,
        gt=0,
        lt=1,
        description="`mog2` and `knn`: share of the past that is taken as background; lower it if people "
        "stand still, raise it if trees move in the wind",
    )
    shadows: bool = Field(True, description="remove shadows from the foreground")
    open: int | None = Field(
        None,
        ge=0,
        le=255,
        description="pixels; diameter of the ellipse of the morphological opening; 0 for none; null: 0",
    )
    close: int | None = Field(
        None,
        ge=0,
        le=255,
        description="pixels; diameter of the ellipse of the morphological closing; 0 for none; null: 7 for "
        "silhouettes, 3 for motion boxes",
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

    def history_frames(self, fps: float) -> int:
        """The frames of `history`, at least 1.

        Args:
            fps: frames per second.
        """
        return count_frames(self.history, fps, least=1)

    def lookahead(self, fps: float) -> int:
        """Number of frames after a frame that its foreground needs, apart from the warm-up.

        Args:
            fps: frames per second.
        """
        return self.history_frames(fps) - 1 if self.method == "median" else 0

    def resolve(self, defaults: Mapping[str, Any]) -> "ForegroundSettings":
        """Replaces null values.

        Args:
            defaults: the values for null; SILHOUETTES or MOTION_BOXES.
        """
        given = {key: value for key, value in self if value is not None}
        return ForegroundSettings(**{"threshold": THRESHOLDS[self.method], **defaults, **given})


class ForegroundSettings(ForegroundParams):
    """`ForegroundParams` without null values."""

    threshold: float
    open: int
    close: int
    min_area: int
