"""The loop over clips: only missing results are computed, and no partial result is ever used."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.stream.clips import write_frames
from vad import UserError
from vad.flow.compute import compute_flow
from vad.flow.none import NoFlow
from vad.pipeline import clipwise, closure
from vad.pipeline.clipwise import Job, each_clip
from vad.pipeline.compute_params import ComputeParams
from vad.pipeline.params import Section
from vad.regions.table import write as write_regions
from vad.resize import cut
from vad.store import arrays
from vad.store.body_heights import BodyHeight
from vad.windows import spec

ROOT = Path(__file__).resolve().parents[2]
SIZE = 1000  # least bytes of a clip of `Loop`


class Params(Section):
    """Parameters of a work function."""

    a: Any = None


class Loop:
    """A loop whose work function writes a given content, and records the clips that it was called for."""

    def __init__(self, folder: Path):
        self.out, self.cache, self.made, self.bad = folder / "out", folder / "cache", [], {}
        self.section: Section = Params(a=1)
        self.cache_gb, self.name, self.plugin = 1.0, "loop", None

    def params(self, section: str, model: type[ComputeParams]) -> ComputeParams:
        """Parameters as from `stage.Run.params`."""
        assert (section, model) == ("compute", ComputeParams)
        return ComputeParams(workers=1, cache_gb=self.cache_gb)

    def work(self, stem: Path, clip: str, content: str, section: Section, *more: Any, threads: int) -> None:
        assert threads >= 1
        self.made.append(clip)
        if clip in self.bad:
            Path(f"{stem}.npy").write_text("half")
            raise self.bad[clip]
        Path(f"{stem}.npy").write_text(content * SIZE)
        Path(f"{stem}.json").write_text(repr(section))

    def __call__(self, clips: dict[str, str], **options: Any) -> list[str]:
        """Runs the loop over clips with the given contents; returns those that were computed, in order."""
        self.made = []
        more = (self.section,) if self.plugin is None else (self.section, (self.plugin,))
        jobs = [Job(clip, clip, (content,), (clip, content, *more)) for clip, content in clips.items()]
        self.skipped = each_clip(self, self.work, jobs, self.out, parallel=False, **options)
        return self.made

    def found(self) -> dict[str, str]:
        """The content of each clip in the output folder."""
        return {
            p.relative_to(self.out).with_suffix("").as_posix(): p.read_text()[0]
            for p in sorted(self.out.rglob("*.npy"))
        }

    def entries(self) -> set[str]:
        return {p.name for p in (self.cache / "clips").iterdir()}


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return Loop(tmp_path)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


ABC = {"train/a": "1", "train/b": "2", "test/c": "3"}


def test_a_finished_clip_is_not_computed_again(loop):
    assert loop(ABC) == list(ABC)
    before = snapshot(loop.cache)
    assert loop(ABC) == []
    assert loop.found() == ABC
    assert snapshot(loop.cache) == before


def test_one_more_clip_costs_one_clip(loop):
    loop(ABC)
    assert loop(ABC | {"train/d": "4"}) == ["train/d"]
    assert loop.found() == ABC | {"train/d": "4"}


def test_a_removed_clip_is_gone(loop):
    loop(ABC)
    assert loop({"train/b": "2"}) == []
    assert loop.found() == {"train/b": "2"}
    assert {p.name for p in loop.out.iterdir()} == {"train"}


def test_earlier_files_in_the_output_folder_do_not_matter(loop):
    loop(ABC)
    (loop.out / "train/stray.npy").write_text("s")
    (loop.out / "train/a.npy").unlink()
    assert loop(ABC) == []
    assert loop.found() == ABC


def test_a_changed_input_is_computed_and_the_previous_input_comes_from_the_cache(loop):
    loop(ABC)
    assert loop(ABC | {"train/a": "9"}) == ["train/a"]
    assert loop.found() == ABC | {"train/a": "9"}
    assert loop(ABC) == []
    assert loop.found() == ABC


@pytest.mark.parametrize("value", [2, "1", None, [1], {"a": 1}])
def test_changed_parameters_recompute_all_clips(loop, value):
    loop(ABC)
    loop.section = Params(a=value)
    assert loop(ABC) == list(ABC)
    assert (loop.out / "train/a.json").read_text() == repr(loop.section)


def test_the_parameters_of_a_plug_in_count_too(loop):
    """Parameters of a plug-in among the arguments; the plug-in of a bound method is the same case."""
    loop.plugin = SimpleNamespace(params=Params(a=1))
    assert loop(ABC) == list(ABC)
    loop.plugin = SimpleNamespace(params=Params(a=1))
    assert loop(ABC) == []
    loop.plugin = SimpleNamespace(params=Params(a=2))
    assert loop(ABC) == list(ABC)


def test_two_work_functions_never_share_a_clip(loop):
    def other(stem: Path, *args: Any, threads: int) -> None:
        loop.work(stem, *args, threads=threads)

    loop(ABC)
    jobs = [Job(c, c, (content,), (c, content, loop.section)) for c, content in ABC.items()]
    loop.made = []
    each_clip(loop, other, jobs, loop.out, parallel=False)
    assert loop.made == list(ABC)


def test_a_section_counts_by_its_values(loop):
    loop(ABC)
    loop.section = Params(a=1)
    assert loop(ABC) == []


class Switch(Section):
    """A section in which a value disables another."""

    mode: str
    strength: int
    names: list[str]

    def active(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"strength"} if self.mode == "off" else set())


def test_only_active_values_of_a_section_count(loop):
    def made(mode: str, strength: int, *names: str) -> list[str]:
        loop.section = Switch(mode=mode, strength=strength, names=list(names))
        return loop(ABC)

    assert made("on", 1) == list(ABC)
    assert made("on", 2) == list(ABC)
    assert made("off", 2) == list(ABC)
    assert made("off", 3) == []
    assert made("off", 3, "x") == list(ABC)
    assert made("on", 1) == []


def test_all_values_of_a_section_count_by_default():
    assert ComputeParams(workers="auto", cache_gb=2.5).active() == {"workers": "auto", "cache_gb": 2.5}


def test_a_clip_may_have_further_files(loop):
    """Files beside <clip>.npy, for example silhouettes; each keeps its suffix after the clip's name."""

    def work(stem: Path, clip: str, content: str, section: Section, *, threads: int) -> None:
        Loop.work(loop, stem, clip, content, section, threads=threads)
        arrays.write_array(Path(f"{stem}.silhouette"), np.full((2, 3), int(content), np.uint8))
        Path(f"{stem}.data.txt").write_text(content)
        if clip == "train/b":
            Path(f"{stem}.classes.npy").write_text(content)

    loop.work = work
    assert loop(ABC) == list(ABC)
    each = ["npy", "json", "silhouette.npy", "silhouette.json", "data.txt"]
    expected = {f"{clip}.{suffix}" for clip in ABC for suffix in each} | {"train/b.classes.npy"}
    assert set(snapshot(loop.out)) == expected
    for clip, content in ABC.items():
        array, _ = arrays.open_array(loop.out / f"{clip}.silhouette")
        assert (array == int(content)).all()
    (loop.out / "train/a.silhouette.npy").unlink()
    assert loop(ABC) == []
    assert set(snapshot(loop.out)) == expected
    loop({"test/c": "3"})
    assert set(snapshot(loop.out)) == {f"test/c.{suffix}" for suffix in each}


@pytest.mark.parametrize("edited", ["worker.py", "part.py", "chosen.py"])
def test_edited_code_recomputes_all_clips(loop, tmp_path, monkeypatch, edited):
    """The work's module, what it imports, and the modules of plug-ins among the arguments."""
    code = tmp_path / "code"
    code.mkdir()
    for name, text in {"worker": "import part", "part": "", "chosen": "", "other": ""}.items():
        (code / f"{name}.py").write_text(text)
    monkeypatch.setattr(closure, "ROOT", code)
    monkeypatch.setattr(Loop, "__module__", "worker")
    monkeypatch.setattr(Loop.work, "__module__", "worker")
    loop.plugin = type("Chosen", (), {"__module__": "chosen"})()
    loop(ABC)
    (code / "other.py").write_text("# edited")
    assert loop(ABC) == []
    (code / edited).write_text((code / edited).read_text() + "\n# edited")
    assert loop(ABC) == list(ABC)


def test_the_longest_clip_comes_first(loop):
    lengths = {"s": 1, "l": 9, "m": 5}
    jobs = [Job(c, c, (c,), (c, c, loop.section), frames=n) for c, n in lengths.items()]
    each_clip(loop, loop.work, jobs, loop.out, parallel=False)
    assert loop.made == ["l", "m", "s"]


def test_identical_clips_are_computed_once_and_both_are_written(loop):
    assert len(loop({"a": "1", "b": "1"})) == 1
    assert loop.found() == {"a": "1", "b": "1"}


def test_an_error_names_the_clip_and_leaves_the_output_as_it_was(loop):
    loop(ABC)
    before = snapshot(loop.out)
    loop.bad = {"train/y": UserError("frame 3 is broken")}
    with pytest.raises(UserError, match=r"^clip 'train/y': frame 3 is broken$"):
        loop({"train/x": "7", "train/y": "8", "train/z": "9"})
    assert snapshot(loop.out) == before
    assert not any(name.endswith(".part") for name in loop.entries())
    loop.bad = {}
    assert "train/x" not in loop({"train/x": "7", "train/y": "8", "train/z": "9"})  # was kept
    assert loop.found() == {"train/x": "7", "train/y": "8", "train/z": "9"}


def test_a_skipped_clip_is_omitted_with_the_reason(loop):
    loop.bad = {"train/b": UserError("is broken")}
    assert loop(ABC, on_error="skip") == list(ABC)
    assert loop.skipped == {"train/b": "is broken"}
    assert loop.found() == {"train/a": "1", "test/c": "3"}
    assert loop(ABC, on_error="skip") == ["train/b"]  # computed again, never taken as finished
    loop.bad = {}
    assert loop(ABC, on_error="skip") == ["train/b"]
    assert (loop.skipped, loop.found()) == ({}, ABC)


def test_clips_identical_to_a_skipped_clip_are_skipped(loop):
    loop.bad = {"a": UserError("bad"), "b": UserError("bad")}
    loop({"a": "1", "b": "1", "c": "2"}, on_error="skip")
    assert loop.skipped == {"a": "bad", "b": "bad"}
    assert loop.found() == {"c": "2"}


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("error", [ValueError("bug"), OSError(28, "No space left on device")])
def test_errors_that_are_not_due_to_a_clip_are_never_skipped(loop, on_error, error):
    loop.bad = {"train/b": error}
    with pytest.raises(type(error)) as caught:
        loop(ABC, on_error=on_error)
    assert caught.value is error
    assert not loop.out.exists()
    assert not any(name.endswith(".part") for name in loop.entries())


def test_no_clips_make_an_empty_folder(loop):
    loop(ABC)
    assert loop({}) == []
    assert list(loop.out.iterdir()) == []


def test_half_written_entries_are_never_used(loop):
    loop(ABC)
    shelf = loop.cache / "clips"
    for entry in list(shelf.iterdir()):  # as if killed while writing
        part = entry.rename(shelf / f"{entry.name}.4711.part")
        (part / "data.npy").write_text("half")
    assert loop(ABC) == list(ABC)
    assert loop.found() == ABC


def test_old_half_written_entries_are_removed(loop):
    loop(ABC)
    old, new = (loop.cache / f"clips/{name}.1.part" for name in ("old", "new"))
    for part in (old, new):
        part.mkdir()
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    loop(ABC)
    assert not old.exists()
    assert new.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from vad.pipeline.clipwise import Job, each_clip
from vad.pipeline.compute_params import ComputeParams

def work(stem, clip, *, threads):
    Path(f"{stem}.npy").write_text(clip)
    if clip == sys.argv[1]:
        Path(f"{stem}.npy").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    print(clip)

jobs = [Job(c, c, (c,), (c,)) for c in ("a", "b", "c", "d")]
compute = ComputeParams(workers=1, cache_gb=1.0)
run = SimpleNamespace(name="x", cache=Path("cache"), params=lambda section, model: compute)
each_clip(run, work, jobs, Path("out"), parallel=False)
"""


def test_a_kill_in_the_middle_costs_only_the_clip_in_work(tmp_path):
    (tmp_path / "work.py").write_text(KILLED)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/earlier.npy").write_text("e")

    def run(dies_in: str) -> subprocess.CompletedProcess:
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "work.py", dies_in]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)

    assert run("c").returncode == -signal.SIGKILL
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["earlier.npy"]  # it was not changed
    done = run("nobody")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["c", "d"]
    assert {p.name: p.read_text() for p in (tmp_path / "out").iterdir()} == {f"{c}.npy": c for c in "abcd"}


def test_the_cache_removes_the_least_recently_used_entries(loop):
    for i, clip in enumerate("abcd"):
        loop({clip: str(i)})
        for entry in (loop.cache / "clips").iterdir():  # a second passes
            os.utime(entry, ns=(entry.stat().st_atime_ns, entry.stat().st_mtime_ns - 10**9))
    assert loop({"a": "0"}) == []  # used again
    clipwise.trim(loop.cache / "clips", 2.5 * SIZE / 1e9)
    assert len(loop.entries()) == 2
    assert loop({"a": "0", "d": "3"}) == []
    assert loop({"b": "1", "c": "2"}) == ["b", "c"]


def test_the_cache_keeps_what_is_in_use_whatever_its_limit(loop):
    loop({"old": "0"})
    loop.cache_gb = 0.0
    loop(ABC)
    assert len(loop.entries()) == len(ABC)
    assert loop(ABC) == []
    assert loop({"train/a": "1"}) == []
    assert len(loop.entries()) == 1


def test_the_cache_within_its_limit_keeps_all(loop):
    loop(ABC)
    loop({"x": "7"})
    clipwise.trim(loop.cache / "clips", 1.0)
    assert len(loop.entries()) == 4


def test_trimming_keeps_entries_that_other_processes_are_writing(loop):
    loop(ABC)
    part = loop.cache / "clips/0123.4711.part"
    part.mkdir()
    (part / "data.npy").write_text("x" * SIZE)
    loop.cache_gb = 0.0
    loop(ABC)
    assert part.exists()


def test_files_are_linked_or_else_copied(loop, monkeypatch):
    loop(ABC)
    linked = snapshot(loop.out)
    assert (loop.out / "train/a.npy").stat().st_nlink == 2

    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    assert loop(ABC) == []
    assert snapshot(loop.out) == linked  # times too, so that DVC need not read them again
    assert (loop.out / "train/a.npy").stat().st_nlink == 1


def test_one_cache_serves_several_stages(loop):
    loop(ABC)
    other = Loop(loop.out.parent / "elsewhere")
    other.cache = loop.cache
    assert other(ABC) == []
    assert other.found() == ABC


def test_a_job_s_inputs_are_the_cards_of_its_files(tmp_path):
    for name, fps in {"a": 10.0, "b": 10.0, "c": 20.0}.items():
        arrays.write_array(tmp_path / name, np.zeros((4, 2), np.uint8), fps=fps)
    a, b, c = (Job.on("clip", [tmp_path / name], "more") for name in "abc")
    assert a.inputs == b.inputs != c.inputs
    assert a.args == (tmp_path / "a", "more")
    assert (a.name, a.frames) == ("clip", 4)
    assert Job.on("clip", [tmp_path / "a"], also=["x"]).inputs == (*a.inputs, "x")
    with pytest.raises(UserError, match=r"nosuch\.json"):
        Job.on("clip", [tmp_path / "nosuch"])


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    """Frames, regions and no flow of five clips, one of which lacks its array of frames."""
    folder = tmp_path_factory.mktemp("footage")
    rng = np.random.default_rng(0)
    for name, length in {"a": 6, "b": 9, "c": 12, "d": 5, "broken": 5}.items():
        write_frames(folder / f"frames/{name}", rng.integers(0, 256, (length, 24, 32), np.uint8))
        rows = {"frame": np.arange(length), "track": 0, "x0": 0, "y0": 0, "x1": 32, "y1": 24}
        table = pd.DataFrame(rows).assign(source="frame", confidence=1)
        write_regions(folder / f"regions/{name}", table)
        compute_flow(folder / f"flow/{name}", folder / f"frames/{name}", NoFlow(NoFlow.Params()), threads=1)
    (folder / "frames/broken.npy").unlink()
    return folder


def cut_all(footage: Path, where: Path, names: str | list[str], workers: int, on_error: str = "fail") -> Any:
    window = spec.WindowSpec(frames=4)
    params = spec.TensorSpec.of(
        spec.ResizeParams(channels=["gray", "difference"], height=8, width=8, stride=1, fit="stretch"), window
    )
    stems = {name: [footage / kind / name for kind in ("frames", "regions", "flow")] for name in names}
    body = BodyHeight.default(24)
    jobs = [Job.on(name, files, params, body) for name, files in stems.items()]
    compute = ComputeParams(workers=workers, cache_gb=1)
    run = SimpleNamespace(name="cut", cache=where / "cache", params=lambda section, model: compute)
    return each_clip(run, cut.cut, jobs, where / "out", on_error=on_error)


def test_workers_change_no_byte(footage, tmp_path):
    """With real work in worker processes; a clip that fails there is named as well."""
    for workers in (1, 2):
        cut_all(footage, tmp_path / str(workers), "abcd", workers)
    one, two = ({k: v[0] for k, v in snapshot(tmp_path / f"{n}/out").items()} for n in (1, 2))
    assert len(one) == 4 * 3
    assert one == two
    before = snapshot(tmp_path / "2/out")
    with pytest.raises(UserError, match=r"^clip 'broken': .*broken\.npy"):
        cut_all(footage, tmp_path / "2", ["a", "broken", "d"], 2)
    assert snapshot(tmp_path / "2/out") == before
    skipped = cut_all(footage, tmp_path / "2", ["a", "broken"], 2, "skip")
    assert list(skipped) == ["broken"]
    assert {p.name for p in (tmp_path / "2/out").iterdir()} == {"a.npy", "a.json", "a.parquet"}


def test_progress_is_plain_lines_elsewhere_than_on_a_terminal(loop, capsys):
    loop(ABC)
    err = capsys.readouterr().err
    assert err.startswith("loop: clip 3/3, ")
    assert err.endswith(" frames/s\n")
    assert "\r" not in err
    loop(ABC)
    assert capsys.readouterr().err == ""  # nothing is printed if there is nothing to do
