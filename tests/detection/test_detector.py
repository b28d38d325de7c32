"""vad.detection.detector and yolo against plain Python, on tiny ONNX files made here, and on real weights."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from vad import UserError
from vad.detection import yolo
from vad.detection.detector import Detections, Detector, check
from vad.detection.detector_params import DetectorParams

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[3] / "shared" / "data"))
NANO, CLIP = DATA / "weights" / "yolox_nano.onnx", DATA / "samples" / "one-by-one-person-detection.mp4"
KEY = "preprocess.person_crop.onnx"
NAMES = "{0: 'person', 1: 'bicycle', 2: 'car'}"
H, W = 64, 96  # of the tiny exports
CELLS = [(x, y, s) for s in (8, 16, 32) for y in range(H // s) for x in range(W // s)]  # the anchors
N = len(CELLS)


def params(**changed) -> DetectorParams:
    given = {"weights": None, "sha256": None, "layout": "auto", "classes": [], "confidence": 0.25}
    return DetectorParams(**(given | {"nms_iou": 0.5, "every_n": 1, "batch_size": 4} | changed))


def export(
    path: Path,
    base: np.ndarray,
    tint: np.ndarray | None = None,
    *,
    shape: list[int | str] = ["batch", 3, H, W],  # noqa: B006
    inside: int = 0,
    kind: int = TensorProto.FLOAT,
    meta: dict[str, str] | None = None,
) -> Path:
    """An ONNX file: output [b, *base.shape] = base + mean of each input channel * tint [3, *base.shape].

    `inside` is the batch that the graph itself insists on, 0 for any.
    """
    tint = np.zeros((3, *base.shape)) if tint is None else tint
    constants = {
        "tint": tint.reshape(len(tint), -1).astype(np.float32),
        "base": base.reshape(1, -1).astype(np.float32),
        "shape": np.array([inside, *base.shape], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["means"], axes=list(range(2, len(shape))), keepdims=0),
        helper.make_node("MatMul", ["means", "tint"], ["tinted"]),
        helper.make_node("Add", ["tinted", "base"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return save(path, helper.make_model(graph), meta)


def save(path: Path, model: onnx.ModelProto, meta: dict[str, str] | None = None) -> Path:
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, meta or {})
    onnx.save(model, path)
    return path


def raw(seed: int = 0, classes: int = 3, confident: int = 12) -> np.ndarray:
    """Output of a YOLOX head, [N, 5 + classes] float32; `confident` anchors are confident."""
    rng = np.random.default_rng(seed)
    out = rng.uniform(0, 0.2, (N, 5 + classes)).astype(np.float32)
    out[:, :2] = rng.normal(0.5, 1, (N, 2))
    out[:, 2:4] = rng.uniform(0, 1.5, (N, 2))
    for i in rng.choice(N, confident, replace=False):
        out[i, 4] = rng.uniform(0.5, 1)
        out[i, 5 + rng.integers(classes)] = rng.uniform(0.3, 1)
    return out


def decoded(out: np.ndarray) -> np.ndarray:
    """The same with centres and sizes in px of the input."""
    out = out.astype(np.float64)
    for row, (x, y, s) in zip(out, CELLS, strict=True):
        row[:4] = (row[0] + x) * s, (row[1] + y) * s, np.exp(row[2]) * s, np.exp(row[3]) * s
    return out.astype(np.float32)


def as_yolov8(out: np.ndarray) -> np.ndarray:
    """What YOLOv8 would give for the same boxes: [4 + C, N], objectness within the class scores."""
    return np.concatenate([decoded(out)[:, :4], out[:, 4:5] * out[:, 5:]], axis=1).T


def overlap(a, b) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def plain_nms(boxes, scores, classes, iou) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(classes[i] != classes[j] or overlap(boxes[i], boxes[j]) <= iou for j in kept):
            kept.append(i)
    return kept


def plain(out, frame, *, centred=False, confidence=0.25, iou=0.5) -> list[tuple]:
    """(box in frame px, confidence, class, class scores) from [N, 5 + C] with centres and sizes in px."""
    height, width = frame
    scale = min(H / height, W / width)
    h, w = round(height * scale), round(width * scale)
    left, top = ((W - w) // 2, (H - h) // 2) if centred else (0, 0)
    boxes, scores, classes, all_scores = [], [], [], []
    for cx, cy, bw, bh, objectness, *probabilities in out.astype(np.float64):
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        if objectness * probabilities[best] > confidence:
            boxes.append((cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2))
            scores.append(objectness * probabilities[best])
            classes.append(best)
            all_scores.append(probabilities)
    kept = []
    for i in plain_nms(boxes, scores, classes, iou):
        x0, x1 = (min(max((x - left) * width / w, 0), width) for x in boxes[i][0::2])
        y0, y1 = (min(max((y - top) * height / h, 0), height) for y in boxes[i][1::2])
        if x1 > x0 and y1 > y0:
            kept.append(((x0, y0, x1, y1), scores[i], classes[i], all_scores[i]))
    return kept


def same(detections: Detections, expected: list[tuple]) -> None:
    assert len(expected) == len(detections.boxes)
    for i, (box, score, number, scores) in enumerate(expected):
        assert detections.boxes[i] == pytest.approx(box, abs=1e-3)
        assert detections.confidence[i] == pytest.approx(score, rel=1e-5)
        assert detections.classes[i] == number
        assert detections.class_scores[i] == pytest.approx(scores, rel=1e-5)
    for array in (detections.boxes, detections.confidence, detections.class_scores):
        assert array.dtype == np.float32
    assert detections.boxes.shape == (len(expected), 4)
    assert detections.classes.dtype == np.int32


def blank(height: int = 50, width: int = 120, value: int = 0) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


# decoding


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [(50, 120), (120, 50), (H, W), (240, 360)])
def test_layouts_against_plain_python(tmp_path, seed, size):
    out = raw(seed)
    exports = {"yolox": out, "yolox_decoded": decoded(out), "yolov8": as_yolov8(out)}
    for layout, base in exports.items():
        detector = Detector(export(tmp_path / "a.onnx", base), params(), threads=1)
        assert (detector.layout, detector.height, detector.width) == (layout, H, W)
        assert detector.names == ("0", "1", "2")
        (one,) = detector.detect([blank(*size)])
        rows = base.T if layout == "yolov8" else decoded(out)
        if layout == "yolov8":
            rows = np.insert(rows, 4, 1, axis=1)
        expected = plain(rows, size, centred=layout == "yolov8")
        assert expected
        same(one, expected)
        assert [one.shape for one in one.class_maps] == [(3, H // s, W // s) for s in yolo.STRIDES]
        for i, (x, y, stride) in enumerate(CELLS):
            level = one.class_maps[yolo.STRIDES.index(stride)]
            assert (level[:, y, x] == rows[i, 5:].astype(np.float32)).all()


def test_end_to_end(tmp_path):
    rows = [(2, 4, 20, 30, 0.5, 1), (2, 4, 20, 31, 0.9, 1), (-5, -5, 9, 9, 0.3, 0), (0, 0, 9, 9, 0.1, 0)]
    path = export(tmp_path / "a.onnx", np.array([*rows, *[(0,) * 6] * 4]), meta={"names": NAMES})
    detector = Detector(path, params(confidence=0.2), threads=1)
    assert detector.layout == "end_to_end"
    assert detector.names == ("person", "bicycle", "car")
    (one,) = detector.detect([blank(H // 2, W // 2)])
    assert one.boxes.tolist() == [[1, 2, 10, 15.5], [1, 2, 10, 15], [0, 0, 4.5, 4.5]]
    assert one.confidence.tolist() == np.array([0.9, 0.5, 0.3], np.float32).tolist()
    assert one.classes.tolist() == [1, 1, 0]
    assert one.class_scores.argmax(1).tolist() == [1, 1, 0]
    assert one.class_scores.max(1).tolist() == one.confidence.tolist()
    assert one.class_maps is None
    with pytest.raises(UserError, match="without NMS"):
        one.class_scores_in((0, 0, 5, 5))
    (tall,) = detector.detect([blank(2 * H, W)])  # lies in the middle, from W / 4 on
    assert tall.boxes.tolist() == []
    path = export(tmp_path / "b.onnx", np.array([(W / 4 + 3, 2, W / 4 + 9, 8, 0.5, 1)] * 2))
    (tall,) = Detector(path, params(), threads=1).detect([blank(2 * H, W)])
    assert tall.boxes.tolist() == [[6, 4, 18, 16]] * 2


def test_classes_without_names_end_to_end(tmp_path):
    path = export(tmp_path / "a.onnx", np.array([(0, 0, 50, 50, 0.5, 7), (0, 0, 50, 50, 0.6, 2)]))
    detector = Detector(path, params(classes=[7]), threads=1)
    (one,) = detector.detect([blank()])
    assert one.classes.tolist() == [7]
    assert one.class_scores.shape == (1, 0)
    with pytest.raises(UserError, match="give their numbers"):
        check(path, params(classes=["person"]))


@given(st.integers(0, 10**6))
def test_raw_and_decoded_outputs_of_yolox_are_distinguished(seed):
    out = raw(seed % 1000)
    out[:, :2] = np.random.default_rng(seed).normal(0.5, 1.5, (N, 2))
    assert yolo.recognise(out, H, W) == ["yolox"]
    assert yolo.recognise(decoded(out), H, W) == ["yolox_decoded"]


boxes_of_one_size = st.tuples(*[st.integers(-40, 40)] * 2, *[st.integers(1, 40)] * 2)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(boxes_of_one_size, st.integers(1, 100), st.integers(0, 2)), max_size=25),
    st.sampled_from([0.1**0.5, 0.2**0.5, 0.5**0.5]),  # no overlap of whole numbers is just this
)
def test_nms_against_plain_python(candidates, iou):
    boxes = np.array([(x, y, x + w, y + h) for (x, y, w, h), _, _ in candidates], np.float32).reshape(-1, 4)
    scores = np.array([score / 100 for _, score, _ in candidates], np.float32)
    classes = np.array([number for _, _, number in candidates], np.int64)
    assert yolo.nms(boxes, scores, classes, iou).tolist() == plain_nms(boxes.tolist(), scores, classes, iou)


def test_nms_on_chosen_boxes():
    boxes = np.array([(0, 0, 10, 10), (0, 0, 10, 9), (0, 0, 10, 4), (0, 0, 10, 10)], np.float32)
    scores = np.array([0.5, 0.9, 0.7, 0.4], np.float32)
    assert yolo.nms(boxes, scores, np.array([0, 0, 0, 1]), 0.5).tolist() == [1, 2, 3]
    # beyond the frame's edge: what shifts a class must not shift it onto another
    boxes = np.array([(0, 0, 10, 10), (-11, -11, -1, -1)], np.float32)
    assert yolo.nms(boxes, scores[:2], np.array([0, 1]), 0.5).tolist() == [1, 0]


def test_invalid_boxes_are_dropped(tmp_path):
    out = np.zeros((N, 8), np.float32)
    out[:, 4:6] = 0.9  # class 0 everywhere, each in a box apart
    out[:, 2:4] = -3
    out[0, 0], out[1, 2] = np.nan, np.inf
    out[2, 2:4] = 200  # exp() of it is infinite
    out[3, 5] = np.nan
    out[4, :2] = -5  # beside the frame
    (one,) = Detector(export(tmp_path / "a.onnx", out, shape=[1, 3, H, W]), params(), threads=1).detect(
        [blank(H, W)]
    )
    assert np.isfinite(one.boxes).all()
    assert (one.boxes[:, :2] >= 0).all()
    assert (one.boxes[:, :2] < one.boxes[:, 2:]).all()
    assert (one.boxes[:, 2:] <= (W, H)).all()
    assert len(one.boxes) == N - 5


def test_without_detections_the_arrays_are_empty(tmp_path):
    (one,) = Detector(export(tmp_path / "a.onnx", raw() * 0), params(confidence=0), threads=1).detect(
        [blank()]
    )
    same(one, [])
    assert one.class_scores.shape == (0, 3)


# pictures

sides = st.integers(2, 400)


@given(sides, sides, st.integers(1, 20), st.integers(1, 20), st.booleans(), st.data())
def test_letterbox_round_trip(height, width, rows, columns, centred, data):
    frame = np.zeros((height, width), np.uint8)
    out, fit = yolo.letterbox(frame, 32 * rows, 32 * columns, centred=centred)
    assert out.shape == (32 * rows, 32 * columns)
    x0, x1 = sorted(data.draw(st.tuples(*[st.integers(0, width)] * 2)))
    y0, y1 = sorted(data.draw(st.tuples(*[st.integers(0, height)] * 2)))
    box = np.array([[x0, y0, x1, y1]], np.float64)
    inside = box * np.array([fit.scale_x, fit.scale_y] * 2) + np.array([fit.left, fit.top] * 2)
    assert (inside >= 0).all()
    assert (inside <= np.array([32 * columns, 32 * rows] * 2) + 1e-6).all()
    assert yolo.unletterbox(inside, fit) == pytest.approx(box, abs=1e-2)
    # all of the frame is in it, and nothing but gray around
    inside = np.argwhere(out != yolo.GRAY)
    corners = [[*inside.min(0)[::-1], *(inside.max(0)[::-1] + 1)]]
    assert yolo.unletterbox(np.array(corners), fit)[0] == pytest.approx([0, 0, width, height], abs=1e-2)
    shown = inside.max(0) + 1 - inside.min(0)
    if not centred:
        assert inside.min(0).tolist() == [0, 0]
    else:
        rest = np.array(out.shape) - inside.max(0) - 1 - inside.min(0)
        assert (np.abs(rest) <= 1).all()
    assert (shown == out.shape).any()
    assert abs(shown[0] / height - shown[1] / width) <= 0.5 / min(height, width) + 1e-9 or min(shown) == 1


def test_unletterbox_returns_where_letterboxed_things_were():
    frame = np.zeros((90, 210, 3), np.uint8)
    frame[30:60, 70:140] = 255
    for centred in (False, True):
        out, fit = yolo.letterbox(frame, 416, 320, centred=centred)
        out[(out == yolo.GRAY).all(-1)] = 0
        inside = np.argwhere(out[..., 0] > 127)
        box = np.array([[*inside.min(0)[::-1], *(inside.max(0)[::-1] + 1)]])
        assert yolo.unletterbox(box, fit)[0] == pytest.approx([70, 30, 140, 60], abs=0.4)


@pytest.mark.parametrize("color", range(3))
@pytest.mark.parametrize("layout", ["yolox", "yolov8"])
def test_order_and_range_of_colors(tmp_path, layout, color):
    """The score of class i is the mean of input channel i, so the detected class is the brightest channel."""
    yolox = layout == "yolox"
    tint = np.zeros((3, N, 8))
    for channel in range(3):
        tint[channel, 20, 5 + channel] = 1 / 255 if yolox else 1
    base = np.zeros((N, 8))
    base[20, 4] = 1
    if not yolox:
        base, tint = np.delete(base, 4, 1).T, np.delete(tint, 4, 2).transpose(0, 2, 1)
        base[2:4] = 10
    detector = Detector(export(tmp_path / "a.onnx", base, tint), params(), threads=1)
    frame = np.zeros((H, W, 3), np.uint8)
    frame[..., color] = 204
    (one,) = detector.detect([frame])
    assert one.classes.tolist() == [2 - color if yolox else color]
    assert one.class_scores[0].max() == pytest.approx(0.8, rel=1e-4)
    gray, tripled = detector.detect([blank(H, W, 204), np.full((H, W, 3), 204, np.uint8)])
    assert gray.class_scores.tolist() == tripled.class_scores.tolist()
    assert gray.class_scores[0] == pytest.approx([0.8] * 3, rel=1e-4)


# the map of classes


@given(st.integers(20, 300), st.integers(20, 300), st.booleans(), st.data())
def test_class_scores_in_any_box(height, width, centred, data):
    h, w = 320, 416  # large enough for all sizes of cells to be asked
    _, fit = yolo.letterbox(np.zeros((height, width), np.uint8), h, w, centred=centred)
    rng = np.random.default_rng(0)
    maps = [rng.random((4, h // size, w // size)).astype(np.float32) for size in yolo.STRIDES]
    x0, x1 = sorted(data.draw(st.tuples(*[st.integers(-5, width + 5)] * 2)))
    y0, y1 = sorted(data.draw(st.tuples(*[st.integers(-5, height + 5)] * 2)))
    assume(x0 < x1 and y0 < y1)
    empty = np.zeros((0, 4), np.float32)
    detections = Detections(empty, empty[:, 0], empty[:, 0], empty, maps, fit)

    def chosen(start: int, end: int, size: int, count: int, scale: float, offset: int) -> list[int]:
        centres = [((i + 0.5) * size - offset) / scale for i in range(count)]
        assume(all(abs(centre - edge) > 1e-6 for centre in centres for edge in (start, end)))
        inside = [i for i, centre in enumerate(centres) if start <= centre < end]
        order = sorted(range(count), key=lambda i: abs(centres[i] - (start + end) / 2))
        if len(order) > 1:
            first, second = (abs(centres[i] - (start + end) / 2) for i in order[:2])
            assume(inside or second - first > 1e-6)
        return inside or order[:1]

    longer = max((x1 - x0) * fit.scale_x, (y1 - y0) * fit.scale_y)
    assume(all(abs(longer - edge) > 1e-6 for edge in (128, 256)))
    level = 0 if longer < 128 else 1 if longer < 256 else 2
    size = yolo.STRIDES[level]
    x = chosen(x0, x1, size, w // size, fit.scale_x, fit.left)
    y = chosen(y0, y1, size, h // size, fit.scale_y, fit.top)
    expected = maps[level][:, y][:, :, x].max((1, 2))
    assert detections.class_scores_in((x0, y0, x1, y1)).tolist() == expected.tolist()


# batches


@pytest.mark.parametrize(
    ("shape", "size", "batch"),
    [("batch", 4, 4), ("batch", 1, 1), ("batch", 3, 3), (1, 4, 1), (2, 1, 2), (4, 2, 4)],
)
def test_batches(tmp_path, shape, size, batch):
    tint = np.zeros((3, N, 8))
    tint[0, :, 0] = 0.05  # boxes move with the brightness
    path = export(tmp_path / "a.onnx", raw(), tint, shape=[shape, 3, H, W])
    detector = Detector(path, params(batch_size=size), threads=1)
    assert detector.batch == batch
    frames = np.stack([blank(50, 120, i * 15) for i in range(7)])
    singly = [Detector(path, params(batch_size=1), threads=1).detect([frame])[0] for frame in frames]
    together = detector.detect(frames)
    assert len(together) == 7
    for one, other in zip(singly, together, strict=True):
        assert one.boxes == pytest.approx(other.boxes)
        assert one.classes.tolist() == other.classes.tolist()
    assert len({one.boxes.tobytes() for one in together}) == 7
    again = detector.detect(list(frames))
    assert [a.boxes.tobytes() for a in again] == [b.boxes.tobytes() for b in together]
    assert detector.detect([]) == []


def test_a_falsely_declared_dynamic_batch_is_run_picture_by_picture(tmp_path):
    path = export(tmp_path / "a.onnx", raw(), inside=1)
    detector = Detector(path, params(), threads=1)
    assert detector.batch == 1
    assert len(detector.detect([blank()] * 3)) == 3


def test_frames_of_a_memory_map_and_of_several_sizes(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([blank()] * 6))
    frames = np.load(tmp_path / "a.npy", mmap_mode="r")
    detector = Detector(export(tmp_path / "a.onnx", raw()), params(), threads=1)
    assert len(detector.detect(frames[::2])) == 3
    small, large = detector.detect([blank(25, 60), blank(50, 120)])
    assert small.boxes * 2 == pytest.approx(large.boxes, abs=0.7 * 2)


# sizes and names


def test_the_input_size_may_be_in_the_metadata_only(tmp_path):
    path = export(tmp_path / "a.onnx", raw(), shape=["b", 3, "h", "w"], meta={"imgsz": f"[{H}, {W}]"})
    detector = Detector(path, params(), threads=1)
    assert (detector.height, detector.width, detector.layout) == (H, W, "yolox")
    with pytest.raises(UserError, match="640x640"):
        check(export(tmp_path / "b.onnx", raw(), shape=["b", 3, "h", "w"]), params())


@pytest.mark.parametrize("names", [NAMES, "['person', 'bicycle', 'car']", '{"0": "person", "1": "bicycle"}'])
def test_names_from_metadata(tmp_path, names):
    path = export(tmp_path / "a.onnx", as_yolov8(raw()), meta={"names": names, "task": "detect", "x": "a b"})
    assert Detector(path, params(), threads=1).names[:2] == ("person", "bicycle")


def test_names_of_coco(tmp_path):
    detector = Detector(export(tmp_path / "a.onnx", raw(classes=80)), params(), threads=1)
    assert len(detector.names) == 80
    assert [detector.names[i] for i in (0, 1, 16, 59, 79)] == [
        "person",
        "bicycle",
        "dog",
        "bed",
        "toothbrush",
    ]


def test_class_filter(tmp_path):
    path = export(tmp_path / "a.onnx", raw(), meta={"names": NAMES})
    (every,) = Detector(path, params(), threads=1).detect([blank()])
    assert set(every.classes) == {0, 1, 2}
    for wanted, numbers in ((["bicycle"], [1]), ([2, "person"], [0, 2]), ([1, "bicycle"], [1])):
        (some,) = Detector(path, params(classes=wanted), threads=1).detect([blank()])
        kept = np.isin(every.classes, numbers)
        assert some.boxes.tolist() == every.boxes[kept].tolist()
        assert some.class_scores.tolist() == every.class_scores[kept].tolist()
        assert all((a == b).all() for a, b in zip(some.class_maps, every.class_maps, strict=True))


@pytest.mark.parametrize("wanted", ["persom", 3, -1, "Person"])
def test_an_unknown_class_is_refused(tmp_path, wanted):
    path = export(tmp_path / "a.onnx", raw(), meta={"names": NAMES})
    with pytest.raises(UserError) as error:
        check(path, params(classes=["car", wanted]))
    for part in (f"{KEY}.classes", repr(wanted), "person, bicycle, car", str(path)):
        assert part in str(error.value)
    if wanted == "persom":
        assert "did you mean 'person'?" in str(error.value)


# files that are none


def two_outputs(path: Path) -> Path:
    model = onnx.load(export(path, raw()))
    model.graph.node.append(helper.make_node("Identity", ["output"], ["protos"]))
    model.graph.output.append(helper.make_tensor_value_info("protos", TensorProto.FLOAT, None))
    return save(path, model)


WRONG = {
    "two outputs": (two_outputs, "one output"),
    "bytes": (lambda p: export(p, raw(), kind=TensorProto.UINT8), "float32"),
    "gray": (lambda p: export(p, raw(), np.zeros((1, N, 8)), shape=["b", 1, H, W]), "3, height, width"),
    "flat": (lambda p: export(p, raw(), shape=["b", 3, H]), "3, height, width"),
    "anchors of YOLOv5": (lambda p: export(p, np.zeros((3 * N, 85))), f"[{3 * N}, 85]"),
    "four columns": (lambda p: export(p, np.zeros((N, 4))), f"[{N}, 4]"),
    "pose": (lambda p: export(p, as_yolov8(raw()), meta={"task": "pose"}), "task 'pose'"),
    "another batch": (lambda p: export(p, raw(), shape=[2, 3, H, W], inside=1), "Reshape"),
}


@pytest.mark.parametrize("name", WRONG)
def test_unsupported_exports_are_refused(tmp_path, name):
    make, said = WRONG[name]
    path = make(tmp_path / "a.onnx")
    with pytest.raises(UserError) as error:
        check(path, params())
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in (said, "input images tensor(", "output output tensor(float)"):
        assert part in message


def test_yolox_stated_as_yolov8_does_not_fit(tmp_path):
    with pytest.raises(UserError, match="not yolov8, as"):
        check(export(tmp_path / "a.onnx", raw()), params(layout="yolov8"))


@pytest.mark.parametrize("layout", ["yolox", "yolox_decoded", "end_to_end"])
def test_a_stated_layout_that_does_not_fit_is_refused(tmp_path, layout):
    with pytest.raises(UserError, match=f"not {layout}, as"):
        check(export(tmp_path / "a.onnx", as_yolov8(raw())), params(layout=layout))


def test_stated_yolov8_with_other_anchors_has_no_map(tmp_path):
    path = export(tmp_path / "a.onnx", np.concatenate([as_yolov8(raw())] * 2, axis=1))
    (one,) = Detector(path, params(layout="yolov8"), threads=1).detect([blank()])
    assert len(one.boxes)
    assert one.class_maps is None


@pytest.mark.parametrize("kept", [0, 1, 100, -50, "text", "lfs", "missing"])
def test_a_broken_file_is_refused(tmp_path, capfd, kept):
    path = export(tmp_path / "a.onnx", raw())
    if kept == "missing":
        path.unlink()
    elif kept in ("text", "lfs"):
        path.write_text("version https://git-lfs.github.com/spec/v1\n" if kept == "lfs" else "hello\n")
    else:
        path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError) as error:
        check(path, params())
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert not capfd.readouterr().err


def test_onnxruntime_is_imported_only_when_needed():
    code = "import sys, vad.detection.detector; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


# real weights

needs_weights = pytest.mark.skipif(
    not NANO.is_file(), reason=f"{NANO} is not there; set VAD_DATASETS to the folder with weights/"
)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A frame with one person in it, RGB."""
    if not CLIP.is_file():
        pytest.skip(f"{CLIP} is not there; set VAD_DATASETS to the folder with samples/")
    video = cv2.VideoCapture(str(CLIP))
    video.set(cv2.CAP_PROP_POS_FRAMES, 300)
    return video.read()[1][..., ::-1]


@pytest.mark.datasets
@needs_weights
def test_a_person_is_detected(picture):
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    detector = Detector(NANO, params(classes=["person"], batch_size=2), threads=1)
    assert (detector.layout, detector.batch, detector.names) == ("yolox", 1, yolo.COCO)
    for one in detector.detect([picture, gray]):
        assert one.confidence[0] > 0.6
        assert one.boxes[0] == pytest.approx([383, 5, 543, 380], abs=16)  # read off the picture
        assert one.class_scores[0].argmax() == 0
        assert one.class_scores_in(one.boxes[0])[0] > one.class_scores_in((0, 200, 200, 432))[0]


@pytest.mark.datasets
@needs_weights
def test_results_do_not_depend_on_the_number_of_threads(picture):
    results = [Detector(NANO, params(), threads=threads).detect([picture])[0] for threads in (1, 2)]
    assert [m.tobytes() for m in results[0].class_maps] == [m.tobytes() for m in results[1].class_maps]
    assert results[0].boxes.tobytes() == results[1].boxes.tobytes()


@pytest.mark.datasets
@needs_weights
def test_decoded_export_of_real_weights(picture, tmp_path):
    model = onnx.load(NANO)
    cells, strides = yolo.anchors(416, 416)
    old, parts = model.graph.output[0].name, {"split": np.array([2, 2, 81])}
    for name, array in (parts | {"cells": cells[None], "strides": strides[None]}).items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    model.graph.node.extend(
        [
            helper.make_node("Split", [old, "split"], ["xy", "wh", "rest"], axis=2),
            helper.make_node("Add", ["xy", "cells"], ["placed"]),
            helper.make_node("Mul", ["placed", "strides"], ["centre"]),
            helper.make_node("Exp", ["wh"], ["cell_wh"]),
            helper.make_node("Mul", ["cell_wh", "strides"], ["side"]),
            helper.make_node("Concat", ["centre", "side", "rest"], ["decoded"], axis=2),
        ]
    )
    model.graph.output[0].name = "decoded"
    model.opset_import[0].version = 13
    onnx.save(model, tmp_path / "decoded.onnx")
    detector = Detector(tmp_path / "decoded.onnx", params(), threads=1)
    assert detector.layout == "yolox_decoded"
    (one,), (other,) = detector.detect([picture]), Detector(NANO, params(), threads=1).detect([picture])
    assert one.boxes == pytest.approx(other.boxes, abs=1e-2)
    assert one.classes.tolist() == other.classes.tolist()
