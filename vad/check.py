"""Checks the whole of params.yaml before any stage runs: every section, and sections against each other.

python -m vad.check            checks the file, and data/zones.yaml
python -m vad.check train      also refuses a stage that does not exist; a renamed one with its new name
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vad import UserError
from vad.pipeline import renamed
from vad.pipeline.params import (
    FILE,
    Choice,
    Section,
    Subsections,
    load,
    load_choice,
    load_each,
    read,
    unknown_key,
)
from vad.store.zones import read_zones

# Section -> module and class of its model; as text, so that importing this module imports no package
SECTIONS = {
    "data": "vad.layouts.base:DataParams",
    "extract": "vad.footage.extract_params:ExtractParams",
    "flow": "vad.flow.base:FlowParams",
    "preprocess": "vad.regions.base:PreprocessParams",
    "resize": "vad.windows.spec:ResizeParams",
    "model": "vad.models.base:ModelParams",
    "train": "vad.training.params:TrainParams",
    "branches": "vad.branches.params:BranchesParams",
    "measure": "vad.branches.params:MeasureParams",
    "calibrate": "vad.scoring.params:CalibrateParams",
    "validate": "vad.validation.params:ValidateParams",
    "evaluate": "vad.evaluation.params:EvaluateParams",
    "report": "vad.report.params:ReportParams",
    "compute": "vad.pipeline.compute_params:ComputeParams",
}

DEFINITION, MANIFEST = Path("dvc.yaml"), Path("data/manifest.csv")
ZONES = Path("data/zones.yaml")
ABSENT = object()


def models() -> Iterator[tuple[str, type[Section]]]:
    """Yields each section and its model, in the order of the stages."""
    for section, where in SECTIONS.items():
        module, name = where.split(":")
        yield section, getattr(importlib.import_module(module), name)


def check(raw: dict[str, Any] | None = None) -> None:
    """Checks the values of every section, inactive alternatives included.

    Args:
        raw: contents of params.yaml; by default the file is read.

    Raises:
        UserError: at the first error.
    """
    raw = read() if raw is None else raw
    for key in raw:
        if hint := renamed.new_key(str(key)):
            raise UserError(f"{FILE}: {key}: {hint}")
        if key not in SECTIONS:
            raise UserError(f"{FILE}: {unknown_key(key, list(SECTIONS))}")
    for section, model in models():
        params = load(section, model, raw)
        if issubclass(model, Choice):
            for name in params.model_extra or {}:
                load(f"{section}.{name}", model.registry.get(name).Params, raw)
        elif issubclass(model, Subsections):
            load_each(section, model, raw)


def verify(raw: dict[str, Any] | None = None) -> None:
    """Checks the sections, then sections against each other and against the files that they name.

    Args:
        raw: contents of params.yaml; by default the file is read.

    Raises:
        UserError: at the first error.
    """
    raw = read() if raw is None else raw
    check(raw)
    try:
        for rule in RULES:
            rule(raw)
        for section, model in models():
            if issubclass(model, Choice):
                _, plugin, params = load_choice(section, model, raw)
                plugin.verify(params, raw)
    except UserError as e:  # rules name the key alone
        raise UserError(str(e) if str(e).startswith(str(FILE)) else f"{FILE}: {e}") from None


def check_tracked(raw: dict[str, Any]) -> None:
    """Checks that all keys stand in the file that DVC tracks; it stops at keys that are absent."""
    if not DEFINITION.is_file():
        return
    for stage in read(DEFINITION)["stages"].values():
        for template in stage.get("params", []):
            key = re.sub(r"\$\{([\w.]+)\}", lambda match: str(_value(raw, match[1])), template)
            if _value(raw, key) is ABSENT:
                raise UserError(f"{key} is missing; DVC tracks it: add it, `{{}}` for a section of defaults")


def _value(raw: Any, key: str) -> Any:
    """The value of a dotted key, ABSENT if there is none."""
    for part in key.split("."):
        if not isinstance(raw, dict) or part not in raw:
            return ABSENT
        raw = raw[part]
    return raw


def check_footage(raw: dict[str, Any]) -> None:
    """Checks that the folder of the footage exists and holds nothing that DVC cannot read."""
    from vad.footage import contents
    from vad.layouts.base import open_root

    root = Path(raw["data"]["root"])
    open_root(root)
    entries = contents.walk(root)
    contents.refuse_linked(entries)
    contents.refuse_special(entries)


def check_apart(raw: dict[str, Any]) -> None:
    """Checks that neither the folder of the footage nor an output of a stage lies in the other.

    DVC would refuse it too, but name neither the folder nor the key.
    """
    root = Path(raw["data"]["root"])
    real = root.resolve()
    for stage in read(DEFINITION)["stages"].values() if DEFINITION.is_file() else ():
        for entry in stage.get("outs", []):
            output = next(iter(entry)) if isinstance(entry, dict) else entry
            path = Path(output).resolve()
            if real.is_relative_to(path) or path.is_relative_to(real):
                where = "is" if real == path else "lies in" if real.is_relative_to(path) else "contains"
                raise UserError(
                    f"data.root = {str(root)!r} {where} {output}, which the pipeline writes; give a folder "
                    "that holds footage alone, such as data/raw"
                )


def check_channels(raw: dict[str, Any]) -> None:
    """Checks that flow is computed and frames are in colour, if `resize.channels` needs them."""
    from vad.flow.base import FlowParams, require_flow
    from vad.footage.extract_params import ExtractParams
    from vad.windows.spec import ResizeParams

    channels = load("resize", ResizeParams, raw).channels
    if "flow" in channels:
        require_flow(load("flow", FlowParams, raw).method, "resize.channels: flow")
    if "rgb" in channels and load("extract", ExtractParams, raw).color != "rgb":
        raise UserError("resize.channels asks for rgb, but frames are gray; set extract.color: rgb")


def check_model(raw: dict[str, Any]) -> None:
    """Checks that the model can be built for the tensors, and trained with the section `train`."""
    import torch

    from vad.footage.extract_params import ExtractParams
    from vad.models.base import ModelParams, create
    from vad.training.initial_weights import find_folder
    from vad.training.params import TrainParams
    from vad.windows.spec import ResizeParams

    resize, train = load("resize", ResizeParams, raw), load("train", TrainParams, raw)
    choice, model, params = load_choice("model", ModelParams, raw)
    planes = resize.planes(load("extract", ExtractParams, raw).color)
    shape = len(planes), params.window.frames, resize.height, resize.width
    with torch.device("meta"):  # a device of tensors with shapes but without memory
        autoencoder = create(choice.chosen, params, shape, planes)
    _check_branches(raw, autoencoder)
    train.require(planes, params.window.frames)
    if _folds(raw) > 1:
        train.require_one_device()
    if model.fit_at_once is not None:
        train.require_plain(choice.chosen)
    if train.init_from is not None:
        find_folder(train.init_from)


def _folds(raw: dict[str, Any]) -> int:
    from vad.layouts.base import DataParams

    return load("data", DataParams, raw).folds


def warnings(raw: dict[str, Any]) -> list[str]:
    """What is valid but perhaps not meant, in lines.

    Args:
        raw: valid contents of params.yaml.
    """
    from vad.training.params import TrainParams

    init_from = load("train", TrainParams, raw).init_from
    if _folds(raw) > 1 and init_from is not None and not Path(init_from, "1", "card.json").is_file():
        return [
            f"train.init_from = {init_from!r} has no weights of folds: if they learned from these clips, "
            "none is new to the models that leave it out, and thresholds are too low; set data.folds: 1"
        ]
    return []


def _check_branches(raw: dict[str, Any], autoencoder: Any) -> None:
    """Checks that the branches exist that `calibrate.branches` names, and have the flow they need."""
    from vad.branches.base import BRANCHES
    from vad.flow.base import FlowParams, require_flow
    from vad.scoring.params import CalibrateParams

    named = load("calibrate", CalibrateParams, raw).branches
    branches = [BRANCHES.get(name) for name in BRANCHES.names()]
    names = [name for branch in branches for name in branch.error_names(autoencoder)]
    if named != "all" and (unknown := [name for name in named if name not in names]):
        raise UserError(
            f"calibrate.branches: {', '.join(unknown)} is none of the branches {', '.join(sorted(names))}"
        )
    for branch in branches:
        if branch.reads_flow and named != "all" and branch.name in named:
            require_flow(load("flow", FlowParams, raw).method, f"calibrate.branches: {branch.name}")


def check_identity(raw: dict[str, Any]) -> None:
    """Checks that the file of identities exists."""
    from vad.evaluation.params import EvaluateParams

    identity = load("evaluate", EvaluateParams, raw).identity
    if not Path(identity).is_file():
        raise UserError(
            f"evaluate.identity = {identity!r}: no such file in {Path.cwd()}; expected a CSV with the "
            "columns clip, track, person (only the header if persons are not distinguished)"
        )


RULES: list[Callable[[dict[str, Any]], None]] = [
    check_tracked,
    check_apart,
    check_footage,
    check_channels,
    check_model,
    check_identity,
]


def shortage(raw: dict[str, Any]) -> str | None:
    """The warning that the footage of the latest run is too little for the threshold.

    None without a run, and where data.root now holds other footage.

    Args:
        raw: contents of params.yaml, checked.
    """
    from vad.footage.extract_params import ExtractParams
    from vad.scoring.normal_footage import NormalFootage
    from vad.scoring.params import CalibrateParams
    from vad.store.manifest import read_manifest

    try:
        clips = read_manifest(MANIFEST)
    except UserError:  # no run yet, or one of an earlier version
        return None
    root = Path(raw["data"]["root"])
    if not all((root / clip.source).exists() for clip in clips):
        return None
    footage = NormalFootage(clips, load("extract", ExtractParams, raw).fps)
    return footage.shortage(load("calibrate", CalibrateParams, raw).threshold)


def main(targets: list[str]) -> None:
    for target in targets:
        if target in renamed.STAGES:
            raise UserError(f"the stage {target!r} is now called {renamed.STAGES[target]!r}")
        # targets of `dvc repro` may also be files, folders and patterns: those are left to DVC
        if not target.isidentifier() or Path(target).exists():
            continue
        if target not in (stages := read(DEFINITION)["stages"]):
            raise UserError(f"{DEFINITION}: no stage {target!r}; there are: {', '.join(stages)}")
    verify(raw := read())
    read_zones(ZONES)
    for line in warnings(raw):
        print(f"{FILE}: WARNING: {line}", file=sys.stderr)
    print(f"{FILE}: all sections are valid")
    # no error, since the footage may have changed since
    if (text := shortage(raw)) is not None:
        print(f"WARNING, by the footage of the latest run: {text}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(2)
