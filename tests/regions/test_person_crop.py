"""person_crop: boxes of motion and of a detector, their union, tracks and class scores."""

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.detection.frames import FPS, items
from tests.detection.test_detector import N, export
from tests.regions.clips import store
from vad import UserError, boxes
from vad.detection.foreground_params import ForegroundParams
from vad.flow.compute import compute_flow
from vad.flow.dis import Dis
from vad.flow.none import NoFlow
from vad.pipeline import params
from vad.regions.compute import compute_regions
from vad.regions.person_crop import PersonCrop
from vad.regions.table import COLUMNS
from vad.store import arrays, cards, tables
from vad.stream import Frame, results

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[3] / "shared" / "data"))
NANO = DATA / "weights/yolox_nano.onnx"
NANO_SHA256 = "e8af074932d4ed7e232278e3055cefcdea3edf178874a3694ae292649fb464dd"
HEIGHT, WIDTH = 96, 160
SHIPPED = params.read(Path(__file__).parents[2] / "params.yaml")["preprocess"]["person_crop"]


def how(**changes) -> PersonCrop.Params:
    """The parameters as shipped, but exact boxes from the first frame on.

    `motion__source="flow"` changes a nested one.
    """
    raw = {key: dict(value) if isinstance(value, dict) else value for key, value in SHIPPED.items()}
    raw |= {"margin": 0.0, "crop": "box", "detectors": ["motion"], "keep_unconfirmed": True}
    raw["motion"] |= {"source": "difference", "split": 0.0}
    for key, value in changes.items():
        section, _, name = key.rpartition("__")
        (raw[section] if section else raw)[name or key] = value
    return PersonCrop.Params(**raw)


def mode(p: PersonCrop.Params) -> PersonCrop:
    return PersonCrop(p, ForegroundParams())


def texture(height: int, width: int, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(128, 60, (height, width))
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 1.5) * 3 - 256, 0, 255).astype(np.uint8)


def walk(length: int = 30, speed: int = 3, size: tuple[int, int] = (40, 20), at: int = 30) -> np.ndarray:
    """A textured thing crosses a still frame; its left edge is at column `speed * t + 8` in frame t."""
    height, width = size
    video = np.repeat(texture(HEIGHT, WIDTH, seed=2)[None] // 3 + 60, length, axis=0)
    for t in range(length):
        x = speed * t + 8
        video[t, at : at + height, x : x + width] = texture(height, width)[:, : max(WIDTH - x, 0)]
    return video


def truth(t: int, speed: int = 3) -> np.ndarray:
    return np.array([[speed * t + 8, 30, speed * t + 28, 70]])


def run(folder: Path, video: np.ndarray, p: PersonCrop.Params, method: str = "none"):
    """(table of regions, card) of a clip."""
    stem = folder / "regions/clip"
    store(folder / "frames", video)
    flow_class = {"dis": Dis, "none": NoFlow}[method]
    compute_flow(folder / "flow", folder / "frames", flow_class(flow_class.Params()), threads=1)
    crops = mode(p)
    crops.prepare(folder / "cache")
    compute_regions(stem, folder / "frames", folder / "flow", crops, threads=1)
    return tables.read_table(stem), cards.read_card(stem)


def detecting(folder: Path, *detected: tuple[float, float, float, float]) -> dict:
    """Parameters of a detector that detects these boxes in every frame, whatever it shows (class `car`)."""
    out = np.zeros((7, N), np.float32)
    for i, (x0, y0, x1, y1) in enumerate(detected):
        # its input is 64x96 with the frame of 96x160 in the middle, so scaled by 0.6
        centre = [(x0 + x1) / 2 * 0.6, (y0 + y1) / 2 * 0.6 + (64 - 57.6) / 2]
        out[:, i] = *centre, (x1 - x0) * 0.6, (y1 - y0) * 0.6, 0.1, 0.05, 0.9
    path = export(folder / "tiny.onnx", out, meta={"names": "{0: 'person', 1: 'bicycle', 2: 'car'}"})
    return {
        "onnx__weights": str(path),
        "onnx__sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "onnx__classes": [],
        "onnx__layout": "yolov8",
    }


@pytest.mark.parametrize("source", ["difference", "flow", "foreground"])
def test_a_walker_has_a_box_and_a_track(tmp_path, source):
    method = "dis" if source == "flow" else "none"
    table, card = run(tmp_path, walk(), how(motion__source=source), method)
    for t in range(2, 30):
        now = table[table["frame"] == t]
        overlap = boxes.iou(truth(t), now[["x0", "y0", "x1", "y1"]].to_numpy())
        assert overlap.max() > (0.4 if source == "flow" else 0.5), f"frame {t}"
    assert set(table["source"]) == {"motion"}
    assert (table["confidence"] == 1).all()
    tracked = table[table["track"] >= 0]
    assert tracked["track"].value_counts(normalize=True).iloc[0] > 0.9, "one track"
    assert 0 < card["foreground"] < 0.3
    assert table.dtypes.astype(str).to_dict() == {**COLUMNS}


def test_a_plain_clip_has_no_boxes(tmp_path):
    table, card = run(tmp_path, np.full((20, HEIGHT, WIDTH), 90, np.uint8), how())
    assert len(table) == card["regions"] == card["foreground"] == 0
    assert table.dtypes.astype(str).to_dict() == {**COLUMNS}


def test_motion_adds_what_the_detector_misses(tmp_path):
    still = (110.0, 20.0, 140.0, 80.0)
    p = how(detectors=["onnx", "motion"], **detecting(tmp_path, still))
    table, card = run(tmp_path, walk(), p)
    for t in range(2, 30):
        now = table[table["frame"] == t]
        detected = now[now["source"] == "detector"]
        assert boxes.iou(np.array([still]), detected[["x0", "y0", "x1", "y1"]].to_numpy())[0, 0] > 0.9
        moving = now[now["source"] == "motion"][["x0", "y0", "x1", "y1"]].to_numpy()
        if truth(t)[0, 2] < 105:  # still apart
            assert boxes.iou(truth(t), moving).max() > 0.5, f"frame {t}"
        assert (boxes.intersection(moving, np.array([still])) == 0).all(), (
            "motion inside detections makes no box"
        )
    classes, about = arrays.open_array(tmp_path / "regions/clip.classes")
    assert about["classes"] == ["person", "bicycle", "car"]
    assert classes.shape == (len(table), 3)
    assert classes.dtype == np.float16
    assert about["hash"] != card["hash"]


def test_a_picture_has_all_boxes_of_the_detector_and_no_tracks(tmp_path):
    still, small = (110.0, 20.0, 140.0, 80.0), (20.0, 30.0, 40.0, 70.0)
    p = how(detectors=["motion", "onnx"], onnx__every_n=4, **detecting(tmp_path, still, small))
    crops = mode(p)
    crops.prepare(tmp_path / "cache")
    pictures = crops.for_pictures()
    for frame in walk()[[5, 6, 29]]:  # each by itself, with the same detector
        (regions,) = pictures.processor(96, 160, 1.0).results([(Frame(0, 0.0, frame), None)])
        assert boxes.iou(np.array([still, small]), regions.boxes).max(1).min() > 0.9
        assert regions.sources.tolist() == ["detector", "detector"]
        assert regions.tracks.tolist() == [-1, -1]
        assert regions.class_scores.shape == (2, 3)


def test_a_detector_run_on_every_nth_frame_gives_boxes_in_all_frames(tmp_path):
    still = (110.0, 20.0, 140.0, 80.0)
    every, _ = run(tmp_path / "1", walk(), how(detectors=["onnx"], **detecting(tmp_path, still)))
    p = how(detectors=["onnx"], onnx__every_n=4, **detecting(tmp_path, still))
    four, card = run(tmp_path / "4", walk(), p)
    assert every["frame"].tolist() == four["frame"].tolist() == list(range(30))
    sides = ["x0", "y0", "x1", "y1"]
    assert np.abs(every[sides].to_numpy() - four[sides].to_numpy()).max() <= 1
    assert len(set(four["track"]) - {-1}) == 1
    assert "foreground" not in card


@pytest.mark.parametrize(("steps", "kept"), [(1, True), (11, True), (12, False), (10**9, False)])
def test_a_gap_in_time_ends_tracks(tmp_path, steps, kept):
    """With a gap of 10 frames, what was there 12 frames ago may be something else, though it is there."""
    p = how(detectors=["onnx"], track={"max_gap": 10 / FPS}, **detecting(tmp_path, (70.0, 20.0, 100.0, 80.0)))
    crops = mode(p)
    crops.prepare(tmp_path / "cache")
    frames = [frame._replace(steps=steps) if t == 5 else frame for t, frame in enumerate(items(walk(9)))]
    regions = list(results(crops.processor(HEIGHT, WIDTH, FPS), ((frame, None) for frame in frames)))
    assert [int(of_frame.tracks[0]) for of_frame in regions[1:5]] == [0] * 4
    assert regions[-1].tracks.tolist() == ([0] if kept else [1])


def test_a_thing_detected_as_two_classes_is_a_single_region(tmp_path):
    twice = (110.0, 20.0, 140.0, 80.0), (111.0, 20.0, 141.0, 81.0)
    table, _ = run(
        tmp_path, walk(5), how(detectors=["onnx"], onnx__nms_iou=1.0, **detecting(tmp_path, *twice))
    )
    assert table["frame"].tolist() == list(range(5))


@pytest.mark.parametrize(
    ("changes", "sides"),
    [
        ({}, (30, 60)),
        ({"margin": 0.5}, (60, 96)),  # as far as the frame goes
        ({"crop": "square"}, (60, 60)),
    ],
)
def test_margin_and_square_crops(tmp_path, changes, sides):
    p = how(detectors=["onnx"], **detecting(tmp_path, (70.0, 20.0, 100.0, 80.0)), **changes)
    table, _ = run(tmp_path, walk(3), p)
    first = table.iloc[0]
    assert np.abs(np.array([first.x1 - first.x0, first.y1 - first.y0]) - sides).max() <= 2


def test_small_boxes_are_dropped(tmp_path):
    p = how(detectors=["onnx"], min_width=40, **detecting(tmp_path, (70.0, 20.0, 100.0, 80.0)))
    assert not len(run(tmp_path, walk(3), p)[0])


@pytest.mark.parametrize("detectors", [["motion"], ["onnx"], ["onnx", "motion"]])
@pytest.mark.parametrize("source", ["foreground", "difference", "flow"])
def test_each_choice_activates_its_parameters(detectors, source):
    p = how(detectors=detectors, motion__source=source)
    active = p.active()
    assert ("onnx" in active) == ("onnx" in detectors)
    assert ("motion" in active) == ("motion" in detectors)
    assert ("suppress_margin" in active) == (len(detectors) == 2)
    foreground = "motion" in detectors and source == "foreground"
    assert (mode(p).foreground is not None) == foreground
    assert mode(p).reads_flow == ("motion" in detectors and source == "flow")


def test_unused_parameters_do_not_change_the_cache_key(tmp_path):
    motion = how()
    assert motion.active() == how(onnx__confidence=0.9, suppress_margin=0.9).active()
    assert motion.active() == how(motion__flow_threshold=9.0).active()
    assert motion.active() != how(motion__difference_threshold=9.0).active()
    assert mode(motion).prepare(tmp_path) == []  # of a difference: the foreground has no effect
    assert motion.active() != how(motion__min_area=SHIPPED["motion"]["min_area"] + 1).active()
    weights = detecting(tmp_path, (0, 0, 9, 9))
    detector = how(detectors=["onnx"], **weights)
    assert (
        detector.active()
        == how(detectors=["onnx"], suppress_margin=0.9, motion__min_area=1, **weights).active()
    )
    moved = weights | {"onnx__weights": "elsewhere.onnx"}
    assert detector.active() == how(detectors=["onnx"], **moved).active()
    assert detector.active() != how(detectors=["onnx"], **(weights | {"onnx__sha256": "0" * 64})).active()


def test_flow_that_is_not_computed_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"motion\.source: flow needs optical flow.*set flow\.method: dis"):
        run(tmp_path, walk(4), how(motion__source="flow"))
    none, dis = ({"flow": {"method": method, "none": {}, "dis": {}}} for method in ("none", "dis"))
    with pytest.raises(UserError, match=r"set flow\.method: dis"):
        PersonCrop.verify(how(motion__source="flow"), none)
    PersonCrop.verify(how(motion__source="flow"), dis)
    PersonCrop.verify(how(), none)
    PersonCrop.verify(how(motion__source="flow", detectors=["onnx"], onnx__weights="a.onnx"), none)


def test_a_detector_without_weights_is_refused_before_any_stage_runs():
    with pytest.raises(UserError, match=r"onnx\.weights is not set; name a YOLOX or YOLOv8"):
        PersonCrop.verify(how(detectors=["onnx"]), {"flow": {"method": "none"}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"onnx__weights": None}, r"onnx\.weights is not set; name a YOLOX or YOLOv8"),
        ({"onnx__weights": "gone.onnx"}, r"gone\.onnx not found"),
        ({"onnx__sha256": "0" * 64}, "its sha256 is"),
        ({"onnx__sha256": None}, r"set preprocess\.person_crop\.onnx\.sha256: [0-9a-f]{64}"),
        ({"onnx__classes": ["persn"]}, r"'persn' is no class.*did you mean 'person'"),
    ],
)
def test_unusable_weights_are_refused(tmp_path, changes, message):
    p = how(detectors=["onnx"], **(detecting(tmp_path, (0, 0, 9, 9)) | changes))
    with pytest.raises(UserError, match=message):
        mode(p).prepare(tmp_path / "cache")


def test_weights_are_in_the_hashes(tmp_path):
    p = how(detectors=["onnx"], **detecting(tmp_path, (0, 0, 9, 9)))
    assert mode(p).prepare(tmp_path / "cache") == [p.onnx.sha256]


@pytest.mark.datasets
@pytest.mark.skipif(not NANO.is_file(), reason=f"{NANO} is not there")
def test_interpolated_boxes_are_near_those_of_the_detector(tmp_path):
    """For walking people: interpolated boxes against the detector's boxes in the same frame."""
    video = cv2.VideoCapture(str(DATA / "samples/one-by-one-person-detection.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, 250)
    frames = [cv2.resize(video.read()[1], (384, 216))[..., ::-1] for _ in range(24)]
    nano = {"onnx__weights": str(NANO), "onnx__sha256": NANO_SHA256, "onnx__classes": ["person"]}
    regions = {}
    for n in (1, 3):
        p = how(detectors=["onnx"], onnx__every_n=n, onnx__confidence=0.4, **nano)
        regions[n], _ = run(tmp_path / str(n), np.stack(frames), p)
    sides = ["x0", "y0", "x1", "y1"]
    overlaps = []
    for t in range(6, 24):
        exact, between = (regions[n][regions[n]["frame"] == t][sides].to_numpy() for n in (1, 3))
        if len(exact) and t % 3:
            assert len(between), f"frame {t}"
            overlaps += boxes.iou(exact, between).max(axis=1).tolist()
    assert len(overlaps) >= 6
    assert np.median(overlaps) > 0.7
