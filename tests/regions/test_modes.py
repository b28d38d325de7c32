"""The contract that every mode of preprocessing must fulfil."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.regions.clips import files, run
from vad import UserError
from vad.detection.foreground_params import MOTION_BOXES, SILHOUETTES, ForegroundParams
from vad.pipeline import params
from vad.regions import REGION_MODES, PreprocessParams, RegionMode
from vad.regions.table import COLUMNS
from vad.store.cards import read_card
from vad.store.tables import read_table

MODES = REGION_MODES.names()
HEIGHT, WIDTH = 48, 61
SHIPPED = params.read(Path(__file__).parents[2] / "params.yaml")


def walk(length: int = 30, color: bool = False) -> np.ndarray:
    """A bright thing crosses a plain frame."""
    frames = np.full((length, HEIGHT, WIDTH, 3) if color else (length, HEIGHT, WIDTH), 90, np.uint8)
    for t in range(length):
        frames[t, 10:40, 2 * t : 2 * t + 10] = 200
    return frames


def create(name: str, **foreground) -> RegionMode:
    """The mode with its defaults; `foreground` changes keys of preprocess.foreground."""
    mode_class = REGION_MODES.get(name)
    return mode_class(mode_class.Params(), ForegroundParams(**foreground))


def test_all_modes_are_registered():
    assert MODES == ["none", "person_crop", "silhouette"]


@pytest.mark.parametrize("name", MODES)
def test_sections_of_params_yaml_are_valid_and_verified(name):
    raw = SHIPPED | {"preprocess": SHIPPED["preprocess"] | {"mode": name}}
    choice, mode_class, section = params.load_choice("preprocess", PreprocessParams, raw)
    mode_class.verify(section, raw)
    assert isinstance(mode_class(section, choice.foreground), RegionMode)


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("color", [False, True])
def test_every_mode_writes_regions_inside_the_frames_in_their_order(name, color, tmp_path):
    stem = run(create(name), tmp_path, walk(color=color))
    table, card = read_table(stem), read_card(stem)
    assert table.dtypes.astype(str).to_dict() == COLUMNS
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == card["regions"] > 0
    assert table["frame"].is_monotonic_increasing
    assert table["frame"].between(0, 29).all()
    assert ((table["x0"] >= 0) & (table["x0"] < table["x1"]) & (table["x1"] <= WIDTH)).all()
    assert ((table["y0"] >= 0) & (table["y0"] < table["y1"]) & (table["y1"] <= HEIGHT)).all()
    assert table["confidence"].between(0, 1).all()
    assert set(table["source"]) <= {"frame", "motion", "detector"}
    assert set(card["picture"]) <= {"frame", "masked", "silhouette"}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_takes_a_single_frame_in_which_nothing_moves(name, tmp_path):
    stem = run(create(name), tmp_path, walk(1))
    assert read_card(stem)["regions"] == len(read_table(stem))


@pytest.mark.parametrize("name", MODES)
def test_the_same_input_gives_the_same_bytes_with_any_number_of_threads(name, tmp_path):
    threads = cv2.getNumThreads()
    try:
        first = files(run(create(name), tmp_path / "a", walk()))
        assert files(run(create(name), tmp_path / "b", walk(), threads=3)) == first
    finally:
        cv2.setNumThreads(threads)


@pytest.mark.parametrize("name", MODES)
def test_prepared_modes_can_be_pickled(name, tmp_path):
    mode = create(name)
    mode.prepare(tmp_path / "cache")
    copy = pickle.loads(pickle.dumps(mode))
    assert files(run(copy, tmp_path / "a", walk())) == files(run(mode, tmp_path / "b", walk()))


@pytest.mark.parametrize("name", MODES)
def test_foreground_is_in_the_hashes_of_the_modes_that_it_changes(name, tmp_path):
    regions = [files(run(create(name, history=n), tmp_path / str(n), walk())) for n in (200, 2)]
    hashes = [create(name, history=n).prepare(tmp_path) for n in (200, 2)]
    if regions[0] != regions[1]:
        assert hashes[0] != hashes[1]
    used = create(name).foreground is not None
    assert (hashes[0] != hashes[1]) == used
    assert used == (name != "none")


@pytest.mark.parametrize("name", MODES)
def test_modes_without_flow_do_not_read_it(name, tmp_path):
    mode = create(name)
    assert not mode.reads_flow
    run(mode, tmp_path, walk())  # there is none
    assert isinstance(mode.uses_pixels, bool)


@pytest.mark.parametrize(
    ("name", "method", "expected"),
    [
        ("silhouette", "mog2", (16.0, 0, 7, 30)),
        ("silhouette", "knn", (400.0, 0, 7, 30)),
        ("silhouette", "median", (15.0, 0, 7, 30)),
        ("person_crop", "mog2", (10.0, 0, 3, 10)),
    ],
)
def test_null_is_replaced_by_the_default_of_the_mode(name, method, expected):
    settings = create(name, method=method).foreground
    assert (settings.threshold, settings.open, settings.close, settings.min_area) == expected
    explicit = {"threshold": 20.0, "open": 5, "close": 0, "min_area": 0}
    settings = create(name, method=method, **explicit).foreground
    assert {key: getattr(settings, key) for key in explicit} == explicit


@pytest.mark.parametrize("defaults", [SILHOUETTES, MOTION_BOXES])
def test_null_and_the_default_have_the_same_cache_key(defaults):
    null, explicit = ForegroundParams(), ForegroundParams(**defaults)
    assert null.resolve(defaults).active() == explicit.resolve(defaults).active()


def load_all(raw: dict) -> None:
    params.load("preprocess", PreprocessParams, raw)
    for name in MODES:
        params.load(f"preprocess.{name}", REGION_MODES.get(name).Params, raw)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("silhouette.foreground", "preprocess.foreground"),
        ("person_crop.foreground", "preprocess.foreground"),
        ("person_crop.reach", "preprocess.person_crop.suppress_margin"),
        ("foreground.warm_up", "preprocess.foreground.initial_frames"),
    ],
)
def test_renamed_keys_are_refused_with_their_new_names(old, new):
    section, _, key = old.partition(".")
    raw = {"preprocess": {**SHIPPED["preprocess"], "mode": "none"}}
    raw["preprocess"][section] = {**raw["preprocess"][section], key: 1}
    with pytest.raises(UserError, match=rf"preprocess\.{old}: is now {new}"):
        load_all(raw)


@pytest.mark.parametrize("name", [*MODES, None])
def test_every_key_has_a_default_and_a_description(name):
    model = REGION_MODES.get(name).Params if name else PreprocessParams
    todo = [model]
    while todo:
        model = todo.pop()
        for key, field in model.model_fields.items():
            assert not field.is_required(), key
            assert field.description, key
            assert "\n" not in field.description, key
            if isinstance(field.annotation, type) and issubclass(field.annotation, params.Section):
                todo.append(field.annotation)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("silhouette", r"preprocess\.mode: silhouette learns the background.*set preprocess\.mode: none or"),
        ("person_crop", r"preprocess\.person_crop\.detectors: \['motion'\] finds what moves.*add onnx"),
    ],
)
def test_modes_that_find_what_moves_refuse_single_pictures_by_name(name, message):
    with pytest.raises(UserError, match=message):
        create(name).for_pictures()


def test_a_picture_is_a_region_as_a_whole():
    (regions,) = create("none").for_pictures().processor(HEIGHT, WIDTH, 1.0).results([(None, None)])
    np.testing.assert_array_equal(regions.boxes, [[0, 0, WIDTH, HEIGHT]])
