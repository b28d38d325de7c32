"""Plug-ins: alternatives for a part of the pipeline (layouts, flow methods, region modes, models, branches).

Each alternative is a class in a separate file; a decorator registers it under the name of the file:

    LAYOUTS = Registry("vad.layouts", Layout)  # in the base module of the package

    @LAYOUTS.register                          # in vad/layouts/ucsd.py
    class Ucsd(Layout):
        class Params(Section): ...

The names are listed without importing the files, and only the file of the chosen alternative is imported. So
an edit of an alternative re-runs no stage that uses another, and a missing optional dependency affects only
the alternatives that need it.
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
    """Base class of all alternatives.

    Attributes:
        name: of the file that defines the class; set by `Registry.register`.
        Params: model of the sub-section of params.yaml with that name.
    """

    name: ClassVar[str]
    Params: ClassVar[type[BaseModel]]

    @classmethod
    def verify(cls, params: Any, raw: dict[str, Any]) -> None:
        """Checks a sub-section against other sections of params.yaml and the files that they name.

        Args:
            params: the sub-section of this alternative, an instance of `Params`.
            raw: the whole file.

        Raises:
            UserError: if they contradict each other.
        """


P = TypeVar("P", bound=Plugin)
Decorated = TypeVar("Decorated", bound=type[Any])


class Registry(Generic[P]):
    """The alternatives that share a base class.

    Args:
        package: dotted name of the package that has a file per alternative.
        base: the base class.
    """

    def __init__(self, package: str, base: type[P]):
        self.package, self.base = package, base
        self._classes: dict[str, type[P]] = {}

    def register(self, cls: Decorated) -> Decorated:
        """Class decorator that registers an alternative under the name of its file.

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
            condition: given the syntax tree of a registered class, whether to include it.
        """
        folder = ROOT / Path(*self.package.split("."))
        return [f.stem for f in sorted(folder.glob("*.py")) if any(map(condition, _registered(f)))]

    def module(self, name: str) -> str:
        """Dotted name of the module that holds an alternative."""
        return f"{self.package}.{name}"

    def get(self, name: str) -> type[P]:
        """Imports the file of an alternative and returns its class.

        Raises:
            KeyError: if no alternative has that name.
        """
        if name not in self.names():
            raise KeyError(name)
        importlib.import_module(self.module(name))
        return self._classes[name]


@lru_cache
def _registered(file: Path) -> tuple[ast.ClassDef, ...]:
    """The classes of a file with a decorator `@….register`."""
    classes = [node for node in ast.parse(file.read_bytes()).body if isinstance(node, ast.ClassDef)]
    return tuple(
        cls
        for cls in classes
        if any(isinstance(d, ast.Attribute) and d.attr == "register" for d in cls.decorator_list)
    )


def defines(method: str) -> Callable[[ast.ClassDef], bool]:
    """A condition for `Registry.names`: whether the class body defines the method."""
    return lambda cls: any(isinstance(node, ast.FunctionDef) and node.name == method for node in cls.body)
