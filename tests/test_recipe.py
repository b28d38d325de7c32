"""Recipes: written into params.yaml with its comments, or handed to DVC word by word."""

import re
import runpy
import sys
from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

from vad import UserError, recipe
from vad.check import check, check_channels, models
from vad.parameters import defaults
from vad.pipeline import params

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(p.stem for p in (ROOT / "recipes").glob("*.yaml"))
FOOTAGE, METHODS = ["falls", "indoors", "ped2", "sample"], ["objects", "weight_free", "whole_frame"]
DELAYS = ["full_lookahead", "no_lookahead"]
DETECTOR = b"weights"
HASH = sha256(DETECTOR).hexdigest()
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
    (folder / "footage/detector.onnx").write_bytes(DETECTOR)
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


def told(*names: str) -> dict[str, Any]:
    """The overrides of recipes that are told where footage and detector lie, if they ask for it."""
    root = "footage" if set(names) & set(FOOTAGE) else None
    return recipe.overrides(names, root, "footage/detector.onnx" if "objects" in names else None)


def comments(text: str) -> list[str]:
    return re.findall(r"# .*", text)


@pytest.fixture
def command(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """`python -m vad.recipe …` in the current folder: status, stdout, stderr.

    In this process, which has imported torch already.
    """

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vad.recipe", *words])
        monkeypatch.delitem(sys.modules, "vad.recipe", raising=False)
        capsys.readouterr()
        status = 0
        try:
            runpy.run_module("vad.recipe", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_written_with_all_comments_kept(project, name):
    text = Path("params.yaml").read_text("utf-8")
    before = flat(params.read())
    changes = told(name)
    recipe.write(changes)
    assert comments(Path("params.yaml").read_text("utf-8")) == comments(text)
    after = flat(params.read())
    assert after == before | changes
    assert [key for key in after if key in before] == list(before)
    own = flat(params.read(Path(f"recipes/{name}.yaml")))
    asked = {"data.root": "footage", recipe.WEIGHTS: changes.get(recipe.WEIGHTS), recipe.SHA256: HASH}
    assert {k: after[k] for k in own} == own | {k: v for k, v in asked.items() if k in own}
    assert sorted(p.name for p in project.iterdir()) == ["footage", "footage.dvc", "params.yaml", "recipes"]
    once = Path("params.yaml").read_bytes()
    recipe.write(changes)  # written twice it changes nothing more
    assert Path("params.yaml").read_bytes() == once


def test_the_detector_is_named_with_its_hash(project, tmp_path):
    path = tmp_path / "my detector.onnx"
    path.write_bytes(DETECTOR)
    changes = recipe.overrides(["objects"], None, str(path))
    # absolute, for experiments run in temporary copies
    assert (changes[recipe.WEIGHTS], changes[recipe.SHA256]) == (path.as_posix(), HASH)
    assert recipe.overrides(["objects"], None, "../my detector.onnx") == changes


@pytest.mark.parametrize("scheme", ["https://host/", "http://user:word@host:80/a b/", "file:///"])
def test_the_address_of_a_detector_is_kept_with_its_hash(project, scheme):
    address = f"{scheme}detector.onnx"
    changes = recipe.overrides(["objects"], None, address, HASH)
    assert (changes[recipe.WEIGHTS], changes[recipe.SHA256]) == (address, HASH)
    recipe.write(changes)
    assert flat(params.read())[recipe.WEIGHTS] == address


@pytest.mark.parametrize("sha256", [None, "", HASH[:-1], "g" * 64])
def test_the_address_of_a_detector_needs_a_hash(project, sha256):
    with pytest.raises(UserError, match=r"^WEIGHTS is a URL: add SHA256=… .*64 hexadecimal digits"):
        recipe.overrides(["objects"], None, "https://user:word@host/detector.onnx", sha256)


def test_a_detector_with_another_hash_is_refused(project):
    changes = recipe.overrides(["objects"], None, "footage/detector.onnx", HASH.upper())
    assert changes[recipe.SHA256] == HASH
    with pytest.raises(UserError, match=f"its sha256 is {HASH}, but SHA256 says {'0' * 64}"):
        recipe.overrides(["objects"], None, "footage/detector.onnx", "0" * 64)


def test_a_recipe_says_which_kind_it_is():
    kinds = {name: text.partition(":")[0] for name, text in recipe.names().items()}
    assert [name for name, kind in kinds.items() if kind == "footage"] == FOOTAGE
    assert [name for name, kind in kinds.items() if kind == "method"] == METHODS
    assert [name for name, kind in kinds.items() if kind == "delay"] == DELAYS
    assert set(RECIPES) == {*FOOTAGE, *METHODS, *DELAYS}


def test_footage_and_method_have_nothing_to_say_about_each_other():
    """So that their order does not matter."""
    keys = {name: set(flat(params.read(ROOT / f"recipes/{name}.yaml"))) for name in RECIPES}
    for footage, method in product(FOOTAGE, METHODS):
        assert not keys[footage] & keys[method]


@pytest.mark.parametrize(("footage", "method"), product(FOOTAGE, METHODS))
def test_every_footage_goes_with_every_method(project, footage, method):
    changes = told(footage, method)
    assert changes == told(footage) | told(method) == told(method, footage)
    raw = params.read()
    recipe.apply(raw, changes)
    check(raw)
    check_channels(raw)
    _, mode, chosen = params.load_choice("preprocess", dict(models())["preprocess"], raw)
    mode.verify(chosen, raw)


def test_of_two_recipes_of_a_kind_only_the_later_counts(project):
    assert recipe.overrides(["ped2", "falls"], "footage") == told("falls")
    assert told("falls", "ped2") == told("ped2")
    assert told("whole_frame", "weight_free") == told("weight_free")


@pytest.mark.parametrize("kind", [FOOTAGE, METHODS])
def test_recipes_of_a_kind_undo_each_other(project, kind):
    """Each sets all that another may have set, so that their order does not matter."""
    start, results = params.read(), {}
    for before, name in permutations(kind, 2):
        raw = deepcopy(start)
        recipe.apply(raw, told(before))
        recipe.apply(raw, told(name))
        assert results.setdefault(name, active(raw)) == active(raw), f"{name} after {before}"


def active(raw: dict[str, Any]) -> dict[str, Any]:
    """What has an effect of params.yaml: of the sub-sections the chosen one alone."""
    out = {}
    for section, model in models():
        if issubclass(model, params.Choice):
            choice, plugin, chosen = params.load_choice(section, model, raw)
            out[section] = {key: getattr(choice, key) for key in model.model_fields}
            out[section] |= {plugin.name: chosen.active()}
        elif issubclass(model, params.Subsections):
            out[section] = {
                name: own.active() for name, (_, own) in params.load_each(section, model, raw).items()
            }
        else:
            out[section] = params.load(section, model, raw).active()
    return out


def test_a_recipe_holds_no_defaults_but_those_that_name_it():
    """What a recipe does not change goes back to its default by itself."""
    default = defaults()
    for name in set(RECIPES) - {"sample", "weight_free"}:
        for key, value in flat(params.read(ROOT / f"recipes/{name}.yaml")).items():
            undoes = name == "no_lookahead" and key == "preprocess.person_crop.onnx.every_n"  # of `objects`
            assert value != default[key] or value is None or undoes, f"{name}: {key}"


def test_two_recipes_make_what_is_in_git(project):
    """Only `null`, written out, may be spelled otherwise afterwards."""
    if params.read()["data"]["root"] != "data/sample":
        pytest.skip("params.yaml is not that of git: it names other footage")
    recipe.write(recipe.overrides(["sample", "weight_free"]))
    assert flat(params.read()) == flat(params.read(ROOT / "params.yaml"))


def test_a_key_that_is_absent_is_added(project):
    recipe.write({"train.lr_factor": 0.3, "preprocess.foreground.history": 100})
    assert params.read()["train"]["lr_factor"] == 0.3
    assert params.read()["preprocess"]["foreground"] == {"history": 100}


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
    assert out == "".join(f"{name:12} {text}\n" for name, text in recipe.names().items())


@pytest.mark.parametrize("name", AWKWARD)
def test_any_root_reaches_the_experiment_as_it_is(project, name):
    """What `dvc exp run -S …` makes of the words, by DVC's own functions."""
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import apply_overrides

    (project / name).mkdir()
    (project / f"{name}.dvc").touch()
    changes = recipe.overrides(["ped2"], name)
    assert changes["data.root"] == name
    words = recipe.flags(changes)
    assert words[0::2] == ["-S"] * len(changes)
    before = flat(params.read())
    for path, overrides in to_path_overrides(words[1::2]).items():
        apply_overrides(path, overrides)
    assert flat(params.read()) == before | changes


def test_any_root_is_written_as_it_is(project, command):
    """With all awkward names at once."""
    name = " ".join(AWKWARD)
    (project / name).mkdir()
    (project / f"{name}.dvc").touch()
    status, out, err = command("ped2", "whole_frame", "--root", name, "--write")
    assert (status, err) == (0, "")
    footage = f"footage in {name}, read as data.format: ucsd"
    assert out == f"params.yaml is now 'ped2 whole_frame', {footage}; next: make repro\n"
    assert params.read()["data"]["root"] == name


def test_a_recipe_that_keeps_the_layout_of_other_footage_says_so(project, command):
    for names, root, format, kept in [
        (["whole_frame"], "footage", "folder", True),
        (["ped2", "whole_frame"], "footage", "ucsd", False),
        (["whole_frame"], "footage", "ucsd", True),
        (["whole_frame"], None, "ucsd", False),
    ]:
        status, out, _ = command(*names, *(["--root", root] if root else []), "--write")
        assert status == 0
        assert f"footage in footage, read as data.format: {format}" in out
        assert ("as before (if the footage has another layout, set data.format" in out) == kept


@pytest.mark.parametrize(("words", "says"), [(["--write"], "which recipe"), (["ped2"], "add --write")])
def test_half_a_command_says_what_is_missing(project, command, words, says):
    status, out, err = command(*words, "--root", "footage")
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {says}")
    assert err.count("\n") == 1


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
        assert recipe.overrides(["ped2"], given)["data.root"] == expected


@pytest.mark.parametrize("words", [["nosuch"], ["sample", "nosuch", "--write"]])
def test_a_mistake_is_one_line_and_changes_nothing(project, command, words):
    before = Path("params.yaml").read_bytes()
    status, out, err = command(*words)
    assert (status, out) == (2, "")
    assert err == f"error: no recipe 'nosuch'; there are: {', '.join(RECIPES)}\n"
    assert Path("params.yaml").read_bytes() == before
    assert sorted(p.name for p in project.iterdir()) == ["footage", "footage.dvc", "params.yaml", "recipes"]


@pytest.mark.parametrize(
    ("names", "root", "detector", "message"),
    [
        (["ped2"], None, None, r"recipe 'ped2' needs the folder of the footage: add ROOT=path \(--root"),
        (["weight_free", "falls"], None, None, "recipe 'weight_free falls' needs the folder of the footage"),
        (["ped2"], "no where", None, "ROOT=no where: no such folder"),
        (
            ["sample", "objects"],
            None,
            None,
            "'sample objects' needs a detector, .*WEIGHTS",
        ),
        (["objects"], None, "no.onnx", "WEIGHTS=no.onnx: no such file"),
        (["objects"], None, "footage", "WEIGHTS=footage: no such file"),
    ],
)
def test_what_a_recipe_must_be_told_is_asked_for(project, names, root, detector, message):
    with pytest.raises(UserError, match=message):
        recipe.overrides(names, root, detector)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.epochs": 0}, r"train\.epochs = 0"),
        ({"train.epoch": 3}, r"train: unknown key 'epoch'; did you mean 'epochs'"),
        ({"nosuch.key": 3}, r"unknown key 'nosuch'"),
        ({"train.epochs.more": 3}, r"train\.epochs: .*integer"),
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
