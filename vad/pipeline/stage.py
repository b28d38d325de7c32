"""Runs a stage as a command: loads its parameters, prints errors as a single line, guards its inputs.

    def main(run: stage.Run) -> None: ...

    if __name__ == "__main__":
        stage.run(main, __doc__, reads=[MANIFEST])

Exit status: 0 success, 2 an error that the user can fix (a single line on stderr), 130 interrupted.
Any other exception is a bug and keeps its traceback.
"""

import argparse
import errno
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from vad import UserError
from vad.pipeline import closure, params
from vad.pipeline.params import Subsections
from vad.pipeline.registry import Plugin

S = TypeVar("S", bound=params.Section)
C = TypeVar("C", bound=params.Choice)


class Run:
    """A run of a stage: its parameters, its cache folder, its log, and the state of its inputs at the start.

    Args:
        name: of the stage.
        reads: input files and folders.

    Attributes:
        cache: folder of files that can be computed again: finished clips, checkpoints. It is that of the main
            checkout even when DVC runs an experiment in a temporary copy, so that both share it.
    """

    def __init__(self, name: str, reads: Sequence[Path] = ()):
        self.name = name
        self.cache = Path(os.environ.get("DVC_ROOT", ".")) / ".cache"
        self._raw = params.read()
        self._loaded: dict[str, dict[str, Any]] = {}
        self._modules = [f"stages.{name}"]
        self._reads = list(reads)
        self._at_start = self._state()
        self._afterwards: list[Callable[[], None]] = []

    def params(self, section: str, model: type[S]) -> S:
        """Loads a section of params.yaml (`params.load`) and watches its keys for changes."""
        loaded = params.load(section, model, self._raw)
        self._remember(section, model.model_fields)
        return loaded

    def choice(self, section: str, model: type[C]) -> tuple[C, Any, Any]:
        """Loads a section that chooses an alternative (`params.load_choice`); watches keys and source files.

        Returns:
            (the section, the class of the chosen alternative, its sub-section).
        """
        choice, plugin, chosen = params.load_choice(section, model, self._raw)
        self._remember(section, model.model_fields)
        self._remember(f"{section}.{choice.chosen}", plugin.Params.model_fields)
        self._watch(plugin)
        return choice, plugin, chosen

    def each(
        self, section: str, model: type[Subsections], names: Iterable[str] | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """Loads several alternatives of a section (`params.load_each`); watches keys and source files.

        Returns:
            Name -> (class of the alternative, its sub-section).
        """
        loaded = params.load_each(section, model, self._raw, names)
        self._remember(section, [*model.model_fields, *loaded])
        for plugin, _ in loaded.values():
            self._watch(plugin)
        return loaded

    def reads(self, path: Path) -> Path:
        """Declares a further input, for example a folder set by a parameter; returns its path."""
        self._reads.append(path)
        self._at_start |= _stat(path)
        return path

    def log(self, text: str) -> None:
        """Prints a line for the user on stderr."""
        if is_first_process():
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def afterwards(self, action: Callable[[], None]) -> None:
        """Schedules an action for after the stage has succeeded, for example to remove checkpoints."""
        self._afterwards.append(action)

    def succeed(self) -> None:
        """Checks that no input has changed, then runs the scheduled actions."""
        self.refuse_changes()
        for action in self._afterwards:
            action()

    def refuse_changes(self) -> None:
        """Checks that inputs, parameters and source files are unchanged since the stage began.

        DVC hashes the dependencies after the command has ended (treeverse/dvc#11058): without this check it
        would record the result of the old file under the hash of the new.

        Raises:
            UserError: naming the file or section that changed.
        """
        now = params.read()
        for section, before in self._loaded.items():
            if section not in WITHOUT_EFFECT and _values(now, section, before) != before:
                raise UserError(f"params.yaml: {section} {_MEANWHILE.format(self.name)}")
        state = self._state()
        for path in sorted({*state, *self._at_start}):
            if state.get(path) != self._at_start.get(path):
                raise UserError(f"{path} {_MEANWHILE.format(self.name)}")

    def _remember(self, section: str, keys: Iterable[str]) -> None:
        """Remembers the values that these keys had when the stage began."""
        self._loaded[section] = _values(self._raw, section, keys)

    def _watch(self, plugin: type[Plugin]) -> None:
        """Adds the source files of a plug-in, which is imported by name and so not in the stage's closure."""
        self._modules.append(plugin.__module__)
        self._at_start |= self._code(plugin.__module__)

    def _state(self) -> dict[str, Any]:
        state = self._code(*self._modules)
        for path in self._reads:
            state |= _stat(path)
        return state

    def _code(self, *modules: str) -> dict[str, Any]:
        files = closure.sources(*modules)
        return {str(f): hashlib.md5((closure.ROOT / f).read_bytes()).digest() for f in files}


def is_first_process() -> bool:
    """Whether this is the first process of a distributed run, or the run is not distributed."""
    # torchrun sets RANK; Lightning, where it starts the processes itself, only LOCAL_RANK
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


WITHOUT_EFFECT = ("compute",)  # sections that change no result
ABSENT = object()


def _values(raw: Any, section: str, keys: Iterable[str]) -> dict[str, Any]:
    """Values of some keys of a section; ABSENT for keys that are not in the file."""
    for key in section.split("."):
        raw = raw.get(key) if isinstance(raw, dict) else None
    return {key: raw.get(key, ABSENT) if isinstance(raw, dict) else ABSENT for key in keys}


_MEANWHILE = (
    "was changed while the stage {!r} ran, so its result belongs to neither version; run `dvc repro` "
    "again (`dvc exp run --temp` works on a snapshot, where edits do no harm)"
)


def run(main: Callable[[Run], None], doc: str | None, reads: Sequence[Path] = ()) -> None:
    """Runs a stage as a command and exits with its status.

    Args:
        main: the work of the stage.
        doc: text of --help.
        reads: input files and folders, which must not change while the stage runs.
    """
    name = Path(sys.argv[0]).stem
    argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Parameters are read from params.yaml in the current folder. `dvc repro` runs the "
        "stages that need it, in order.",
    ).parse_args()
    try:
        stage_run = Run(name, reads)
        main(stage_run)
        stage_run.succeed()
    except UserError as e:
        _stop(name, str(e), 2)
    except KeyboardInterrupt:
        kept = "finished stages, clips and epochs are kept, `dvc repro` goes on from there"
        _stop(name, f"interrupted; {kept}", 130)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            _stop(name, f"the disk is full ({e}); free some space, then run `dvc repro` again", 2)
        if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            _stop(name, f"{e.filename}: no permission ({e.strerror}); check its owner and rights", 2)
        raise


def _stop(name: str, message: str, status: int) -> None:
    print(f"{name}: error: {message}", file=sys.stderr, flush=True)
    sys.exit(status)


def _stat(path: Path) -> dict[str, Any]:
    """Size and modification time of every file at or below a path."""
    try:
        files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
        return {str(f): ((s := f.stat()).st_size, s.st_mtime_ns) for f in files}
    except FileNotFoundError:
        return {}
