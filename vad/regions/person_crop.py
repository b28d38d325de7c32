"""The mode `person_crop`: boxes of moving things, of a detector, or of both, assigned to tracks.

Motion shows what a detector misses, for example lying people; a detector separates people whose motion is a
single blob, and detects people who stand still. HF2-VAD (arXiv:2108.06852) and AI-VAD (arXiv:2212.00789) use
the union of both.
"""

from collections import deque
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from vad import UserError
from vad import boxes as box_arrays
from vad.detection.blobs import MotionBoxes
from vad.detection.detector import Detections, Detector, check
from vad.detection.detector_params import DetectorParams
from vad.detection.foreground_params import MOTION_BOXES, ForegroundParams
from vad.detection.interpolation import NO_BOXES, InterpolatedBoxes
from vad.detection.lazy import LazyProcessor
from vad.detection.motion import MotionParams, motion_masks
from vad.detection.tracking import Tracker, TrackParams
from vad.flow import FlowParams, require_flow
from vad.pipeline.params import Field, Section, load
from vad.regions.base import REGION_MODES, ModeFile, RegionMode, RegionProcessor
from vad.store.downloads import fetch, hash_file
from vad.stream import Frame, FrameAndFlow, Regions, Threaded

KEY = "preprocess.person_crop"
WEIGHTS = (
    "a YOLOX or YOLOv8 detector exported to ONNX (the releases of YOLOX on GitHub include exports; "
    "`yolo export format=onnx` exports YOLOv8)"
)
FLOW_WANTED_BY = f"{KEY}.motion.source: flow"


@REGION_MODES.register
class PersonCrop(RegionMode):
    """Boxes of people and moving things as regions."""

    class Params(Section):
        """`preprocess.person_crop`"""

        detectors: Annotated[list[Literal["motion", "onnx"]], Field(min_length=1)] = Field(
            ["motion"], description="sources of boxes: motion, an ONNX detector, or the union of both"
        )
        suppress_margin: float = Field(
            0.2,
            ge=0,
            le=2,
            description="boxes of the detector grow by this share of their sides on each side, and motion "
            "inside them is ignored",
        )
        margin: float = Field(
            0.1,
            ge=0,
            le=2,
            description="every box grows by this share of its sides on each side, up to the border of the "
            "frame",
        )
        crop: box_arrays.Crop = Field(
            "box",
            description="`box` keeps the shape of boxes, `square` makes them square around their centre",
        )
        min_width: int = Field(
            6, ge=1, description="pixels; boxes narrower than this before `margin` is added are dropped"
        )
        min_height: int = Field(
            10, ge=1, description="pixels; boxes lower than this before `margin` is added are dropped"
        )
        keep_unconfirmed: bool = Field(
            False,
            description="keep boxes without a confirmed track (`track.confirm`), many of which are noise",
        )
        track: TrackParams = Field(TrackParams(), description="how boxes are assigned to tracks")
        motion: MotionParams = Field(MotionParams(), description="moving pixels, and boxes around them")
        onnx: DetectorParams = Field(DetectorParams(), description="the detector")

        @property
        def motion_source(self) -> str | None:
            """Source of motion boxes; None if motion is not used."""
            return self.motion.source if "motion" in self.detectors else None

        def active(self) -> dict[str, Any]:
            """The values that have an effect; without the path of the weights, since their hash counts."""
            off: dict[str, Any] = {"onnx": {"weights", "batch_size"} if "onnx" in self.detectors else True}
            # of the two thresholds, that of the chosen source remains
            off["motion"] = (
                {"difference_threshold", "flow_threshold"} - {f"{self.motion_source}_threshold"}
                if "motion" in self.detectors
                else True
            )
            if len(set(self.detectors)) == 1:
                off["suppress_margin"] = True
            return self.model_dump(mode="json", exclude=off)

    params: Params
    uses_pixels = True

    def __init__(self, params: Params, foreground: ForegroundParams):
        super().__init__(params, foreground)
        if params.motion_source == "foreground":
            self.foreground = foreground.resolve(MOTION_BOXES)
        self._weights: Path | None = None
        self._detector: Detector | None = None  # shared by all processors; set by `for_pictures`

    @classmethod
    def verify(cls, params: Params, raw: dict[str, Any]) -> None:
        """Checks that flow is computed if motion is taken from it, and that a detector has weights."""
        if params.motion_source == "flow":
            require_flow(load("flow", FlowParams, raw).method, FLOW_WANTED_BY)
        if "onnx" in params.detectors and not params.onnx.weights:
            raise UserError(f"{KEY}.onnx.weights is not set; name {WEIGHTS}")

    @property
    def margin(self) -> float:
        """`margin`, by which boxes grow."""
        return self.params.margin

    @property
    def flow_wanted_by(self) -> str | None:
        """The source of motion, if it is optical flow."""
        return FLOW_WANTED_BY if self.params.motion_source == "flow" else None

    def prepare(self, cache: Path) -> list[str]:
        """Fetches and checks the weights of the detector, if it is used."""
        hashes, onnx = super().prepare(cache), self.params.onnx
        if "onnx" not in self.params.detectors:
            return hashes
        self._weights = fetch(onnx.weights, onnx.sha256, cache / "weights", key=f"{KEY}.onnx", what=WEIGHTS)
        if onnx.sha256 is None:
            raise UserError(
                f"{KEY}.onnx.sha256 is not set, so DVC could not tell these weights from others; set "
                f"{KEY}.onnx.sha256: {hash_file(self._weights)} if you trust {self._weights}"
            )
        self.classes = check(self._weights, onnx)
        return [*hashes, onnx.sha256]

    def files(self) -> list[ModeFile]:
        return [ModeFile("onnx.weights", "detector.onnx", self._weights)]

    def for_pictures(self) -> RegionMode:
        """All boxes of the detector: there is no motion, and no track could be confirmed.

        Its processors share a detector, so a picture must be done before the next one begins.
        """
        if self._weights is None:
            raise UserError(
                f"{KEY}.detectors: {self.params.detectors} finds what moves, so a single picture has no "
                f"regions; add onnx to {KEY}.detectors and set {KEY}.onnx.weights"
            )
        params = self.params.model_copy(update={"detectors": ["onnx"], "keep_unconfirmed": True})
        mode = copy(self)
        mode.params, mode.foreground = params, None
        mode._detector = Detector(self._weights, params.onnx, threads=1)
        return mode

    def lookahead(self, fps: float) -> int:
        interpolation = self.params.onnx.every_n - 1 if "onnx" in self.params.detectors else 0
        return super().lookahead(fps) + interpolation

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
        """Makes the processor; its regions have `moving_share` with motion, class scores with class maps."""
        params, masks, detected = self.params, None, None
        if skip_warm_up:
            self.refuse_live()
        if params.motion_source:
            masks = motion_masks(params.motion, self.foreground, fps, flow_scale, skip_warm_up=skip_warm_up)
        if self._weights:
            detector = self._detector or Detector(self._weights, params.onnx, threads=threads)
            detected = InterpolatedBoxes(detector, params.onnx.every_n, detector.batch if batches else 1)
        return _Crops(params, height, width, fps, _MasksAndBoxes(masks, detected), concurrent)


class _MaskAndBoxes(NamedTuple):
    """The moving pixels of a frame and the boxes of the detector.

    Attributes:
        steps: frame intervals since the frame before.
        mask: moving pixels, bool [H, W]; None if motion is not used.
        detected: boxes of the detector with confidence, [N, 5].
        latest: the latest detections; None without a detector.
    """

    steps: int
    mask: np.ndarray | None
    detected: np.ndarray
    latest: Detections | None


class _MasksAndBoxes(LazyProcessor[FrameAndFlow, _MaskAndBoxes]):
    """Computes motion masks and runs the detector.

    A frame is given to the detector only when its mask is known: while a background is learned, frames wait,
    and not detections, which take more memory.
    """

    def __init__(
        self, masks: LazyProcessor[FrameAndFlow, np.ndarray] | None, detected: InterpolatedBoxes | None
    ):
        self._masks, self._detected = masks, detected
        self.lookahead = sum(part.lookahead for part in (masks, detected) if part)
        self.classes = detected.detector.names if detected else ()
        self._frames: deque[Frame] = deque()  # those without a mask yet
        self._steps_and_masks: deque[tuple[int, np.ndarray | None]] = deque()  # those without boxes yet

    def stream(self, item: FrameAndFlow) -> Iterator[_MaskAndBoxes]:
        self._frames.append(item[0])
        for mask in self._masks.stream(item) if self._masks else (None,):
            yield from self._detect(mask)

    def rest(self) -> Iterator[_MaskAndBoxes]:
        for mask in self._masks.rest() if self._masks else ():
            yield from self._detect(mask)
        for boxes, latest in self._detected.rest() if self._detected else ():
            yield _MaskAndBoxes(*self._steps_and_masks.popleft(), boxes, latest)

    def _detect(self, mask: np.ndarray | None) -> Iterator[_MaskAndBoxes]:
        """Hands the next frame to the detector, now that its mask is known."""
        frame = self._frames.popleft()
        if self._detected is None:
            yield _MaskAndBoxes(frame.steps, mask, NO_BOXES, None)
            return
        self._steps_and_masks.append((frame.steps, mask))
        for boxes, latest in self._detected.stream(frame):
            yield _MaskAndBoxes(*self._steps_and_masks.popleft(), boxes, latest)


class _Crops(RegionProcessor):
    """Makes regions from motion and detections: boxes, tracks, margins and class scores."""

    def __init__(
        self,
        params: PersonCrop.Params,
        height: int,
        width: int,
        fps: float,
        inputs: _MasksAndBoxes,
        concurrent: bool,
    ):
        self.params, self.height, self.width = params, height, width
        self.lookahead, self.classes = inputs.lookahead, inputs.classes
        self._tracker, self._motion_boxes = Tracker(params.track.at(fps)), MotionBoxes(params.motion)
        self._inputs = inputs
        self._thread = Threaded(inputs) if concurrent else None

    def stream(self, item: FrameAndFlow) -> Iterator[Regions]:
        return map(self._regions, self._thread.process(item) if self._thread else self._inputs.stream(item))

    def poll(self) -> list[Regions]:
        return [self._regions(item) for item in self._thread.poll()] if self._thread else []

    def rest(self) -> Iterator[Regions]:
        return map(self._regions, self._thread.finish() if self._thread else self._inputs.rest())

    def _regions(self, item: _MaskAndBoxes) -> Regions:
        params, (steps, mask, detected, latest) = self.params, item
        detected = self._visible(detected)
        moving = NO_BOXES if mask is None else self._moving(mask, detected, steps)
        boxes = np.concatenate([detected, moving])
        sources = np.repeat(["detector", "motion"], [len(detected), len(moving)])
        # tracked before the margin is added, which would make neighbouring boxes overlap
        tracks = self._tracker.update(boxes[:, :4], steps)
        if not params.keep_unconfirmed:
            boxes, sources, tracks = (column[tracks >= 0] for column in (boxes, sources, tracks))
        crops = box_arrays.crop_boxes(boxes[:, :4], params.margin, params.crop, self.width, self.height)
        return Regions(
            boxes=crops,
            tracks=tracks,
            sources=sources,
            confidence=boxes[:, 4].astype(np.float32),
            class_scores=None if latest is None else _class_scores(latest, crops),
            moving_share=None if mask is None else np.count_nonzero(mask) / mask.size,
        )

    def _visible(self, detected: np.ndarray) -> np.ndarray:
        """Clips the boxes of the detector, [N, 5], to the frame, and drops boxes that are too small."""
        inside = np.column_stack([box_arrays.clip(detected[:, :4], self.width, self.height), detected[:, 4]])
        return inside[self._large_enough(inside)]

    def _moving(self, mask: np.ndarray, detected: np.ndarray, steps: int) -> np.ndarray:
        """Boxes [N, 5] of motion outside the boxes of the detector, with confidence 1."""
        margin, rest = self.params.suppress_margin, mask.copy()
        suppressed = box_arrays.crop_boxes(detected[:, :4], margin, "box", self.width, self.height)
        for x0, y0, x1, y1 in suppressed.tolist():
            rest[y0:y1, x0:x1] = False
        boxes = self._motion_boxes.next(rest, steps)
        boxes = boxes[self._large_enough(boxes)]
        return np.column_stack([boxes, np.ones(len(boxes))])

    def _large_enough(self, boxes: np.ndarray) -> np.ndarray:
        return box_arrays.large_enough(boxes[:, :4], self.params.min_width, self.params.min_height)


def _class_scores(detections: Detections, boxes: np.ndarray) -> np.ndarray | None:
    """Probability of each class in each box, float16 [N, C]; None without class maps."""
    if detections.class_maps is None:
        return None
    scores = np.empty((len(boxes), len(detections.class_maps[0])), np.float16)
    for row, box in zip(scores, boxes.tolist(), strict=True):
        row[:] = detections.class_scores_in(box)
    return scores
