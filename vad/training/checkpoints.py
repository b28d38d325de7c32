"""Checkpoints of unfinished trainings, so that the next run resumes them.

A training is identified by everything that decides its result: parameters, data, code, initial weights. Its
folder below `.cache/checkpoints` holds a single state, which is replaced atomically: after a power cut it is
the old or the new state, never a part of it. Reading executes no pickle.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from vad import UserError
from vad.store.digests import digest

KEPT_DAYS = 30  # interrupted trainings are removed after this time
DAY = 86400  # seconds
FOLD = "fold"  # in the identity: trainings of other folds are not compared


class Checkpoints:
    """The saved state of a training. A context manager that only a single process at a time can enter.

    Args:
        root: folder of the checkpoints of all trainings.
        identity: everything that decides the result, as JSON values by readable names.
        log: writes a line of text.

    Raises:
        UserError: on entering, if another process runs the same training.
    """

    def __init__(self, root: Path, identity: Mapping[str, Any], log: Callable[[str], None]):
        # through JSON, so that it compares equal to the identity read from a file (tuples become lists)
        self.identity, self.log = json.loads(json.dumps(identity)), log
        self.folder = root / digest(self.identity)
        root.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(_lock_file(self.folder))

    @property
    def state_file(self) -> Path:
        """Path of the saved state, which may not exist."""
        return self.folder / "state.pt"

    def __enter__(self) -> "Checkpoints":
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"another process is running the very same training (it holds {self._lock.lock_file}); "
                "wait until it has finished"
            ) from None
        _sweep(self.folder.parent)
        return self

    def __exit__(self, *_: object) -> None:
        if not self.folder.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()

    def load(self) -> dict[str, Any] | None:
        """Reads the last saved state.

        Returns:
            The state on the CPU, or None if there is no readable state; the log says why.
        """
        if not self.state_file.exists():
            if nearest := self._nearest():
                self.log(f"starts afresh: the interrupted training in {nearest[0]} differs in {nearest[1]}")
            return None
        try:
            state = torch.load(self.state_file, map_location="cpu", weights_only=True)
            self.log(f"goes on after epoch {state['epochs']}, from the checkpoint in {self.folder}")
        except Exception as e:  # torch does not document what it raises for damaged files
            reason = (str(e) or type(e).__name__).splitlines()[0]
            self.log(f"starts afresh: the checkpoint {self.state_file} cannot be read ({reason})")
            return None
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Replaces the saved state, and returns when it is on the disk.

        Args:
            state: `epochs`, the number of finished epochs, and further values that torch can store without
                pickle.
        """
        self.folder.mkdir(exist_ok=True)
        identity = json.dumps(self.identity, indent=1, sort_keys=True)
        (self.folder / "identity.json").write_text(identity, "utf-8")
        part = self.state_file.with_suffix(".part")
        with open(part, "wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.state_file)
        if os.name == "posix":  # the renaming, too, must reach the disk
            folder = os.open(self.folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def _nearest(self) -> tuple[Path, str] | None:
        """The interrupted training with the fewest differences: its folder, and a list of the differences."""
        candidates = []
        for file in self.folder.parent.glob("*/identity.json"):
            try:
                other = json.loads(file.read_text("utf-8"))
                if other.get(FOLD) != self.identity.get(FOLD):
                    continue
                names = {*other, *self.identity}
                unequal = [n for n in names if other.get(n, ...) != self.identity.get(n, ...)]
            except (OSError, ValueError, TypeError, AttributeError):  # damaged, or just being removed
                continue
            if unequal:
                candidates.append((len(unequal), file.parent, ", ".join(sorted(unequal))))
        return min(candidates)[1:] if candidates else None


def remove(folder: Path) -> None:
    """Removes the state of a training that has ended and whose result is stored.

    Args:
        folder: `Checkpoints.folder`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    Path(_lock_file(folder)).unlink(missing_ok=True)


def _lock_file(folder: Path) -> str:
    return f"{folder}.lock"


def _sweep(root: Path) -> None:
    """Removes trainings that were not resumed within KEPT_DAYS, and folders that older versions left."""
    for entry in root.glob("*"):
        try:
            old = time.time() - entry.stat().st_mtime > KEPT_DAYS * DAY
        except FileNotFoundError:  # removed by another process
            continue
        if entry.is_dir() and (old or entry.name.startswith("tmp")):
            shutil.rmtree(entry, ignore_errors=True)
        elif old:
            entry.unlink(missing_ok=True)
