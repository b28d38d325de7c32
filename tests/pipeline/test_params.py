"""params.yaml: every error is a single line with the key, its value and the allowed values."""

import copy
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vad import UserError, check, recipe
from vad.parameters import parameters
from vad.pipeline import params, renamed

ROOT = Path(__file__).resolve().parents[2]
RAW = params.read(ROOT / "params.yaml")
recipe.apply(RAW, recipe.overrides(["sample", "whole_frame"]))  # independent of the present file
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
SECTIONS = dict(check.models())
CHOICES = [section for section, model in SECTIONS.items() if issubclass(model, params.Choice)]
MISSING = object()


def changed(key: str, value: Any) -> dict[str, Any]:
    """params.yaml with a dotted key set or removed."""
    raw = copy.deepcopy(RAW)
    *path, last = key.split(".")
    section = raw
    for part in path:
        section = section[part]
    if value is MISSING:
        del section[last]
    else:
        section[last] = value
    return raw


def complaint(raw: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        check.check(raw)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def leaves(section: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys at every depth."""
    for key, value in section.items() if isinstance(section, dict) else ():
        yield prefix + key
        yield from leaves(value, f"{prefix}{key}.")


def test_this_project_is_valid():
    check.check(RAW)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        # an example of each kind; docs/parameters.md lists all ranges, and is generated from the same models
        ("data.val_fraction", 0.95, "less than or equal to 0.9"),
        ("data.on_error", "ignore", "'fail' or 'skip'"),
        ("data.allow_anomalous_train", "yes", "valid boolean"),
        ("data.root", "", "at least 1 character"),
        ("data.folder.level", "person", "'camera' or 'subject'"),
        ("extract.max_side", 100.5, "valid integer"),
        ("resize.width", True, "valid integer"),
        ("model.conv2d.window.frames", 0, "greater than or equal to 1"),
        ("model.conv2d.window.position", "first", "'middle' or 'last'"),
        ("train.precision", 16, "32 or 'bf16-mixed'"),
        ("train.devices", 0, "greater than or equal to 1 or input should be 'auto'"),
        ("train.learning_rate", float("nan"), "finite number"),
        ("train.loss.mse", -1.0, "greater than or equal to 0"),
        ("branches.reconstruction.reduce", "sum", "'psnr' or 'mean_vector'"),
        ("branches.speed.width", 20.0, "less than or equal to 10"),
        ("resize.flow_range", 0.0, "greater than 0"),
        ("resize.flow_range", 200.0, "less than or equal to 100"),
        ("calibrate.threshold.percentile", 100, "less than 100"),
        ("preprocess.foreground.history", 0, "greater than 0"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(key, value, allowed):
    message = complaint(changed(key, value))
    assert f"params.yaml: {key} = {value!r}: " in message
    assert allowed in message


@pytest.mark.parametrize("value", [0, "many", 1.5, True, None])
def test_bad_workers_are_named_with_what_is_allowed(value):
    message = complaint(changed("compute.workers", value))
    assert message.startswith(f"params.yaml: compute.workers = {value!r}: ")
    assert "auto" in message
    assert message.count("compute.workers") == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("compute.workers", "auto"),
        ("compute.workers", 3),
        ("calibrate.threshold.percentile", 99),  # an integer for a number
        ("extract.fps", 12.5),
        ("data.ucsd", None),  # `ucsd:` without anything is an empty sub-section
        ("train.lr_factor", 0.3),  # a key that is absent in the file
        ("preprocess.foreground", None),
        ("branches", {}),
    ],
)
def test_good_values_pass(key, value):
    check.check(changed(key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.conv2d.channels", [32, -64]),
        ("train.seed", 2**32),  # numpy's legacy seeding, which Lightning calls, takes less
        ("extract.fps", float("inf")),
        ("train.loss", {"mse": 0.0, "l1": 0.0}),
        ("train.pseudo.steps", [1]),
        ("train.pseudo.factors", [2.0, 1.0]),
        ("calibrate.grid", [3]),
        ("calibrate.branches", ["flow", "flow"]),
    ],
)
def test_values_that_would_only_break_later_are_refused(key, value):
    assert key in complaint(changed(key, value))


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("train.epoch", "epochs"),
        ("resize.heigth", "height"),
        ("data.formatt", "format"),
        ("data.folder.levle", "level"),
        ("preprocess.nonee", "none"),
        ("branches.sped", "speed"),
        ("modell", "model"),
        ("compute.worker", "workers"),
        ("calibrate.smooth.medain", "median"),
        ("model.cube.window.frame_intervall", "frame_interval"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(key, suggestion):
    message = complaint(changed(key, {}))
    last = key.rpartition(".")[2]
    assert f"unknown key {last!r}; did you mean {suggestion!r}?" in message
    assert "known: " in message


@pytest.mark.parametrize("old", sorted(renamed.KEYS))
def test_a_renamed_key_is_refused_with_its_new_name(old):
    key = old.replace("*", "cube")
    *path, _ = key.split(".")
    raw, section = copy.deepcopy(RAW), None
    section = raw
    for part in path:
        section = section.setdefault(part, {})
    section[key.rpartition(".")[2]] = 3
    message = complaint(raw)
    assert f"{key}: is now {renamed.KEYS[old].replace('*', 'cube')}" in message


def test_new_names_are_keys_that_exist():
    keys = {p.key for p in parameters()}
    prefixes = {key.rpartition(".")[0] for key in keys}
    for new in renamed.KEYS.values():
        name = new.partition(" ")[0].replace("*", "cube")
        assert name in keys | prefixes, name


def test_a_renamed_stage_is_refused_with_its_new_name():
    with pytest.raises(UserError, match=r"the stage 'novelty' is now called 'statistics'"):
        check.main(["novelty"])


def test_a_section_name_that_is_not_text_is_refused():
    assert "unknown key" in complaint({**RAW, 5: {}})


@pytest.mark.parametrize("key", [p.key for p in parameters()])
def test_an_absent_key_has_its_default_and_a_required_key_is_asked_for(key):
    section, _, rest = key.partition(".")
    raw = copy.deepcopy(RAW)
    here = raw[section]
    *path, last = rest.split(".")
    for part in path:
        here = here.get(part) or {}
    if last not in here:
        return
    del here[last]
    if key.endswith("window.frames"):
        assert f"{key} is missing" in complaint(raw)
        assert f"'++{key}=…'" in complaint(raw)
    elif key not in {f"{choice}.{SECTIONS[choice].chooser}" for choice in CHOICES}:
        check.check(raw)


@pytest.mark.parametrize("section", list(SECTIONS))
def test_every_section_is_required(section):
    assert f"the section {section!r} is missing" in complaint(changed(section, MISSING))


@pytest.mark.parametrize("section", CHOICES)
def test_a_wrong_alternative_lists_the_known_ones(section):
    model = SECTIONS[section]
    message = complaint(changed(f"{section}.{model.chooser}", "nosuch"))
    assert f"{section}: {model.chooser} = 'nosuch' is unknown (known: " in message
    for name in model.registry.names():
        assert name in message.partition("known: ")[2]


@pytest.mark.parametrize(
    ("key", "value", "suggestion"),
    [
        ("model.name", "conv2", "conv2d"),
        ("data.format", "foldr", "folder"),
        ("flow.method", "diss", "dis"),
        ("preprocess.mode", "person-crop", "person_crop"),
    ],
)
def test_a_mistyped_alternative_is_named_with_the_nearest(key, value, suggestion):
    assert f" = {value!r} is unknown; did you mean {suggestion!r}? (known: " in complaint(changed(key, value))


@pytest.mark.parametrize("section", CHOICES)
def test_the_chosen_sub_section_must_be_there(section):
    chosen = RAW[section][SECTIONS[section].chooser]
    message = complaint(changed(f"{section}.{chosen}", MISSING))
    assert f"the sub-section {chosen!r} is missing" in message


def test_inactive_alternatives_are_checked_too():
    assert RAW["data"]["format"] != "table"
    assert "data.table.file = 3" in complaint(changed("data.table.file", 3))


@pytest.mark.parametrize("value", [[1], 3, "text"])
def test_a_section_must_have_keys(value):
    assert f"train = {value!r}" in complaint(changed("train", value))


def test_no_key_has_a_name_that_dvc_drops():
    keys = [k for f in [ROOT / "params.yaml", *RECIPES] for k in leaves(params.read(f))]
    keys += [p.key for p in parameters()]
    assert len(keys) > 50
    assert not {"size", "nfiles"} & {part for key in keys for part in key.split(".")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1e-3", 0.001),  # YAML 1.1, and PyYAML with it, reads this as text
        ("a: 1E3", 1000.0),
        ("a: none", "none"),
        ("a: null", None),
        ("a: no", "no"),
        ("a: 010", 10),
        ("\ufeffa: ä b", "ä b"),
    ],
)
def test_values_are_read_as_yaml_1_2(tmp_path, text, expected):
    file = tmp_path / "params.yaml"
    file.write_text(text, "utf-8")
    assert params.read(file) == {"a": expected}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1\nc: 2\n", "line 3"),
        ("a:\n\tb: 1\n", "line 2"),
        ("a: 1\nb: 2\na: 3\n", "line 3"),
        ("a: 1\nb: *nobody\n", "line 2"),
        ("a: !!python/object:os.system 1\n", "line 1"),
        ("", "expected sections"),
        ("- a\n", "expected sections"),
        ("a: \udcff\n", "not UTF-8"),
        ("a: \x07\n", "params.yaml"),
        ("a: 2020-13-45\n", "params.yaml"),
    ],
)
def test_a_file_that_is_no_yaml_is_named_with_its_line(tmp_path, text, line):
    file = tmp_path / "params.yaml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError) as caught:
        params.read(file)
    assert str(caught.value).startswith(str(file))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named_with_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"params\.yaml not found in {tmp_path}"):
        params.read()


def test_a_section_and_its_choice_are_loaded():
    choice, layout, chosen = params.load_choice("data", SECTIONS["data"], RAW)
    assert (choice.format, layout.name, chosen.level) == ("folder", "folder", RAW["data"]["folder"]["level"])
    with pytest.raises(Exception, match="frozen"):
        chosen.level = "subject"


def test_all_sub_sections_are_loaded_in_the_order_of_the_file():
    raw = {"branches": {"speed": {"width": 0.5}, "classes": None}}
    every = params.load_each("branches", SECTIONS["branches"], raw)
    assert list(every) == ["speed", "classes", "motion", "reconstruction", "shape"]
    assert every["speed"][1].width == 0.5
    assert every["classes"][1] == every["classes"][0].Params()
    some = params.load_each("branches", SECTIONS["branches"], raw, ["classes"])
    assert list(some) == ["classes"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("data.root", "no/where", r"data\.root = 'no/where': no such folder"),
        ("resize.height", 60, r"conv2d needs resize\.height divisible by 8, got 60: try 56 or 64"),
    ],
)
def test_sections_are_checked_against_each_other_and_against_files(key, value, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    check.verify(RAW)
    check.check(changed(key, value))
    with pytest.raises(UserError, match=message):
        check.verify(changed(key, value))


@pytest.mark.parametrize("bad", [False, True])
def test_the_command_checks_the_whole_file(tmp_path, bad):
    file = tmp_path / "params.yaml"
    file.write_bytes((ROOT / "params.yaml").read_bytes())
    recipe.write(recipe.overrides(["sample", "whole_frame"]), file)
    if bad:
        file.write_text(file.read_text("utf-8").replace("val_fraction: ", "val_fraction: -"), "utf-8")
    (tmp_path / RAW["data"]["root"]).mkdir(parents=True)
    (tmp_path / RAW["data"]["root"] / "train").mkdir()
    (tmp_path / RAW["evaluate"]["identity"]).write_text("clip,track,person\n")
    (tmp_path / "data/zones.yaml").touch()
    command = [sys.executable, "-m", "vad.check"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    if bad:
        assert (done.returncode, done.stdout) == (2, "")
        line = f"error: params.yaml: data.val_fraction = -{RAW['data']['val_fraction']}: "
        assert done.stderr.startswith(line)
        assert done.stderr.count("\n") == 1
    else:
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("preprocess.foreground", MISSING, r"params\.yaml: preprocess\.foreground is missing; DVC tracks it"),
        ("data.on_error", MISSING, r"params\.yaml: data\.on_error is missing; DVC tracks it"),
        (
            "calibrate.branches",
            ["speed", "lookz"],
            r"branches: lookz is none of the branches .*speed",
        ),
        ("model.name", "mlp", "params.yaml: .*scikit-learn"),
    ],
)
def test_what_would_stop_a_later_stage_is_refused_before_the_first(key, value, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    raw = changed(key, value)
    if key == "model.name":
        raw["train"]["pseudo"]["share"], raw["train"]["motion_weight"] = 0.5, 1.0
        raw["model"]["mlp"]["window"] = {"frames": 2}
    with pytest.raises(UserError, match=message):
        check.verify(raw)


@pytest.mark.parametrize("branch", ["motion", "speed"])
def test_a_branch_that_needs_flow_is_refused_without(branch, monkeypatch):
    monkeypatch.chdir(ROOT)
    raw = changed("calibrate.branches", ["shape", branch])
    recipe.apply(raw, {"flow.method": "dis"})
    check.verify(raw)
    recipe.apply(raw, {"flow.method": "none"})
    with pytest.raises(UserError, match=f"calibrate.branches: {branch} needs optical flow"):
        check.verify(raw)


@pytest.mark.parametrize(
    ("root", "says"),
    [
        ("data", "contains data/manifest.csv"),
        (".", "contains data/manifest.csv"),
        ("data/sample/../..", "contains data/manifest.csv"),
        (str(ROOT.parent), "contains data/manifest.csv"),
        ("data/frames", "is data/frames"),
        ("models/autoencoder/raw", "lies in models/autoencoder"),
    ],
)
def test_footage_and_outputs_do_not_lie_within_each_other(root, says, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(
        UserError, match=re.escape(f"params.yaml: data.root = {root!r} {says}, which the pipe")
    ):
        check.verify(changed("data.root", root))


def test_a_link_to_a_folder_of_outputs_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "link").symlink_to(ROOT / "data")
    with pytest.raises(UserError, match=r"link' contains data/manifest\.csv"):
        check.verify(changed("data.root", str(tmp_path / "link")))
    (tmp_path / "sample").symlink_to(ROOT / "data/sample")
    check.verify(changed("data.root", str(tmp_path / "sample")))


def test_a_stage_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=r"dvc\.yaml: no stage 'nosuch'; there are: ingest, extract, "):
        check.main(["nosuch"])


@pytest.mark.parametrize(
    "target", ["data/raw.dvc", "data/errors", "models", "dvc.yaml:train", "tra*", "train"]
)
def test_other_targets_of_dvc_repro_pass(target, monkeypatch):
    monkeypatch.chdir(ROOT)
    check.main([target])


@pytest.mark.parametrize(("key", "value"), [("devices", 2), ("devices", "auto"), ("num_nodes", 2)])
def test_folds_on_several_devices_are_refused(key, value, monkeypatch):
    monkeypatch.chdir(ROOT)
    raw = changed(f"train.{key}", value)
    raw["data"]["folds"] = 1
    check.verify(raw)
    raw["data"]["folds"] = 4
    with pytest.raises(UserError, match=r"params\.yaml: train\.devices = .* or data\.folds: 1"):
        check.verify(raw)


def test_initial_weights_that_are_of_no_folds_are_warned_of(tmp_path):
    raw = changed("train.init_from", str(tmp_path))
    raw["data"]["folds"] = 4
    (line,) = check.warnings(raw)
    assert "has no weights of folds" in line
    assert check.warnings({**raw, "data": {**raw["data"], "folds": 1}}) == []
    for fold in range(4):
        (tmp_path / str(fold)).mkdir()
        (tmp_path / str(fold) / "card.json").write_text("{}")
    assert check.warnings(raw) == []
