"""params.yaml: every fault is one line that names the key, what was found and what is allowed."""

import copy
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vad import UserError, recipe
from vad.pipeline import params

ROOT = Path(__file__).resolve().parents[2]
RAW = params.read(ROOT / "params.yaml")
recipe.apply(RAW, recipe.overrides(["sample", "whole_frame"]))  # whatever the file holds just now
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
CHOICES = ["data", "flow", "preprocess", "model"]
MISSING = object()


def changed(key: str, value: Any) -> dict[str, Any]:
    """params.yaml with one dotted key set, or taken out."""
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
        params.check(raw)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def model_of(section: str) -> type[params.Section]:
    module, name = params.SECTIONS[section].split(":")
    return getattr(importlib.import_module(module), name)


def leaves(section: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys at every depth."""
    for key, value in section.items() if isinstance(section, dict) else ():
        yield prefix + key
        yield from leaves(value, f"{prefix}{key}.")


def models() -> dict[str, type[params.Section]]:
    """Dotted section -> its model, sub-sections of all alternatives included."""
    found = {section: model_of(section) for section in params.SECTIONS}
    for section in CHOICES:
        package = found[section].package
        for name in params.alternatives(package):
            found[f"{section}.{name}"] = importlib.import_module(f"{package}.{name}").Params
    return found


def section_at(key: str) -> dict[str, Any]:
    value = RAW
    for part in key.split("."):
        value = value[part]
    return value


def test_this_project_is_valid():
    params.check(RAW)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("data.val_fraction", 0.95, "less than or equal to 0.9"),
        ("data.val_fraction", -0.1, "greater than or equal to 0"),
        ("data.val_fraction", "0.2", "valid number"),
        ("data.on_error", "ignore", "'fail' or 'skip'"),
        ("data.allow_anomalous_train", "yes", "valid boolean"),
        ("data.allow_anomalous_train", 1, "valid boolean"),
        ("data.root", "", "at least 1 character"),
        ("data.root", None, "valid string"),
        ("data.folder.level", "person", "'camera' or 'subject'"),
        ("data.table.file", "", "at least 1 character"),
        ("extract.fps", 0, "greater than 0"),
        ("extract.max_side", 15, "greater than or equal to 16"),
        ("extract.max_side", 100.5, "valid integer"),
        ("extract.color", "grey", "'gray' or 'rgb'"),
        ("resize.height", 7, "greater than or equal to 8"),
        ("resize.width", 1025, "less than or equal to 1024"),
        ("resize.width", True, "valid integer"),
        ("model.conv2d.window", 0, "greater than or equal to 1"),
        ("model.conv2d.position", "first", "'middle' or 'last'"),
        ("resize.stride", 0, "greater than or equal to 1"),
        ("resize.fit", "crop", "'stretch' or 'letterbox'"),
        ("model.name", 3, "valid string"),
        ("train.epochs", 0, "greater than or equal to 1"),
        ("train.accumulate", 0, "greater than or equal to 1"),
        ("train.schedule", "step", "'constant', 'plateau' or 'cosine'"),
        ("train.clip_gradient", 0, "greater than 0"),
        ("train.precision", 16, "32 or 'bf16-mixed'"),
        ("train.devices", 0, "greater than or equal to 1 or input should be 'auto'"),
        ("train.loss.mse", -1.0, "greater than or equal to 0"),
        ("train.pseudo.kind", "skip", "'none', 'skip_frame' or 'jitter'"),
        ("train.epochs", 2.5, "valid integer"),
        ("train.epochs", None, "valid integer"),
        ("train.batch_size", 0, "greater than or equal to 1"),
        ("train.learning_rate", 0, "greater than 0"),
        ("train.learning_rate", 1.5, "less than or equal to 1"),
        ("train.learning_rate", "1e-3x", "valid number"),
        ("train.learning_rate", float("nan"), "finite number"),
        ("train.weight_decay", float("inf"), "finite number"),
        ("train.lr_patience", -1, "greater than or equal to 0"),
        ("train.lr_factor", 1, "less than 1"),
        ("train.early_stopping", 0, "greater than or equal to 1"),
        ("train.seed", -1, "greater than or equal to 0"),
        ("train.accelerator", "cuda", "'auto', 'cpu', 'gpu' or 'mps'"),
        ("score.reduce", "sum", "'psnr' or 'mean_vector'"),
        ("score.batch_size", 0, "greater than or equal to 1"),
        ("calibrate.threshold.percentile", 100, "less than 100"),
        ("calibrate.threshold.percentile", 0, "greater than 0"),
        ("evaluate.histogram_bins", 1, "greater than or equal to 2"),
        ("evaluate.plot_points", 49, "greater than or equal to 50"),
        ("compute.cache_gb", -1, "greater than or equal to 0"),
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
        ("calibrate.threshold.percentile", 99),  # an integer where a number is asked for
        ("extract.fps", None),
        ("extract.fps", 12.5),
        ("data.ucsd", None),  # `ucsd:` without anything is an empty sub-section
    ],
)
def test_good_values_pass(key, value):
    params.check(changed(key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.conv2d.channels", [0]),
        ("model.conv2d.channels", [32, -64]),
        ("train.seed", 2**32),  # numpy's legacy seeding, which Lightning calls, takes less
        ("extract.fps", float("inf")),
        ("train.loss", {"mse": 0.0, "l1": 0.0, "ssim": 0.0, "gradient": 0.0}),
        ("train.pseudo.steps", [1]),
        ("train.pseudo.factors", [2.0, 1.0]),
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
        ("modell", "model"),
        ("compute.worker", "workers"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(key, suggestion):
    message = complaint(changed(key, {}))
    last = key.rpartition(".")[2]
    assert f"unknown key {last!r}; did you mean {suggestion!r}?" in message
    assert "known: " in message


def test_a_section_that_is_no_word_is_refused():
    assert "unknown key" in complaint({**RAW, 5: {}})


@pytest.mark.parametrize("key", [k for k in leaves(RAW) if "." in k and k.rpartition(".")[0] not in CHOICES])
def test_every_key_is_required(key):
    assert f"{key} is missing" in complaint(changed(key, MISSING))


@pytest.mark.parametrize("section", list(params.SECTIONS))
def test_every_section_is_required(section):
    assert f"the section {section!r} is missing" in complaint(changed(section, MISSING))


@pytest.mark.parametrize("section", CHOICES)
def test_a_wrong_alternative_lists_the_known_ones(section):
    model = model_of(section)
    message = complaint(changed(f"{section}.{model.chooser}", "nosuch"))
    assert f"{section}: {model.chooser} = 'nosuch' is unknown; known: " in message
    for name in params.alternatives(model.package):
        assert name in message.partition("known: ")[2]


@pytest.mark.parametrize("section", CHOICES)
def test_the_chosen_sub_section_must_be_there(section):
    chosen = RAW[section][model_of(section).chooser]
    message = complaint(changed(f"{section}.{chosen}", MISSING))
    assert f"the sub-section {chosen!r} is missing" in message


def test_inactive_alternatives_are_checked_too():
    assert RAW["data"]["format"] != "table"
    assert "data.table.file = 3" in complaint(changed("data.table.file", 3))


@pytest.mark.parametrize("value", [[1], 3, "text"])
def test_a_section_must_have_keys(value):
    assert f"train = {value!r}" in complaint(changed("train", value))


@pytest.mark.parametrize("section", list(models()))
def test_the_file_and_its_models_have_the_same_keys(section):
    model, own = models()[section], section_at(section) or {}
    extra = set(params.alternatives(model.package)) if issubclass(model, params.Choice) else set()
    assert set(own) == set(model.model_fields) | extra


def test_no_key_is_one_that_dvc_loses():
    keys = [k for f in [ROOT / "params.yaml", *RECIPES] for k in leaves(params.read(f))]
    keys += [name for model in models().values() for name in model.model_fields]
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
    from vad.footage.layouts.base import DataParams
    from vad.footage.layouts.folder import Folder

    choice, layout, chosen = params.load_choice("data", DataParams, RAW)
    assert (choice.format, layout, chosen.level) == ("folder", Folder, RAW["data"]["folder"]["level"])
    with pytest.raises(Exception, match="frozen"):
        chosen.level = "subject"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("data.root", "no/where", r"data\.root = 'no/where': no such folder"),
        ("resize.height", 60, r"conv2d needs resize\.height divisible by 8, got 60: try 56 or 64"),
    ],
)
def test_what_values_alone_do_not_tell_is_verified(key, value, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    params.verify(RAW)
    params.check(changed(key, value))
    with pytest.raises(UserError, match=message):
        params.verify(changed(key, value))


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
    command = [sys.executable, "-m", "vad.pipeline.params"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    if bad:
        assert (done.returncode, done.stdout) == (2, "")
        line = f"error: params.yaml: data.val_fraction = -{RAW['data']['val_fraction']}: "
        assert done.stderr.startswith(line)
        assert done.stderr.count("\n") == 1
    else:
        assert (done.returncode, done.stderr) == (0, "")
