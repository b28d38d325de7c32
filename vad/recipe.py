"""Recipes: named configurations, small files of changes to params.yaml.

    python -m vad.recipe                                    lists all recipes
    python -m vad.recipe ped2 objects --root PATH --write   writes two recipes into params.yaml
    python -m vad.recipe objects --weights PATH --exp       runs a recipe as an experiment, in a copy
    python -m vad.recipe objects --exp --queue -S train.seed=1,2    `dvc exp run` takes what follows --exp

A recipe is about footage, about a method, or about the delay of live scores, as its first comment line says.
It contains only what differs from the defaults: keys that other recipes of the same kind set are first reset
to their defaults. If several recipes set a key, the last recipe wins.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from vad import UserError, experiments
from vad.check import check
from vad.parameters import defaults
from vad.pipeline import params
from vad.store.downloads import hash_file

RECIPES = Path("recipes")
WEIGHTS, SHA256 = (f"preprocess.person_crop.onnx.{key}" for key in ("weights", "sha256"))
GIVEN_BY_USER = {  # keys that are null in a recipe because only the user knows their values
    "data.root": "the folder of the footage: add ROOT=path (--root path)",
    WEIGHTS: "a detector, YOLOX or YOLOv8 exported to ONNX: add WEIGHTS=file or URL (--weights)",
}
_NULL = "tag:yaml.org,2002:null"  # to write `null`, as ruamel writes nothing by default


def names() -> dict[str, str]:
    """The first comment line of each recipe, `<kind>: <description>`, by name."""
    files = sorted(RECIPES.glob("*.yaml"))
    return {f.stem: f.read_text("utf-8").partition("\n")[0].lstrip("# ") for f in files}


def overrides(
    chosen: Sequence[str], root: str | None = None, detector: str | None = None, sha256: str | None = None
) -> dict[str, Any]:
    """The changes of recipes to params.yaml, `{"data.root": …, "train.epochs": …}`.

    They include the defaults of all keys that other recipes of the same kinds set. Of two recipes of a kind
    only the later counts.

    Args:
        chosen: names of recipes; later recipes override earlier recipes.
        root: folder of the footage, for `data.root`.
        detector: file of the detector's weights, or the URL of one.
        sha256: of that file, 64 hexadecimal digits. A URL needs it; of a file it is computed, and compared.

    Raises:
        UserError: if a recipe does not exist, or needs `root`, `detector` or `sha256`.
    """
    texts = names()
    for name in chosen:
        if name not in texts:
            raise UserError(f"no recipe {name!r}; there are: {', '.join(texts)}")
    kinds = {name: text.partition(":")[0] for name, text in texts.items()}
    default, last = defaults(), {kinds[name]: name for name in chosen}
    changes: dict[str, Any] = {
        key: default[key] for name in texts if kinds[name] in last for key in _read(name)
    }
    required: dict[str, str] = {}
    for name in last.values():
        settings = _read(name)
        changes |= settings
        required |= {k: what for k, what in GIVEN_BY_USER.items() if k in settings and settings[k] is None}
    if root is not None:
        changes["data.root"] = _root(root)
    if detector is not None:
        changes |= _detector(detector, sha256)
    for key, what in required.items():
        if changes[key] is None:
            raise UserError(f"recipe {' '.join(chosen)!r} needs {what}")
    return changes


def apply(document: Any, changes: Mapping[str, Any]) -> None:
    """Sets dotted keys in a nested mapping, in place; absent keys are added.

    Args:
        document: contents of params.yaml.
        changes: values by dotted key.
    """
    for key, value in changes.items():
        *path, last = key.split(".")
        section = document
        for part in path:
            if not isinstance(section.get(part), Mapping):
                section[part] = {}
            section = section[part]
        if last not in section or section[last] != value:  # an equal value keeps its style in the file
            section[last] = _in_a_line(value) if isinstance(value, list) else value


def _in_a_line(values: list) -> CommentedSeq:
    line = CommentedSeq(values)
    line.fa.set_flow_style()
    return line


def write(changes: Mapping[str, Any], path: Path = params.FILE) -> None:
    """Writes changes into params.yaml, and keeps its comments.

    Args:
        changes: values by dotted key.
        path: path of params.yaml.

    Raises:
        UserError: if the result would not be valid; the file is then left unchanged.
    """
    params.read(path)  # for its error messages
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
    """Arguments for `dvc exp run`: -S ++key=value, which adds or changes a key; values in Hydra's syntax."""
    return [word for key, value in changes.items() for word in ("-S", f"++{key}={_hydra(value)}")]


def _read(name: str) -> dict[str, Any]:
    """The values that a recipe sets, by dotted key."""
    return dict(experiments.flat(params.read(RECIPES / f"{name}.yaml")))


def _detector(source: str, sha256: str | None) -> dict[str, Any]:
    """The keys of the detector's weights; a URL is kept, and downloaded once by the stage that needs it."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        if not re.fullmatch("[0-9a-fA-F]{64}", sha256 or ""):
            raise UserError(
                "WEIGHTS is a URL: add SHA256=… (--sha256 …), the 64 hexadecimal digits of its file"
            )
        return {WEIGHTS: source, SHA256: sha256}
    path = Path(source).expanduser().resolve()
    if not path.is_file():
        raise UserError(f"WEIGHTS={source}: no such file")
    actual = hash_file(path)
    if sha256 is not None and sha256.lower() != actual:
        raise UserError(f"WEIGHTS={source}: its sha256 is {actual}, but SHA256 says {sha256}")
    return {WEIGHTS: path.as_posix(), SHA256: actual}


def _root(root: str) -> str:
    """The path of the footage for `data.root`.

    Relative if git or DVC tracks the folder, else absolute: experiments run in temporary copies of the
    project, which contain only tracked files.
    """
    path = Path(root).expanduser().resolve()
    if not path.is_dir():
        raise UserError(f"ROOT={root}: no such folder")
    project = Path.cwd().resolve()
    if not path.is_relative_to(project):
        return path.as_posix()
    relative = path.relative_to(project)
    return (relative if experiments.is_tracked(relative) else path).as_posix()


def _footage(changes: Mapping[str, Any], raw: Mapping[str, Any]) -> str:
    """Says where the footage is and how it is read, as a new root does not bring its layout with it."""
    kept = "data.root" in changes and "data.format" not in changes
    hint = " as before (if the footage has another layout, set data.format in params.yaml)" if kept else ""
    return f"footage in {raw['data']['root']}, read as data.format: {raw['data']['format']}{hint}"


def _hydra(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    # within quotes, Hydra takes a backslash literally unless a quote follows it
    escaped = re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + ('\\"' if m[2] else ""), value)
    return f'"{escaped}"'


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m vad.recipe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", help="recipes; without a name, all recipes are listed")
    parser.add_argument("--root", help="folder of the footage, for data.root")
    parser.add_argument("--weights", help="file or URL of a detector, for recipes that use a detector")
    parser.add_argument("--sha256", help="sha256 of the detector's file; a URL needs it")
    parser.add_argument("--write", action="store_true", help="write into params.yaml")
    parser.add_argument(
        "--exp", nargs=argparse.REMAINDER, help="run an experiment; further arguments are DVC's"
    )
    args = parser.parse_args()
    if args.exp is None and not args.name:
        if args.write:
            raise UserError(f"which recipe? add NAME=name; there are: {', '.join(names())}")
        print("\n".join(f"{name:12} {text}" for name, text in names().items()))
        return
    changes = overrides(args.name, args.root, args.weights, args.sha256)
    if args.exp is not None:
        command, (raw, *_) = experiments.command([*flags(changes), *args.exp])
        print(f"experiment: {' '.join(args.name) or 'params.yaml'}, {_footage(changes, raw)}", flush=True)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        os.execve(command[0], command, os.environ | {"PATH": path})  # stages call `python`
    if not args.write:
        raise UserError("add --write, to change params.yaml, or --exp, to run an experiment")
    write(changes)
    print(f"params.yaml is now {' '.join(args.name)!r}, {_footage(changes, params.read())}; next: make repro")


if __name__ == "__main__":
    try:
        main()
    except UserError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(2)
    except PermissionError as e:
        print(f"error: {e.filename}: no permission ({e.strerror})", file=sys.stderr)
        sys.exit(2)
