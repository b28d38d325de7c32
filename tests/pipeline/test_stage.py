"""What all stages share: errors of a single line, exit status, and inputs that change meanwhile."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vad import UserError, flow, recipe
from vad.layouts.base import DataParams
from vad.pipeline import closure, stage
from vad.pipeline.compute_params import ComputeParams

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(p.stem for p in (ROOT / "stages").glob("*.py") if p.stem != "__init__")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, an input and a stage `probe` made of two modules; the current folder."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text("utf-8"), "utf-8")
    recipe.write(
        recipe.overrides(["sample", "whole_frame"]), tmp_path / "params.yaml"
    )  # whatever it holds just now
    for name in ["stages/probe.py", "vad/part.py", "vad/other.py", "vad/layouts/folder.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("from vad import part\n" if name == "stages/probe.py" else "")
    (tmp_path / "input/deep").mkdir(parents=True)
    (tmp_path / "input/deep/a.txt").write_text("a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(closure, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["stages/probe.py"])
    return tmp_path


def run(main: Callable[[stage.Run], None]) -> int:
    """The exit status of a stage."""
    try:
        stage.run(main, "What it does.", reads=[Path("input")])
    except SystemExit as e:
        return int(e.code or 0)
    return 0


def fail(error: BaseException) -> Callable[[stage.Run], None]:
    def main(run: stage.Run) -> None:
        raise error

    return main


def edit(path: str, text: str, times: int | None = None) -> Callable[[stage.Run], None]:
    """A stage during which somebody writes a file."""

    def main(run: stage.Run) -> None:
        run.params("compute", ComputeParams)
        run.choice("data", DataParams)
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(text)

    return main


def test_a_successful_stage_prints_nothing(project, capsys):
    assert run(lambda run: None) == 0
    assert capsys.readouterr() == ("", "")


def test_its_log_goes_to_stderr(project, capsys):
    run(lambda run: run.log("hello"))
    assert capsys.readouterr() == ("", "probe: hello\n")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("clip 'a': is bad"), 2, "probe: error: clip 'a': is bad"),
        (KeyboardInterrupt(), 130, "probe: error: interrupted; finished stages, clips and epochs are kept"),
        (OSError(errno.ENOSPC, "No space left", "data/x.npy"), 2, "probe: error: the disk is full ("),
        (OSError(errno.EDQUOT, "Quota exceeded", "data/x.npy"), 2, "probe: error: the disk is full ("),
    ],
)
def test_a_user_error_is_a_line_without_traceback(project, capsys, error, status, line):
    assert run(fail(error)) == status
    out, err = capsys.readouterr()
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert out == ""
    if isinstance(error, OSError):
        assert "data/x.npy" in err
        assert "free some space" in err


def test_a_folder_that_cannot_be_written_is_named(project, capsys):
    assert run(fail(PermissionError(errno.EACCES, "no", "data/x.npy"))) == 2
    assert (
        capsys.readouterr().err
        == "probe: error: data/x.npy: no permission (no); check its owner and rights\n"
    )


@pytest.mark.parametrize("error", [ValueError("bug"), OSError(errno.EBADF, "no"), ZeroDivisionError()])
def test_other_errors_keep_their_traceback(project, error):
    with pytest.raises(type(error)) as caught:
        run(fail(error))
    assert caught.value is error


def test_parameters_are_read_before_any_work(project, capsys):
    Path("params.yaml").unlink()
    assert run(fail(AssertionError("work began"))) == 2
    assert "params.yaml not found in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("input/deep/a.txt", "other", "input/deep/a.txt"),
        ("input/new.txt", "new", "input/new.txt"),
        ("stages/probe.py", "from vad import part  # edited", "stages/probe.py"),
        ("vad/part.py", "# edited", "vad/part.py"),
        ("vad/layouts/folder.py", "# edited", "vad/layouts/folder.py"),  # the chosen layout
    ],
)
def test_a_change_meanwhile_is_refused_and_named(project, capsys, path, text, named):
    assert run(edit(path, text)) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"probe: error: {named} was changed while the stage 'probe' ran")
    assert err.count("\n") == 1


@pytest.mark.parametrize("path", ["vad/other.py", "output/result.txt", "vad/layouts/ucsd.py"])
def test_changes_of_files_that_are_no_inputs_are_allowed(project, path, capsys):
    assert run(edit(path, "# edited")) == 0, capsys.readouterr().err


@pytest.mark.parametrize("gone", ["input/deep/a.txt", "vad/part.py"])
def test_a_file_that_goes_meanwhile_is_named(project, capsys, gone):
    assert run(lambda run: Path(gone).unlink()) == 2
    assert f"{gone} was changed while" in capsys.readouterr().err


def test_an_input_that_only_parameters_name_is_watched(project, capsys):
    (project / "footage").mkdir()
    (project / "footage/a.mp4").write_text("a")

    def main(run: stage.Run) -> None:
        assert run.reads(Path("footage")) == Path("footage")
        (project / "footage/a.mp4").write_text("longer")

    assert run(main) == 2
    assert "footage/a.mp4 was changed while" in capsys.readouterr().err


def test_an_input_of_the_same_length_and_content_touched_is_a_change(project, capsys):
    """Time counts as well as length: the same length may hold other bytes."""

    def main(run: stage.Run) -> None:
        os.utime("input/deep/a.txt", ns=(1, 1))

    assert run(main) == 2


def test_a_change_before_the_stage_starts_is_allowed(project):
    Path("input/deep/a.txt").write_text("before")
    assert run(lambda run: None) == 0


def replaced(old: str, new: str) -> Callable[[stage.Run], None]:
    """A stage that reads `data` and `compute`, while somebody edits params.yaml."""

    def main(run: stage.Run) -> None:
        run.choice("data", DataParams)
        run.params("compute", ComputeParams)
        text = Path("params.yaml").read_text("utf-8")
        assert old in text
        Path("params.yaml").write_text(text.replace(old, new), "utf-8")

    return main


@pytest.mark.parametrize(
    ("old", "new", "section"),
    [
        ("val_fraction: 0.25", "val_fraction: 0.5", "data"),
        ("level: camera", "level: subject", "data.folder"),
        ("format: folder", "format: persons", "data"),
    ],
)
def test_a_parameter_changed_meanwhile_is_refused_and_named(project, capsys, old, new, section):
    assert run(replaced(old, new)) == 2
    assert capsys.readouterr().err.startswith(f"probe: error: params.yaml: {section} was changed while")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs: 10", "epochs: 5"),  # of another stage
        ("# The keys that", "# All keys that"),
        ("workers: auto", "workers: 1"),  # changes no result
        ("file: table.csv", "file: other.csv"),  # of an inactive alternative
    ],
)
def test_a_parameter_without_effect_may_change_meanwhile(project, capsys, old, new):
    assert run(replaced(old, new)) == 0, capsys.readouterr().err


def test_params_are_those_at_the_start_of_the_stage(project):
    def main(run: stage.Run) -> None:
        Path("params.yaml").write_text("broken: [", "utf-8")
        assert run.params("compute", ComputeParams).workers == "auto"
        _, method, params = run.choice("flow", flow.FlowParams)
        assert (method.name, params) == ("none", method.Params())

    assert run(main) == 2  # since the file is broken at the end


def test_the_cache_is_that_of_the_main_checkout(project, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert stage.Run("probe").cache == Path(".cache")
    monkeypatch.setenv("DVC_ROOT", "/elsewhere")
    assert stage.Run("probe").cache == Path("/elsewhere/.cache")


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_the_stage_s_own_text(name, monkeypatch, capsys):
    """--help of every stage: exit 0 and its docstring, which names its files. Not run as processes, which
    would cost seconds of imports each; only the train stage is (below)."""
    text = (ROOT / f"stages/{name}.py").read_text("utf-8")
    doc = text.split('"""')[1]
    monkeypatch.setattr(sys, "argv", [f"stages/{name}.py", "--help"])
    with pytest.raises(SystemExit) as caught:
        stage.run(fail(AssertionError("work began")), doc)
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: python -m stages.{name}")
    assert doc.strip() in out
    assert "stage.run(main, __doc__" in text


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("--nosuch", 2)])
def test_a_stage_is_a_command(argument, status):
    command = [sys.executable, "-m", "stages.summarize", argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status
    assert "usage: python -m stages.summarize" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ingest", "calibrate"])
def test_a_stage_outside_a_project_says_so_in_one_line(tmp_path, name):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"stages.{name}"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"{name}: error: params.yaml not found in {tmp_path}: run from the project's root folder\n"
    )
