"""The stage `validate` on tiny projects: equality with the pipeline, what runs again, unsuitable footage."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import project as tiny
from tests.project import Project, computed, ran
from tests.trained import run_stages, trained
from vad.branches.params import MeasureParams
from vad.live import TrainedModel
from vad.pipeline import params
from vad.scoring.clip_errors import read_clip
from vad.store import manifest
from vad.store.cards import read_card, read_json
from vad.validation.measuring import measure_passage
from vad.validation.passages import Passage

TOLERANCE = 1e-5  # of an error or a calibrated score
METRICS = "reports/validation/metrics.json"
KINDS = {"sped_up", "reversed", "spliced", "pasted"}


@pytest.fixture(scope="module", params=["objects", "silhouettes"])
def project(request, tmp_path_factory) -> Project:
    """Trained up to `score`: boxes with a detector, or whole frames with every third window."""
    return trained(tmp_path_factory.mktemp(request.param), request.param)


def test_a_passage_without_alterations_has_errors_and_scores_of_the_pipeline(project, monkeypatch, tmp_path):
    monkeypatch.chdir(project.folder)
    clips = manifest.measured(Path("data/manifest.csv"), Path("data/errors"), "train", "val")
    assert clips
    for row in clips:
        clip, stem = row.clip, Path("data/errors", row.clip)
        model = TrainedModel.load(fold=max(0, row.fold))
        bare = Passage(clip, 0, read_card(Path("data/frames", clip))["shape"][0], [])
        measure = MeasureParams(cell=model.cell)
        body_height = model.body_heights.of(row.camera, read_card(Path("data/frames", clip))["shape"][1])
        camera = row.camera, body_height, model.zones.of(row.camera)
        parts = (model.flow, model.mode, model.resize, model.window, model.branches, measure, *camera)
        for threads in (1, 2):
            measure_passage(tmp_path / "data", Path("data/frames", clip), bare, *parts, threads=threads)
            ours, theirs = read_clip(tmp_path / "data", clip, ""), read_clip(stem, clip, "")
            table = theirs.table.assign(region=ours.table["region"])  # rows among those of all frames
            pd.testing.assert_frame_equal(ours.table, table, rtol=TOLERANCE, atol=TOLERANCE)
            assert ours.maps.keys() == theirs.maps.keys()
            for branch, maps in theirs.maps.items():
                np.testing.assert_array_equal(ours.maps[branch], maps)
            of_both = [model.calibration.frame_scores(errors) for errors in (ours, theirs)]
            np.testing.assert_allclose(*of_both, rtol=TOLERANCE, atol=TOLERANCE)


def validate(project: Project, fails: bool = False, **changes) -> str:
    """Runs the stage by hand with changes of its section."""
    project.set({f"validate.{key}": value for key, value in changes.items()})
    if fails:
        return project.run("python", "-m", "stages.validate", fails=True)
    return run_stages(project.folder, ["validate"])


def test_with_regions_and_with_silhouettes_there_are_figures_of_all_kinds(project):
    output = validate(project, seconds=200)
    result = read_json(project / METRICS)
    assert "absent" not in result, output
    assert set(result["kind"]) <= KINDS
    assert 0 <= result["low"] <= result["auc"] <= result["high"] <= 1
    assert result["seconds"] <= 200
    assert f"AUC {result['auc']:.3f}" in output
    rows = pd.read_csv(project / "reports/validation/scores.csv")
    assert len(rows) == result["stretches"]
    assert set(rows["kind"]) == set(result["kind"])
    assert (project / "reports/validation/sheet.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seconds": 0.0}, "validate.seconds is 0"),
        ({"seconds": 4.0}, "validate.seconds = 4 is less than the 5 seconds of a stretch"),
        ({"seconds": 100.0, "stretch": 30.0}, "has 33 seconds with regions; film longer clips, or lower"),
    ],
)
def test_without_passages_the_stage_says_why(project, changes, reason):
    output = validate(project, **changes)
    assert "validate: no check without labels: " in output
    assert reason in output
    assert set(read_json(project / METRICS)) == {"absent"}
    assert len(pd.read_csv(project / "reports/validation/scores.csv")) == 0
    assert any((project / "data/altered").iterdir())  # DVC warns of empty folders
    validate(project, seconds=100.0, stretch=2.0)


def test_an_unknown_kind_is_refused(project):
    output = validate(project, fails=True, kinds=["sideways"])
    assert "params.yaml: validate.kinds" in output
    validate(project, kinds=sorted(KINDS))


def test_a_background_that_is_not_for_live_use_can_be_checked(project):
    """`TrainedModel.load` refuses it."""
    before = read_json(project / METRICS)
    foreground = params.read(project / "params.yaml")["preprocess"]["foreground"]
    project.set({"preprocess.foreground": {"method": "median"}})
    try:
        validate(project)
        assert "auc" in read_json(project / METRICS)
        assert read_json(project / METRICS) != before
    finally:
        project.set({"preprocess.foreground": foreground})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Project, str]:
    """A tiny project of whole frames that DVC has run, and what it printed."""
    return tiny.make_and_run(tmp_path_factory.mktemp("validate"))


@pytest.mark.slow
def test_dvc_runs_the_stage_and_the_summary_shows_it(run):
    project, output = run
    result, summary = read_json(project / METRICS), project.read("reports/summary.md").decode()
    assert read_json(project / "metrics/evaluate.json")["validation"]["auc"] == pytest.approx(
        result["auc"], rel=1e-5
    )
    section = summary.partition("## Check without labels")[2].partition("## Events")[0]
    for kind, figures in result["kind"].items():
        assert f"| {kind.replace('_', ' ')} | {figures['stretches']} | {figures['auc']:.3f} |" in section
    assert computed(output)["validate"] > 0


@pytest.mark.slow
def test_another_calibration_scores_anew_but_measures_nothing(run):
    project, _ = run
    before = read_json(project / METRICS)
    project.set({"calibrate.smooth.median": 3})
    output = project.repro()
    assert {"calibrate", "validate", "score"} <= ran(output)
    assert "validate" not in computed(output)
    assert read_json(project / METRICS)["auc"] != before["auc"]


@pytest.mark.slow
def test_another_seed_runs_only_what_depends_on_the_check(run):
    project, _ = run
    project.set({"validate.seed": 1})
    assert ran(project.repro()) == {"validate", "summarize", "report"}
