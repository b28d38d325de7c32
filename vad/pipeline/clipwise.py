"""The loop over clips of all per-clip stages: parallel, incremental, atomic, with progress.

Finished clips are kept in a cache (not DVC's). The key of a clip is a hash of its inputs, the parameters in
effect and the source files of the work function. A stage computes the clips that the cache lacks, then
rebuilds its output folder from the cache. So adding a clip costs the work on that clip only, a removed clip
disappears from the outputs, and going back to earlier parameters computes nothing. Everything is written
under a temporary name and renamed when complete.
"""

import os
import shutil
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from vad import UserError
from vad.pipeline import closure
from vad.pipeline.compute_params import ComputeParams
from vad.pipeline.params import Section
from vad.pipeline.progress import Progress
from vad.store import cards
from vad.store.digests import digest

Work = Callable[..., None]
# joblib warns of the clips that it cancels after an error; the error itself is reported anyway
warnings.filterwarnings("ignore", ".*tasks which were still being processed.*")
LEFTOVER_AGE = 24 * 3600  # seconds after which an unfinished entry of the cache belongs to no running process


@dataclass(frozen=True)
class Job:
    """The work on a single clip.

    Attributes:
        clip: id of the clip, for messages.
        name: path of the outputs below the output folder, without suffix.
        inputs: content hashes of all input files.
        args: arguments of the work function after the stem. Their sections of params.yaml and the source
            files of their classes go into the cache key.
        frames: number of frames, for the progress bar only.
    """

    clip: str
    name: str
    inputs: tuple[str, ...]
    args: tuple[Any, ...]
    frames: int = 1

    @classmethod
    def on(
        cls, clip: str, stems: Sequence[Path], *args: Any, name: str = "", also: Sequence[str] = ()
    ) -> "Job":
        """Makes a job whose inputs are files with cards.

        Args:
            clip: id of the clip.
            stems: input files; the first arguments of the work function.
            *args: further arguments of the work function.
            name: path of the outputs below the output folder; the id by default.
            also: hashes of further inputs.

        Raises:
            UserError: if a card is missing or broken.
        """
        contents = [cards.read_card(stem) for stem in stems]
        return cls(
            clip=clip,
            name=name or clip,
            inputs=(*(digest(card) for card in contents), *also),
            args=(*stems, *args),
            frames=contents[0].get("frames") or contents[0].get("shape", [1])[0],
        )


class StageRun(Protocol):
    """The part of `pipeline.stage.Run` that the loop uses."""

    name: str
    cache: Path

    def params(self, section: str, model: type[ComputeParams]) -> ComputeParams: ...


def each_clip(
    run: StageRun,
    work: Work,
    jobs: Sequence[Job],
    out: Path,
    *,
    label: str = "",
    on_error: Literal["fail", "skip"] = "fail",
    parallel: bool = True,
) -> dict[str, str]:
    """Runs the work function on all clips that the cache lacks; writes the files of all clips to `out`.

    Args:
        run: the stage.
        work: `work(stem, *job.args, threads=n)` writes `<stem>.npy`, `<stem>.json`, `<stem>.more.npy`, … of a
            clip with at most n threads. Its result must depend only on its arguments and its code.
        jobs: the clips.
        out: the output folder; replaced as a whole when all clips are finished.
        label: text before the progress bar; the stage's name by default.
        on_error: whether a clip that fails stops the run or is left out.
        parallel: whether to use several processes; otherwise clips run in this process, one after another.

    Returns:
        {clip: reason} of the clips that were left out.

    Raises:
        UserError: at the first clip that fails, with its id; `out` is then unchanged.
    """
    compute = run.params("compute", ComputeParams)
    cache = run.cache / "clips"
    cache.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(cache)
    code_hash = lru_cache(_code_hash)  # for this call only, since sources may change before the next
    keys = {job.name: _key(work, job, code_hash) for job in jobs}
    todo = {keys[job.name]: job for job in jobs if not (cache / keys[job.name]).is_dir()}
    failed: dict[str, str] = {}
    with Progress(label or run.name, len(todo), sum(job.frames for job in todo.values())) as progress:
        for key, error in _results(work, todo, cache, compute if parallel else None):
            if error is not None:
                if on_error == "fail":
                    raise UserError(f"clip {todo[key].clip!r}: {error}")
                failed[key] = error
            progress.advance(todo[key].frames)
    _rebuild(out, {job.name: cache / keys[job.name] for job in jobs if keys[job.name] not in failed})
    trim(cache, compute.cache_gb, keep=set(keys.values()))
    return {job.clip: failed[keys[job.name]] for job in jobs if keys[job.name] in failed}


def _key(work: Work, job: Job, code_hash: Callable[..., str]) -> str:
    """Cache key of a clip: a hash of the code, the parameters in effect and the inputs."""
    # whatever may bring code and parameters: the arguments, and the plug-in if `work` is its method
    objects = [getattr(work, "__self__", None)]
    for arg in job.args:
        objects += arg if isinstance(arg, tuple) else [arg]
    # by the type of an argument, since a plug-in is imported by name and no import statement mentions it
    modules = sorted({work.__module__, *(type(arg).__module__ for arg in objects)})
    sections = [arg if isinstance(arg, Section) else getattr(arg, "params", None) for arg in objects]
    params = [section.active() for section in sections if isinstance(section, Section)]
    return digest([work.__qualname__, code_hash(*modules), params, job.inputs])


def trim(cache: Path, limit_gb: float, keep: Collection[str] = ()) -> None:
    """Deletes the least recently used entries until the cache is within its limit.

    Args:
        cache: folder of the entries, each a folder named by its key.
        limit_gb: in GB (10^9 bytes).
        keep: keys of entries that are never deleted.
    """
    sizes, last_use = {}, {}
    for entry in cache.iterdir():
        if entry.suffix != ".part":
            with suppress(FileNotFoundError):  # deleted meanwhile by another run
                sizes[entry] = sum(f.stat().st_size for f in entry.iterdir())
                last_use[entry] = entry.stat().st_mtime
    excess = sum(sizes.values()) - limit_gb * 1e9
    for entry in sorted(last_use, key=last_use.__getitem__):
        if excess <= 0:
            return
        if entry.name not in keep:
            excess -= sizes[entry]
            shutil.rmtree(entry, ignore_errors=True)


def _results(
    work: Work, todo: dict[str, Job], cache: Path, compute: ComputeParams | None
) -> Iterator[tuple[str, str | None]]:
    """Computes the clips of `todo`; yields (key, error message or None) as each finishes."""
    cores = joblib.cpu_count()
    requested = 1 if compute is None else compute.workers
    workers = max(1, min(cores if requested == "auto" else requested, len(todo)))
    threads = max(1, cores // workers)
    # longest first, or a long clip at the end would keep a single core busy
    order = sorted(todo.items(), key=lambda item: -item[1].frames)
    tasks = (joblib.delayed(_compute)(work, job.args, cache, key, threads) for key, job in order)
    if workers == 1:
        yield from (call(*args) for call, args, _ in tasks)
    else:
        pool = joblib.Parallel(workers, batch_size=1, return_as="generator_unordered")
        try:
            yield from pool(tasks)
        except TerminatedWorkerError:
            raise UserError(
                "a worker process was killed, most likely because memory ran out; lower compute.workers "
                f"(now {requested}) or extract.max_side"
            ) from None


def _compute(
    work: Work, args: tuple[Any, ...], cache: Path, key: str, threads: int
) -> tuple[str, str | None]:
    """Computes a clip into the cache; returns (key, error message or None)."""
    part = cache / f"{key}.{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        work(part / "data", *args, threads=threads)
        # without fsync, a power cut could leave empty files under the final name
        for file in part.iterdir():
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())
        part.replace(cache / key)
    except UserError as e:
        return key, str(e)
    except OSError:
        if not (cache / key).is_dir():  # otherwise another run has finished the same clip before
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return key, None


def _rebuild(out: Path, entries: dict[str, Path]) -> None:
    """Replaces the folder `out` by the files of the entries, given by name."""
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, entry in entries.items():
        try:
            os.utime(entry)  # `trim` takes the modification time for the time of the last use
            for file in entry.iterdir():
                target = part / (name + file.name.removeprefix("data"))
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(file, target)
        except FileNotFoundError:
            raise UserError(
                f"{entry}: removed by another run meanwhile; run again, or raise compute.cache_gb"
            ) from None
    shutil.rmtree(out, ignore_errors=True)
    part.replace(out)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def _remove_leftovers(cache: Path) -> None:
    """Removes the unfinished entries of killed runs."""
    for part in cache.glob("*.part"):
        if time.time() - part.stat().st_mtime > LEFTOVER_AGE:
            shutil.rmtree(part, ignore_errors=True)


def _code_hash(*modules: str) -> str:
    """Hash of all source files in the import closure of modules."""
    files = sorted(closure.sources(*modules))
    return digest([(str(f), (closure.ROOT / f).read_text("utf-8")) for f in files])
