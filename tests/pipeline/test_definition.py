"""The definition of the pipeline held against the code: dependencies, imports, what a file may be."""

import ast
import importlib
import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from vad.pipeline import closure, params

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = params.read(ROOT / "dvc.yaml")
STAGES = list(DEFINITION["stages"])
SCRIPTS = {p.stem for p in (ROOT / "stages").glob("*.py")} - {"__init__"}
PACKAGES = {  # what a stage may choose: the dependency in dvc.yaml -> the package
    "vad/layouts/${data.format}.py": "vad.footage.layouts",
    "vad/flow/${flow.method}.py": "vad.flow",
    "vad/regions/${preprocess.mode}.py": "vad.regions",
    "vad/models/${model.name}.py": "vad.models",
}
CHOOSES = {  # the stages whose result a chosen module makes
    "ingest": "vad.footage.layouts",
    "flow": "vad.flow",
    "preprocess": "vad.regions",
    "train": "vad.models",
    "score": "vad.models",
}
WITHOUT_TORCH = sorted(SCRIPTS - {"train", "score", "export", "detect"})
MODULES = sorted(p.relative_to(ROOT) for p in (ROOT / "vad").rglob("*.py"))


def code_deps(stage: str) -> set[str]:
    return {d for d in DEFINITION["stages"][stage]["deps"] if d.endswith(".py")}


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def alternatives_of(stage: str) -> set[str]:
    """Files of the modules among which a stage chooses one."""
    package = CHOOSES.get(stage)
    names = params.alternatives(package) if package else []
    return {f"{package.replace('.', '/')}/{name}.py" for name in names}


def called(script: Path, method: str) -> set[str]:
    """First arguments of the calls `run.<method>("…")` in a stage."""
    calls = [n for n in ast.walk(ast.parse(script.read_text())) if isinstance(n, ast.Call)]
    calls = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == method]
    return {c.args[0].value for c in calls if c.args and isinstance(c.args[0], ast.Constant)}


def test_every_stage_has_a_script_and_every_script_is_a_stage():
    assert set(STAGES) == SCRIPTS - {"detect"}
    for name in STAGES:
        assert DEFINITION["stages"][name]["cmd"] == f"python -m stages.{name}"


@pytest.mark.parametrize("name", STAGES)
def test_dependencies_are_the_import_closure(name):
    modules = [f"stages.{name}"]
    if name in CHOOSES:
        modules += [f"{CHOOSES[name]}.{a}" for a in params.alternatives(CHOOSES[name])]
    needed = {f.as_posix() for f in closure.sources(*modules)} - alternatives_of(name)
    static = {d for d in code_deps(name) if "$" not in d}
    assert needed - static == set(), "an edit to these would re-run nothing"
    assert static - needed == set(), "an edit to these would re-run the stage for nothing"


@pytest.mark.parametrize("name", STAGES)
def test_the_chosen_module_is_a_dependency(name):
    chosen = {PACKAGES[d] for d in code_deps(name) if "$" in d}
    assert chosen == ({CHOOSES[name]} if name in CHOOSES else set())
    for package in chosen:
        for alternative in params.alternatives(package):
            own = closure.sources(f"{package}.{alternative}")
            missing = {f.as_posix() for f in own} - code_deps(name)
            assert missing == {f"{package.replace('.', '/')}/{alternative}.py"}


@pytest.mark.parametrize("name", STAGES)
def test_parameters_are_those_that_the_stage_loads(name):
    script = ROOT / f"stages/{name}.py"
    declared = set(DEFINITION["stages"][name].get("params", []))
    loaded = called(script, "params") | called(script, "choice")
    assert {d.partition(".")[0] for d in declared} == loaded - {"compute"}
    if name in CHOOSES:
        (section,) = called(script, "choice") or {None}
        if section:
            model = importlib.import_module(CHOOSES[name])
            chooser = next(c for c in vars(model).values() if _is_choice(c)).chooser
            assert {f"{section}.{chooser}", f"{section}.${{{section}.{chooser}}}"} <= declared


def _is_choice(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, params.Choice) and thing is not params.Choice


def test_every_section_belongs_to_a_stage():
    declared = {p.partition(".")[0] for s in DEFINITION["stages"].values() for p in s.get("params", [])}
    assert declared == set(params.SECTIONS) - {"compute"}


def test_dvc_resolves_the_definition():
    """DVC's own reading: templates filled from params.yaml, every dependency a file or an output."""
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        outs = {o.fs_path for s in repo.index.stages for o in s.outs}
        deps = {s.name: {d.fs_path for d in s.deps if not hasattr(d, "params")} for s in repo.index.stages}
        chosen = params.read(ROOT / "params.yaml")
    assert set(deps) >= set(STAGES)
    for name in STAGES:
        for dep in deps[name]:
            path = Path(dep)
            made = any(Path(o) == path or Path(o) in path.parents or path in Path(o).parents for o in outs)
            assert path.exists() or made, f"{name}: {dep}"
    assert str(ROOT / f"vad/models/{chosen['model']['name']}.py") in deps["train"]
    assert str(ROOT / f"vad/layouts/{chosen['data']['format']}.py") in deps["ingest"]


def test_summarize_alone_has_outputs_that_git_keeps():
    uncached = {
        name
        for name, stage in DEFINITION["stages"].items()
        for out in stage["outs"]
        if isinstance(out, dict) and any(options.get("cache") is False for options in out.values())
    }
    assert uncached == {"summarize"}
    assert not any(isinstance(out, str) for out in DEFINITION["stages"]["summarize"]["outs"])
    for stage in DEFINITION["stages"].values():  # these kinds of output would escape the check above
        assert not {"metrics", "plots"} & set(stage)


@pytest.mark.parametrize("package", list(PACKAGES.values()))
def test_every_alternative_declares_its_parameters(package):
    names = params.alternatives(package)
    assert names
    for name in names:
        assert issubclass(importlib.import_module(f"{package}.{name}").Params, params.Section)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_modules_are_small_and_import_one_way(path):
    assert len((ROOT / path).read_text("utf-8").splitlines()) <= 360
    own = closure._imported(ROOT / path)
    assert not {m for m in own if m.split(".")[0] in {"stages", "tests", "benchmarks"}}
    if path.parts[1] == "models":
        used = {dotted(f) for m in own for f in closure._files(m)}
        assert used <= {
            "vad",
            "vad.pipeline.params",
            "vad.models",
            "vad.models.layers",
            "vad.store.downloads",
        }


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_stage_scripts_are_a_screen(name):
    assert len((ROOT / f"stages/{name}.py").read_text("utf-8").splitlines()) <= 100


def test_no_module_imports_in_circles():
    graph = {}
    for path in MODULES:
        used = {f for m in closure._imported(ROOT / path) for f in closure._files(m)}
        packages = {p / "__init__.py" for p in path.parents}  # a part may use its package
        graph[path] = used - {path} - packages
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)  # raises CycleError


IMPORT_EACH = """
import importlib, json, sys
own = lambda: {n for n in sys.modules if n.split(".")[0] in ("vad", "stages")}
seen = {}
for stage in sys.argv[1:]:
    for name in own():
        del sys.modules[name]
    importlib.import_module(stage)
    seen[stage] = [sorted(own()), "torch" in sys.modules]
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, tuple[list[str], bool]]:
    """Stage -> (own modules that Python has loaded after importing it, whether torch was by then)."""
    order = sorted(SCRIPTS, key=lambda name: name not in WITHOUT_TORCH)
    command = [sys.executable, "-c", IMPORT_EACH, *(f"stages.{name}" for name in order)]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_the_closure_has_all_that_python_loads(loaded, name):
    """Nothing is chosen before parameters are read, so what is loaded is exactly what is imported by name."""
    names, torch = loaded[f"stages.{name}"]
    files = {f.as_posix() for n in names for f in closure._files(n)}
    assert f"stages/{name}.py" in files
    assert files <= {f.as_posix() for f in closure.sources(f"stages.{name}")}
    assert torch == (name not in WITHOUT_TORCH)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import vad.video", {"vad/__init__.py", "vad/video.py"}),
        ("from vad import video as v", {"vad/__init__.py", "vad/video.py"}),
        ("from vad.models import thing", {"vad/__init__.py", "vad/models/__init__.py"}),
        (
            "def f():\n    from vad.models import a",
            {"vad/__init__.py", "vad/models/__init__.py", "vad/models/a.py"},
        ),
        ("if 0:\n    import numpy, vad.video", {"vad/__init__.py", "vad/video.py"}),
        ("'import vad.video'", set()),
    ],
)
def test_imports_are_followed(tmp_path, monkeypatch, text, expected):
    for file in ["vad/__init__.py", "vad/video.py", "vad/models/__init__.py", "vad/models/a.py", "main.py"]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text if file == "main.py" else "")
    monkeypatch.setattr(closure, "ROOT", tmp_path)
    assert {f.as_posix() for f in closure.sources("main")} == expected | {"main.py"}


def test_imports_of_imports_are_followed_in_circles_too(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("import b")
    (tmp_path / "b.py").write_text("import a, c")
    (tmp_path / "c.py").write_text("")
    monkeypatch.setattr(closure, "ROOT", tmp_path)
    assert {str(f) for f in closure.sources("a")} == {"a.py", "b.py", "c.py"}


def test_nothing_tracked_is_pickled():
    """No module reads or writes a pickle; torch.load stays with weights_only."""
    for path in MODULES:
        text = (ROOT / path).read_text("utf-8")
        assert not re.search(
            r"\bimport (pickle|shelve|dill|cloudpickle)|from pickle|joblib\.(dump|load)", text
        )
        for call in re.findall(r"torch\.load\((.*)\)", text):
            assert "weights_only=True" in call, path


def test_every_parameter_is_documented_once():
    """docs/parameters.md has a row for each key of params.yaml, and no other."""
    text = (ROOT / "docs/parameters.md").read_text("utf-8")
    documented = re.findall(r"^\| `([a-z0-9_.]+)` \|", text, re.M)

    def keys(value, prefix=""):
        for key, below in value.items():
            yield from keys(below, f"{prefix}{key}.") if isinstance(below, dict) and below else [prefix + key]

    assert sorted(documented) == sorted(keys(params.read(ROOT / "params.yaml")))
