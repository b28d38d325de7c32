"""The loop over clips that all per-clip stages share: parallel, incremental, atomic, with progress.

A finished clip is kept in a side cache under a key made of the content of its inputs, the parameters
that matter and the source files that make it. A stage builds its output folder anew from what the
cache holds and computes only what is missing. So one more clip costs one clip, a removed clip is gone,
going back to earlier parameters computes nothing, and no result depends on what an earlier run left
behind. Everything is written under a temporary name and renamed when whole.
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
from typing import Annotated, Any, Literal, Protocol

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from vad import UserError
from vad.pipeline import closure
from vad.pipeline.params import Field, Section
from vad.pipeline.progress import Progress
from vad.store import cards
from vad.store.digests import digest

Work = Callable[..., None]
# an error in one clip ends the run: that others were cut short is no news
warnings.filterwarnings("ignore", ".*tasks which were still being processed.*")


class ComputeParams(Section):
    """`compute`: how the work is spread. Changes no result, so no stage depends on it."""

    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto", description="processes that handle clips; `auto`: one per core"
    )
    cache_gb: float = Field(20.0, ge=0, description="limit of .cache/clips, in GB")


@dataclass(frozen=True)
class Job:
    """One clip to be made.

    Attributes:
        clip: its id, for messages.
        name: its path below the output folder, without suffix.
        inputs: content hashes of all files that it is made of.
        args: what the work function gets after the stem. Sections of params.yaml among them, and the source
            files of plug-ins among them, belong to the key of the cache.
        frames: for progress only.
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
        """A job whose inputs are files with cards.

        Args:
            clip: the clip's id.
            stems: its files; the work function gets them first, then `args`.
            name: path below the output folder, if it is not the id.
            also: hashes of further inputs.
        """
        contents = [cards.read_card(stem) for stem in stems]
        return cls(
            clip=clip,
            name=name or clip,
            inputs=(*(digest(card) for card in contents), *also),
            args=(*stems, *args),
            frames=contents[0].get("frames") or contents[0]["shape"][0],
        )


class Surroundings(Protocol):
    """What the loop needs of a stage (`pipeline.stage.Run`)."""

    name: str
    cache: Path

    def params(self, section: str, model: type[ComputeParams]) -> ComputeParams: ...


def each_clip(
    run: Surroundings,
    work: Work,
    jobs: Sequence[Job],
    out: Path,
    *,
    label: str = "",
    on_error: Literal["fail", "skip"] = "fail",
    parallel: bool = True,
) -> dict[str, str]:
    """Fills the folder `out` with the files of all jobs, which the work function makes or the cache holds.

    Args:
        run: the stage.
        work: `work(stem, *job.args, threads=n)` writes `<stem>.npy`, `<stem>.json`, `<stem>.more.npy`, … of
            one clip with at most n threads. It must depend on nothing but its arguments and code.
        jobs: the clips.
        out: replaced as a whole, once all clips are there.
        label: what the progress bar says, if not the stage's name.
        on_error: whether a clip that fails stops the run or is left out.
        parallel: whether clips are spread over processes; else they run one by one in this process.

    Returns:
        {clip: reason} of the clips that were left out.

    Raises:
        UserError: with the clip's id at the first clip that fails; `out` then stays as it was.
    """
    compute = run.params("compute", ComputeParams)
    shelf = run.cache / "clips"
    shelf.mkdir(parents=True, exist_ok=True)
    _sweep(shelf)
    code = lru_cache(_code)  # for this call alone: sources may change until the next
    keys = {job.name: _key(work, job, code) for job in jobs}
    todo = {keys[job.name]: job for job in jobs if not (shelf / keys[job.name]).is_dir()}
    failed: dict[str, str] = {}
    with Progress(label or run.name, len(todo), sum(job.frames for job in todo.values())) as progress:
        for key, error in _results(work, todo, shelf, compute if parallel else None):
            if error is not None:
                if on_error == "fail":
                    raise UserError(f"clip {todo[key].clip!r}: {error}")
                failed[key] = error
            progress.advance(todo[key].frames)
    _fill(out, {job.name: shelf / keys[job.name] for job in jobs if keys[job.name] not in failed})
    trim(shelf, compute.cache_gb, keep=set(keys.values()))
    return {job.clip: failed[keys[job.name]] for job in jobs if keys[job.name] in failed}


def _key(work: Work, job: Job, code: Callable[..., str]) -> str:
    """Key of the cache: code, parameters and inputs that make a clip."""
    given = [getattr(work, "__self__", None)]
    for arg in job.args:
        given += arg if isinstance(arg, tuple) else [arg]
    modules = sorted({work.__module__, *(type(arg).__module__ for arg in given)})
    sections = [arg if isinstance(arg, Section) else getattr(arg, "params", None) for arg in given]
    params = [section.active() for section in sections if isinstance(section, Section)]
    return digest([work.__qualname__, code(*modules), params, job.inputs])


def trim(shelf: Path, limit_gb: float, keep: Collection[str] = ()) -> None:
    """Deletes the entries that were not used for longest until the cache is within its limit."""
    weight, used = {}, {}
    for entry in shelf.iterdir():
        if entry.suffix != ".part":
            with suppress(FileNotFoundError):  # another run trims too
                weight[entry] = sum(f.stat().st_size for f in entry.iterdir())
                used[entry] = entry.stat().st_mtime
    excess = sum(weight.values()) - limit_gb * 1e9
    for entry in sorted(used, key=used.__getitem__):
        if excess <= 0:
            return
        if entry.name not in keep:
            excess -= weight[entry]
            shutil.rmtree(entry, ignore_errors=True)


def _results(
    work: Work, todo: dict[str, Job], shelf: Path, compute: ComputeParams | None
) -> Iterator[tuple[str, str | None]]:
    """Makes the missing clips; yields (key, None) or (key, what was wrong) as they are done."""
    cores = joblib.cpu_count()
    wanted = 1 if compute is None else compute.workers
    workers = max(1, min(cores if wanted == "auto" else wanted, len(todo)))
    threads = max(1, cores // workers)
    # longest first, so that no long clip is left for the end
    order = sorted(todo.items(), key=lambda item: -item[1].frames)
    tasks = (joblib.delayed(_make)(work, job.args, shelf, key, threads) for key, job in order)
    if workers == 1:
        yield from (call(*args) for call, args, _ in tasks)
    else:
        pool = joblib.Parallel(workers, batch_size=1, return_as="generator_unordered")
        try:
            yield from pool(tasks)
        except TerminatedWorkerError:
            raise UserError(
                "a worker process was killed, most likely because memory ran out; lower compute.workers "
                f"(now {wanted}) or extract.max_side"
            ) from None


def _make(work: Work, args: tuple[Any, ...], shelf: Path, key: str, threads: int) -> tuple[str, str | None]:
    part = shelf / f"{key}.{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        work(part / "data", *args, threads=threads)
        for file in part.iterdir():  # on disk before it has its name, also after a power cut
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())
        part.replace(shelf / key)
    except UserError as e:
        return key, str(e)
    except OSError:
        if not (shelf / key).is_dir():  # else another run was faster
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return key, None


def _fill(out: Path, entries: dict[str, Path]) -> None:
    """Puts the entries' files into `out`, which is replaced as a whole."""
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, entry in entries.items():
        try:
            os.utime(entry)
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


def _sweep(shelf: Path) -> None:
    """Removes what killed runs left half done, once nobody can still be at work on it."""
    for part in shelf.glob("*.part"):
        if time.time() - part.stat().st_mtime > 24 * 3600:
            shutil.rmtree(part, ignore_errors=True)


def _code(*modules: str) -> str:
    """Hash of the source files that modules are made of."""
    files = sorted(closure.sources(*modules))
    return digest([(str(f), (closure.ROOT / f).read_text("utf-8")) for f in files])
