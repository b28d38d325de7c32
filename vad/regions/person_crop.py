"""The mode `person_crop`: boxes of moving things, of a detector, or of both, assigned to tracks.

Motion shows what a detector misses, for example lying people; a detector separates people whose motion is a
single blob, and detects people who stand still. HF2-VAD (arXiv:2108.06852) and AI-VAD (arXiv:2212.00789) use
the union of both.
"""

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import pandas as pd

from vad import UserError
from vad import boxes as box_arrays
from vad.detection.background import changing_share
from vad.detection.blobs import MotionBoxes
from vad.detection.class_scores import ClassScoresWriter
from vad.detection.detector import Detections, Detector, check
from vad.detection.detector_params import DetectorParams
from vad.detection.foreground_params import MOTION_BOXES, ForegroundParams
from vad.detection.motion import MotionParams, motion_masks
from vad.detection.tracking import Tracker, TrackParams, interpolate
from vad.flow import FlowParams, open_flow, require_flow
from vad.pipeline.params import Field, Section, load
from vad.regions import table
from vad.regions.base import REGION_MODES, RegionMode
from vad.store.arrays import open_array
from vad.store.downloads import fetch, hash_file

KEY = "preprocess.person_crop"
DUPLICATE = 0.7  # IoU above which two boxes of a detector show the same object, detected as two classes
WEIGHTS = (
    "a YOLOX or YOLOv8 detector exported to ONNX (the releases of YOLOX on GitHub include exports; "
    "`yolo export format=onnx` exports YOLOv8)"
)
FLOW_WANTED_BY = f"{KEY}.motion.source: flow"
NO_BOXES = np.zeros((0, 5))  # x0, y0, x1, y1 and confidence


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

    @classmethod
    def verify(cls, params: Params, raw: dict[str, Any]) -> None:
        """Checks that flow is computed if motion is taken from it, and that a detector has weights."""
        if params.motion_source == "flow":
            require_flow(load("flow", FlowParams, raw).method, FLOW_WANTED_BY)
        if "onnx" in params.detectors and not params.onnx.weights:
            raise UserError(f"{KEY}.onnx.weights is not set; name {WEIGHTS}")

    @property
    def reads_flow(self) -> bool:
        """Whether motion is taken from optical flow."""
        return self.params.motion_source == "flow"

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
        check(self._weights, onnx)
        return [*hashes, onnx.sha256]

    def regions(self, stem: Path, frames: Path, flow: Path, *, threads: int) -> None:
        """Writes a row per box and frame, and the class scores of the boxes if there are class maps."""
        cv2.setNumThreads(threads)
        video, _ = open_array(frames)
        height, width = video.shape[1:3]
        detector = Detector(self._weights, self.params.onnx, threads=threads) if self._weights else None
        tracker, motion_boxes, rows = Tracker(self.params.track), MotionBoxes(self.params.motion), _Rows()
        foreground = 0.0  # sum of the shares of moving pixels
        masks, detections = self._masks(video, flow), self._detections(video, detector)
        with ClassScoresWriter(stem, detector.names if detector else ()) as class_scores:
            for t, (mask, (detected, latest)) in enumerate(zip(masks, detections, strict=True)):
                detected = self._visible(detected, width, height)
                moving = NO_BOXES if mask is None else self._moving(mask, detected, motion_boxes)
                boxes = np.concatenate([detected, moving])
                sources = np.repeat(["detector", "motion"], [len(detected), len(moving)])
                # tracked before the margin is added, which would make neighbouring boxes overlap
                tracks = tracker.update(boxes[:, :4])
                if not self.params.keep_unconfirmed:
                    boxes, sources, tracks = (column[tracks >= 0] for column in (boxes, sources, tracks))
                crops = box_arrays.crop_boxes(
                    boxes[:, :4], self.params.margin, self.params.crop, width, height
                )
                class_scores.append(crops, latest)
                rows.append(t, tracks, crops, sources, boxes[:, 4])
                foreground += 0 if mask is None else np.count_nonzero(mask) / mask.size
        card: dict[str, Any] = {"changing": round(changing_share(video), 6)}
        if "motion" in self.params.detectors:
            card["foreground"] = round(foreground / len(video), 6)
        table.write(stem, rows.table(), also=class_scores.hashes, **card)

    def _masks(self, video: np.ndarray, flow: Path) -> Iterator[np.ndarray | None]:
        """Motion mask of each frame; None for each frame if motion is not used."""
        if "motion" not in self.params.detectors:
            return repeat(None, len(video))
        flow_array = open_flow(flow, FLOW_WANTED_BY) if self.reads_flow else None
        return motion_masks(video, flow_array, self.params.motion, self.foreground)

    def _detections(
        self, video: np.ndarray, detector: Detector | None
    ) -> Iterator[tuple[np.ndarray, Detections | None]]:
        """Yields, for each frame, (boxes with confidence [N, 5], the latest detections).

        The detector runs on every n-th frame and on the last; boxes in between are interpolated.
        """
        if detector is None:
            yield from repeat((NO_BOXES, None), len(video))
            return
        numbers = sorted({*range(0, len(video), self.params.onnx.every_n), len(video) - 1})
        previous, latest = NO_BOXES, None
        for i, detections in enumerate(detector.stream(video[t] for t in numbers)):
            kept = box_arrays.distinct(detections.boxes, DUPLICATE)
            current = np.column_stack([detections.boxes, detections.confidence])[kept].astype(float)
            if i:
                for boxes in interpolate(previous, current, numbers[i] - numbers[i - 1]):
                    yield boxes, latest
            yield current, detections
            previous, latest = current, detections

    def _visible(self, detected: np.ndarray, width: int, height: int) -> np.ndarray:
        """Clips the boxes of the detector, [N, 5], to the frame, and drops boxes that are too small."""
        inside = np.column_stack([box_arrays.clip(detected[:, :4], width, height), detected[:, 4]])
        return inside[self._large_enough(inside)]

    def _moving(self, mask: np.ndarray, detected: np.ndarray, motion_boxes: MotionBoxes) -> np.ndarray:
        """Boxes [N, 5] of motion outside the boxes of the detector, with confidence 1."""
        height, width = mask.shape
        rest = mask.copy()
        suppressed = box_arrays.crop_boxes(detected[:, :4], self.params.suppress_margin, "box", width, height)
        for x0, y0, x1, y1 in suppressed:
            rest[y0:y1, x0:x1] = False
        boxes = motion_boxes.next(rest)
        boxes = boxes[self._large_enough(boxes)]
        return np.column_stack([boxes, np.ones(len(boxes))])

    def _large_enough(self, boxes: np.ndarray) -> np.ndarray:
        return box_arrays.large_enough(boxes[:, :4], self.params.min_width, self.params.min_height)


class _Rows:
    """Collects the rows of the table frame by frame."""

    def __init__(self) -> None:
        self._numbers: list[np.ndarray] = []  # int [N, 6]: frame, track, x0, y0, x1, y1
        self._sources: list[str] = []
        self._confidences: list[float] = []

    def append(
        self, t: int, tracks: np.ndarray, boxes: np.ndarray, sources: np.ndarray, confidences: np.ndarray
    ) -> None:
        """Adds the regions of frame t; arrays of N rows."""
        self._numbers.append(np.column_stack([np.full(len(boxes), t), tracks, boxes]))
        self._sources += sources.tolist()
        self._confidences += confidences.tolist()

    def table(self) -> pd.DataFrame:
        """All rows, with the columns of `table.COLUMNS`."""
        columns = ["frame", "track", "x0", "y0", "x1", "y1"]
        rows = pd.DataFrame(np.concatenate(self._numbers), columns=columns)
        return rows.assign(source=self._sources, confidence=self._confidences)
