"""Inputs and outputs of YOLO models exported to ONNX, as plain arrays: letterboxed pictures, anchors, boxes.

These layouts of the output for a picture of H x W px are supported. N is the number of anchors: the H/8 * W/8
cells of 8 px, row by row, then the cells of 16 px and of 32 px. C is the number of classes.

| layout | output | box | confidence | picture |
|---|---|---|---|---|
| `yolox` | [N, 5 + C] | offset from the cell, log of the size | objectness * class | BGR 0..255, top left |
| `yolox_decoded` | [N, 5 + C] | centre, size in px | objectness * class | BGR 0..255, top left |
| `yolov8` | [4 + C, N] | centre, size in px | class | RGB 0..1, centred |
| `end_to_end` | [K, 6] | corners in px | in the output, as the class; NMS is done | RGB 0..1, centred |

The two layouts of YOLOX (Ge et al. 2021, arXiv:2107.08430) have the same shape; `recognise` distinguishes
them.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import cv2
import numpy as np

STRIDES = (8, 16, 32)  # px per cell at the three levels of anchors
GRAY = 114  # gray level that fills the input around the frame, as in the training of both families
# the 80 classes of COCO (Lin et al. 2014, arXiv:1405.0312) in the order that detectors use
_COCO = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,"
    "tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,"
    "tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,"
    "hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,"
    "keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,"
    "hair drier,toothbrush"
)
COCO = tuple(_COCO.split(","))

Layout = Literal["yolox", "yolox_decoded", "yolov8", "end_to_end"]


class Letterbox(NamedTuple):
    """Position of a frame in the input of a model: input px = frame px * scale + offset, in x and y.

    Attributes:
        scale_x: px of the input per px of the frame.
        scale_y: px of the input per px of the frame.
        left: offset in x, in px of the input.
        top: offset in y, in px of the input.
    """

    scale_x: float
    scale_y: float
    left: int
    top: int


def letterbox(
    frame: np.ndarray, height: int, width: int, *, centred: bool = False
) -> tuple[np.ndarray, Letterbox]:
    """Fits a frame into the input of a model, keeping its aspect ratio; the rest is gray.

    Args:
        frame: uint8 [H, W] or [H, W, 3].
        height: of the input, in px.
        width: of the input, in px.
        centred: whether the frame is in the middle of the input; otherwise it is at the top left.

    Returns:
        (uint8 [height, width] or [height, width, 3], position of the frame in it).
    """
    rows, columns = frame.shape[:2]
    scale = min(height / rows, width / columns)
    h, w = max(1, round(rows * scale)), max(1, round(columns * scale))
    top, left = ((height - h) // 2, (width - w) // 2) if centred else (0, 0)
    picture = np.full((height, width, *frame.shape[2:]), GRAY, np.uint8)
    picture[top : top + h, left : left + w] = cv2.resize(frame, (w, h), interpolation=cv2.INTER_LINEAR)
    # the scales of the rounded size, so that `unletterbox` is exact
    return picture, Letterbox(w / columns, h / rows, left, top)


def unletterbox(boxes: np.ndarray, fit: Letterbox) -> np.ndarray:
    """Converts boxes from px of the input to px of the frame.

    Args:
        boxes: [K, 4], x0, y0, x1, y1 in px of the input.
        fit: position of the frame in the input.

    Returns:
        float32 [K, 4] in px of the frame, not clipped to it.
    """
    offset = np.array([fit.left, fit.top] * 2, np.float32)
    return (boxes.astype(np.float32) - offset) / np.array([fit.scale_x, fit.scale_y] * 2, np.float32)


def fill(picture: np.ndarray, frame: np.ndarray, layout: Layout) -> Letterbox:
    """Writes a letterboxed frame to the input of a model, in the colour order and range of its training.

    Args:
        picture: float32 [3, height, width], the input; overwritten.
        frame: uint8 [H, W] or [H, W, 3] RGB.
        layout: of the export.

    Returns:
        Position of the frame in the input.
    """
    is_yolox = layout in ("yolox", "yolox_decoded")
    small, fit = letterbox(frame, *picture.shape[1:], centred=not is_yolox)
    planes = [small] * 3 if small.ndim == 2 else cv2.split(small)
    # YOLOX was trained on BGR in 0..255, YOLOv8 on RGB in 0..1
    for target, plane in zip(picture, reversed(planes) if is_yolox else planes, strict=True):
        np.multiply(plane, np.float32(1 if is_yolox else 1 / 255), out=target)
    return fit


@lru_cache
def anchors(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """All cells of an input, in the order of the output.

    Args:
        height: of the input, in px.
        width: of the input, in px.

    Returns:
        (column and row of each cell, float32 [N, 2]; its size in px, float32 [N, 1]).
    """
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def recognise(out: np.ndarray, height: int, width: int) -> list[Layout]:
    """Lists the layouts that an output may have.

    The layouts of YOLOX have the same shape. Undecoded outputs are offsets of a few cells; decoded outputs
    are centres that are at most a few cells away from the anchor. So the output is undecoded if it is closer
    to 0 than to the anchors. For YOLOX-nano the two distances differ by a factor of 30, on black, gray, noisy
    and real pictures alike.

    Args:
        out: the output for a picture, [rows, columns].
        height: of the input, in px.
        width: of the input, in px.
    """
    cells, strides = anchors(height, width)
    rows, columns = out.shape
    layouts: list[Layout] = []
    if rows == len(cells) and columns > 5:
        from_anchor, from_zero = np.abs(out[:, :2] / strides - cells), np.abs(out[:, :2])
        layouts.append("yolox_decoded" if np.median(from_anchor) < np.median(from_zero) else "yolox")
    if columns == len(cells) and 4 < rows < columns:
        layouts.append("yolov8")
    if columns == 6 and not layouts:
        layouts.append("end_to_end")
    return layouts


def count_classes(out: np.ndarray, layout: Layout, height: int, width: int) -> int | None:
    """Number of classes of an output.

    `yolov8` may have any number of anchors, since some exports have other levels.

    Args:
        out: the output for a picture, [rows, columns].
        layout: of the output.
        height: of the input, in px.
        width: of the input, in px.

    Returns:
        C; 0 if the shape does not tell it; None if the shape does not fit the layout.
    """
    rows, columns = out.shape
    if layout == "end_to_end":
        return 0 if columns == 6 else None
    if layout == "yolov8":
        return rows - 4 if 4 < rows < columns else None
    return columns - 5 if columns > 5 and rows == len(anchors(height, width)[0]) else None


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes before NMS.

    Attributes:
        boxes: float32 [n, 4], x0, y0, x1, y1 in px of the input.
        confidence: float32 [n], 0 to 1.
        classes: number of the most probable class, int [n].
        class_scores: float32 [n, C], probabilities without objectness.
    """

    boxes: np.ndarray
    confidence: np.ndarray
    classes: np.ndarray
    class_scores: np.ndarray

    def select(self, index: np.ndarray) -> "Candidates":
        """Selects candidates by a mask, bool [n], or by their numbers, int [m]."""
        return Candidates(
            self.boxes[index], self.confidence[index], self.classes[index], self.class_scores[index]
        )


def decode(
    out: np.ndarray, layout: Layout, height: int, width: int, confidence: float, count: int
) -> Candidates:
    """Reads the boxes above a confidence, each with its most probable class; drops boxes that are not finite.

    Args:
        out: the output for a picture, [rows, columns].
        layout: of the output.
        height: of the input, in px.
        width: of the input, in px.
        confidence: lower bound, exclusive.
        count: number of classes.
    """
    if layout == "end_to_end":
        rows = out[out[:, 4] > confidence]
        boxes, score, best = rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)
        scores = np.where(best[:, None] == np.arange(count), score[:, None], np.float32(0))
    else:
        centre, side, objectness, scores = (
            _rows_of_yolov8(out, confidence)
            if layout == "yolov8"
            else _rows_of_yolox(
                out, confidence, None if layout == "yolox_decoded" else anchors(height, width)
            )
        )
        boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
        best = scores.argmax(1)
        score = objectness * scores[np.arange(len(scores)), best]
    candidates = Candidates(boxes, score, best, scores)
    return candidates.select((score > confidence) & np.isfinite(boxes).all(1))


def _rows_of_yolov8(out: np.ndarray, confidence: float) -> tuple[np.ndarray, ...]:
    """(centre [n, 2], size [n, 2], objectness [n], class scores [n, C]) of candidates."""
    rows = out[:, out[4:].max(0) > confidence].T
    return rows[:, :2], rows[:, 2:4], np.ones(len(rows), np.float32), rows[:, 4:]


def _rows_of_yolox(
    out: np.ndarray, confidence: float, grid: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, ...]:
    """The same for YOLOX; `grid` is the result of `anchors` if the boxes are relative to them, else None."""
    # class probabilities are at most 1, so the confidence is at most the objectness
    kept = np.flatnonzero(out[:, 4] > confidence)
    rows = out[kept]
    centre, side = rows[:, :2], rows[:, 2:4]
    if grid is not None:
        cells, strides = grid[0][kept], grid[1][kept]
        with np.errstate(over="ignore"):  # infinite sizes of meaningless outputs, which `decode` drops
            centre, side = (centre + cells) * strides, np.exp(side) * strides
    return centre, side, rows[:, 4], rows[:, 5:]


def class_maps(out: np.ndarray, layout: Layout, height: int, width: int) -> list[np.ndarray] | None:
    """Class probabilities of all cells, without objectness.

    Args:
        out: the output for a picture, [rows, columns].
        layout: of the output.
        height: of the input, in px.
        width: of the input, in px.

    Returns:
        float32 [C, height / s, width / s] for each s of STRIDES; None if the layout has no class
        probabilities, or the levels of its anchors are not STRIDES.
    """
    axis = 1 if layout == "yolov8" else 0
    if layout == "end_to_end" or len(anchors(height, width)[0]) != out.shape[axis]:
        return None
    scores, maps = (out[4:] if layout == "yolov8" else out[:, 5:].T), []
    for stride in STRIDES:
        rows, columns = height // stride, width // stride
        maps.append(scores[:, : rows * columns].reshape(-1, rows, columns))
        scores = scores[:, rows * columns :]
    return maps


def nms(boxes: np.ndarray, confidence: np.ndarray, classes: np.ndarray, iou: float) -> np.ndarray:
    """Non-maximum suppression, separately for each class.

    Args:
        boxes: float32 [n, 4], x0, y0, x1, y1.
        confidence: float32 [n].
        classes: int [n].
        iou: a box whose IoU with a more confident box of the same class is higher is dropped.

    Returns:
        Numbers of the boxes that are kept, the most confident first, int64 [k].
    """
    if not len(boxes):
        return np.zeros(0, np.int64)
    # OpenCV separates classes by shifting their boxes, which requires coordinates of at least 0
    shifted = boxes.astype(np.float64) - boxes.min()
    shifted[:, 2:] -= shifted[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(shifted.tolist(), confidence.tolist(), classes.tolist(), 0.0, iou)
    return np.array(list(kept), np.int64)
