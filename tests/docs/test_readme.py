"""What the pages say can be done: commands, parameters, figures. README's commands run as they stand."""

import importlib.util
import json
import math
import re
import shlex
from collections.abc import Iterator

import pandas as pd
import pytest
import yaml

from tests.docs import pages
from tests.docs.pages import PAGES, ROOT
from vad import cli, recipe
from vad.check import SECTIONS
from vad.parameters import parameters
from vad.scoring.evidence import Evidence, warning

README = pages.read("README.md")
WORDS = 2000  # the most that a newcomer is asked to read
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
KEYS = [p.key for p in parameters()]
# suffixes of files, which look like keys: train.png, model.json
FILES = ("png", "json", "csv", "yaml", "py", "jsonl", "npy", "onnx", "parquet", "js", "html", "md")


def lines() -> Iterator[tuple[str, str]]:
    """(page, code) of all pages."""
    return ((page, line) for page in PAGES for line in pages.code(pages.read(page)))


def commands(*begin: str) -> list[list[str]]:
    """The commands of all pages that begin with these words, as lists of words, if nothing is left open."""
    found = []
    for _, line in lines():
        for part in re.split(r"&&|\|", line):
            words = shlex.split(part) if part.startswith(begin[0]) else []
            if tuple(words[: len(begin)]) == begin and len(words) > len(begin) and "…" not in part:
                found.append(words)
    return found


def exists(key: str) -> bool:
    """Whether a key, or a section, of params.yaml exists; `*`, `…` and `<name>` stand for any name."""
    pattern = re.sub(r"\\\*|…|<\w+>|NAME", r"[\\w]+", re.escape(key))
    return any(re.match(rf"{pattern}(?:\.|$)", other) for other in KEYS)


def test_the_readme_can_be_read_in_minutes():
    assert len(README.split()) < WORDS


def test_every_make_target_exists():
    named = {(page, m) for page, line in lines() for m in re.findall(r"(?:^|&& )make ([a-z][a-z-]*)", line)}
    assert len(named) > 20
    assert {(page, target) for page, target in named if target not in TARGETS} == set()


def test_every_module_exists():
    files = ("Makefile", ".pre-commit-config.yaml")
    texts = [*lines(), *((name, (ROOT / name).read_text("utf-8")) for name in files)]
    module = r"python -m ([a-z_]\w*(?:\.\w+)*)(?=[^\w$.]|\.?$)"
    named = {(page, name) for page, text in texts for name in re.findall(module, text, re.M)}
    assert len(named) > 20
    named -= {(page, "stages.NAME") for page, _ in named}
    assert {(page, name) for page, name in named if not importlib.util.find_spec(name)} == set()


def test_every_parameter_exists():
    sections = "|".join(SECTIONS)
    named = {
        (page, m.rstrip("."))
        for page, line in lines()
        for m in re.findall(rf"(?<![\w./*-])(?:\+\+)?((?:{sections})(?:\.(?:[\w*…]+|<\w+>))+)", line)
        if not m.endswith(tuple(f".{suffix}" for suffix in FILES))
    }
    assert len(named) > 50
    assert {(page, key) for page, key in named if not exists(key)} == set()


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("calibrate.threshold.policy", True),
        ("calibrate.threshold", True),
        ("model.<name>.window", True),
        ("branches.*.prior", True),
        ("calibrate.threshold.polic", False),
        ("model.<name>.windows", False),
    ],
)
def test_keys_are_told_from_what_only_looks_like_one(key, known):
    assert exists(key) == known


def test_every_recipe_exists():
    named = {
        (page, name)
        for page, line in lines()
        for names in re.findall(r'make (?:recipe|exp) +NAME="?([a-z_0-9 ]+)', line)
        for name in names.split()
    }
    assert len({name for _, name in named}) >= 4
    assert {(page, name) for page, name in named if not (ROOT / f"recipes/{name}.yaml").exists()} == set()


def test_the_detector_of_the_readme_is_written_into_params_yaml(tmp_path):
    words = next(words for words in commands("make", "recipe") if any(w.startswith("SHA256=") for w in words))
    given = dict(word.split("=", 1) for word in words[2:])
    assert given["WEIGHTS"].startswith("https://")
    changes = recipe.overrides(given["NAME"].split(), str(tmp_path), given["WEIGHTS"], given["SHA256"])
    assert (changes[recipe.WEIGHTS], changes[recipe.SHA256]) == (given["WEIGHTS"], given["SHA256"])


def test_every_call_of_the_command_has_options_that_exist(monkeypatch):
    parsed = []
    monkeypatch.setattr(cli, "_detect", lambda options: parsed.append(options) or 0)
    calls = commands("vad", "detect")
    for words in calls:
        with pytest.raises(SystemExit) as stopped:
            cli.main(words[1:])
        assert stopped.value.code == 0, words
    assert len(parsed) == len(calls) > 5


def test_the_row_of_the_sample_is_the_run_in_git():
    run = json.loads((ROOT / "metrics/evaluate.json").read_text("utf-8"))
    (row,) = re.findall(r"^\| sample .*$", README, re.M)
    _, recipe_name, micro, macro, gain, found, alarms = (cell.strip() for cell in row.strip("|").split("|"))
    assert recipe_name == "`weight_free`"
    assert (micro, macro) == (f"{run['frame']['auc_micro']:.3f}", f"{run['frame']['auc_macro']:.3f}")
    assert gain.startswith(f"{run['gain']['auc_micro']['difference']:+.3f} ")
    event = run["event"]
    assert (found, alarms) == (f"{event['found']} of {event['labelled']}", f"{event['false_alarms']}")


@pytest.mark.parametrize(
    ("row", "per_day", "hours"), [("`per_day: 1`, the default", 1, 7.2), ("`per_day: 24`", 24, 0.3)]
)
def test_that_much_footage_vouches_for_the_threshold_and_no_less(row, per_day, hours):
    (stated,) = re.findall(rf"^\| {re.escape(row)} \|.*\| ([\d.]+ \w+) without one \|$", README, re.M)
    assert pd.Timedelta(stated) == pd.Timedelta(hours=hours)
    for share, enough in ((1.0, True), (0.99, False)):
        length = share * hours
        evidence = Evidence(
            clips=9,
            hours=length,
            asked_share=None,
            asked_per_day=per_day,
            left_out=9,
            stretches=False,
            worst="",
            left_out_hours=length,
            high_per_day=24 * -math.log(0.05) / length,  # no event: exp(-expected) = 5 %
        )
        assert (warning(evidence) is None) == enough


def test_the_share_of_frames_asks_for_as_much_footage_as_the_readme_says():
    (stated,) = re.findall(r"^\| `policy: percentile` \|.*\| ([\d.]+ \w+) \|$", README, re.M)
    short = Evidence(1, 0.001, asked_share=0.01, asked_per_day=None, left_out=0, stretches=False, worst="")
    assert f"film at least {stated} of" in (warning(short) or "")


def test_the_citation_has_what_is_required():
    """Of https://github.com/citation-file-format/citation-file-format, version 1.2.0."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert all("name" in author for author in citation["authors"])
    licence = (ROOT / "LICENSE").read_text("utf-8")
    assert licence.startswith(f"{citation['license']} License")
    assert citation["authors"][0]["name"] in licence


def test_all_say_the_same_version():
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == version
    assert re.findall(r"^## \[(.*?)\]", pages.read("CHANGELOG.md"), re.M)[0] == version
    for _, line in lines():
        for named in re.findall(r"vad_pipeline-([\d.]+)-", line):
            assert named == version
