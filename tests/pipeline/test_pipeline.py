"""Runs DVC for real on a tiny project: what runs again and what does not, bad input, kills, edits."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import project as tiny
from tests.project import STAGES, Project, computed, following, ran, restored

METRICS, SUMMARY = "metrics/evaluate.json", "reports/summary.md"
WRITTEN = {"reports/experiments.md", "data/identity.csv", "data/zones.yaml"}  # by people
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
UP_TO_EVALUATE = STAGES[: STAGES.index("evaluate") + 1]
CACHED = set(STAGES) - {"summarize"}  # git keeps the outputs of summarize, so DVC cannot restore them


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Project, str]:
    """A project that has run once, results committed, and what the run printed."""
    return tiny.make_and_run(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture
def project(first) -> Project:
    """The project as committed, independent of earlier tests."""
    first[0].reset()
    return first[0]


@pytest.fixture(scope="module")
def spare(tmp_path_factory) -> Path:
    """Footage that the project does not have."""
    return tiny.generate(tmp_path_factory.mktemp("spare") / "footage", tiny.SPARE)


def hook(folder: Path, code: str) -> dict[str, str]:
    """An environment in which every Python runs `code` when it starts."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code, "utf-8")
    return {"PYTHONPATH": str(folder)}


def changed(project: Project) -> set[str]:
    """The stages with a dependency or parameter that has changed."""
    return set(json.loads(project.run("dvc", "status", "--json")))


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [n for entry in value.values() for n in numbers(entry)]
    return [value] if isinstance(value, int | float) else []


def test_the_first_run_computes_everything(first):
    project, output = first
    assert ran(output) == set(STAGES)
    assert computed(output) == {
        "extract": 6,
        "flow": 6,
        "preprocess": 6,
        "resize train": 3,
        "resize val": 1,
        "resize test": 2,
        "measure": 3,
        "pictures": 1,
        "validate": 11,
        "score": 2,
        "report": 3,  # and the normal clip with the camera's picture
    }
    metrics = json.loads(project.read(METRICS))
    assert metrics["frame"]["auc_micro"] > 0
    assert all(map(math.isfinite, numbers(metrics)))
    assert "hall_fall" in project.read(SUMMARY).decode()
    assert "up to date" in project.run("dvc", "status")
    tracked = project.run("git", "ls-files", "data", "models", "metrics", "reports").splitlines()
    kept = {f for f in tracked if not f.startswith("data/tiny/") and not f.endswith(".gitignore")} - WRITTEN
    assert kept == {METRICS, SUMMARY}


def test_a_run_without_changes_runs_no_stage(project):
    output = project.repro()
    assert ran(output) == restored(output) == set()


def test_comments_and_inactive_sections_change_nothing(project):
    project.set({"data.table.file": "other.csv", "compute.cache_gb": 10.0})
    with open(project / "params.yaml", "a", encoding="utf-8") as file:
        file.write("# a remark\n")
    output = project.repro()
    assert ran(output) == restored(output) == set()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("evaluate.resamples", 500, {"evaluate", "report"}),
        ("calibrate.threshold.percentile", 50.0, {"calibrate"}),
        (
            "branches.reconstruction.reduce",
            "max",
            {"statistics", "measure", "pictures", "export", "validate"},
        ),
        ("train.epochs", 2, {"train"}),
        ("resize.height", 32, {"resize", "pictures", "export", "validate"}),
    ],
)
def test_a_parameter_changes_the_stages_that_read_it(project, key, value, expected):
    project.set({key: value})
    assert changed(project) == expected


def test_other_weights_are_measured_and_calibrated_again(project):
    """What follows from another calibration is in `test_experiments_leave_the_workspace_alone…`."""
    project.set({"train.epochs": 2})
    output = project.repro("calibrate")
    assert ran(output) == {"train", "measure", "pictures", "calibrate"}
    assert restored(output) == set()
    assert {"export", "validate", "score"} <= changed(project)


def test_an_edit_of_zones_draws_the_sheet_and_measures_again(project):
    """It neither trains nor prepares anything; what does not follow from new errors is the same."""
    path = project / "data/zones.yaml"
    path.write_text("all: [{kind: ignore, polygon: [[0, 0], [0.3, 0], [0.3, 0.3], [0, 0.3]]}]\n", "utf-8")
    before = project.read("reports/preprocess/test.png")
    readers = {"sheet", "measure", "pictures", "validate", "export", "report"}
    assert changed(project) == readers
    assert ran(project.repro("sheet", "calibrate")) == {"sheet", "measure", "pictures", "calibrate"}
    assert project.read("reports/preprocess/test.png") != before
    assert "score" in changed(project)
    with open(path, "a", encoding="utf-8") as file:
        file.write("# a remark\n")
    assert changed(project) >= readers
    output = project.repro("sheet", "calibrate")
    assert ran(output) == {"sheet", "measure", "pictures"}
    assert "measure" not in computed(output), "the clips are in the cache"
    path.write_text("all: [{kind: ignore, polygon: [[0, 0], [1, 1]]}]\n", "utf-8")
    assert "data/zones.yaml: camera 'all', zone 1: polygon" in project.make("repro", fails=True)


def test_a_key_written_with_its_default_runs_its_stage_once_and_changes_no_byte(project):
    """`++` sets a key that is absent in params.yaml."""
    before = project.read(METRICS), project.read("reports/summary.md")
    output = project.run("dvc", "exp", "run", "-S", "++train.lr_factor=0.5")
    assert ran(output) == {"train"}
    assert (project.read(METRICS), project.read("reports/summary.md")) == before
    assert ran(project.repro()) == set()


def test_footage_without_labels_ends_with_scores_and_events(project):
    before = project.read("data/scores/events.csv")
    (project / "data/tiny/labels.csv").unlink()
    shutil.rmtree(project / "data/tiny/masks", ignore_errors=True)
    output = project.repro()
    assert "train" not in ran(output)
    assert "is empty" not in output, "DVC warns of folders without files, such as that of the masks"
    assert project.read("data/scores/events.csv") == before
    summary = project.read(SUMMARY).decode()
    assert "no test clip is labelled" in summary
    assert "| clip | from | to | highest score | branches |" in summary


def test_an_older_commit_gives_its_own_figures_again(project):
    old, before = project.run("git", "rev-parse", "HEAD").strip(), project.read(METRICS)
    project.set({"evaluate.max_delay": 0.5})
    output = project.repro()
    assert ran(output) == following("evaluate")
    assert restored(output) == set()
    project.commit("a stricter delay")
    assert project.read(METRICS) != before
    project.run("git", "reset", "-q", "--hard", old)
    project.repro()
    assert project.read(METRICS) == before
    assert project.run("git", "status", "--porcelain") == ""


def test_resize_reruns_all_that_follows_and_going_back_runs_nothing_heavy(project):
    before = project.read(METRICS), project.read("dvc.lock")
    project.set({"resize.height": 32})
    output = project.repro()
    assert ran(output) == following("resize")
    assert restored(output) == set()

    project.set({"resize.height": 16})
    output = project.repro()
    assert ran(output) == {"summarize"}
    assert restored(output) == following("resize") - {"summarize"}
    assert (project.read(METRICS), project.read("dvc.lock")) == before


def test_a_new_test_video_is_processed_alone_and_retrains_nothing(project, spare):
    shutil.copy(spare / "test/hall/walk.mp4", project / "data/tiny/test/hall/Straße mit Bäumen 1.mp4")
    output = project.repro("evaluate")
    assert ran(output) == {*UP_TO_EVALUATE} - {"sheet", "train", "export", "validate"}
    assert {"sheet", "export", "validate"} <= changed(project)
    assert "7 sources, 1 of them to be read" in output
    once = ("extract", "flow", "preprocess", "resize test", "measure", "score")
    assert computed(output) == dict.fromkeys(once, 1)
    assert "hall_Straße_mit_Bäumen_1" in project.read("reports/evaluation/clips.csv").decode()


@pytest.mark.slow
def test_training_videos_come_and_go_and_unreadable_ones_are_skipped(project, spare):
    footage = project / "data/tiny"
    shutil.copy(spare / "train/hall/walk5.mp4", footage / "train/hall/walk5.mp4")
    (footage / "train/hall/walk2.mp4").unlink()
    (footage / "test/hall/empty.mp4").touch()
    damage(spare / "test/hall/walk.mp4", footage / "test/hall/damaged.mp4")
    project.set({"data.on_error": "skip"})
    output = project.repro()
    assert ran(output) == set(STAGES)
    assert computed(output)["extract"] == 1, "the new one; ingest has found the damage"
    assert sum(n for label, n in computed(output).items() if label.startswith("resize")) == 1
    assert list((project / "data").rglob("*walk2*")) == []
    summary = project.read(SUMMARY).decode()
    skipped = summary.partition("## Skipped clips")[2]
    assert re.findall(r"^- `(.+?)`: .+", skipped, re.M) == ["test/hall_damaged", "test/hall_empty"]


def damage(source: Path, target: Path) -> None:
    """Copies a video without the second half of its pictures; its index still promises all of them."""
    data = bytearray(source.read_bytes())
    start = data.index(b"mdat")
    length = int.from_bytes(data[start - 4 : start], "big")
    middle, end = start + length // 2, start - 4 + length
    data[middle:end] = bytes(end - middle)
    target.write_bytes(data)


def test_unreadable_footage_stops_and_leaves_earlier_results(project):
    (project / "data/tiny/test/hall/run.mp4").write_bytes(b"")
    output = project.repro(fails=True)
    assert ran(output) == {"ingest"}
    assert "Traceback" not in output
    (line,) = re.findall(r"^ingest: error: .*", output, re.M)
    assert "data/tiny/test/hall/run.mp4" in line
    project.run("git", "checkout", "-q", "data/tiny")
    output = project.repro()
    assert ran(output) == set()
    assert restored(output) <= {"ingest"}
    assert "up to date" in project.run("dvc", "status")


def test_a_bad_parameter_stops_before_any_work(project):
    project.set({"calibrate.threshold.percentile": 101.0, "resize.height": -1})
    output = project.run("python", "-m", "vad.check", fails=True)
    assert output.startswith("error: params.yaml: resize.height = -1: ")
    assert len(output.splitlines()) == 1
    clips = sorted((project / ".cache/clips").iterdir())
    output = project.repro(fails=True)
    assert ran(output) == {"resize"}
    assert re.findall(r"^resize: error: params.yaml: resize.height = -1: .*", output, re.M)
    assert "Traceback" not in output
    assert sorted((project / ".cache/clips").iterdir()) == clips
    project.run("git", "checkout", "-q", "params.yaml")
    assert ran(project.repro()) == set()


def test_experiments_leave_the_workspace_alone_and_share_finished_clips(project):
    project.set({"extract.max_side": 48})
    assert computed(project.repro("extract"))["extract"] == 6
    project.reset()
    output = project.run(
        "dvc", "exp", "run", "--temp", "-n", "half", "-S", "calibrate.threshold.percentile=70"
    )
    assert ran(output) == following("calibrate")
    assert project.run("git", "status", "--short") == ""
    changes = json.loads(project.run("dvc", "metrics", "diff", "HEAD", "half", "--json"))
    assert changes[METRICS]["threshold"]["diff"] < 0
    (row,) = [line for line in project.make("table", COLUMNS="100").splitlines() if "- half" in line]
    assert f"{changes[METRICS]['threshold']['new']:.4g}" in row.split()

    with open(project / "stages/extract.py", "a", encoding="utf-8") as file:
        file.write("# a remark, so that DVC cannot restore the outputs\n")
    output = project.run("dvc", "exp", "run", "--temp", "-S", "extract.max_side=48", "extract")
    assert ran(output) == {"extract"}
    assert computed(output) == {}, "clips that the workspace finished are not decoded again"


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_plots_of_two_revisions_are_drawn_without_a_network(project, tmp_path):
    project.set({"calibrate.threshold.percentile": 80.0})
    project.repro()
    project.run("dvc", "plots", "diff", "HEAD", "-o", "dvc_plots")
    page = project / "dvc_plots/index.html"
    assert not re.findall(r"""(?:src|href)=["']?https?:""", page.read_text("utf-8"))
    # no host name is resolved, so a page that needs the network would lack something
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"]
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'chromium'}"]
    command = [CHROMIUM, *quiet, *offline, page.as_uri()]
    drawn = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120).stdout
    charts = re.findall(r"<(?:canvas|svg)[^>]*marks", drawn)
    # error curves, ROC, precision and recall, histogram, AUC per clip and subject, loss, within epochs, rate
    assert len(charts) == 9
    for revision in ("workspace", "HEAD"):
        assert f'"rev": "{revision}"' in page.read_text("utf-8")


def test_a_recipe_as_an_experiment_on_footage_elsewhere(project, tmp_path):
    root = tmp_path / "my footage's $HOME, größer"
    shutil.copytree(project / "data/tiny", root)
    (project / "recipes/elsewhere.yaml").write_text("# for this test\ndata:\n  root: null\n", "utf-8")
    output = project.make("exp", "NAME=elsewhere", f"ROOT={root}", "ARGS=extract")
    assert f"footage in {root}, read as data.format: folder as before" in output
    assert ran(output) == {"ingest", "extract"}
    assert computed(output) == {}, "the same footage elsewhere is not decoded again"
    assert project.run("git", "diff", "HEAD", "--stat", "params.yaml") == ""


def test_the_way_back_from_an_experiment_after_own_commits(project):
    results = "dvc.lock", METRICS, "reports/evaluation/metrics.json"
    before = [project.read(file) for file in results]
    (project / "reports/experiments.md").write_text("notes of mine\n", "utf-8")
    project.run("dvc", "exp", "run", "-S", "evaluate.max_delay=0.5")
    assert all(project.read(file) != content for file, content in zip(results, before, strict=True))
    output = project.make("back")
    assert re.search(r"evaluate\.max_delay +1.0 +0.5", output), "what is undone is shown"
    assert ran(output) == restored(output) == set()
    assert [project.read(file) for file in results] == before
    assert project.run("git", "status", "--short") == " M reports/experiments.md\n"
    assert "the results of the last commit" not in project.make("plots")
    assert '"rev": "HEAD"' in project.read("dvc_plots/index.html").decode()


def test_the_way_back_in_a_clone_whose_lock_file_names_results_of_another_machine(project, tmp_path):
    clone = project.clone(tmp_path / "clone", DVC_SITE_CACHE_DIR=str(tmp_path / "site"))
    # saves the time of computing what is before training, whose bytes are the same on every machine
    clone.run("dvc", "cache", "dir", "-q", "--local", project / ".dvc/cache")
    text = clone.read("dvc.lock").decode()
    (outputs,) = re.findall(r"^  train:\n.*?^    outs:\n(.*?)(?=^  \w|\Z)", text, re.M | re.S)
    hashes = re.findall(r"md5: ([0-9a-f]{32})", outputs)
    assert len(set(hashes)) == 2
    for known in set(hashes):
        text = text.replace(known, "0" * 8 + known[8:])
    (clone / "dvc.lock").write_text(text, "utf-8")
    clone.commit("from another machine")
    assert ran(clone.repro()) == {"train"}
    before = clone.read("dvc.lock"), clone.read(METRICS), clone.read("reports/evaluation/metrics.json")

    page = clone.make("plots")
    assert "the results of the last commit are not here" in page
    assert "failed" not in page
    clone.run("dvc", "exp", "run", "-S", "evaluate.max_delay=0.5")
    assert clone.read("dvc.lock") != before[0]
    output = clone.make("back")
    assert ran(output) <= {"summarize"}
    after = clone.read("dvc.lock"), clone.read(METRICS), clone.read("reports/evaluation/metrics.json")
    assert after == before
    assert clone.run("git", "diff", "HEAD", "--name-only") == "dvc.lock\n"


HANG = """
import os, pathlib, time
def hang(fd, fsync=os.fsync):
    shelf = pathlib.Path(os.environ.get("DVC_ROOT", "nowhere")) / ".cache/clips"
    if any(not entry.name.endswith(".part") for entry in shelf.glob("*")):
        time.sleep(600)
    fsync(fd)
os.fsync = hang
"""


@pytest.mark.slow
def test_a_killed_clone_ends_with_the_same_bytes(project, tmp_path):
    """A clone with an empty cache and two workers is killed during extract, and run again."""
    clone = project.clone(tmp_path / "a clone", DVC_SITE_CACHE_DIR=str(tmp_path / "site"))
    assert not (clone / "data/frames").exists()
    clone.set({"compute.workers": 2})
    (clone / METRICS).unlink()
    (clone / SUMMARY).unlink()
    shelf = clone / ".cache/clips"
    environment = clone.env | hook(tmp_path / "hook", HANG)
    dvc = subprocess.Popen(
        ["dvc", "repro"], cwd=clone.folder, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not (done := finished(shelf)) or not (halves := list(shelf.glob("*.part/*.json"))):
            assert dvc.poll() is None, "dvc ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(dvc.pid, signal.SIGKILL)
        dvc.wait()
    assert len(done) < 6
    for half in halves:  # as if killed a little earlier, while writing frames
        array = half.with_suffix(".npy")
        os.truncate(array, array.stat().st_size // 2)

    done = finished(shelf)
    output = clone.repro()
    assert ran(output) == following("extract")
    assert computed(output)["extract"] == 6 - len(done)
    for file in (METRICS, SUMMARY, "dvc.lock"):
        assert clone.read(file) == project.read(file), file


def finished(shelf: Path) -> list[Path]:
    return [entry for entry in shelf.glob("*") if entry.suffix != ".part"]


def test_a_truncated_lock_file_is_restored(project):
    lock = project / "dvc.lock"
    whole = lock.read_bytes()
    lock.write_bytes(whole[: whole.index(b"cmd:", len(whole) // 2) + 2])  # in the middle of a word
    assert "dvc.lock" in project.run("dvc", "status", fails=True)
    project.run("git", "checkout", "-q", "dvc.lock")
    assert "up to date" in project.run("dvc", "status")

    lock.unlink()
    output = project.repro()
    assert ran(output) == {"summarize"}
    assert restored(output) == CACHED
    assert lock.read_bytes() == whole


EDIT = """
import os, sys
if "stages.extract" in sys.orig_argv:
    def edit(fd, fsync=os.fsync):
        os.fsync = fsync
        with open({path!r}, "r+b") as file:
            text = file.read().replace({old!r}, {new!r}, 1)
            file.seek(0)
            file.write(text)
        fsync(fd)
    os.fsync = edit
"""


@pytest.mark.parametrize(
    ("path", "old", "new", "named"),
    [
        ("params.yaml", b"max_side: 40", b"max_side: 41", "params.yaml: extract"),
        ("vad/footage/decode.py", b"", b"# a remark\n", "vad/footage/decode.py"),
        ("data/tiny/test/hall/run.mp4", b"mdat", b"damt", "data/tiny/test/hall/run.mp4"),
    ],
)
def test_a_stage_fails_if_its_inputs_are_edited_meanwhile(project, tmp_path, path, old, new, named):
    """The edit happens when the first clip is written."""
    shutil.rmtree(project / ".cache/clips")
    project.set({"extract.max_side": 40})
    edit = hook(tmp_path / "hook", EDIT.format(path=str(project / path), old=old, new=new))
    output = project.repro("extract", fails=True, **edit)
    (line,) = re.findall(r"^extract: error: .*", output, re.M)
    assert line.startswith(f"extract: error: {named} was changed while the stage 'extract' ran")
    assert project.run("git", "diff", "--stat", "dvc.lock") == ""
