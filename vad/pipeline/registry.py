"""Plug-ins: the alternatives of one kind (layouts, flow methods, region modes, models, branches).

Each alternative is a class in a file of its own, named after the file and registered by a decorator:

    LAYOUTS = Registry("vad.layouts", Layout)         # in the package's base module

    @LAYOUTS.register                                         # in vad/layouts/ucsd.py
    class Ucsd(Layout):
        class Params(Section): ...

The names are read from the files without importing them, and only the chosen file is imported. So an edit of
one alternative re-runs no stage that uses another, and a broken optional dependency harms nobody else.
"""

import ast
import importlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[2]


class Plugin:
    """Base of all alternatives: a name, and a `Params` model for the sub-section of that name."""

    name: ClassVar[str]  # set by `Registry.register`: the name of its file
    Params: ClassVar[type[BaseModel]]

    @classmethod
    def verify(cls, params: Any, raw: dict[str, Any]) -> None:
        """Checks `params` against the other sections of params.yaml (`raw`) and the files that they name.

        Raises:
            UserError: for what cannot work together.
        """


P = TypeVar("P", bound=Plugin)
Decorated = TypeVar("Decorated", bound=type[Any])


class Registry(Generic[P]):
    """The alternatives of one kind.

    Args:
        package: dotted name of the package whose files hold one alternative each.
        base: the class that all of them derive from.
    """

    def __init__(self, package: str, base: type[P]):
        self.package, self.base = package, base
        self._classes: dict[str, type[P]] = {}

    def register(self, cls: Decorated) -> Decorated:
        """Class decorator: registers an alternative under the name of its file.

        Raises:
            ValueError: if the class lies outside the package or does not derive from the base.
        """
        package, _, name = cls.__module__.rpartition(".")
        derived = issubclass(cls, self.base)
        if package != self.package or not derived:
            raise ValueError(f"{cls.__qualname__} must derive from {self.base.__name__} in {self.package}")
        cls.name = name
        self._classes[name] = cls
        return cls

    def names(self, condition: Callable[[ast.ClassDef], bool] = lambda cls: True) -> list[str]:
        """Names of the alternatives, sorted, without importing any.

        Args:
            condition: tells from the source of a registered class whether it is wanted.
        """
        folder = ROOT / Path(*self.package.split("."))
        return [f.stem for f in sorted(folder.glob("*.py")) if any(map(condition, _registered(f)))]

    def module(self, name: str) -> str:
        """Dotted name of the module that holds an alternative."""
        return f"{self.package}.{name}"

    def get(self, name: str) -> type[P]:
        """The alternative `name`; imports its file alone.

        Raises:
            KeyError: if there is none of that name.
        """
        if name not in self.names():
            raise KeyError(name)
        importlib.import_module(self.module(name))
        return self._classes[name]


@lru_cache
def _registered(file: Path) -> tuple[ast.ClassDef, ...]:
    """The classes of a file that carry a decorator called `register`."""
    classes = [node for node in ast.parse(file.read_bytes()).body if isinstance(node, ast.ClassDef)]
    return tuple(
        cls
        for cls in classes
        if any(isinstance(d, ast.Attribute) and d.attr == "register" for d in cls.decorator_list)
    )


def defines(method: str) -> Callable[[ast.ClassDef], bool]:
    """Condition for `Registry.names`: the class itself defines the method."""
    return lambda cls: any(isinstance(node, ast.FunctionDef) and node.name == method for node in cls.body)
