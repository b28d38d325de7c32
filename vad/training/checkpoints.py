"""Keeps unfinished trainings, so that the next run goes on where one was interrupted.

A training is known by a key made of all that decides its result: parameters, data, code, the weights it
starts from. Its folder below `.cache/checkpoints` holds one state, replaced as a whole after each epoch:
a power cut leaves the old or the new one, never half of one. No pickle is executed on reading.
"""

import hashlib
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

KEPT_DAYS = 30  # so long an interrupted training waits to be continued


class Checkpoints:
    """The state of one training. A context manager: one process at a time may hold it.

    `what` names all that decides the result, values as JSON holds them. `load()` gives what the last `save`
    was given; `done()` removes it. Raises UserError if another process trains the same.
    """

    def __init__(self, root: Path, what: Mapping[str, Any], log: Callable[[str], None]):
        self.what, self.log = json.loads(json.dumps(what)), log
        text = json.dumps(self.what, sort_keys=True)
        self.folder = root / hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        root.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{self.folder}.lock")

    @property
    def state_file(self) -> Path:
        """Where the state lies, if there is one."""
        return self.folder / "state.pt"

    def __enter__(self) -> "Checkpoints":
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"another process is training the very same (it holds {self._lock.lock_file}); "
                "wait until it has finished"
            ) from None
        _sweep(self.folder.parent)
        return self

    def __exit__(self, *_: object) -> None:
        if not self.folder.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()

    def load(self) -> dict[str, Any] | None:
        """The last whole state, on the CPU; None, and a line in the log if there is a reason to give."""
        if not self.state_file.exists():
            if near := self._nearest():
                self.log(f"starts afresh: the interrupted training in {near[0]} differs in {near[1]}")
            return None
        try:
            state = torch.load(self.state_file, map_location="cpu", weights_only=True)
            self.log(f"goes on after epoch {state['epochs']}, from the checkpoint in {self.folder}")
        except Exception as e:  # the reader raises whatever it stumbles over
            reason = (str(e) or type(e).__name__).splitlines()[0]
            self.log(f"starts afresh: the checkpoint {self.state_file} cannot be read ({reason})")
            return None
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Replaces the state; when this returns, it is on the disk."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "what.json").write_text(json.dumps(self.what, indent=1, sort_keys=True), "utf-8")
        part = self.state_file.with_suffix(".part")
        with open(part, "wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.state_file)
        if os.name == "posix":  # the new name itself
            folder = os.open(self.folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def done(self) -> None:
        """The training has ended: its state is needed no more."""
        shutil.rmtree(self.folder, ignore_errors=True)
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def _nearest(self) -> tuple[Path, str] | None:
        """The interrupted training that differs in the fewest things, and in which."""
        found = []
        for file in self.folder.parent.glob("*/what.json"):
            try:
                other = json.loads(file.read_text("utf-8"))
                names = [n for n in {*other, *self.what} if other.get(n, ...) != self.what.get(n, ...)]
            except (OSError, ValueError, TypeError, AttributeError):  # damaged, or just being removed
                continue
            if names:
                found.append((len(names), file.parent, ", ".join(sorted(names))))
        return min(found)[1:] if found else None


def _sweep(root: Path) -> None:
    """Removes what nobody came back for, and what a version of this project before checkpoints left."""
    for entry in root.glob("*"):
        try:
            old = time.time() - entry.stat().st_mtime > KEPT_DAYS * 86400
        except FileNotFoundError:  # another process was faster
            continue
        if entry.is_dir() and (old or entry.name.startswith("tmp")):
            shutil.rmtree(entry, ignore_errors=True)
        elif old:
            entry.unlink(missing_ok=True)
