"""Reads params.yaml and checks its sections before any work begins.

    python -m vad.params        checks the whole file

Each room of the library declares the model of its own section (a subclass of `Section`); this module
knows how to read and check, not what is in them. The parser is the one DVC uses (YAML 1.2), so that
both see the same values.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, ClassVar, TypeVar, Union, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from vad import UserError

FILE = Path("params.yaml")

# Section -> the model that checks it. Imported only for the check of the whole file.
SECTIONS = {
    "data": "vad.footage.layouts:DataParams",
    "extract": "vad.footage.decode:ExtractParams",
    "flow": "vad.flow:FlowParams",
    "preprocess": "vad.regions:PreprocessParams",
    "resize": "vad.windows.dataset:ResizeParams",
    "model": "vad.models:ModelChoice",
    "train": "vad.training.fit:TrainParams",
    "novelty": "vad.branches.classes:NoveltyParams",
    "score": "vad.branches.reconstruction:ScoreParams",
    "calibrate": "vad.scoring.calibration:CalibrateParams",
    "evaluate": "vad.evaluation.frame_metrics:EvaluateParams",
    "compute": "vad.pipeline.clipwise:ComputeParams",
}


class Section(BaseModel):
    """A section of params.yaml: every key required, unknown keys refused, types strict, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def active(self) -> dict[str, Any]:
        """The values that have an effect, as JSON holds them; not all, where some switch others off."""
        return self.model_dump(mode="json")

    def verify(self, raw: dict[str, Any]) -> None:
        """Raises UserError for what the values alone do not tell: a missing folder, sections at odds."""


class Choice(Section):
    """A section that chooses one of several modules and holds a sub-section for each.

    `package` has one module per alternative (`vad.regions.silhouette`), each with a model `Params`
    for its sub-section (`preprocess.silhouette`). DVC then tracks the chosen sub-section alone.
    """

    model_config = ConfigDict(extra="allow")
    package: ClassVar[str]
    chooser: ClassVar[str]

    @model_validator(mode="after")
    def _known(self) -> "Choice":
        names = alternatives(self.package)
        chosen = getattr(self, self.chooser)
        if chosen not in names:
            raise ValueError(f"{self.chooser} = {chosen!r} is unknown; known: {', '.join(names)}")
        for key in self.model_extra or {}:
            if key not in names:
                known = sorted({*names, *type(self).model_fields})
                raise ValueError(_unknown(key, known))
        if chosen not in (self.model_extra or {}):
            raise ValueError(f"the sub-section {chosen!r} is missing; add `{chosen}: {{}}` or its keys")
        return self


S = TypeVar("S", bound=Section)
C = TypeVar("C", bound=Choice)


def read(path: Path = FILE) -> dict[str, Any]:
    """The whole file as plain Python values. Raises UserError if it is missing or not YAML."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} not found in {Path.cwd()}: run from the project's root folder") from None
    except UnicodeDecodeError as e:
        raise UserError(f"{path}: not UTF-8 text ({e.reason} at byte {e.start})") from None
    try:
        raw = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else "?"
        raise UserError(f"{path}: line {line}: not valid YAML: {e.problem or e.context}") from None
    except (YAMLError, ValueError) as e:  # characters, or dates, that cannot be
        raise UserError(f"{path}: not valid YAML: {str(e).splitlines()[0]}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected sections such as `data:`, found {type(raw).__name__}")
    return raw


def load(section: str, model: type[S], raw: dict[str, Any] | None = None) -> S:
    """The checked section `section` ("train" or "preprocess.silhouette") of params.yaml."""
    value: Any = read() if raw is None else raw
    for i, key in enumerate(keys := section.split(".")):
        if not isinstance(value, dict) or key not in value:
            raise UserError(f"{FILE}: the section {'.'.join(keys[: i + 1])!r} is missing")
        value = value[key]
    try:
        return model.model_validate({} if value is None else value)
    except ValidationError as e:
        raise UserError(f"{FILE}: {_explain(section, model, e)}") from None


def load_choice(section: str, model: type[C], raw: dict[str, Any] | None = None) -> tuple[C, ModuleType, Any]:
    """(the section, the chosen module, the chosen sub-section as that module's `Params`)."""
    raw = read() if raw is None else raw
    choice = load(section, model, raw)
    name = getattr(choice, model.chooser)
    module = importlib.import_module(f"{model.package}.{name}")
    return choice, module, load(f"{section}.{name}", module.Params, raw)


def alternatives(package: str) -> list[str]:
    """Names of the modules in a package, in alphabetical order, without importing them."""
    found = importlib.import_module(package)
    return sorted(m.name for m in pkgutil.iter_modules(found.__path__))


def check(raw: dict[str, Any] | None = None) -> None:
    """Checks every section, inactive alternatives included. Raises UserError at the first fault."""
    raw = read() if raw is None else raw
    for key in raw:
        if key not in SECTIONS:
            raise UserError(f"{FILE}: {_unknown(key, list(SECTIONS))}")
    for section, model in _models():
        found = load(section, model, raw)
        if isinstance(found, Choice):
            for alternative in found.model_extra or {}:
                own = importlib.import_module(f"{model.package}.{alternative}")
                load(f"{section}.{alternative}", own.Params, raw)


def verify(raw: dict[str, Any] | None = None) -> None:
    """Checks every section, then what lies beyond their values (`Section.verify`)."""
    raw = read() if raw is None else raw
    check(raw)
    for section, model in _models():
        found = load(section, model, raw)
        found.verify(raw)
        if isinstance(found, Choice):
            load_choice(section, model, raw)[2].verify(raw)


def _models() -> Iterator[tuple[str, type[Section]]]:
    for section, where in SECTIONS.items():
        module, name = where.split(":")
        yield section, getattr(importlib.import_module(module), name)


def _explain(section: str, model: type[BaseModel], error: ValidationError) -> str:
    """All faults as `key = value: what is allowed`; what alternative types allow, joined by "or"."""
    faults: dict[str, list[str]] = {}
    for one in error.errors():
        # pydantic names the branch of a union like a key below it: `workers.literal['auto']`
        field = model.model_fields.get(str(one["loc"][0])) if one["loc"] else None
        union = (
            field is not None and get_origin(field.annotation) in (Union, UnionType) and len(one["loc"]) > 1
        )
        head, _, rest = _line(
            section, model, one | {"loc": one["loc"][:1] if union else one["loc"]}
        ).partition(": ")
        faults.setdefault(head, []).append(rest)
    return "; ".join(f"{head}: {' or '.join(rest)}" if any(rest) else head for head, rest in faults.items())


def _line(section: str, model: type[BaseModel], error: Any) -> str:
    """One pydantic error as `key = value: what is allowed`."""
    key = ".".join(str(part) for part in (section, *error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{section}: {_unknown(str(error['loc'][-1]), list(model.model_fields))}"
    if error["type"] == "missing":
        return f"{key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if isinstance(error["input"], dict):
        return f"{key}: {message}"
    return f"{key} = {error['input']!r}: {message}"


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown key {key!r}{hint} (known: {', '.join(known)})"


__all__ = ["Choice", "Field", "Section", "alternatives", "check", "load", "load_choice", "read", "verify"]

if __name__ == "__main__":
    import sys

    from vad.pipeline import params  # the sections know this module by that name, not as __main__

    try:
        params.verify()
    except UserError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(2)
    print(f"{FILE}: all sections are valid")
