"""The frame around every stage: parameters checked first, errors in one line, inputs unchanged meanwhile.

    def main(run: stage.Run) -> None: ...

    if __name__ == "__main__":
        stage.run(main, __doc__, reads=[MANIFEST])

Exit status: 0 done, 2 something the user can mend (one line on stderr), 130 interrupted.
Anything else is a bug and keeps its traceback.
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
    """What a stage knows of its surroundings.

    `cache` is the folder for what may be lost without harm: finished clips, checkpoints. It lies in
    the main checkout also when DVC runs an experiment in a temporary copy, so that both share it.
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
        """The checked section of params.yaml."""
        loaded = params.load(section, model, self._raw)
        self._note(section, model.model_fields)
        return loaded

    def choice(self, section: str, model: type[C]) -> tuple[C, Any, Any]:
        """(the section, the alternative that it chooses, the parameters of that one), all checked."""
        choice, plugin, chosen = params.load_choice(section, model, self._raw)
        self._note(section, model.model_fields)
        self._note(f"{section}.{choice.chosen}", plugin.Params.model_fields)  # of the others nothing matters
        self._watch(plugin)
        return choice, plugin, chosen

    def each(
        self, section: str, model: type[Subsections], names: Iterable[str] | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """Name -> (alternative, its parameters) of all alternatives of a section, or of some; all checked."""
        every = params.load_each(section, model, self._raw, names)
        self._note(section, [*model.model_fields, *every])
        for plugin, _ in every.values():
            self._watch(plugin)
        return every

    def reads(self, path: Path) -> Path:
        """Notes an input that only the parameters tell, such as `data.root`."""
        self._reads.append(path)
        self._at_start |= _stat(path)
        return path

    def log(self, text: str) -> None:
        """A line for people, on stderr."""
        if is_first_process():
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def afterwards(self, action: Callable[[], None]) -> None:
        """Notes what to do when the stage has succeeded, such as to remove what a second try would need."""
        self._afterwards.append(action)

    def succeed(self) -> None:
        """Refuses changes, then does what was noted."""
        self.refuse_changes()
        for action in self._afterwards:
            action()

    def refuse_changes(self) -> None:
        """Raises UserError if an input, parameter or source file changed since the stage began.

        DVC takes the hashes of dependencies after a command ends (treeverse/dvc#11058): without this
        check it would record the result of the old file as that of the new one.
        """
        now = params.read()
        for section, before in self._loaded.items():
            if section not in WITHOUT_EFFECT and _values(now, section, before) != before:
                raise UserError(f"params.yaml: {section} {_MEANWHILE.format(self.name)}")
        state = self._state()
        for path in sorted({*state, *self._at_start}):
            if state.get(path) != self._at_start.get(path):
                raise UserError(f"{path} {_MEANWHILE.format(self.name)}")

    def _note(self, section: str, keys: Iterable[str]) -> None:
        """Remembers what a section said of these keys when the stage began."""
        self._loaded[section] = _values(self._raw, section, keys)

    def _watch(self, plugin: type[Plugin]) -> None:
        """Notes the source files of an alternative, which no import statement of the stage names."""
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
    """Whether this process is the only one of a run, or the first of a distributed one."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


WITHOUT_EFFECT = ("compute",)  # sections that change no result
ABSENT = object()


def _values(raw: Any, section: str, keys: Iterable[str]) -> dict[str, Any]:
    """What a section says of some of its keys; ABSENT where it says nothing."""
    for key in section.split("."):
        raw = raw.get(key) if isinstance(raw, dict) else None
    return {key: raw.get(key, ABSENT) if isinstance(raw, dict) else ABSENT for key in keys}


_MEANWHILE = (
    "was changed while the stage {!r} ran, so its result belongs to neither version; run `dvc repro` "
    "again (`dvc exp run --temp` works on a snapshot, where edits do no harm)"
)


def run(main: Callable[[Run], None], doc: str | None, reads: Sequence[Path] = ()) -> None:
    """Runs a stage as a command; `doc` is its --help, `reads` its input files and folders."""
    name = Path(sys.argv[0]).stem
    argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Parameters are read from params.yaml in the current folder. `dvc repro` runs the "
        "stages that need it, in order.",
    ).parse_args()
    try:
        this = Run(name, reads)
        main(this)
        this.succeed()
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
    """Length and time of change of every file at or below a path."""
    try:
        files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
        return {str(f): ((s := f.stat()).st_size, s.st_mtime_ns) for f in files}
    except FileNotFoundError:
        return {}
