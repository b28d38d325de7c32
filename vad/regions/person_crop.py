"""Look at people and at what moves: the boxes of one or several detectors, joined by tracks.

Motion sees what no detector knows and what it misses, such as people who lie; a detector tells people
apart who move as one blob, and sees those who stand still. The union of both is what HF2-VAD
(arXiv:2108.06852) and AI-VAD (arXiv:2212.00789) look at.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import pandas as pd

from vad import UserError
from vad import boxes as box_arrays
from vad import regions as table
from vad.flow import need_flow, open_flow
from vad.pipeline.params import Field, Section
from vad.regions.background import ForegroundParams, changing
from vad.regions.blobs import Boxes, MotionParams, masks
from vad.regions.detector import Detections, Detector, DetectorParams, check
from vad.regions.tracking import Tracker, TrackParams, between
from vad.store import arrays, cards, downloads

SAME_SIZE = True
KEY = "preprocess.person_crop"
SAME = 0.7  # IoU above which two boxes of a detector are one
WEIGHTS = (
    "a YOLOX or YOLOv8 detector exported to ONNX (YOLOX has some among its releases on GitHub; "
    "`yolo export format=onnx` makes one of YOLOv8)"
)
FLOW_WANTED_BY = f"{KEY}.motion.source: flow"


class Params(Section):
    """`preprocess.person_crop`

    `reach`: share of its sides by which a detector's box grows on each side before what moves in it is
    taken for its own, so that motion boxes hold the rest alone; `margin`: the share by which every box
    grows before it is cut out. `keep_unconfirmed`: also boxes that are no track yet (`track.confirm`), among
    them what flickers.
    """

    detectors: Annotated[list[Literal["motion", "onnx"]], Field(min_length=1)]
    reach: float = Field(ge=0, le=2)
    margin: float = Field(ge=0, le=2)
    crop: box_arrays.Crop
    min_width: int = Field(ge=1)
    min_height: int = Field(ge=1)
    keep_unconfirmed: bool
    track: TrackParams
    motion: MotionParams
    foreground: ForegroundParams
    onnx: DetectorParams

    def active(self) -> dict[str, Any]:
        # where the weights lie and how many frames they are shown at once change nothing
        off: dict[str, Any] = {"onnx": {"weights", "batch_size"} if "onnx" in self.detectors else True}
        if "motion" not in self.detectors:
            off |= {"motion": True, "foreground": True, "reach": True}
        else:
            off["motion"] = {"difference_threshold", "flow_threshold"} - {f"{self.motion.source}_threshold"}
            if self.motion.source != "foreground":
                off["foreground"] = True
        return self.model_dump(mode="json", exclude=off)

    def verify(self, raw: dict[str, Any]) -> None:
        if needs_flow(self):
            need_flow(raw["flow"]["method"], FLOW_WANTED_BY)
        if "onnx" in self.detectors and not self.onnx.weights:
            raise UserError(f"{KEY}.onnx.weights is not set; name {WEIGHTS}")


def needs_flow(params: Params) -> bool:
    """Whether boxes are made of optical flow."""
    return "motion" in params.detectors and params.motion.source == "flow"


def prepare(params: Params, cache: Path) -> tuple[Path | None, list[str]]:
    """(the verified weights, their hash), if a detector is asked for. Raises UserError if they do not do."""
    if "onnx" not in params.detectors:
        return None, []
    path = downloads.fetch(
        params.onnx.weights, params.onnx.sha256, cache / "weights", key=f"{KEY}.onnx", what=WEIGHTS
    )
    if params.onnx.sha256 is None:
        raise UserError(
            f"{KEY}.onnx.sha256 is not set, so DVC could not tell these weights from others; set "
            f"{KEY}.onnx.sha256: {downloads.hash_file(path)} if you trust {path}"
        )
    check(path, params.onnx)
    return path, [params.onnx.sha256]


def regions(
    stem: Path, frames: Path, flow: Path, params: Params, ready: Path | None, *, threads: int
) -> None:
    """Writes a row per box and frame; beside it, where a detector tells, what each looks like.

    <stem>.classes.npy is float16 [N, C], a row per region: the probability of each of the detector's
    classes, as a maximum over the box (`vad.regions.detector`); its card has their names as `classes`.
    """
    cv2.setNumThreads(threads)
    video, _ = arrays.open_array(frames)
    height, width = video.shape[1:3]
    detector = Detector(ready, params.onnx, threads=threads, key=f"{KEY}.onnx") if ready else None
    tracker, blobs = Tracker(params.track), Boxes(params.motion)
    numbers, sources, confidences = [], [], []
    foreground = 0.0
    with _Classes(stem, detector.names if detector else ()) as classes:
        moving, seen = _moving(video, flow, params), _seen(video, detector, params.onnx.every_n)
        for t, (mask, (boxes_seen, detections)) in enumerate(zip(moving, seen, strict=True)):
            detected = _detected(boxes_seen, params, width, height)
            parts = detected, NOTHING if mask is None else _rest(mask, detected, params, blobs)
            found, source = np.concatenate(parts), np.repeat(["detector", "motion"], [len(p) for p in parts])
            tracks = tracker.update(found[:, :4])
            if not params.keep_unconfirmed:
                found, source, tracks = (part[tracks >= 0] for part in (found, source, tracks))
            cut = box_arrays.shape(found[:, :4], params.margin, params.crop, width, height)
            classes.append(cut, detections)
            numbers.append(np.column_stack([np.full(len(cut), t), tracks, cut]))
            sources += source.tolist()
            confidences += found[:, 4].tolist()
            foreground += 0 if mask is None else np.count_nonzero(mask) / mask.size
    rows = pd.DataFrame(np.concatenate(numbers), columns=["frame", "track", "x0", "y0", "x1", "y1"])
    card = {"changing": round(changing(video), 6)}
    if "motion" in params.detectors:
        card["foreground"] = round(foreground / len(video), 6)
    table.write(stem, rows.assign(source=sources, confidence=confidences), also=classes.hashes, **card)


NOTHING = np.zeros((0, 5))
Seen = tuple[np.ndarray, Detections | None]  # boxes with confidence [N, 5], what was detected last


def _detected(seen: np.ndarray, params: Params, width: int, height: int) -> np.ndarray:
    """The part of a detector's boxes [N, 5] that lies in the frame, where it is large enough."""
    inside = np.column_stack([box_arrays.clip(seen[:, :4], width, height), seen[:, 4]])
    return inside[box_arrays.large_enough(inside[:, :4], params.min_width, params.min_height)]


def _rest(mask: np.ndarray, detected: np.ndarray, params: Params, blobs: Boxes) -> np.ndarray:
    """Boxes [N, 5] of what moves outside those of the detector."""
    rest = mask.copy()
    for x0, y0, x1, y1 in box_arrays.shape(detected[:, :4], params.reach, "box", *mask.shape[::-1]):
        rest[y0:y1, x0:x1] = False
    moving = blobs.next(rest)
    moving = moving[box_arrays.large_enough(moving, params.min_width, params.min_height)]
    return np.column_stack([moving, np.ones(len(moving))])


class _Classes:
    """Writes what each region looks like, as far as the detector tells. A context manager."""

    def __init__(self, stem: Path, names: Sequence[str]):
        self.stem, self.names, self.writer = Path(f"{stem}.classes"), names, None
        self.hashes: list[str] = []

    def append(self, found: np.ndarray, detections: Detections | None) -> None:
        """Adds the regions of a frame, `detections` being the last that were made."""
        if detections is None or detections.class_maps is None:
            return
        if self.writer is None:
            shape = (len(self.names),)
            self.writer = arrays.ArrayWriter(self.stem, shape, np.float16, classes=list(self.names))
        for box in found:
            self.writer.append(detections.class_scores_in(box).astype(np.float16))

    def __enter__(self) -> "_Classes":
        return self

    def __exit__(self, *raised: Any) -> None:
        if self.writer is not None:
            self.writer.__exit__(*raised)
            if raised[0] is None:
                self.hashes = [cards.read_card(self.stem)["hash"]]


def _moving(video: np.ndarray, flow: Path, params: Params) -> Iterator[np.ndarray | None]:
    """What moves in each frame; None for each if motion is not asked for."""
    if "motion" not in params.detectors:
        return repeat(None, len(video))
    pair = open_flow(flow, FLOW_WANTED_BY) if needs_flow(params) else None
    return masks(video, pair, params.motion, params.foreground)


def _seen(video: np.ndarray, detector: Detector | None, every_n: int) -> Iterator[Seen]:
    """What the detector sees: it is shown every `every_n`-th frame and the last, others are interpolated."""
    if detector is None:
        yield from repeat((NOTHING, None), len(video))
        return
    shown = sorted({*range(0, len(video), every_n), len(video) - 1})
    before, detected = NOTHING, None
    for i, detections in enumerate(detector.stream(video[t] for t in shown)):
        once = box_arrays.distinct(detections.boxes, SAME)  # one thing may have been seen as two classes
        now = np.column_stack([detections.boxes, detections.confidence])[once].astype(float)
        if i:
            for carried in between(before, now, shown[i] - shown[i - 1]):
                yield carried, detected
        yield now, detections
        before, detected = now, detections
