"""Runs DVC with the modes of preprocessing: which stages and clips are recomputed, and bad input."""

import json
from pathlib import Path

import pytest

from tests import project as tiny
from tests.project import Project, computed, following, ran, restored
from vad.store import cards, tables
from vad.store.body_heights import BodyHeight, read_body_heights

CLIPS = 6
CROPS = {
    "flow.method": "dis",
    "preprocess.mode": "person_crop",
    "preprocess.person_crop.detectors": ["motion"],
    "preprocess.person_crop.motion.source": "flow",
    "preprocess.person_crop.motion.min_area": 12,
    "preprocess.person_crop.motion.min_width": 2,
    "preprocess.person_crop.motion.min_height": 4,
    "preprocess.person_crop.min_width": 2,
    "preprocess.person_crop.min_height": 4,
    "resize.channels": ["picture", "flow"],
}
SHEETS = {f"reports/preprocess/{split}.png" for split in ("train", "val", "test")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Project:
    """A project that has run with whole frames, with its results committed."""
    return tiny.make_and_run(tmp_path_factory.mktemp("whole"))[0]


@pytest.fixture(scope="module")
def crops(whole) -> tuple[Project, str]:
    """The same project after a run with crops, and the output of that run."""
    whole.set(CROPS)
    output = whole.repro()
    whole.commit("crops")
    return whole, output


@pytest.fixture
def project(crops) -> Project:
    crops[0].reset()
    return crops[0]


def test_the_pipeline_runs_with_crops(crops):
    project, output = crops
    assert ran(output) == following("flow")
    assert computed(output)["flow"] == computed(output)["preprocess"] == CLIPS
    metrics = json.loads(project.read("metrics/evaluate.json"))
    assert 0 <= metrics["frame"]["auc_micro"] <= 1
    regions = [tables.read_table(project / f"data/regions/test/hall_{name}") for name in ("run", "fall")]
    assert any(len(table) for table in regions)
    assert {source for table in regions for source in table["source"]} == {"motion"}
    card = cards.read_card(project / "data/tensors/test/hall_run")
    assert card["channels"] == ["gray", "flow_x", "flow_y"]


def test_contact_sheets_are_dvc_plots(project):
    output = project.run("dvc", "plots", "diff", "HEAD~1", "-o", "page")
    page = (project / "page/index.html").read_text("utf-8")
    assert "file://" in output
    for sheet in SHEETS:
        assert (project / sheet).read_bytes().startswith(b"\x89PNG")
        assert Path(sheet).name in page
    assert page.count(".png") >= 2 * len(SHEETS), "both revisions"


def test_a_change_of_resize_recomputes_neither_flow_nor_regions(project):
    project.set({"resize.height": 24, "resize.width": 24})
    assert ran(project.repro("train")) == {"resize", "train"}


def test_parameters_of_an_inactive_mode_rerun_nothing(project):
    project.set({"preprocess.silhouette.output": "binary", "preprocess.person_crop.onnx.confidence": 0.6})
    output = project.repro("preprocess")
    assert ran(output) <= {"preprocess"}  # the section is that of the active mode, its detector is not in use
    assert "preprocess" not in computed(output)


def test_going_back_restores_earlier_outputs(project):
    whole = tiny.WHOLE_FRAMES
    project.set({key: value for key, value in whole.items() if key in CROPS})
    output = project.repro()
    assert ran(output) == {"summarize"}
    assert restored(output) == following("flow") - {"summarize"}


def test_adding_a_clip_computes_that_clip_only(project, tmp_path):
    spare = tiny.generate(tmp_path / "spare", tiny.SPARE)
    clip = min((spare / "train/hall").iterdir())
    (project / "data/tiny/train/hall" / clip.name).write_bytes(clip.read_bytes())
    output = project.repro("resize")
    counts = computed(output)
    assert counts["flow"] == counts["preprocess"] == 1
    assert counts.get("resize train", 0) + counts.get("resize val", 0) == 1


@pytest.mark.slow
def test_the_pipeline_runs_with_silhouettes(project):
    project.set({"preprocess.mode": "silhouette", "flow.method": "none", "resize.channels": ["picture"]})
    output = project.repro()
    assert ran(output) == following("preprocess") or restored(output) >= {"flow"}
    assert "hall_run" in project.read("reports/summary.md").decode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flow.method": "none"}, "flow.method is none; set flow.method: dis"),
        (
            {
                "preprocess.person_crop.detectors": ["onnx"],
                "preprocess.person_crop.onnx.weights": "gone.onnx",
            },
            "gone.onnx not found",
        ),
        ({"preprocess.person_crop.motion.flow_threshold": 90.0}, "training clips has a region"),
        ({"resize.channels": ["silhouette"]}, "set preprocess.mode: silhouette"),
    ],
)
def test_bad_input_gives_a_single_line(project, changes, message):
    kept = project.read("metrics/evaluate.json")
    project.set(changes)
    output = project.repro(fails=True)
    assert message in output
    assert "Traceback" not in output
    assert project.read("metrics/evaluate.json") == kept


def test_body_heights_are_fitted_or_set(project):
    path = project / "data/body_height.json"
    fitted = read_body_heights(path)
    assert set(fitted.cameras) == {"hall", ""}
    assert all(height.rows == 48 for height in fitted.cameras.values())
    # a list and a number by DVC's own command line
    output = project.run("dvc", "exp", "run", "preprocess", "-S", "preprocess.body_height=[8,20.5]")
    assert "people are 8 px tall at the upper border, 20 px at the lower (preprocess.body_height)" in output
    assert "preprocess" not in computed(output), "no region is computed anew"
    assert read_body_heights(path).cameras["hall"] == BodyHeight(8, 20.5, 8, 48, "params")
    project.moved = True
    output = project.run("dvc", "exp", "run", "preprocess", "-S", "preprocess.body_height=200", fails=True)
    assert "preprocess.body_height = 200" in output
    assert "64x48" in output
    assert "Traceback" not in output


def test_a_test_clip_changes_no_body_height(project, tmp_path):
    before = project.read("data/body_height.json")
    spare = tiny.generate(tmp_path / "spare", tiny.SPARE)
    (clip,) = (spare / "test").rglob("*.mp4")
    (project / "data/tiny/test/hall" / f"more_{clip.name}").write_bytes(clip.read_bytes())
    assert computed(project.repro("preprocess"))["preprocess"] == 1
    assert project.read("data/body_height.json") == before


def test_frames_of_a_camera_must_have_the_same_size(project, tmp_path):
    from vad import synthetic

    synthetic.generate(tmp_path / "odd", clips=tiny.SPARE[:1], frames=24, width=80, height=48)
    (clip,) = (tmp_path / "odd/train").rglob("*.mp4")
    (project / "data/tiny/train" / clip.parent.name / "odd.mp4").write_bytes(clip.read_bytes())
    output = project.repro("preprocess", fails=True)
    assert "80x48" in output
    assert "64x48" in output
    assert "Traceback" not in output
