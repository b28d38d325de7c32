"""Recipes: named configurations, small files of overrides to params.yaml.

    python -m vad.recipe                                      lists them
    python -m vad.recipe ped2 objects --root PATH --write     writes two into params.yaml
    python -m vad.recipe objects --weights PATH | xargs dvc exp run  tries one without touching params.yaml

A recipe is about footage or about a method, as its first comment line says. It holds what differs from the
defaults: keys that other recipes of its kind set go back to theirs first. Of several recipes the last wins.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from vad import UserError
from vad.check import check
from vad.parameters import defaults
from vad.pipeline import params
from vad.store.downloads import hash_file

RECIPES = Path("recipes")
WEIGHTS, SHA256 = (f"preprocess.person_crop.onnx.{key}" for key in ("weights", "sha256"))
ASKED_FOR = {  # keys that are null in a recipe because only the user knows them
    "data.root": "footage lies: add ROOT=path (--root path)",
    WEIGHTS: "detector lies, a YOLOX or YOLOv8 export to ONNX: add WEIGHTS=file (--weights file)",
}
_NULL = "tag:yaml.org,2002:null"  # written as the word; ruamel would leave the place empty


def names() -> dict[str, str]:
    """Recipe -> its first comment line, `<kind>: <description>`."""
    files = sorted(RECIPES.glob("*.yaml"))
    return {f.stem: f.read_text("utf-8").partition("\n")[0].lstrip("# ") for f in files}


def overrides(chosen: Sequence[str], root: str | None = None, detector: str | None = None) -> dict[str, Any]:
    """`{"data.root": …, "train.epochs": …}` of recipes, defaults of their kinds included.

    Args:
        chosen: names of recipes.
        root: folder with the footage, becomes `data.root`.
        detector: file of the detector's weights.

    Raises:
        UserError: for an unknown recipe, or if one needs `root` or `detector` and did not get it.
    """
    texts = names()
    for name in chosen:
        if name not in texts:
            raise UserError(f"no recipe {name!r}; there are: {', '.join(texts)}")
    kinds = {name: text.partition(":")[0] for name, text in texts.items()}
    default = defaults()
    changes: dict[str, Any] = {
        key: default[key]
        for name in texts
        if kinds[name] in {kinds[other] for other in chosen}
        for key in _read(name)
    }
    required: dict[str, str] = {}
    for name in chosen:
        own = _read(name)
        changes |= own
        required |= {key: what for key, what in ASKED_FOR.items() if key in own and own[key] is None}
    if root is not None:
        changes["data.root"] = _root(root)
    if detector is not None:
        path = Path(detector).expanduser().resolve()
        if not path.is_file():
            raise UserError(f"WEIGHTS={detector}: no such file")
        changes |= {WEIGHTS: path.as_posix(), SHA256: hash_file(path)}
    for key, what in required.items():
        if changes[key] is None:
            raise UserError(f"recipe {' '.join(chosen)!r} needs to know where the {what}")
    return changes


def apply(document: Any, changes: Mapping[str, Any]) -> None:
    """Sets dotted keys in a nested mapping, in place; adds those that are absent."""
    for key, value in changes.items():
        *path, last = key.split(".")
        section = document
        for part in path:
            if not isinstance(section.get(part), Mapping):
                section[part] = {}
            section = section[part]
        if last not in section or section[last] != value:  # else its style may stay as it is
            section[last] = _in_a_line(value) if isinstance(value, list) else value


def _in_a_line(values: list) -> CommentedSeq:
    line = CommentedSeq(values)
    line.fa.set_flow_style()
    return line


def write(changes: Mapping[str, Any], path: Path = params.FILE) -> None:
    """Changes params.yaml and keeps its comments. Refuses, with a UserError, what would not be valid."""
    params.read(path)  # says what is wrong with it, if anything
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar(_NULL, "null"))
    document = yaml.load(path.read_text("utf-8"))
    apply(document, changes)
    part = path.with_name(path.name + ".part")
    with open(part, "w", encoding="utf-8", newline="\n") as file:
        yaml.dump(document, file)
    try:
        check(params.read(part))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def flags(changes: Mapping[str, Any]) -> list[str]:
    """Words for `dvc exp run`: -S ++key=value, which adds or changes a key, quoted for the grammar of DVC."""
    return [word for key, value in changes.items() for word in ("-S", f"++{key}={_hydra(value)}")]


def _read(name: str) -> dict[str, Any]:
    """What a recipe sets, by dotted key."""
    return dict(_flat(params.read(RECIPES / f"{name}.yaml")))


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _root(root: str) -> str:
    """Relative if git or DVC tracks it, else absolute: experiments in temporary copies must find it too."""
    path = Path(root).expanduser().resolve()
    if not path.is_dir():
        raise UserError(f"ROOT={root}: no such folder")
    here = Path.cwd().resolve()
    if not path.is_relative_to(here):
        return path.as_posix()
    inside = path.relative_to(here)
    by_git = subprocess.run(["git", "ls-files", "--", inside], capture_output=True).stdout
    by_dvc = any(Path(f"{p}.dvc").is_file() for p in (inside, *inside.parents))
    return (inside if by_git or by_dvc else path).as_posix()


def _hydra(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    # within quotes a backslash stands for itself, unless a quote follows it
    escaped = re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + ('\\"' if m[2] else ""), value)
    return f'"{escaped}"'


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m vad.recipe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", help="recipes; without any, all are listed")
    parser.add_argument("--root", help="folder with the footage, becomes data.root")
    parser.add_argument("--weights", help="file of a detector, for recipes that use one")
    parser.add_argument("--write", action="store_true", help="write into params.yaml instead of printing")
    args = parser.parse_args()
    if not args.name:
        print("\n".join(f"{name:12} {text}" for name, text in names().items()))
        return
    changes = overrides(args.name, args.root, args.weights)
    if args.write:
        write(changes)
        footage = params.read()["data"]["root"]
        print(f"params.yaml is now {' '.join(args.name)!r}, footage in {footage}; next: make repro")
    else:
        raw = params.read()
        apply(raw, changes)
        check(raw)  # else DVC would run with a wrong key
        print(shlex.join(flags(changes)))  # xargs reads quotes as a shell does


if __name__ == "__main__":
    try:
        main()
    except UserError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(2)
