"""Which source files a module of this repository is made of.

The cache of finished clips keys on them, and a test holds them against the dependencies that
dvc.yaml names, so that an edit never goes unnoticed. Imports that are computed at run time
(`importlib`) cannot be seen; their folders are named by hand where they matter.
"""

import ast
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sources(*modules: str) -> set[Path]:
    """Files that the modules ("vad.footage.decode") import directly or indirectly, themselves included.

    Paths are relative to the repository. Only files inside it count; every package on the way
    counts with its `__init__.py`.
    """
    found: set[Path] = set()
    todo = [file for module in modules for file in files(module)]
    while todo:
        file = todo.pop()
        if file not in found:
            found.add(file)
            todo += [f for module in imported(ROOT / file) for f in files(module)]
    return found


def files(module: str) -> list[Path]:
    """The file of a dotted name and the `__init__.py` of its packages; [] for foreign modules."""
    parts = module.split(".")
    out = [Path(*parts[:i], "__init__.py") for i in range(1, len(parts) + 1)]
    return [f for f in [*out, Path(*parts).with_suffix(".py")] if (ROOT / f).is_file()]


@lru_cache
def imported(file: Path) -> frozenset[str]:
    """Dotted names in the import statements of a file, those inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)
