"""Object detectors: YOLOX and YOLOv8 models exported to ONNX, run on the CPU by onnxruntime.

`vad.detection.yolo` describes the supported exports and reads their output.
"""

import ast
import difflib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vad import UserError
from vad.detection import yolo
from vad.detection.detector_params import DetectorParams
from vad.store.graphs import first_line, open_graph

if TYPE_CHECKING:
    import onnxruntime

DEFAULT_SIDE = 640  # px; for an input whose size neither its shape nor the metadata declare
LONGEST = (128, 256)  # px of the longer side of an object up to which cells of 8 px and of 16 px are used
KEY = "preprocess.person_crop.onnx"


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects detected in a frame, the most confident first.

    Attributes:
        boxes: float32 [K, 4], x0, y0, x1, y1 in px of the frame, clipped to it, with positive area.
        confidence: float32 [K], 0 to 1.
        classes: number of the class, int32 [K].
        class_scores: float32 [K, C], probabilities of all classes at the anchor of the box, without
            objectness (`end_to_end`: 0 except for the class of the box).
        class_maps: class probabilities of all cells of the model's input of h x w px, whether they contain
            an object or not: float32 [C, h / s, w / s] for cells of s = 8, 16 and 32 px; None if the layout
            has no class probabilities.
        fit: where the frame lies in the model's input.
    """

    boxes: np.ndarray
    confidence: np.ndarray
    classes: np.ndarray
    class_scores: np.ndarray
    class_maps: list[np.ndarray] | None
    fit: yolo.Letterbox

    def class_scores_in(self, box: Sequence[float] | np.ndarray) -> np.ndarray:
        """Probability of each class in a box: the maximum over the cells whose centres lie in it.

        The size of the cells depends on the box, as in training: 8 px if its longer side is at most 128 px of
        the input, 16 px if it is at most 256 px, otherwise 32 px (the ranges of FCOS, Tian et al., ICCV 2019,
        on which these detectors are based). If the box contains no centre in x or y, the cell nearest to its
        middle is used in that direction.

        Args:
            box: x0, y0, x1, y1 in px of the frame; it need not be a detected box.

        Returns:
            float32 [C], 0 to 1.

        Raises:
            UserError: if there are no class maps.
        """
        if self.class_maps is None:
            raise UserError(
                "the detector gives no class scores outside its boxes; use a YOLOX or YOLOv8 export "
                "without NMS inside"
            )
        fit = self.fit
        x0, y0, x1, y1 = map(float, box)
        x0, x1 = x0 * fit.scale_x + fit.left, x1 * fit.scale_x + fit.left
        y0, y1 = y0 * fit.scale_y + fit.top, y1 * fit.scale_y + fit.top
        level = bisect_left(LONGEST, max(x1 - x0, y1 - y0))
        class_map, stride = self.class_maps[level], yolo.STRIDES[level]
        _, rows, columns = class_map.shape
        return class_map[:, _cells(y0, y1, rows, stride), _cells(x0, x1, columns, stride)].max((1, 2))


class Detector:
    """A detector opened from its ONNX export; each process opens it separately.

    Args:
        path: the ONNX file.
        params: which boxes are used, batch size.
        threads: maximum number of threads.
        key: section of params.yaml that holds `params`, for messages.

    Attributes:
        names: of the classes; their numbers as text if the export has no names; empty if their number is
            unknown too (`end_to_end` without metadata).
        height: of the input, in px.
        width: of the input, in px.
        layout: of the output.
        batch: number of frames per run.

    Raises:
        UserError: if the file is broken, is not a supported export, or lacks a class of `params.classes`.
    """

    def __init__(self, path: Path, params: DetectorParams, *, threads: int, key: str = KEY):
        self.path, self.params, self.key = path, params, key
        self._session = open_graph(path, threads)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(float)":
            raise self._not_understood("expected one input of float32 and one output")
        shape = inputs[0].shape
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
            raise self._not_understood("expected an input [batch, 3, height, width]")
        metadata = _metadata(self._session)
        if metadata.get("task", "detect") != "detect":
            raise self._not_understood(f"made for the task {metadata['task']!r}; expected 'detect'")
        stated = _input_size(metadata.get("imgsz"))
        self.height, self.width = (
            declared if isinstance(declared, int) else side
            for declared, side in zip(shape[2:], stated, strict=True)
        )
        self._batch_is_fixed = isinstance(shape[0], int)
        self.batch = shape[0] if self._batch_is_fixed else params.batch_size
        self._pictures = np.zeros(
            (0, 3, self.height, self.width), np.float32
        )  # input, overwritten every time
        out = self._run_on_black()
        self.layout = self._choose_layout(out)
        count = yolo.count_classes(out, self.layout, self.height, self.width)
        if count is None:
            raise self._not_understood(f"{list(out.shape)} is not {self.layout}, as {key}.layout says")
        self.names = _class_names(count, metadata.get("names"))
        self._class_numbers = [self._class_number(name) for name in params.classes]

    def detect(self, frames: Sequence[np.ndarray] | np.ndarray) -> list[Detections]:
        """Detects objects in frames, `batch` of them at a time.

        Args:
            frames: uint8 [H, W] or [H, W, 3] RGB each; a list of frames, or an array [N, ...].

        Returns:
            The detections of each frame.
        """
        return [
            detections
            for start in range(0, len(frames), self.batch)
            for detections in self._detect(frames[start : start + self.batch])
        ]

    def _detect(self, frames: Sequence[np.ndarray] | np.ndarray) -> list[Detections]:
        """Detects objects in at most `batch` frames."""
        # a fixed batch is always run as a whole; the outputs of stale pictures at its end are ignored
        count = self.batch if self._batch_is_fixed else len(frames)
        if len(self._pictures) < count:
            self._pictures = np.zeros((count, 3, self.height, self.width), np.float32)
        fits = [yolo.fill(self._pictures[i], frame, self.layout) for i, frame in enumerate(frames)]
        outs = self._run(self._pictures[:count])
        return [
            self._read(out, fit, *frame.shape[:2])
            for frame, fit, out in zip(frames, fits, outs, strict=False)
        ]

    def _run(self, pictures: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._session.get_inputs()[0].name: pictures})[0]

    def _read(self, out: np.ndarray, fit: yolo.Letterbox, height: int, width: int) -> Detections:
        """Reads the output for a picture into detections in a frame of height x width px."""
        size = self.height, self.width
        candidates = yolo.decode(out, self.layout, *size, self.params.confidence, len(self.names))
        if self._class_numbers:
            candidates = candidates.select(np.isin(candidates.classes, self._class_numbers))
        if self.layout == "end_to_end":
            order = np.argsort(-candidates.confidence, kind="stable")
        else:
            order = yolo.nms(candidates.boxes, candidates.confidence, candidates.classes, self.params.nms_iou)
        candidates = candidates.select(order)
        boxes = np.clip(yolo.unletterbox(candidates.boxes, fit), 0, np.array([width, height] * 2, np.float32))
        visible = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        candidates = candidates.select(visible)
        return Detections(
            boxes=boxes[visible],
            confidence=candidates.confidence,
            classes=candidates.classes.astype(np.int32),
            class_scores=candidates.class_scores,
            class_maps=yolo.class_maps(out, self.layout, *size),
            fit=fit,
        )

    def _run_on_black(self) -> np.ndarray:
        """Runs the model on a black picture to learn the shape of its output, which exports may not declare.

        Some exports declare a dynamic batch but accept only a single picture; `batch` is then set to 1.

        Returns:
            The output for a picture.
        """
        reason = ""
        for batch in [self.batch] if self._batch_is_fixed else sorted({min(2, self.batch), 1}, reverse=True):
            try:
                out = self._run(np.zeros((batch, 3, self.height, self.width), np.float32))
            except Exception as e:  # onnxruntime's exceptions have no common base
                reason = first_line(e)
                continue
            if out.dtype == np.float32 and out.ndim == 3 and len(out) == batch and out.size:
                self.batch = self.batch if batch > 1 else 1
                return out[0]
            reason = f"its output for {batch} pictures is {out.dtype} {list(out.shape)}"
        raise self._not_understood(reason)

    def _choose_layout(self, out: np.ndarray) -> yolo.Layout:
        if self.params.layout != "auto":
            return self.params.layout
        layouts = yolo.recognise(out, self.height, self.width)
        if len(layouts) == 1:
            return layouts[0]
        if layouts:
            raise self._not_understood(f"may be {' or '.join(layouts)}; set {self.key}.layout to one of them")
        n = len(yolo.anchors(self.height, self.width)[0])
        raise self._not_understood(
            f"its output for a picture of {self.width}x{self.height} px is {list(out.shape)}; expected "
            f"[{n}, 5 + classes] as of YOLOX, [4 + classes, {n}] as of YOLOv8, or [boxes, 6]"
        )

    def _class_number(self, name: str | int) -> int:
        """Number of a class in `params.classes`, which may be a name or a number."""
        if isinstance(name, int) and 0 <= name < (len(self.names) or name + 1):
            return name
        if isinstance(name, str) and name in self.names:
            return self.names.index(name)
        if not self.names:
            raise UserError(f"{self.key}.classes: {self.path} does not name its classes; give their numbers")
        similar = difflib.get_close_matches(str(name), self.names, n=3)
        hint = f"; did you mean {' or '.join(map(repr, similar))}?" if similar else ""
        raise UserError(
            f"{self.key}.classes: {name!r} is no class of {self.path}{hint} (its classes, by name or number "
            f"from 0: {', '.join(self.names)})"
        )

    def _not_understood(self, why: str) -> UserError:
        """Makes the error for an unsupported export, with its inputs and outputs."""
        nodes = {"input": self._session.get_inputs(), "output": self._session.get_outputs()}
        listed = (f"{kind} {node.name} {node.type} {node.shape}" for kind in nodes for node in nodes[kind])
        return UserError(f"{self.path}: not a detector that is understood: {why} ({'; '.join(listed)})")


def check(path: Path, params: DetectorParams, *, key: str = KEY) -> tuple[str, ...]:
    """Opens an export only to check it, before work on any clip begins; arguments as for `Detector`.

    Returns:
        The names of its classes.

    Raises:
        UserError: as `Detector` does.
    """
    return Detector(path, params, threads=1, key=key).names


def _metadata(session: "onnxruntime.InferenceSession") -> dict[str, Any]:
    """The metadata of an export; values that are Python literals, as Ultralytics writes them, are parsed."""
    metadata: dict[str, Any] = {}
    for name, text in session.get_modelmeta().custom_metadata_map.items():
        try:
            metadata[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            metadata[name] = text
    return metadata


def _input_size(stated: Any) -> tuple[int, int]:
    """(height, width) in px stated in the metadata; a square of DEFAULT_SIDE px if there is none."""
    match stated:
        case [int(height), int(width)] if all(32 <= side <= 4096 for side in stated):
            return height, width
    return DEFAULT_SIDE, DEFAULT_SIDE


def _class_names(count: int, stated: Any) -> tuple[str, ...]:
    """Names of the classes.

    Args:
        count: number of classes; 0 for as many as stated.
        stated: names in the metadata, a list or a dict by number; None if there are none.

    Returns:
        The stated names; without them, the names of COCO if the count fits; otherwise numbers as text.
    """
    stated = dict(enumerate(stated)) if isinstance(stated, list) else stated
    names = {int(number): str(name) for number, name in stated.items()} if isinstance(stated, dict) else {}
    if not names and count == len(yolo.COCO):
        return yolo.COCO
    return tuple(names.get(i, str(i)) for i in range(count or max(names, default=-1) + 1))


def _cells(start: float, end: float, count: int, stride: int) -> slice:
    """The cells with centres in [start, end) px; if there are none, the cell nearest to the middle.

    Args:
        start: in px of the input.
        end: in px of the input.
        count: number of cells.
        stride: size of a cell, in px.
    """
    first = min(max(ceil(start / stride - 0.5), 0), count)
    last = min(max(ceil(end / stride - 0.5), 0), count)
    if first >= last:
        first = min(max(int((start + end) / (2 * stride)), 0), count - 1)
        last = first + 1
    return slice(first, last)
