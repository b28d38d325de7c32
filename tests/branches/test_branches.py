"""Conformance tests of all registered branches."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.branches.measured import CLASSES, write_inputs
from tests.branches.normal import inside, normal_clip
from vad import UserError, models
from vad.branches.base import (
    BRANCHES,
    Branch,
    ClipFormat,
    NormalClip,
    TensorShape,
    hash_statistics,
    load_statistics,
    save_statistics,
)
from vad.branches.error_files import read_error_files
from vad.branches.measure import measure_clip
from vad.branches.names import PREFIX, branches_of
from vad.branches.params import BranchesParams, MeasureParams
from vad.models.conv2d import Conv2d
from vad.pipeline.params import load_each, read
from vad.pipeline.registry import defines
from vad.store import cards
from vad.store.body_heights import BodyHeight
from vad.stream import Observation, Regions, WindowsOfFrame, results
from vad.windows.stride import nearest

ROOT = Path(__file__).resolve().parents[2]
RAW = read(ROOT / "params.yaml")
NAMES = BRANCHES.names()
FITTED = BRANCHES.names(defines("fit"))
SMALL = {"classes": {"components": 2}}  # parameters where the defaults do not suit the small inputs
LARGE = {"reconstruction": {"maps": True, "batch_size": 3}}  # parameters with which a branch does all it can
BARRED = ["pandas", "pyarrow", "scipy", "sklearn", "supervision", "trackers"]
OTHERS = ["vad.resize.cutter", "vad.windows.arrays", "vad.windows.stride", "vad.stream"]
# inputs without which a branch gives nothing
NOT_WITHOUT = {
    "classes": ("statistics", "classes"),
    "motion": ("statistics", "flow"),
    "shape": ("statistics",),
    "speed": ("flow",),
}

each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def autoencoder(tmp_path) -> Path:
    torch.manual_seed(0)
    params = Conv2d.Params(window={"frames": 2}, channels=[4])
    models.save(models.create("conv2d", params, (1, 2, 8, 8), ["gray"]), tmp_path / "autoencoder")
    return tmp_path / "autoencoder"


def branch_of(name: str) -> Branch:
    branch = BRANCHES.get(name)
    return branch(branch.Params(**SMALL.get(name, {})))


def fit(name: str, folder: Path, empty: bool = False) -> Path:
    """The folder with the statistics of training clips, if the branch is fitted."""
    statistics = folder / "statistics" / name
    if name in FITTED:
        clips = [] if empty else normal_clips(folder)
        save_statistics(statistics, branch_of(name).fit(clips, lambda line: None))
    return statistics


def normal_clips(folder: Path) -> list[NormalClip]:
    """Three clips of two cameras to learn from."""
    stems = [write_inputs(folder, boxes=inside(seed=i), name=f"train/{i}", seed=i) for i in range(3)]
    return [normal_clip(s, camera) for s, camera in zip(stems, ("hall", "hall", "yard"), strict=True)]


def measured(
    name: str, folder: Path, autoencoder: Path, statistics: Path, stems: list[Path], out="a"
) -> Path:
    """Measures a clip with this branch alone; returns the stem of the errors."""
    branch = branch_of(name)
    branch.open(autoencoder, statistics)
    threads = torch.get_num_threads()
    try:
        of_clip = MeasureParams(cell=5), FORM.camera, FORM.body_height, FORM.zones
        measure_clip(folder / "errors" / out, *stems, (branch,), *of_clip, threads=1)
    finally:
        torch.set_num_threads(threads)
    return folder / "errors" / out


def test_branches_need_not_stand_in_params_yaml():
    assert set(RAW["branches"]) <= set(NAMES)
    assert set(load_each("branches", BranchesParams, RAW)) == set(NAMES)
    assert set(load_each("branches", BranchesParams, {"branches": {}})) == set(NAMES)


@each
def test_parameters_have_defaults_and_descriptions(name):
    params = BRANCHES.get(name).Params
    assert params() == params.model_validate({})
    for key, field in params.model_fields.items():
        assert not field.is_required(), key
        assert field.description, key


@each
def test_defaults_are_those_of_params_yaml(name):
    params = BRANCHES.get(name).Params
    assert params(**RAW["branches"].get(name) or {}) == params()


@pytest.mark.parametrize("name", FITTED)
def test_statistics_are_read_as_they_were_fitted(tmp_path, name):
    clips = normal_clips(tmp_path)
    fitted = [branch_of(name).fit(clips, lambda line: None) for _ in range(2)]
    for folder, statistics in zip(("a", "b"), fitted, strict=True):
        save_statistics(tmp_path / folder, statistics)
    back = load_statistics(tmp_path / "a")
    assert back.keys() == fitted[0].keys()
    for key, array in fitted[0].items():
        assert back[key].dtype == array.dtype
        np.testing.assert_array_equal(back[key], array)
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize("name", FITTED)
def test_absent_statistics_are_stored_as_well(tmp_path, name):
    statistics = fit(name, tmp_path, empty=True)
    assert load_statistics(statistics) is None
    assert [file.name for file in statistics.iterdir()] == ["card.json"]


@pytest.mark.parametrize("name", FITTED)
def test_open_hashes_the_statistics(tmp_path, autoencoder, name):
    statistics = fit(name, tmp_path)
    first = branch_of(name).open(autoencoder, statistics)
    assert first == branch_of(name).open(autoencoder, statistics) == hash_statistics(statistics)
    save_statistics(statistics, None)
    assert branch_of(name).open(autoencoder, statistics) != first
    (statistics / "card.json").unlink()
    with pytest.raises(UserError, match="dvc repro"):
        branch_of(name).open(autoencoder, statistics)


@pytest.mark.parametrize("lacking", ["nothing", "windows", "flow", "statistics", "classes"])
@each
def test_errors_are_finite_and_of_the_right_shape(tmp_path, autoencoder, name, lacking):
    stems = write_inputs(tmp_path, 0 if lacking == "windows" else 7, flow=lacking != "flow")
    statistics = fit(name, tmp_path, empty=lacking == "statistics")
    if lacking == "classes":
        Path(f"{stems[1]}.classes.json").unlink()
    table, maps, card = read_error_files(measured(name, tmp_path, autoencoder, statistics, stems))
    assert table.columns[:7].tolist() == ["frame", "region", "track", "x0", "y0", "x1", "y1"]
    assert table["frame"].tolist() == ([] if lacking == "windows" else list(range(0, 14, 2)))
    for branch in branches_of(table):
        assert table[PREFIX + branch].dtype == np.float32
        assert (table[PREFIX + branch] >= 0).all()
    for values in maps.values():
        assert (values.dtype, values.shape) == (np.float16, (14, 7, 8))  # 32 x 40 pixels, 5 to a cell
        assert (np.asarray(values) >= 0).all()
    branches = {*branches_of(table), *maps}
    if lacking in NOT_WITHOUT.get(name, ()):
        assert not branches
    elif lacking == "nothing":
        assert branches
    assert set(card["learned"]) == (branches if BRANCHES.get(name).learned else set())
    assert card["cell"] == 5


@each
def test_the_same_inputs_give_the_same_bytes(tmp_path, autoencoder, name):
    stems, statistics = write_inputs(tmp_path), fit(name, tmp_path)
    for out in ("a", "b"):
        measured(name, tmp_path, autoencoder, statistics, stems, out)
    files = {file.name for file in (tmp_path / "errors").iterdir()}
    assert {"a.parquet", "a.json"} <= files
    for file in (file for file in files if file.startswith("a.")):
        first, second = (tmp_path / "errors" / f"{out}{file[1:]}" for out in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


@each
def test_inputs_stay_as_they_are(tmp_path, autoencoder, name):
    stems, statistics = write_inputs(tmp_path), fit(name, tmp_path)
    before = {file: file.read_bytes() for stem in stems for file in stem.parent.glob("a.*")}
    measured(name, tmp_path, autoencoder, statistics, stems)
    assert before == {file: file.read_bytes() for stem in stems for file in stem.parent.glob("a.*")}


def test_all_branches_fit_into_the_files_of_a_clip(tmp_path, autoencoder):
    """So all branches have different names."""
    stems = write_inputs(tmp_path)
    branches = [branch_of(name) for name in NAMES]
    for branch in branches:
        branch.open(autoencoder, fit(branch.name, tmp_path))
    of_clip = MeasureParams(cell=5), FORM.camera, FORM.body_height, FORM.zones
    measure_clip(tmp_path / "errors/a", *stems, branches, *of_clip, threads=1)
    table, maps, _ = read_error_files(tmp_path / "errors/a")
    assert {*branches_of(table), *maps} >= {"reconstruction", "classes", "motion", "shape", "speed"}


FORM = ClipFormat(
    (32, 40),
    5,
    TensorShape(8, 8, "letterbox"),
    fps=10.0,
    body_height=BodyHeight(4.0, 12.0, 2.0, 32),
    camera="hall",
    flow_scale=0.5,
    classes=CLASSES,
)


@st.composite
def streams(draw: st.DrawFn) -> list[WindowsOfFrame]:
    """The windows of a clip with any number of regions per frame, also none, and any stride."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    counts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    grid = nearest(len(counts), step := draw(st.integers(1, 4))) * step
    regions, pictures = [], []
    for n in counts:
        low = rng.integers(0, (30, 20), (n, 2))
        boxes = np.concatenate([low, low + rng.integers(1, 11, (n, 2))], axis=1).astype(np.int32)
        sources = rng.choice(["detector", "motion"], n)
        scores = rng.random((n, CLASSES)).astype(np.float16)
        regions.append(Regions(boxes, np.arange(n), sources, np.ones(n, np.float32), class_scores=scores))
        pictures.append(tuple(tuple(rng.integers(0, 256, (2, 1, 8, 8), np.uint8)) for _ in range(n)))
    flow = rng.integers(-9, 9, (len(counts), 16, 20, 2), np.int8)
    return [
        WindowsOfFrame(t, Observation(None, flow[t], regions[t]), k, regions[k], pictures[k], flow[k])
        for t, k in enumerate(grid.tolist())
    ]


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> dict[str, Branch]:
    """All branches after `open`; with small batches, and with all that they can give."""
    folder = tmp_path_factory.mktemp("opened")
    torch.manual_seed(0)
    params = Conv2d.Params(window={"frames": 2}, channels=[4])
    models.save(models.create("conv2d", params, (1, 2, 8, 8), ["gray"]), folder / "autoencoder")
    out = {}
    for name in NAMES:
        branch = BRANCHES.get(name)
        out[name] = branch(branch.Params(**SMALL.get(name, {}) | LARGE.get(name, {})))
        out[name].open(folder / "autoencoder", fit(name, folder))
    return out


@each
@given(streams(), st.data())
@settings(deadline=None, max_examples=40)
def test_errors_do_not_depend_on_the_chunks(opened, name, stream, data):
    """Frame by frame as in live use, in any chunks, and all frames at once."""
    branch = opened[name]
    whole = list(results(branch.processor(FORM), [stream]))
    borders = [0, *sorted(data.draw(st.sets(st.integers(1, len(stream))))), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(borders) if a < b]
    for parts in ([[frame] for frame in stream], chunks):
        processor, given, out = branch.processor(FORM), 0, []
        for part in parts:
            out += processor.process(part)
            given += len(part)
            assert len(out) >= given - processor.lookahead
        out += processor.finish()
        assert len(out) == len(whole) == len(stream)
        for frame, got, expected in zip(stream, out, whole, strict=True):
            assert list(got.errors) == list(expected.errors) == list(processor.columns)
            assert list(got.maps) == list(expected.maps) == list(processor.maps)
            for key, values in expected.errors.items():
                assert (got.errors[key].dtype, got.errors[key].shape) == (np.float32, (len(frame.regions),))
                scale = max(1.0, values.max(initial=0))  # of errors, whose small ones are differences
                np.testing.assert_allclose(got.errors[key], values, rtol=1e-6, atol=1e-6 * scale)
            for key, values in expected.maps.items():
                assert (got.maps[key].dtype, got.maps[key].shape) == (np.float16, FORM.shape)
                np.testing.assert_allclose(got.maps[key], values, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("module", [f"vad.branches.{m}" for m in (*NAMES, "measurement", "names")] + OTHERS)
def test_processors_need_no_tables(module):
    """Modules of processors load in an environment without pandas, and without what is for fits."""
    code = f"""
import sys
for name in {BARRED!r}:
    sys.modules[name] = None  # an import raises ImportError
import {module}
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_fit_of_a_branch_without_fit_raises_an_error():
    class Plain(Branch):
        name = "plain"

    with pytest.raises(NotImplementedError, match="plain is not fitted"):
        Plain(MeasureParams()).fit([], print)
    assert Plain(MeasureParams()).open(Path("a"), Path("b")) == ""


@pytest.mark.parametrize(
    "content", ["[]", "{}", "null", '{"fitted": true}', '{"fitted": true, "shapes": {}}']
)
def test_broken_statistics_are_refused(tmp_path, content):
    save_statistics(tmp_path / "a", {"mean": np.zeros(3, np.float32)})
    (tmp_path / "a/card.json").write_text(content)
    with pytest.raises(UserError, match=r"a: no usable statistics .*dvc repro statistics") as caught:
        load_statistics(tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_arrays_of_any_layout_are_stored_in_c_order(tmp_path):
    """safetensors would store the memory of a transposed array without regard to its order."""
    array = np.arange(6.0).reshape(2, 3).T
    save_statistics(tmp_path / "a", {"basis": array})
    np.testing.assert_array_equal(load_statistics(tmp_path / "a")["basis"], array)
    assert cards.read_json(tmp_path / "a/card.json") == {"fitted": True, "shapes": {"basis": [3, 2]}}
