"""Reads params.yaml and checks its sections before any work begins.

Each package declares the model of its section, a subclass of `Section`; this module knows none of them by
name. `python -m vad.check` checks the whole file. It is read as YAML 1.2, like DVC does, so that both read
the same values.
"""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, TypeVar, Union, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from vad import UserError
from vad.pipeline.registry import Registry
from vad.pipeline.renamed import new_key

FILE = Path("params.yaml")


class Section(BaseModel):
    """A section of params.yaml: strictly typed, without unknown keys, immutable.

    Every field has a description, from which docs/parameters.md is generated, and a default, unless only the
    user can choose the value. Keys with a default may be left out of params.yaml.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        """Reads `section:` without a value as an empty section."""
        return {} if value is None else value

    def active(self) -> dict[str, Any]:
        """The values that have an effect, as JSON types: without those that another value disables."""
        return self.model_dump(mode="json")


class Subsections(Section):
    """A section with a sub-section for each alternative of a registry; an absent one is all defaults."""

    model_config = ConfigDict(extra="allow")
    registry: ClassVar[Registry[Any]]

    @model_validator(mode="after")
    def _refuse_unknown_key(self) -> "Subsections":
        names = self.registry.names()
        for key in self.model_extra or {}:
            if key not in names:
                raise ValueError(unknown_key(key, sorted({*names, *type(self).model_fields})))
        return self


class Choice(Subsections):
    """A section whose key `chooser` selects a single alternative and its sub-section.

    DVC tracks only this key and the chosen sub-section, so that an edit of the others re-runs nothing. The
    chosen sub-section must therefore be present in params.yaml, if only as `{}`.
    """

    chooser: ClassVar[str]

    @model_validator(mode="after")
    def _refuse_missing(self) -> "Choice":
        names = self.registry.names()
        if self.chosen not in names:
            raise ValueError(f"{self.chooser} = {self.chosen!r} is unknown{_nearest(self.chosen, names)}")
        if self.chosen not in (self.model_extra or {}):
            raise ValueError(
                f"the sub-section {self.chosen!r} is missing; add `{self.chosen}: {{}}` or its keys"
            )
        return self

    @property
    def chosen(self) -> str:
        """Name of the chosen alternative."""
        return getattr(self, self.chooser)


S = TypeVar("S", bound=Section)
C = TypeVar("C", bound=Choice)


def read(path: Path = FILE) -> dict[str, Any]:
    """Reads the whole file as plain Python values.

    Args:
        path: the YAML file.

    Returns:
        Sections by name.

    Raises:
        UserError: if the file is missing or not YAML, or has no sections.
    """
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
    except (YAMLError, ValueError) as e:  # invalid characters, impossible dates
        raise UserError(f"{path}: not valid YAML: {str(e).splitlines()[0]}") from None
    if not isinstance(raw, dict):
        kind = "nothing" if raw is None else type(raw).__name__
        raise UserError(f"{path}: expected sections such as `data:`, found {kind}")
    return raw


def load(section: str, model: type[S], raw: dict[str, Any] | None = None, shown: str | None = None) -> S:
    """Reads and checks a section of params.yaml.

    Args:
        section: dotted name, for example "train" or "preprocess.silhouette".
        model: the class that checks it.
        raw: the whole file, if it was read already.
        shown: name of the section in messages, if it differs from `section`.

    Raises:
        UserError: if the section is missing or a key of it is wrong.
    """
    value: Any = read() if raw is None else raw
    for i, key in enumerate(keys := section.split(".")):
        if not isinstance(value, dict) or key not in value:
            raise UserError(
                f"{FILE}: the section {'.'.join(keys[: i + 1])!r} is missing; add it, `{{}}` for its defaults"
            )
        value = value[key]
    try:
        return model.model_validate(value)
    except ValidationError as e:
        raise UserError(f"{FILE}: {_explain(shown or section, model, e)}") from None


def load_choice(section: str, model: type[C], raw: dict[str, Any] | None = None) -> tuple[C, Any, Any]:
    """Reads and checks a section that chooses an alternative.

    Args:
        section: name of the section.
        model: the class that checks it.
        raw: the whole file, if it was read already.

    Returns:
        (the section, the class of the chosen alternative, its sub-section).

    Raises:
        UserError: if a key of the section or of the chosen sub-section is wrong.
    """
    raw = read() if raw is None else raw
    choice = load(section, model, raw)
    plugin = model.registry.get(choice.chosen)
    return choice, plugin, load(f"{section}.{choice.chosen}", plugin.Params, raw)


def load_each(
    section: str,
    model: type[Subsections],
    raw: dict[str, Any] | None = None,
    names: Iterable[str] | None = None,
) -> dict[str, tuple[Any, Any]]:
    """Reads and checks the sub-sections of several alternatives.

    Args:
        section: name of the section.
        model: the class that checks it.
        raw: the whole file, if it was read already.
        names: of the alternatives to load; all by default. The others are not imported.

    Returns:
        Name -> (class of the alternative, its sub-section), in the order of params.yaml; alternatives that
        are absent there come last.

    Raises:
        UserError: if a key of the section or of a loaded sub-section is wrong.
    """
    raw = read() if raw is None else raw
    present = load(section, model, raw).model_extra or {}
    selected = set(model.registry.names() if names is None else names)
    ordered = [*(name for name in present if name in selected), *sorted(selected - present.keys())]
    plugins = {name: model.registry.get(name) for name in ordered}
    return {
        name: (plugin, load(name, plugin.Params, {name: present.get(name)}, f"{section}.{name}"))
        for name, plugin in plugins.items()
    }


def _explain(section: str, model: type[BaseModel], error: ValidationError) -> str:
    """All errors as `key = value: what is allowed`; the alternatives of a union type are joined by "or"."""
    faults: dict[str, list[str]] = {}
    for fault in error.errors():
        # pydantic appends the failing member of a union to the key: `workers.literal['auto']`
        field = model.model_fields.get(str(fault["loc"][0])) if fault["loc"] else None
        union = (
            field is not None and get_origin(field.annotation) in (Union, UnionType) and len(fault["loc"]) > 1
        )
        loc = fault["loc"][:1] if union else fault["loc"]
        head, _, rest = _line(section, model, {**fault, "loc": loc}).partition(": ")
        faults.setdefault(head, []).append(rest)
    return "; ".join(f"{head}: {' or '.join(rest)}" if any(rest) else head for head, rest in faults.items())


def _line(section: str, model: type[BaseModel], error: dict[str, Any]) -> str:
    """An error of pydantic as `key = value: what is allowed`."""
    key = ".".join(str(part) for part in (section, *error["loc"]))
    if hint := new_key(key):
        return f"{key}: {hint}"
    if error["type"] == "extra_forbidden":
        return f"{key.rpartition('.')[0]}: {unknown_key(str(error['loc'][-1]), _keys(model, error['loc']))}"
    if error["type"] == "missing":
        return f"{key} is missing: add it (for one run, dvc exp run -S '++{key}=…')"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if isinstance(error["input"], dict):
        return f"{key}: {message}"
    return f"{key} = {error['input']!r}: {message}"


def _keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The valid keys beside the last one of `loc`, in the sub-section of a model where it stands."""
    for part in loc[:-1]:
        inner = model.model_fields[str(part)].annotation
        assert isinstance(inner, type), f"{part} is no section"
        model = inner
    return list(model.model_fields)


def unknown_key(key: str, valid: list[str]) -> str:
    """The message for an unknown key, with the most similar valid key and all valid keys."""
    return f"unknown key {key!r}{_nearest(str(key), valid)}"


def _nearest(name: str, known: list[str]) -> str:
    """The end of a message about an unknown name."""
    similar = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {similar[0]!r}?" if similar else ""
    return f"{hint} (known: {', '.join(known)})"


__all__ = [
    "Choice",
    "Field",
    "Section",
    "Subsections",
    "load",
    "load_choice",
    "load_each",
    "read",
    "unknown_key",
]
