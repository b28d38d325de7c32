"""The wheel in an empty environment: built, installed from the package index, and used."""

import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from tests.detect.test_command import footage, rows
from tests.live.test_session import clips_of
from tests.project import ROOT, environment
from tests.trained import trained

pytestmark = pytest.mark.slow
LARGEST = 450  # MiB of packages in the environment
LEFT_OUT = ("torch", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "dvc", "trackers")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory) -> Path:
    """Folder of the programs of an environment with the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "vad", source / "vad", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    run(*pip, "wheel", "--no-deps", "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("vad_pipeline-*.whl")
    venv.create(folder / "empty", with_pip=True)
    run(folder / "empty/bin/python", *pip[1:], "install", wheel, cwd=folder)
    return folder / "empty/bin"


def test_it_scores_a_clip_in_an_empty_environment(bin_folder, tmp_path, tmp_path_factory):
    project = trained(tmp_path_factory.mktemp("deployed"), "objects", folds=2)
    shutil.copytree(project / "models/deployed", tmp_path / "model")
    clip = clips_of(project)[0]
    shutil.copy(footage(project).parent / clip.source, tmp_path / "clip.mp4")
    run(bin_folder / "vad", "detect", "clip.mp4", "--model", "model", "--csv", "s.csv", cwd=tmp_path)
    assert len(rows(tmp_path / "s.csv")) == 24


def test_it_is_small_and_quick_to_start(bin_folder, tmp_path):
    (packages,) = (bin_folder.parent / "lib").glob("python*/site-packages")
    installer = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    size = sum(
        path.stat().st_size
        for path in packages.rglob("*")
        if path.is_file() and not path.relative_to(packages).parts[0].startswith(installer)
    )
    assert size < LARGEST * 2**20
    assert not [name for name in LEFT_OUT if (packages / name).exists()]
    run(bin_folder / "vad", "--help", cwd=tmp_path)  # compiles
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        run(bin_folder / "vad", "--help", cwd=tmp_path)
        times.append(time.perf_counter() - begin)
    print(f"{size / 2**20:.0f} MiB; vad --help {min(times):.2f} s")
