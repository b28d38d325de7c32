"""Body heights: fitted to regions of normal clips, set by the user, or a fallback explained in the log."""

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.regions.test_checks import clip
from vad import UserError
from vad.boxes import crop_boxes
from vad.detection.foreground_params import ForegroundParams
from vad.pipeline import params
from vad.regions import REGION_MODES, PreprocessParams, RegionMode
from vad.regions import table as region_table
from vad.regions.body_height import fit_body_heights
from vad.regions.checks import check_body_height
from vad.store.arrays import write_array
from vad.store.body_heights import BodyHeight, BodyHeights, read_body_heights, write_body_heights
from vad.store.cards import write_json
from vad.store.manifest import Clip
from vad.synthetic import instances
from vad.synthetic.clips import TRAIN
from vad.synthetic.drawing import Camera

ROWS, COLUMNS = 240, 320
CLASSES = ["person", "chair"]
LINE = (-10.0, 90.0)  # far and near of most tests


def mode(margin: float = 0.1) -> RegionMode:
    cls = REGION_MODES.get("person_crop")
    return cls(cls.Params(margin=margin), ForegroundParams())


class Footage:
    """Stored regions; `fit` gives the body heights and the lines of the log."""

    def __init__(self, folder: Path):
        self.folder, self.clips = folder, []
        self.log: list[str] = []

    def add(
        self,
        boxes: np.ndarray,
        name: str = "a",
        *,
        camera: str = "hall",
        split: str = "train",
        source: str | np.ndarray = "detector",
        tracks: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        size: tuple[int, int] = (ROWS, COLUMNS),
    ) -> Clip:
        """Adds a clip.

        Args:
            boxes: int [N, 4], one per frame.
            name: of the clip, without split.
            camera: its camera.
            split: its split.
            source: of the regions.
            tracks: of the regions, int [N]; by default 20 tracks.
            classes: index of the class of each region in CLASSES, int [N]; None for no class scores.
            size: height and width of the frames.
        """
        row = clip(name, camera, split)
        tracks = np.arange(len(boxes)) % 20 if tracks is None else tracks
        table = pd.DataFrame(np.asarray(boxes).reshape(-1, 4), columns=["x0", "y0", "x1", "y1"])
        table = table.assign(frame=np.arange(len(boxes)), track=tracks, source=source, confidence=0.9)
        stem = self.folder / "regions" / row.clip
        region_table.write(stem, table)
        if classes is not None:
            scores = np.where(np.arange(len(CLASSES)) == classes[:, None], 0.8, 0.3).astype(np.float16)
            write_array(Path(f"{stem}.classes"), scores, classes=CLASSES)
        write_json(Path(f"{self.folder / 'frames' / row.clip}.json"), {"shape": [len(boxes), *size]})
        self.clips.append(row)
        return row

    def fit(self, setting="auto", margin: float = 0.1) -> BodyHeights:
        self.log.clear()
        folders = self.folder / "frames", self.folder / "regions"
        return fit_body_heights(self.clips, *folders, setting, mode(margin), self.log.append)


@pytest.fixture
def footage(tmp_path) -> Footage:
    return Footage(tmp_path)


def line(edges, ends=LINE, rows: int = ROWS) -> np.ndarray:
    """Heights of people whose boxes have these lower edges."""
    return ends[0] + (ends[1] - ends[0]) * np.asarray(edges) / rows


def people(
    rng: np.random.Generator,
    number: int,
    ends=LINE,
    *,
    factors: np.ndarray | float = 1.0,
    noise: float = 0.05,
    margin: float = 0.1,
    rows: int = ROWS,
    edges: tuple[float, float] = (0.35, 0.95),
    ratio: float = 0.4,
) -> np.ndarray:
    """Boxes of people, int [N, 4], whose heights without margin are those of a line times `factors`."""
    low = rng.uniform(edges[0] * rows, edges[1] * rows, number).round()
    tall = line(low, ends, rows) * factors * rng.normal(1, noise, number)
    tall = np.maximum(tall, 2) * (1 + 2 * margin)
    left = rng.uniform(5, 0.6 * rows, number)
    boxes = np.column_stack([left, low - tall, left + ratio * tall, low])
    return np.rint(boxes).astype(int)


def far_from(height: BodyHeight, ends=LINE, rows: int = ROWS, edges: tuple[float, float] = (0.35, 0.95)):
    """Largest relative error at the rows where people are."""
    at = np.linspace(edges[0] * rows, edges[1] * rows, 20)
    return np.abs(height.at_feet(at) / line(at, ends, rows) - 1).max()


# --- the line


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    near=st.floats(50, 90),
    horizon=st.floats(-0.3, 0.2),
    margin=st.sampled_from([0.0, 0.1, 0.3]),
    outliers=st.sampled_from(["none", "taller", "shorter", "anything", "furniture"]),
)
def test_a_line_is_found_among_a_fifth_of_outliers(tmp_path_factory, seed, near, horizon, margin, outliers):
    rng = np.random.default_rng(seed)
    ends = (-near * horizon / (1 - horizon), near)
    factors = np.ones(600)
    other = rng.random(600) < 0.2
    if outliers == "taller":
        factors[other] = 1.8
    elif outliers == "shorter":
        factors[other] = 0.5
    boxes = people(rng, 600, ends, factors=factors, margin=margin)
    if outliers == "anything":
        boxes[other, 1] = boxes[other, 3] - rng.integers(8, 120, other.sum())
    if outliers == "furniture":
        boxes[other] = (200, 120, 215, 150)
    footage = Footage(tmp_path_factory.mktemp("line"))
    footage.add(boxes)
    height = footage.fit(margin=margin).cameras["hall"]
    assert height.origin == "fit"
    upright = boxes[:, 3] - boxes[:, 1] >= boxes[:, 2] - boxes[:, 0]
    assert (height.rows, height.regions) == (ROWS, (upright & (boxes[:, 1] > 1)).sum())
    assert far_from(height, ends) < 0.08


def test_without_outliers_it_is_the_line_of_least_squares(footage):
    boxes = people(np.random.default_rng(1), 500, noise=0.02)
    footage.add(boxes)
    height = footage.fit().cameras["hall"]
    slope, start = np.polyfit(boxes[:, 3], (boxes[:, 3] - boxes[:, 1]) / 1.2, 1)
    np.testing.assert_allclose([height.far, height.near], [start, start + slope * ROWS], atol=0.8)


def test_with_outliers_it_is_near_the_line_of_least_absolute_deviations(footage):
    """Searched on a grid, without any optimiser."""
    rng = np.random.default_rng(2)
    boxes = people(rng, 300, factors=np.where(rng.random(300) < 0.15, 1.6, 1.0))
    footage.add(boxes)
    height = footage.fit().cameras["hall"]
    tall, edges = (boxes[:, 3] - boxes[:, 1]) / 1.2, boxes[:, 3]
    fars, nears = np.meshgrid(np.arange(-30, 10, 0.5), np.arange(70, 110, 0.5), indexing="ij")
    lines = fars[..., None] + (nears - fars)[..., None] * edges / ROWS
    best = np.unravel_index(np.abs(lines - tall).sum(axis=2).argmin(), fars.shape)
    np.testing.assert_allclose(
        height.at_feet([90, 150, 220]), line([90, 150, 220], (fars[best], nears[best])), rtol=0.04
    )


def test_people_of_all_heights(footage):
    """Of ten people, two are children and one sits in a wheelchair."""
    rng = np.random.default_rng(3)
    factors = rng.choice([1.0, 0.6, 0.75], 2000, p=[0.7, 0.2, 0.1])
    boxes = people(rng, 2000, factors=factors)
    footage.add(boxes)
    height = footage.fit().cameras["hall"]
    assert height.origin == "fit"
    assert far_from(height) < 0.05
    # as tall as at the uppermost rows where people were seen
    assert height.least == pytest.approx(height.at_feet(np.percentile(boxes[:, 3], 1)), rel=0.01)
    assert (height.at_feet([-500, 0]) == height.least).all()  # above the horizon


def test_groups_in_a_box_near_the_camera_do_not_steepen_the_line(footage):
    """Background subtraction merges people who stand behind one another, near the camera more often."""
    rng = np.random.default_rng(5)
    boxes = people(rng, 3000)
    share = (boxes[:, 3] / ROWS - 0.35) / 0.6  # from the far to the near end
    merged = rng.random(3000) < 0.45 * share
    factors = np.where(merged, rng.uniform(1.2, 1.9, 3000), 1.0)
    boxes[:, 1] = boxes[:, 3] - (boxes[:, 3] - boxes[:, 1]) * factors
    boxes = boxes[boxes[:, 1] > 1]
    footage.add(boxes)
    height = footage.fit().cameras["hall"]
    assert merged.mean() > 0.2
    assert far_from(height) < 0.05


def test_boxes_at_the_border_are_cut_off_and_do_not_count(footage):
    rng = np.random.default_rng(4)
    whole = people(rng, 300)
    cut = np.concatenate([people(rng, 300, factors=0.4) for _ in range(4)])
    cut[:300, 2] += 1 - cut[:300, 0]
    cut[:300, 0] = 1
    cut[300:600, 0], cut[300:600, 2] = COLUMNS - 30, COLUMNS - 1
    cut[600:900, 3] = ROWS
    cut[900:, 1], cut[900:, 0] = 0, cut[900:, 2] - 5
    footage.add(np.concatenate([whole, cut]))
    height = footage.fit().cameras["hall"]
    assert height.regions == 300
    assert far_from(height) < 0.05


def test_regions_without_a_track_do_not_count_if_others_have_one(footage):
    rng = np.random.default_rng(5)
    boxes = np.concatenate([people(rng, 200), people(rng, 400, factors=0.3)])
    tracks = np.where(np.arange(600) < 200, np.arange(600) % 9, -1)
    footage.add(boxes, tracks=tracks)
    assert footage.fit().cameras["hall"].regions == 200
    footage.add(people(rng, 100), "b", camera="yard", tracks=np.full(100, -1))
    assert footage.fit().cameras["yard"].origin == "fit"


def test_tracks_of_different_clips_are_different(footage):
    rng = np.random.default_rng(6)
    for name in "abc":
        footage.add(people(rng, 30), name, tracks=np.zeros(30, int))
    assert footage.fit().cameras["hall"].origin == "fit"


def test_people_count_rather_than_furniture(footage):
    rng = np.random.default_rng(7)
    chairs = people(rng, 900, factors=0.4, noise=0.2)
    classes = np.repeat([0, 1], [100, 900])
    footage.add(np.concatenate([people(rng, 100), chairs]), classes=classes)
    height = footage.fit().cameras["hall"]
    assert height.regions == 100
    assert far_from(height) < 0.05


def test_people_who_lie_or_are_boxed_with_furniture_do_not_count(footage):
    rng = np.random.default_rng(8)
    wide = people(rng, 900, factors=0.4, ratio=2.5)
    classes = np.zeros(1000, int)
    footage.add(np.concatenate([people(rng, 100), wide]), classes=classes)
    assert footage.fit().cameras["hall"].regions == 100


def test_with_too_few_people_all_boxes_of_the_detector_count(footage):
    rng = np.random.default_rng(9)
    boxes = people(rng, 400)
    footage.add(boxes, classes=(np.arange(400) >= 20).astype(int))
    height = footage.fit().cameras["hall"]
    assert height.regions == 400
    assert far_from(height) < 0.05


def test_boxes_of_the_detector_count_rather_than_motion(footage):
    rng = np.random.default_rng(10)
    boxes = np.concatenate([people(rng, 200), people(rng, 900, factors=2.0)])
    footage.add(boxes, source=np.repeat(["detector", "motion"], [200, 900]))
    assert footage.fit().cameras["hall"].regions == 200


def test_without_a_detector_upright_motion_counts(footage):
    rng = np.random.default_rng(11)
    groups = people(rng, 500, factors=1.2, ratio=1.4)
    footage.add(np.concatenate([people(rng, 300), groups]), source="motion")
    height = footage.fit().cameras["hall"]
    assert height.regions == 300
    assert far_from(height) < 0.05


@pytest.mark.parametrize("source", ["detector", "motion"])
def test_square_crops_of_people_count(footage, source):
    footage.add(people(np.random.default_rng(13), 300), source=source)
    boxes = crop_boxes(people(np.random.default_rng(13), 300), 0.0, "square", COLUMNS, ROWS)
    footage.add(boxes, "b", camera="yard", source=source)
    heights = footage.fit()
    assert heights.cameras["yard"].regions > 200
    np.testing.assert_allclose(
        heights.cameras["yard"].at_feet([90, 150, 220]), line([90, 150, 220]), rtol=0.05
    )


def test_many_regions_are_thinned_out(footage):
    boxes = people(np.random.default_rng(12), 50_000)
    footage.add(boxes)
    height = footage.fit().cameras["hall"]
    assert height.regions == 50_000
    assert far_from(height) < 0.02


# --- no line


def refused(footage: Footage, *words: str) -> BodyHeight:
    """The body height of the only camera; asserts that it is constant and that the log says why."""
    height = footage.fit().cameras["hall"]
    (text,) = footage.log
    for word in ("camera 'hall'", "set preprocess.body_height", *words):
        assert word in text
    assert height.far == height.near == height.least
    return height


def median(boxes: np.ndarray) -> float:
    return np.median((boxes[:, 3] - boxes[:, 1]) / 1.2)


def test_a_camera_above_has_a_constant(footage):
    """People are equally tall at all rows, or taller near the upper border of the frame."""
    boxes = people(np.random.default_rng(20), 400, (70, 30))
    footage.add(boxes)
    height = refused(footage, "not taller near the lower border", "400 regions")
    assert height.origin == "constant"
    assert height.near == pytest.approx(median(boxes), abs=1e-3)


@pytest.mark.parametrize("flat", [40.0, 41.3])
def test_people_of_the_same_height_everywhere(footage, flat):
    """Line or constant, it gives their height."""
    footage.add(people(np.random.default_rng(21), 400, (flat, flat), noise=0.0))
    np.testing.assert_allclose(footage.fit().cameras["hall"].at_feet([0, 120, 240]), flat, atol=1)


def test_people_in_one_row_have_a_constant(footage):
    boxes = people(np.random.default_rng(22), 400, edges=(0.6, 0.68))
    footage.add(boxes)
    height = refused(footage, "at about the same row")
    assert height.near == pytest.approx(median(boxes), abs=1e-3)
    footage.clips.clear()
    footage.add(np.tile([[50, 60, 70, 160]], (400, 1)))
    assert refused(footage, "at about the same row").near == pytest.approx(100 / 1.2, abs=1e-3)


@pytest.mark.parametrize(
    ("number", "tracks", "reason"), [(49, 20, "fewer than 50 regions"), (300, 2, "fewer than 3 tracks")]
)
def test_too_few_regions_or_tracks_have_a_constant(footage, number, tracks, reason):
    boxes = people(np.random.default_rng(23), number)
    footage.add(boxes, tracks=np.arange(number) % tracks)
    height = refused(footage, reason)
    assert (height.origin, height.regions) == ("constant", number)
    assert height.near == pytest.approx(median(boxes), abs=1e-3)


def test_a_line_that_does_not_describe_the_heights_is_refused(footage):
    """Far people are small, people in the middle as small, near people very tall."""
    rng = np.random.default_rng(24)
    far = people(rng, 300, (20, 20), edges=(0.2, 0.6))
    middle = people(rng, 200, (20, 20), edges=(0.6, 0.8))
    near = people(rng, 600, (160, 160), edges=(0.8, 0.95))
    footage.add(np.concatenate([far, middle, near]))
    assert refused(footage, "no line describes").origin == "constant"


def test_a_camera_without_a_region(footage):
    footage.add(np.zeros((0, 4), int))
    height = refused(footage, "no regions tell how tall people are", "40 px", "reports/preprocess")
    assert height == BodyHeight.default(ROWS)


def test_a_camera_without_a_region_takes_the_height_of_the_others(footage):
    footage.add(people(np.random.default_rng(34), 300), "a", camera="hall")
    footage.add(np.zeros((0, 4), int), "b", camera="still", size=(480, 640))
    heights = footage.fit()
    assert heights.cameras["still"] == heights.cameras[""].scaled(480) == heights.of("new", 480)
    assert far_from(heights.cameras["still"], (-20, 180), 480) < 0.05
    assert "camera 'still': no regions tell how tall people are, so as for other cameras" in footage.log[1]
    for word in ("px tall at the upper border", "reports/preprocess", "set preprocess.body_height"):
        assert word in footage.log[1]


def test_no_camera_has_a_region(footage):
    footage.add(np.zeros((0, 4), int), "a", camera="hall")
    footage.add(np.zeros((0, 4), int), "b", camera="still", size=(480, 640))
    heights = footage.fit()
    assert heights.cameras["hall"] == BodyHeight.default(ROWS)
    assert heights.cameras["still"] == heights.cameras[""] == BodyHeight.default(480)


def test_a_few_things_beyond_the_horizon(footage, tmp_path):
    """Where the line is below 0, such as for birds in the sky, people have the height of the farthest."""
    rng = np.random.default_rng(35)
    birds = np.tile([100, 10, 104, 16], (6, 1))
    footage.add(np.concatenate([birds, people(rng, 400, (-60, 120), edges=(0.6, 0.95))]))
    heights = footage.fit()
    assert heights.cameras["hall"].origin == "fit"
    assert 30 < heights.cameras["hall"].least < 70
    write_body_heights(tmp_path / "heights.json", heights)
    assert read_body_heights(tmp_path / "heights.json") == heights


def test_whole_frames_tell_nothing(footage):
    footage.add(np.tile([[0, 0, COLUMNS, ROWS]], (90, 1)), source="frame")
    assert refused(footage, "no regions tell") == BodyHeight.default(ROWS)


def test_wide_motion_alone_tells_nothing(footage):
    footage.add(people(np.random.default_rng(25), 90, ratio=2.0, factors=0.5), source="motion")
    assert refused(footage, "no regions tell") == BodyHeight.default(ROWS)


# --- cameras and clips


def test_cameras_of_different_size_and_the_entry_of_other_cameras(footage):
    rng = np.random.default_rng(30)
    footage.add(people(rng, 300), "a", camera="east")
    tall = people(rng, 300, (-20, 180), rows=480)
    footage.add(tall, "b", camera="west", size=(480, 640))
    heights = footage.fit()
    assert sorted(heights.cameras) == ["", "east", "west"]
    assert far_from(heights.cameras["east"]) < 0.05
    assert far_from(heights.cameras["west"], (-20, 180), 480) < 0.05
    other = heights.cameras[""]
    assert (other.rows, other.regions) == (480, 600)
    assert far_from(other, (-20, 180), 480) < 0.05  # the same line, in pictures twice as large
    assert far_from(heights.of("new", ROWS)) < 0.05
    assert [text.partition(": ")[0] for text in footage.log] == [
        "camera 'east'",
        "camera 'west'",
        "other cameras",
    ]
    far, near = (heights.cameras["east"].at_feet(row) for row in (0, ROWS))
    assert footage.log[0].endswith(
        f"people are {far:.0f} px tall at the upper border, {near:.0f} px at the lower (fit to 300 regions)"
    )


def test_the_only_camera_stands_for_others(footage):
    footage.add(people(np.random.default_rng(31), 300))
    heights = footage.fit()
    assert heights.cameras[""] == heights.cameras["hall"]
    assert len(footage.log) == 1


def test_train_and_val_count_and_test_clips_change_nothing(footage):
    rng = np.random.default_rng(32)
    footage.add(people(rng, 200), "a")
    footage.add(people(rng, 100), "b", split="val")
    before = footage.fit()
    assert before.cameras["hall"].regions == 300
    footage.add(people(rng, 900, (80, 200)), "c", split="test")
    footage.add(people(rng, 900, (80, 200)), "d", camera="yard", split="test")
    assert footage.fit() == before
    assert footage.fit(30.0).cameras.keys() == before.cameras.keys()


def test_without_normal_clips_there_is_no_entry(footage):
    footage.add(people(np.random.default_rng(33), 100), split="test")
    assert footage.fit() == BodyHeights({})


def test_same_input_same_bytes(footage, tmp_path):
    rng = np.random.default_rng(34)
    for name in "abcd":
        footage.add(people(rng, 400), name, camera="east" if name < "c" else "west")
    files = [tmp_path / f"{i}.json" for i in range(2)]
    for path in files:
        write_body_heights(path, footage.fit())
        footage.clips.reverse()
    assert files[0].read_bytes() == files[1].read_bytes()
    heights = read_body_heights(files[0])
    assert heights == footage.fit()
    for height in heights.cameras.values():
        assert [round(value, 3) for value in astuple(height)[:3]] == list(astuple(height)[:3])


def test_a_missing_file_is_named(footage):
    footage.add(people(np.random.default_rng(35), 100))
    (footage.folder / "regions/train/a.parquet").unlink()
    with pytest.raises(UserError, match=r"regions/train/a\.parquet"):
        footage.fit()


# --- set by the user


def section(value) -> PreprocessParams:
    raw = {"preprocess": {"mode": "none", "none": {}, "body_height": value}}
    return params.load("preprocess", PreprocessParams, raw)


@pytest.mark.parametrize("value", ["auto", 60, 60.5, 10_000, [0, 61], [18, 61.5], [40, 40]])
def test_good_values(value):
    kept = section(value).body_height
    assert kept == value
    assert all(isinstance(part, float) for part in kept) if isinstance(value, list) else True


@pytest.mark.parametrize(
    "value",
    [
        "tall",
        "60",
        0,
        -3,
        10_001,
        float("nan"),
        float("inf"),
        True,
        None,
        [],
        [60],
        [18, 61, 70],
        [-1, 61],
        [0, 0],
        [61, 18],
        [18, True],
        [False, 61],
        ["18", 61],
        [18, 10_001],
        {"far": 18, "near": 61},
    ],
    ids=repr,
)
def test_a_bad_value_is_refused_in_one_sentence(value):
    with pytest.raises(UserError) as caught:
        section(value)
    message = str(caught.value)
    assert message.startswith("params.yaml: preprocess.body_height")
    assert message.count("preprocess.body_height") == message.count("should be auto, pixels above 0") == 1


def test_the_user_sets_a_constant_or_a_line(footage):
    footage.add(people(np.random.default_rng(40), 300))
    assert footage.fit(60).cameras["hall"] == BodyHeight(60, 60, 60, ROWS, "params")
    assert footage.log == ["camera 'hall': people are 60 px tall at every row (preprocess.body_height)"]
    heights = footage.fit([18.0, 61.0])
    assert heights.cameras["hall"] == heights.cameras[""]
    np.testing.assert_allclose(heights.of("hall", ROWS).at_feet([0, 120, 240]), [18, 39.5, 61])
    assert footage.log == [
        "camera 'hall': people are 18 px tall at the upper border, 61 px at the lower "
        "(preprocess.body_height)"
    ]
    assert (footage.fit([0.0, 61.0]).cameras["hall"].at_feet([-50, 0, 5]) == 4).all()


@pytest.mark.parametrize("value", [3.9, 481.0, [0.0, 3.0], [10.0, 481.0]])
def test_a_height_that_no_person_has_in_these_pictures_is_refused(footage, value):
    footage.add(np.zeros((0, 4), int))
    with pytest.raises(UserError) as caught:
        check_body_height(value, footage.clips, footage.folder / "frames")
    for word in (f"preprocess.body_height = {value}: ", "'train/a' of camera 'hall'", "320x240", "480"):
        assert word in str(caught.value)


@pytest.mark.parametrize("value", ["auto", 4.0, 480.0, [0.0, 480.0]])
def test_possible_heights_pass(footage, value):
    footage.add(np.zeros((0, 4), int))
    footage.add(np.zeros((0, 4), int), "t", split="test", size=(2, 2))
    check_body_height(value, footage.clips, footage.folder / "frames")


# --- the sample, whose geometry is known


def test_boxes_of_the_sample_give_its_geometry(footage):
    """On flat ground, height = distance of the feet from the horizon * stature / height of the camera."""
    camera = Camera(176, 132)
    for i, script in enumerate(TRAIN[:4]):
        boxes, tracks = [], []
        for numbers in instances(script, frames=30):
            for track in set(np.unique(numbers).tolist()) - {0}:
                y, x = np.nonzero(numbers == track)
                boxes.append((x.min(), y.min(), x.max() + 1, y.max() + 1))
                tracks.append(track)
        footage.add(np.array(boxes), str(i), tracks=np.array(tracks), size=(132, 176))
    height = footage.fit(margin=0.0).cameras["hall"]
    feet = np.array([70, 90, 110])
    stature = height.at_feet(feet) / (feet - 132 * camera.horizon) * camera.eye
    assert ((stature > 1.55) & (stature < 1.85)).all()
    assert np.ptp(stature) < 0.1
