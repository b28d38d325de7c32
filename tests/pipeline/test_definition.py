"""dvc.yaml compared with the code: dependencies, import order, sizes of files."""

import ast
import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from docs import draw_architecture
from tests.pipeline.order import ORDER
from vad import check, parameters
from vad.branches.base import BRANCHES
from vad.flow import FLOW_METHODS
from vad.layouts.base import LAYOUTS
from vad.models.base import MODELS
from vad.pipeline import closure, params
from vad.pipeline.registry import Registry, defines
from vad.regions.base import REGION_MODES

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = params.read(ROOT / "dvc.yaml")
STAGES = list(DEFINITION["stages"])
SCRIPTS = {p.stem for p in (ROOT / "stages").glob("*.py")}
REGISTRIES = [LAYOUTS, FLOW_METHODS, REGION_MODES, MODELS, BRANCHES]
CHOOSES: dict[str, list[Registry]] = {  # the stages that run chosen alternatives
    "ingest": [LAYOUTS],
    "flow": [FLOW_METHODS],
    "preprocess": [REGION_MODES],
    "train": [MODELS],
    "measure": [MODELS],
    "pictures": [FLOW_METHODS, REGION_MODES, MODELS],
    "export": [FLOW_METHODS, REGION_MODES, MODELS],
    "validate": [FLOW_METHODS, REGION_MODES, MODELS],
    "report": [MODELS],
}
ALL_OF = {  # the stages that use several alternatives at once
    "statistics": BRANCHES.names(defines("fit")),
    "measure": BRANCHES.names(),
    "pictures": BRANCHES.names(),
    "export": BRANCHES.names(),
    "validate": BRANCHES.names(),
}
WITHOUT_TORCH = sorted(SCRIPTS - {"train", "export"})
MODULES = sorted(p.relative_to(ROOT) for p in (ROOT / "vad").rglob("*.py"))


def code_deps(stage: str) -> list[str]:
    """Files and folders of code that a stage declares; `${…}` stands for the chosen alternative."""
    return [d for d in DEFINITION["stages"][stage]["deps"] if d.startswith(("vad/", "stages/"))]


def holds(dep: str, file: str) -> bool:
    """Whether a file is a dependency, or lies in a folder that is one."""
    return file == dep or file.startswith(f"{dep}/")


def file_of(registry: Registry, name: str) -> str:
    return registry.module(name).replace(".", "/") + ".py"


def alternatives(stage: str) -> set[str]:
    """Files of the alternatives among which a stage chooses."""
    return {file_of(registry, name) for registry in CHOOSES.get(stage, []) for name in registry.names()}


def needed(stage: str) -> set[str]:
    """Files in the import closure of a stage, without the alternatives."""
    modules = [f"stages.{stage}", *(BRANCHES.module(name) for name in ALL_OF.get(stage, []))]
    for registry in CHOOSES.get(stage, []):
        modules += [registry.module(name) for name in registry.names()]
    return {f.as_posix() for f in closure.sources(*modules)} - alternatives(stage)


def called(script: Path, *methods: str) -> set[str]:
    """First arguments of the calls `run.<method>("…")` in a stage, f-strings cut at their first value."""
    calls = [n for n in ast.walk(ast.parse(script.read_text())) if isinstance(n, ast.Call)]
    calls = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr in methods and c.args]
    first = [c.args[0].values[0] if isinstance(c.args[0], ast.JoinedStr) else c.args[0] for c in calls]
    return {a.value.strip(".") for a in first if isinstance(a, ast.Constant)}


def test_every_stage_has_a_script_and_every_script_is_a_stage():
    assert set(STAGES) == SCRIPTS
    for name in STAGES:
        assert DEFINITION["stages"][name]["cmd"] == f"python -m stages.{name}"


@pytest.mark.parametrize("name", STAGES)
def test_every_file_of_the_closure_lies_under_a_dependency(name):
    missing = {f for f in needed(name) if not any(holds(d, f) for d in code_deps(name))}
    assert missing == set(), "an edit to these would re-run nothing"


@pytest.mark.parametrize("name", STAGES)
def test_every_dependency_holds_a_file_of_the_closure(name):
    files = needed(name)
    useless = {d for d in code_deps(name) if "$" not in d and not any(holds(d, f) for f in files)}
    assert useless == set(), "an edit to these would re-run the stage for nothing"


@pytest.mark.parametrize("name", STAGES)
def test_the_chosen_alternative_is_a_dependency_and_no_other(name):
    template = {d for d in code_deps(name) if "$" in d}
    registries = CHOOSES.get(name, [])
    folders = {registry.package.replace(".", "/") for registry in registries}
    assert {Path(d).parent.as_posix() for d in template} == folders
    static = [d for d in code_deps(name) if "$" not in d]
    assert not {f for f in alternatives(name) if any(holds(d, f) for d in static)}
    for registry in registries:
        for alternative in registry.names():
            sources = {f.as_posix() for f in closure.sources(registry.module(alternative))}
            missing = {f for f in sources if not any(holds(d, f) for d in static)}
            assert missing == {file_of(registry, alternative)}


@pytest.mark.parametrize("name", STAGES)
def test_parameters_are_those_that_the_stage_loads(name):
    script = ROOT / f"stages/{name}.py"
    declared = set(DEFINITION["stages"][name].get("params", []))
    loaded = called(script, "params", "choice", "each")
    assert {d.partition(".")[0] for d in declared} == {key.partition(".")[0] for key in loaded} - {"compute"}
    for section in called(script, "choice"):
        chooser = dict(check.models())[section].chooser
        assert {f"{section}.{chooser}", f"{section}.${{{section}.{chooser}}}"} <= declared


def test_every_section_belongs_to_a_stage():
    declared = {p.partition(".")[0] for s in DEFINITION["stages"].values() for p in s.get("params", [])}
    assert declared == set(check.SECTIONS) - {"compute"}


def test_dvc_resolves_the_definition():
    """DVC's reading: templates filled from params.yaml, every dependency a file, a folder or an output."""
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


def test_caches_and_swap_files_of_editors_are_no_dependency():
    """They may lie in the folders that stages depend on."""
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        for name in (
            "__pycache__/fit.cpython-311.pyc",
            ".fit.py.swp",
            "fit.py~",
            "#fit.py#",
            ".#fit.py",
            "4913",
        ):
            assert repo.dvcignore.is_ignored_file(str(ROOT / "vad/training" / name)), name
        for name in ("fit.py", "__init__.py"):
            assert not repo.dvcignore.is_ignored_file(str(ROOT / "vad/training" / name))


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


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda r: r.package)
def test_every_alternative_declares_its_parameters(registry):
    assert registry.names()
    for name in registry.names():
        plugin = registry.get(name)
        assert issubclass(plugin, registry.base)
        assert plugin.name == name
        assert issubclass(plugin.Params, params.Section)


def package_of(path: Path) -> str:
    return path.parts[1].removesuffix(".py")


def test_packages_import_only_those_before_them():
    for path in MODULES:
        if package_of(path) == "__init__":
            continue
        for file in {f for m in closure.imported(ROOT / path) for f in closure.files(m)} - {
            Path("vad/__init__.py")
        }:
            assert ORDER.index(package_of(file)) <= ORDER.index(package_of(path)), f"{path} imports {file}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_modules_are_small_and_import_one_way(path):
    assert len((ROOT / path).read_text("utf-8").splitlines()) <= 360
    assert not {
        m for m in closure.imported(ROOT / path) if m.split(".")[0] in {"stages", "tests", "benchmarks"}
    }


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_stage_scripts_fit_on_a_screen(name):
    assert len((ROOT / f"stages/{name}.py").read_text("utf-8").splitlines()) <= 100


def test_no_module_imports_in_circles():
    graph = {}
    for path in MODULES:
        imported = {f for m in closure.imported(ROOT / path) for f in closure.files(m)}
        packages = {p / "__init__.py" for p in path.parents}  # a part may use its package
        graph[path] = imported - {path} - packages
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)  # raises CycleError


IMPORT_EACH = """
import importlib, json, sys
ours = lambda: {n for n in sys.modules if n.split(".")[0] in ("vad", "stages")}
loaded = {}
for stage in sys.argv[1:]:
    for name in ours():
        del sys.modules[name]
    importlib.import_module(stage)
    loaded[stage] = [sorted(ours()), "torch" in sys.modules]
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, tuple[list[str], bool]]:
    """Stage -> (our modules that Python has loaded after importing it, whether torch was by then)."""
    order = sorted(SCRIPTS, key=lambda name: name not in WITHOUT_TORCH)
    command = [sys.executable, "-c", IMPORT_EACH, *(f"stages.{name}" for name in order)]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_the_closure_has_all_that_python_loads(loaded, name):
    """Nothing is chosen before parameters are read, so what is loaded is exactly what is imported by name."""
    names, torch = loaded[f"stages.{name}"]
    files = {f.as_posix() for n in names for f in closure.files(n)}
    assert f"stages/{name}.py" in files
    assert files <= {f.as_posix() for f in closure.sources(f"stages.{name}")}
    if name in WITHOUT_TORCH:
        assert not torch


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


def test_the_reference_of_parameters_is_that_of_their_models():
    """`python -m vad.parameters --write` makes docs/parameters.md."""
    assert (ROOT / "docs/parameters.md").read_text("utf-8") == parameters.document()


def test_the_picture_of_the_packages_is_that_of_the_code():
    """`make architecture` draws it."""
    assert draw_architecture.PICTURE.read_text("utf-8") == draw_architecture.draw()


def test_every_parameter_says_what_it_means_and_may_be():
    for parameter in parameters.parameters():
        assert len(parameter.meaning) > 5, parameter.key
        assert parameter.allowed, parameter.key


def test_params_yaml_is_short_and_has_only_existing_keys():
    """Keys that are hardly ever changed are absent from the file."""

    def keys(value, prefix=""):
        for key, below in value.items():
            yield from keys(below, f"{prefix}{key}.") if isinstance(below, dict) and below else [prefix + key]

    raw = params.read(ROOT / "params.yaml")
    assert len(list(keys(raw))) <= 116
    existing = {p.key for p in parameters.parameters()}
    sections = {p.key.rpartition(".")[0] for p in parameters.parameters()}
    sections |= {
        f"{section}.{name}"
        for section, model in check.models()
        if issubclass(model, params.Choice)
        for name in model.registry.names()
    }  # some have no keys
    assert set(keys(raw)) <= existing | sections
