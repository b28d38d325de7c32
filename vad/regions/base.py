"""The base classes of region modes and their processors, and the section `preprocess` of params.yaml."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import field_validator

from vad import UserError
from vad.detection.foreground_params import ForegroundParams, ForegroundSettings
from vad.detection.lazy import LazyProcessor
from vad.pipeline.params import Choice, Field, Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.digests import digest
from vad.stream import FrameAndFlow, Regions

AUTO: Literal["auto"] = "auto"
BodyHeightSetting = Literal["auto"] | Annotated[float, Field(gt=0, le=10_000)] | list[float]
LEAST_BODY_HEIGHT = 4.0  # pixels; of smaller people nothing can be seen


class RegionProcessor(LazyProcessor[FrameAndFlow, Regions]):
    """Finds the regions of each frame; takes frames with their flow, int8 [h, w, 2], or None
    for modes that read no flow.

    Attributes:
        classes: names of the classes of `Regions.class_scores`; empty without a detector.
    """

    classes: tuple[str, ...] = ()


def whole_frame(height: int, width: int) -> Regions:
    """The frame itself as its only region, with track 0.

    Args:
        height: of the frame, in pixels.
        width: of the frame, in pixels.
    """
    return Regions(
        boxes=np.array([[0, 0, width, height]], np.int32),
        tracks=np.zeros(1, np.int32),
        sources=np.array(["frame"]),
        confidence=np.ones(1, np.float32),
    )


class ModeFile(NamedTuple):
    """A file that a mode reads besides frames and flow.

    Attributes:
        key: of the mode's sub-section that names it, such as `onnx.weights`.
        name: that it gets in the folder of a deployed model.
        path: where it lies; None if the parameters have no use for it.
    """

    key: str
    name: str
    path: Path | None


class RegionMode(Plugin):
    """A mode of preprocessing: decides which boxes of every frame are regions.

    Args:
        params: the sub-section of `preprocess` with the name of the mode.
        foreground: `preprocess.foreground`, for modes that subtract the background.

    Attributes:
        uses_pixels: whether parameters are in pixels, which requires the same frame size for all clips of a
            camera.
        reads_frames: whether the regions depend on what frames show.
        picture: content of the channel `picture`, in the terms of `vad.regions.table`.
        foreground: settings of background subtraction; None if the mode does not use it.
        classes: names of the detector's classes, set by `prepare`; empty without a detector.
    """

    uses_pixels: ClassVar[bool]
    reads_frames: ClassVar[bool] = True
    picture: tuple[str, ...] = ("frame",)
    foreground: ForegroundSettings | None
    classes: tuple[str, ...] = ()

    def __init__(self, params: Section, foreground: ForegroundParams):
        self.params = params
        self.foreground = None

    @property
    def margin(self) -> float:
        """Share of its sides by which a region is larger than the detected box, on each side."""
        return 0.0

    @property
    def flow_wanted_by(self) -> str | None:
        """The parameter because of which the mode reads optical flow; None if it reads none."""
        return None

    @property
    def reads_flow(self) -> bool:
        """Whether the mode reads the optical flow of the clips."""
        return self.flow_wanted_by is not None

    def warm_up(self, fps: float) -> int:
        """Number of frames from which the mode learns before its first result is due, or 0.

        Args:
            fps: frames per second.
        """
        return self.foreground.history_frames(fps) if self.foreground else 0

    def lookahead(self, fps: float) -> int:
        """Lookahead of the processor, in frames.

        Args:
            fps: frames per second.
        """
        return self.foreground.lookahead(fps) if self.foreground else 0

    def prepare(self, cache: Path) -> list[str]:
        """Loads further inputs of the mode, for example weights; called once, before any clip.

        Args:
            cache: folder for downloads.

        Returns:
            Hashes of all inputs of the processor other than frames, flow and `params`.

        Raises:
            UserError: if something is missing or unusable.
        """
        return [digest(self.foreground.active())] if self.foreground else []

    def files(self) -> Sequence[ModeFile]:
        """The files that parameters name, after `prepare`; a deployed model holds copies of them."""
        return ()

    def for_pictures(self) -> "RegionMode":
        """The mode that finds the regions of single pictures, in which nothing moves.

        Its processors get a clip of one frame, and find there what this mode finds without motion. Call it
        after `prepare`.

        Raises:
            UserError: if a single picture has no regions, naming the parameter because of which.
        """
        raise NotImplementedError

    def refuse_live(self) -> None:
        """Refuses live use where results would come too late.

        Raises:
            UserError: naming the parameter that prevents it.
        """
        if self.foreground and self.foreground.method == "median":
            raise UserError(
                "preprocess.foreground.method: median reads preprocess.foreground.history = "
                f"{self.foreground.history:g} seconds ahead and cannot be used live; "
                "set preprocess.foreground.method: mog2 or knn"
            )

    def processor(
        self,
        height: int,
        width: int,
        fps: float,
        *,
        flow_scale: float | None = None,
        threads: int = 1,
        batches: bool = False,
        concurrent: bool = False,
        skip_warm_up: bool = False,
    ) -> RegionProcessor:
        """Makes the processor of a clip or a camera.

        Its lookahead does not include the warm-up: the results of the first `warm_up` frames are due
        together, once all of them have come.

        Args:
            height: of the frames, in pixels.
            width: of the frames, in pixels.
            fps: frames per second.
            flow_scale: pixels of the frame per count of the flow; needed if `reads_flow`.
            threads: maximum number of threads of a detector. OpenCV's are set with cv2.setNumThreads.
            batches: a detector runs on several frames at a time (`batch_size`), which is faster for stored
                frames, but results come later.
            concurrent: background subtraction and detector run in a thread of their own; results are the
                same, but come some frames later.
            skip_warm_up: for live cameras: the results of the first `warm_up` frames come at once, but
                without motion and foreground.

        Raises:
            UserError: if the mode reads flow and there is none, or has no warm-up that could be skipped.
        """
        raise NotImplementedError


REGION_MODES = Registry("vad.regions", RegionMode)


class PreprocessParams(Choice):
    """`preprocess`: the mode, a sub-section for each mode, and background subtraction, which modes share."""

    registry: ClassVar[Registry[RegionMode]] = REGION_MODES
    chooser: ClassVar[str] = "mode"
    mode: str = Field(
        "person_crop",
        description="regions: the whole frame (`none`), the whole frame reduced to its foreground "
        "(`silhouette`), or people and moving things (`person_crop`)",
    )
    foreground: ForegroundParams = Field(
        ForegroundParams(), description="background subtraction, for silhouettes and motion boxes"
    )
    body_height: BodyHeightSetting = Field(
        AUTO,
        description="how tall people are: `auto`, fitted to the regions of normal clips; a number of pixels "
        "of the extracted frame, at every row; or [far, near], the pixels of a person whose feet are at the "
        "upper and at the lower border of the frame",
    )

    @field_validator("body_height", mode="before")
    @classmethod
    def _valid_body_height(cls, value: Any) -> Any:
        """Checks all alternatives at once, since pydantic would report an error for each of them."""
        if value == AUTO or (_is_height(value) and value > 0):
            return value
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
            far, near = value
            if _is_height(far) and _is_height(near) and near >= far and near > 0:
                return [float(far), float(near)]
        raise ValueError(
            "should be auto, pixels above 0 and up to 10000, or [far, near], the pixels at the upper and at "
            "the lower border of the frame, with 0 <= far <= near"
        )


def _is_height(value: Any) -> bool:
    """Whether a value is a number from 0 to 10000; a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 10_000
