"""Recipes: written into params.yaml with its comments, or handed to DVC word by word."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vad import UserError, params, recipe

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(p.stem for p in (ROOT / "recipes").glob("*.yaml"))
NEED_ROOT = [n for n in RECIPES if params.read(ROOT / f"recipes/{n}.yaml")["data"]["root"] is None]
CLASSES = "preprocess.person_crop.onnx.classes"
AWKWARD = [
    "with space",
    "it's",
    'say "so"',
    "ä ö",
    "a;b&c",
    "$HOME",
    "x,y",
    "{a}",
    "a=b",
    "#1",
    "100%",
    "[0]",
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and recipes; the current folder."""
    folder = tmp_path / "project"
    (folder / "recipes").mkdir(parents=True)
    (folder / "footage").mkdir()
    for name in ("params.yaml", *(f"recipes/{n}.yaml" for n in RECIPES)):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(folder)
    # footage that DVC tracks is found from temporary copies by its relative path
    (folder / "footage.dvc").touch()
    return folder


def flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out = {}
    for key, value in section.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {prefix + key: value}
    return out


def comments(text: str) -> list[str]:
    return re.findall(r"# .*", text)


@pytest.fixture
def command(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """`python -m vad.recipe …` in the current folder: status, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "vad.recipe", *words], env=env, capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_written_with_all_comments_kept(project, name):
    text = Path("params.yaml").read_text("utf-8")
    before = flat(params.read())
    changes = recipe.overrides(name, "footage")
    recipe.write(changes)
    params.check()
    assert comments(Path("params.yaml").read_text("utf-8")) == comments(text)
    after = flat(params.read())
    assert after == before | changes
    assert list(after) == list(before)
    own = flat(params.read(Path(f"recipes/{name}.yaml")))
    assert {k: after[k] for k in own} == own | {"data.root": "footage"}
    assert sorted(p.name for p in project.iterdir()) == ["footage", "footage.dvc", "params.yaml", "recipes"]


@pytest.mark.parametrize("name", RECIPES)
def test_written_twice_a_recipe_changes_nothing_more(project, name):
    recipe.write(recipe.overrides(name, "footage"))
    once = Path("params.yaml").read_bytes()
    recipe.write(recipe.overrides(name, "footage"))
    assert Path("params.yaml").read_bytes() == once


def test_recipes_undo_each_other(project):
    """Each sets all that another may have set, so that their order does not matter."""
    for name in RECIPES:
        results = set()
        for before in RECIPES:
            Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
            recipe.write(recipe.overrides(before, "footage"))
            recipe.write(recipe.overrides(name, "footage"))
            results.add(Path("params.yaml").read_bytes())
        active = {recipe_result(result) for result in results}
        assert len(active) == 1, name


def recipe_result(text: bytes) -> str:
    """What counts of params.yaml: everything but sub-sections that are not chosen."""
    raw = dict(params.YAML(typ="safe", pure=True).load(text))
    chooser = {"data": "format", "flow": "method", "preprocess": "mode", "model": "name"}
    for section, key in chooser.items():
        chosen = raw[section][key]
        raw[section] = {k: v for k, v in raw[section].items() if k == chosen or not isinstance(v, dict)}
    return repr(raw)


def test_the_sample_s_recipe_is_what_is_in_git(project):
    """Only `null`, written out, may be spelled otherwise afterwards."""
    if params.read()["data"]["root"] != "data/sample":
        pytest.skip("params.yaml is not that of git: it names other footage")
    recipe.write(recipe.overrides("sample"))
    assert flat(params.read()) == flat(params.read(ROOT / "params.yaml"))


def test_writing_keeps_the_text_of_what_it_does_not_change(project):
    """The diff of `make recipe` shows what the recipe changed and nothing else."""
    text = Path("params.yaml").read_text("utf-8")
    recipe.write({"train.epochs": 7})
    expected = re.sub(r"^  epochs: \d+", "  epochs: 7", text, flags=re.M)
    assert Path("params.yaml").read_text("utf-8") == expected


def test_names_come_with_a_line_each(project, command):
    assert recipe.names().keys() == set(RECIPES)
    for text in recipe.names().values():
        assert len(text) > 10
    status, out, err = command()
    assert (status, err) == (0, "")
    assert out == "".join(f"{name:10} {text}\n" for name, text in recipe.names().items())


@pytest.mark.parametrize("name", AWKWARD)
def test_any_root_reaches_the_experiment_as_it_is(project, name):
    """What `dvc exp run -S …` makes of the words, by DVC's own functions."""
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import apply_overrides

    (project / name).mkdir()
    (project / f"{name}.dvc").touch()
    changes = recipe.overrides(NEED_ROOT[0], name)
    assert changes["data.root"] == name
    words = recipe.flags(changes)
    assert words[0::2] == ["-S"] * len(changes)
    before = flat(params.read())
    for path, overrides in to_path_overrides(words[1::2]).items():
        apply_overrides(path, overrides)
    assert flat(params.read()) == before | changes
    params.check()


def test_any_root_survives_xargs_and_written_the_file(project, command):
    """`python -m vad.recipe … | xargs` as the Makefile has it, with all awkward names at once."""
    name = " ".join(a for a in AWKWARD)
    (project / name).mkdir()
    (project / f"{name}.dvc").touch()
    status, out, err = command(NEED_ROOT[0], "--root", name)
    assert (status, err) == (0, "")
    done = subprocess.run(["xargs", "-n1", "printf", "%s\\n"], input=out, capture_output=True, text=True)
    assert done.stdout.splitlines() == recipe.flags(recipe.overrides(NEED_ROOT[0], name))
    status, out, err = command(NEED_ROOT[0], "--root", name, "--write")
    assert (status, err) == (0, "")
    assert out == f"params.yaml is now {NEED_ROOT[0]!r}, footage in {name}; next: make repro\n"
    assert params.read()["data"]["root"] == name


def test_a_backslash_reaches_the_experiment_as_it_is(project):
    test_any_root_reaches_the_experiment_as_it_is(project, "a\\b")


def test_a_tracked_root_is_relative_and_another_absolute(project, tmp_path):
    (tmp_path / "else where").mkdir()
    (project / "untracked").mkdir()
    (project / "footage/inside").mkdir()
    for given, expected in {
        "footage": "footage",
        "footage/inside": "footage/inside",
        "untracked": str(project / "untracked"),
        str(project / "footage"): "footage",
        "../project/footage/": "footage",
        "../else where": str(tmp_path / "else where"),
        str(tmp_path / "else where"): str(tmp_path / "else where"),
    }.items():
        assert recipe.overrides(NEED_ROOT[0], given)["data.root"] == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "error: no recipe 'nosuch'; there are: " + ", ".join(RECIPES)),
        (["nosuch", "--write"], "error: no recipe 'nosuch'; there are: " + ", ".join(RECIPES)),
        ([NEED_ROOT[0]], f"error: recipe {NEED_ROOT[0]!r} needs to know where the footage lies"),
        ([NEED_ROOT[0], "--root", "no where", "--write"], "error: ROOT=no where: no such folder"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(project, command, words, message):
    before = Path("params.yaml").read_bytes()
    status, out, err = command(*words)
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert Path("params.yaml").read_bytes() == before
    assert sorted(p.name for p in project.iterdir()) == ["footage", "footage.dvc", "params.yaml", "recipes"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.epochs": 0}, r"train\.epochs = 0"),
        ({"train.epoch": 3}, r"no key 'train\.epoch'"),
        ({"nosuch.key": 3}, r"no key 'nosuch\.key'"),
        ({"train.epochs.more": 3}, r"no key 'train\.epochs\.more'"),
        ({"data.format": "nosuch"}, "'nosuch' is unknown"),
    ],
)
def test_what_would_not_be_valid_is_refused_and_nothing_changes(project, changes, message):
    before = Path("params.yaml").read_bytes()
    with pytest.raises(UserError, match=message):
        recipe.write(changes)
    assert Path("params.yaml").read_bytes() == before
    assert sorted(p.name for p in project.iterdir()) == ["footage", "footage.dvc", "params.yaml", "recipes"]


@pytest.mark.parametrize("content", [None, "data: [", "- a\n"])
def test_a_broken_params_file_is_a_user_error(project, content):
    if content is None:
        Path("params.yaml").unlink()
    else:
        Path("params.yaml").write_text(content)
    with pytest.raises(UserError, match=r"params\.yaml"):
        recipe.write({"train.epochs": 3})


@pytest.mark.parametrize("key", ["resize.channels", "preprocess.person_crop.detectors", CLASSES])
def test_dvc_may_fill_and_empty_every_list(tmp_path, key):
    """ruamel loses the end of a line where a list with a comment beside it becomes empty."""
    from dvc.utils.hydra import apply_overrides

    file = tmp_path / "params.yaml"
    file.write_bytes((ROOT / "params.yaml").read_bytes())
    for value in ("[a,b]", "[]", "[a]"):
        apply_overrides(file, [f"{key}={value}"])
        section = params.read(file)
        for part in key.split("."):
            section = section[part]
        assert section == [word for word in value.strip("[]").split(",") if word]
