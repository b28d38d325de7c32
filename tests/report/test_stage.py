"""The stage `report` on tiny projects: what it writes and runs again, and what can go wrong."""

import errno
import importlib
import re
import shutil
from pathlib import Path

import av
import pytest

from tests import project as tiny
from tests.project import Project, computed, ran
from vad.overlay.video import Encoder
from vad.pipeline import stage
from vad.store.tables import read_table

pytestmark = pytest.mark.slow
PAGE = Path("reports/page")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A tiny project of whole frames with videos that DVC has run, and what it printed."""
    project = tiny.make(tmp_path_factory.mktemp("report"), commit=False)
    project.set({"report.videos": "all"})
    project.commit("with videos")
    output = project.repro()
    project.commit("results")
    return project, output


@pytest.fixture
def project(run: tuple[Project, str]) -> Project:
    run[0].reset()
    return run[0]


def files(project: Project) -> dict[str, bytes]:
    """The files of the page."""
    there = (path for path in (project / str(PAGE)).rglob("*") if path.is_file())
    return {path.relative_to(project / str(PAGE)).as_posix(): path.read_bytes() for path in there}


def by_hand(project: Project, monkeypatch: pytest.MonkeyPatch) -> int:
    """Runs the stage in this process; its exit status."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr("sys.argv", ["stages/report.py"])
    module = importlib.import_module("stages.report")
    try:
        stage.run(module.main, module.__doc__ or "")
    except SystemExit as e:
        return int(e.code or 0)
    return 0


def test_the_page_is_complete(run: tuple[Project, str]) -> None:
    project, output = run
    assert ran(output) == set(tiny.STAGES)
    there = files(project)
    assert {"index.html", "data.js"} <= set(there)
    for clip in ("hall_run", "hall_fall"):
        frames = len(read_table(project / f"data/frames/test/{clip}"))
        for folder in ("media", "reconstruction"):
            with av.open(str(project / f"{PAGE}/{folder}/test/{clip}.mp4")) as container:
                assert sum(1 for _ in container.decode(video=0)) == frames
        assert f"media/test/{clip}.js" in there
    assert re.search(
        r"report: open reports/page/index.html in a browser; 4 videos, \d+\.\d MB in all", output
    )
    text = (there["index.html"] + there["data.js"]).decode()
    assert str(project.folder) not in text
    assert not re.search(r"20\d\d-\d\d-\d\d", text)  # no dates


def test_the_same_run_gives_the_same_bytes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(project)
    monkeypatch.setenv("DVC_ROOT", str(project.folder / "elsewhere"))  # an empty cache of clips
    assert by_hand(project, monkeypatch) == 0
    assert files(project) == before


def test_another_clip_costs_one_clip(project: Project, tmp_path: Path) -> None:
    tiny.generate(tmp_path / "footage", tiny.SPARE)
    shutil.copy(tmp_path / "footage/test/hall/walk.mp4", project / "data/tiny/test/hall")
    output = project.repro()
    assert "train" not in ran(output)
    assert "report" in ran(output)
    assert computed(output)["report"] == computed(output)["report reconstruction"] == 1


def test_other_media_redraw_only_what_differs(project: Project) -> None:
    project.set({"report.videos": "none"})
    output = project.repro()
    assert ran(output) == {"report"}
    assert not [name for name in files(project) if name.endswith(".mp4")]
    project.set({"report.videos": "all"})
    output = project.repro()
    assert "report" not in computed(output)


def test_silhouettes_of_whole_frames_are_refused_and_the_page_stays(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(project)
    project.set({"report.privacy": "silhouette"})
    assert by_hand(project, monkeypatch) == 2
    message = capsys.readouterr().err
    assert "report: error: report.privacy = silhouette: " in message
    assert "report.privacy: blur" in message
    assert files(project) == before


def test_with_privacy_there_is_no_reconstruction(project: Project) -> None:
    project.set({"report.privacy": "blur"})
    project.repro("report")
    names = set(files(project))
    assert "media/test/hall_run.mp4" in names
    assert not [name for name in names if name.startswith("reconstruction")]


def test_a_full_disk_is_said_in_a_line_and_the_page_stays(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise av.error.FFmpegError(errno.ENOSPC, "No space left on device")

    before = files(project)
    monkeypatch.setenv("DVC_ROOT", str(project.folder / "empty"))
    monkeypatch.setattr(Encoder, "encode", full)
    assert by_hand(project, monkeypatch) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "report: error: the disk is full" in message
    assert files(project) == before
    assert not (project / f"{PAGE}.part").exists()
