"""Objects in frames: YOLOX and YOLOv8 exports to ONNX, run on the processor by onnxruntime.

What exports are understood, and how their output is read, stands in `vad.regions.yolo`.
"""

import ast
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vad import UserError
from vad.pipeline.params import Field, Section
from vad.regions import yolo
from vad.store.placeholders import refuse_placeholder

if TYPE_CHECKING:
    import onnxruntime

SIDE = 640  # px of an input whose size neither shape nor metadata fix
LARGEST = (128, 256)  # longer sides in px of the input up to which things are seen in cells of 8 and 16 px
KEY = "preprocess.person_crop.onnx"


class DetectorParams(Section):
    """`onnx`: which detector, and which of its boxes count.

    `weights` is a path or a URL (`vad.store.downloads.fetch`); `classes` are names or numbers, none for all; a
    box counts above `confidence`, unless it overlaps a better one of its class by more than `nms_iou`.
    """

    weights: str | None
    sha256: str | None
    layout: Literal["auto", "yolox", "yolox_decoded", "yolov8", "end_to_end"]
    classes: list[str | int]
    confidence: float = Field(ge=0, lt=1)
    nms_iou: float = Field(gt=0, le=1)
    every_n: int = Field(ge=1)
    batch_size: int = Field(ge=1, le=256)


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in one frame, the most confident first.

    `boxes` float32 [K, 4]: x0, y0, x1, y1 in px of the frame, inside it, of positive area.
    `confidence` float32 [K]; `classes` int32 [K]; `class_scores` float32 [K, C]: probabilities of all
    classes at the anchor of the box, without objectness (`end_to_end`: its own class alone).
    `class_maps` float32 [C, h/s, w/s]: the same for every cell of s = 8, 16 and 32 px of the model's h x w
    input, whether anything was found there or not; None where the layout has none. `fit`: how the frame lies
    in it.
    """

    boxes: np.ndarray
    confidence: np.ndarray
    classes: np.ndarray
    class_scores: np.ndarray
    class_maps: list[np.ndarray] | None
    fit: yolo.Letterbox

    def class_scores_in(self, box: Sequence[float]) -> np.ndarray:
        """Float32 [C]: per class, the maximum over the cells with their centre in a box of the frame.

        Any box [x0, y0, x1, y1) will do, detected or not. What is small shows in small cells, what is large
        in large ones: the cells are of 8 px if the longer side is at most 128 px of the input, of 16 px up to
        256, else of 32 (the ranges of FCOS, Tian et al., ICCV 2019, whom such detectors take after). In a
        direction in which no centre lies in the box, the cell nearest to its middle counts. Raises UserError
        where there are no maps of classes.
        """
        if self.class_maps is None:
            raise UserError(
                "the detector tells no class scores outside its own boxes; use a YOLOX or YOLOv8 export "
                "without NMS inside"
            )
        x0, y0, x1, y1 = (float(side) for side in box)
        x0, x1 = (x * self.fit.scale_x + self.fit.left for x in (x0, x1))
        y0, y1 = (y * self.fit.scale_y + self.fit.top for y in (y0, y1))
        level = int(np.searchsorted(LARGEST, max(x1 - x0, y1 - y0)))
        cells, size = self.class_maps[level], yolo.STRIDES[level]
        _, rows, columns = cells.shape
        return cells[:, _cells(y0, y1, rows, size), _cells(x0, x1, columns, size)].max((1, 2))


class Detector:
    """An opened export; open one per process.

    `names` of its classes, empty if unknown (`end_to_end` without metadata), numbers as text if it has
    no names; `height` and `width` of its input; `layout`; `batch`, the frames of one run.

    Raises UserError if the file is broken, no export that is understood, or lacks one of
    `params.classes`. `key` is the section of params.yaml, for messages.
    """

    def __init__(self, path: Path, params: DetectorParams, *, threads: int, key: str = KEY):
        self.path, self.params, self.key = path, params, key
        self._session = _open(path, threads)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(float)":
            raise self._not_understood("expected one input of float32 and one output")
        shape = inputs[0].shape
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
            raise self._not_understood("expected an input [batch, 3, height, width]")
        meta = _metadata(self._session)
        if meta.get("task", "detect") != "detect":
            raise self._not_understood(f"made for the task {meta['task']!r}; expected 'detect'")
        sides = zip(shape[2:], _size(meta.get("imgsz")), strict=True)
        self.height, self.width = (side if isinstance(side, int) else known for side, known in sides)
        self._fixed = isinstance(shape[0], int)
        self.batch = shape[0] if self._fixed else params.batch_size
        out = self._run_on_black()
        self.layout = self._choose_layout(out)
        count = yolo.count_classes(out.shape, self.layout, self.height, self.width)
        if count is None:
            raise self._not_understood(f"{list(out.shape)} is not {self.layout}, as {key}.layout says")
        self.names = _class_names(count, meta.get("names"))
        self._wanted = [self._number(one) for one in params.classes]

    def detect(self, frames: Iterable[np.ndarray]) -> list[Detections]:
        """What is in frames, uint8 [H, W] or [H, W, 3] RGB each: a list, or one array [N, ...]."""
        return list(self.stream(frames))

    def stream(self, frames: Iterable[np.ndarray]) -> Iterator[Detections]:
        """`detect`, batch after batch: memory does not grow with the number of frames."""
        rest = iter(frames)
        pictures = np.zeros((self.batch, 3, self.height, self.width), np.float32)
        while batch := list(islice(rest, self.batch)):
            fits = [yolo.fill(pictures[i], frame, self.layout) for i, frame in enumerate(batch)]
            # a fixed batch runs whole, whatever its last pictures still are
            outs = self._run(pictures if self._fixed else pictures[: len(batch)])
            for frame, fit, out in zip(batch, fits, outs, strict=False):
                yield self._read(out, fit, *frame.shape[:2])

    def _run(self, pictures: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._session.get_inputs()[0].name: pictures})[0]

    def _read(self, out: np.ndarray, fit: yolo.Letterbox, height: int, width: int) -> Detections:
        """The detections in a frame of height x width px."""
        where = (self.layout, self.height, self.width)
        found = yolo.decode(out, *where, self.params.confidence, len(self.names))
        if self._wanted:
            found = found.select(np.isin(found.classes, self._wanted))
        if self.layout == "end_to_end":
            found = found.select(np.argsort(-found.confidence, kind="stable"))
        else:
            kept = yolo.nms(found.boxes, found.confidence, found.classes, self.params.nms_iou)
            found = found.select(kept)
        boxes = np.clip(yolo.unletterbox(found.boxes, fit), 0, np.array([width, height] * 2, np.float32))
        seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        found = found.select(seen)
        return Detections(
            boxes=boxes[seen],
            confidence=found.confidence,
            classes=found.classes.astype(np.int32),
            class_scores=found.class_scores,
            class_maps=yolo.class_maps(out, *where),
            fit=fit,
        )

    def _run_on_black(self) -> np.ndarray:
        """The output for one black picture: settles what the declared shapes leave open.

        Some exports call their batch dynamic and can do but one; such are run one by one.
        """
        reason = ""
        for batch in [self.batch] if self._fixed else sorted({min(2, self.batch), 1}, reverse=True):
            try:
                out = self._run(np.zeros((batch, 3, self.height, self.width), np.float32))
            except Exception as e:  # onnxruntime's exceptions have no base of their own
                reason = _first_line(e)
                continue
            if out.dtype == np.float32 and out.ndim == 3 and len(out) == batch and out.size:
                self.batch = self.batch if batch > 1 else 1
                return out[0]
            reason = f"its output for {batch} pictures is {out.dtype} {list(out.shape)}"
        raise self._not_understood(reason)

    def _choose_layout(self, out: np.ndarray) -> yolo.Layout:
        if self.params.layout != "auto":
            return self.params.layout
        known = yolo.recognise(out, self.height, self.width)
        if len(known) == 1:
            return known[0]
        if known:
            raise self._not_understood(f"may be {' or '.join(known)}; set {self.key}.layout to one of them")
        n = len(yolo.anchors(self.height, self.width)[0])
        raise self._not_understood(
            f"its output for a picture of {self.width}x{self.height} px is {list(out.shape)}; expected "
            f"[{n}, 5 + classes] as of YOLOX, [4 + classes, {n}] as of YOLOv8, or [boxes, 6]"
        )

    def _number(self, one: str | int) -> int:
        """The number of a class that params name."""
        if isinstance(one, int) and 0 <= one < (len(self.names) or one + 1):
            return one
        if one in self.names:
            return self.names.index(one)
        if not self.names:
            raise UserError(f"{self.key}.classes: {self.path} does not name its classes; give their numbers")
        near = difflib.get_close_matches(str(one), self.names, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UserError(
            f"{self.key}.classes: {one!r} is no class of {self.path}{hint} (known, by name or number from 0: "
            f"{', '.join(self.names)})"
        )

    def _not_understood(self, why: str) -> UserError:
        """Says what the file takes and gives."""
        ends = {"input": self._session.get_inputs(), "output": self._session.get_outputs()}
        listed = (f"{end} {one.name} {one.type} {one.shape}" for end, ones in ends.items() for one in ones)
        return UserError(f"{self.path}: not a detector that is understood: {why} ({'; '.join(listed)})")


def check(path: Path, params: DetectorParams, *, key: str = KEY) -> None:
    """Opens the export once. Raises UserError as `Detector` does, so before any clip is worked on."""
    Detector(path, params, threads=1, key=key)


def _open(path: Path, threads: int) -> "onnxruntime.InferenceSession":
    import onnxruntime  # here, since it takes a while and only this needs it

    refuse_placeholder(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # threads that wait sleep: measured as fast on idle cores, and much faster on busy ones
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime's exceptions have no base of their own
        raise UserError(
            f"{path}: not an ONNX model that onnxruntime {onnxruntime.__version__} can open "
            f"({_first_line(e)}); copy or download it again, or export it anew"
        ) from None


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.rpartition("failed:")[2].strip()  # before it stands the path once more


def _metadata(session: "onnxruntime.InferenceSession") -> dict[str, Any]:
    """What an export says of itself; values are written as Python's, as Ultralytics does it."""
    meta: dict[str, Any] = {}
    for name, text in session.get_modelmeta().custom_metadata_map.items():
        try:
            meta[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            meta[name] = text
    return meta


def _size(known: Any) -> tuple[int, int]:
    """(height, width) that metadata give, or else a square of `SIDE` px."""
    match known:
        case [int(height), int(width)] if all(32 <= side <= 4096 for side in known):
            return height, width
    return SIDE, SIDE


def _class_names(count: int, known: Any) -> tuple[str, ...]:
    """Names of `count` classes, 0 if only the metadata tell: from there, of COCO, or else numbers."""
    known = dict(enumerate(known)) if isinstance(known, list) else known
    named = {int(number): str(name) for number, name in known.items()} if isinstance(known, dict) else {}
    if not named and count == len(yolo.COCO):
        return yolo.COCO
    return tuple(named.get(i, str(i)) for i in range(count or max(named, default=-1) + 1))


def _cells(start: float, end: float, count: int, size: int) -> slice:
    """The cells of `size` px with centres in [start, end), or else the one nearest to the middle."""
    first, last = (min(max(int(np.ceil(px / size - 0.5)), 0), count) for px in (start, end))
    if first >= last:
        first = min(max(int((start + end) / (2 * size)), 0), count - 1)
        last = first + 1
    return slice(first, last)
