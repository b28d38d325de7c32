"""Folders that are expensive to make, made once in a run of the tests by the process that first needs one."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

folder = Path()  # of these folders, the same for all processes of pytest-xdist; set by conftest.py


def copy(name: str, make: Callable[[Path], object], target: Path) -> Path:
    """Copies a folder, so that no test changes it for others.

    Args:
        name: of the folder; the same name stands for the same contents.
        make: fills the folder, which exists and is empty.
        target: where the copy goes.
    """
    source = folder / name
    source.mkdir(parents=True, exist_ok=True)
    with open(source / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (source / "finished").exists():
            # what a failure left behind is not for the next test
            shutil.rmtree(source / "contents", ignore_errors=True)
            (source / "contents").mkdir()
            make(source / "contents")
            (source / "finished").touch()
    return Path(shutil.copytree(source / "contents", target, symlinks=True, dirs_exist_ok=True))
