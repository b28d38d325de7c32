"""The import closure of a module: the source files of this repository that it imports, directly or not.

The cache of finished clips hashes these files, and a test compares them with the dependencies in dvc.yaml,
so that no edit goes unnoticed. Imports by `importlib` are not seen; callers add the modules of plug-ins.
"""

import ast
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sources(*modules: str) -> set[Path]:
    """Import closure of modules.

    Args:
        *modules: dotted names, such as "vad.footage.decode".

    Returns:
        The files of the modules and of all that they import, with the `__init__.py` of every package on the
        way; relative to the repository. Files outside it are left out.
    """
    closure: set[Path] = set()
    todo = [file for module in modules for file in files(module)]
    while todo:
        file = todo.pop()
        if file not in closure:
            closure.add(file)
            todo += [f for module in imported(ROOT / file) for f in files(module)]
    return closure


def files(module: str) -> list[Path]:
    """The file of a dotted name and the `__init__.py` of its packages; [] for modules of other projects."""
    parts = module.split(".")
    packages = [Path(*parts[:i], "__init__.py") for i in range(1, len(parts) + 1)]
    return [f for f in [*packages, Path(*parts).with_suffix(".py")] if (ROOT / f).is_file()]


@lru_cache
def imported(file: Path) -> frozenset[str]:
    """Dotted names in the import statements of a file, including those inside functions."""
    names = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            # an imported name may be a module itself; `files` gives [] where it is not
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)
