"""Draws docs/architecture.svg: the packages of vad/, the stages that use them, and their imports.

    python -m docs.draw_architecture            (or: make architecture)

Everything is read from the code: the order from tests/pipeline/order.py, the purposes from the first words of
docstrings, the stages from dvc.yaml, the arrows from import statements. Arrows that follow from other arrows
are omitted, and so are arrows to `store` and `pipeline`, which nearly all packages import.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path

from tests.pipeline.order import ORDER
from vad.pipeline import closure
from vad.pipeline.params import read

PICTURE = Path(__file__).with_name("architecture.svg")
BASE = ("store", "pipeline")
ROW, TOP, NAME, PURPOSE, COLUMN = 30, 118, 24, 138, 34
Graph = Mapping[str, set[str]]


def package_of(path: Path) -> str | None:
    """`scoring` for vad/scoring/pooling.py, `boxes` for vad/boxes.py, None for vad/__init__.py."""
    name = path.parts[1].removesuffix(".py")
    return None if name == "__init__" or path.parts[0] != "vad" else name


def imports() -> dict[str, set[str]]:
    """The packages that each package imports."""
    graph: dict[str, set[str]] = {package: set() for package in ORDER}
    for file in sorted((closure.ROOT / "vad").rglob("*.py")):
        if package := package_of(file.relative_to(closure.ROOT)):
            files = {f for module in closure.imported(file) for f in closure.files(module)}
            graph[package] |= {p for f in files if (p := package_of(f)) and p != package}
    return graph


def reduce(graph: Graph) -> dict[str, set[str]]:
    """The imports that do not follow from others (transitive reduction)."""

    def reach(start: str) -> set[str]:
        return set().union(*({target} | reach(target) for target in graph[start]))

    return {
        package: {t for t in targets if not any(t in reach(other) for other in targets - {t})}
        for package, targets in graph.items()
    }


def stages() -> dict[str, set[str]]:
    """The packages among the dependencies of each stage, in the order of dvc.yaml."""
    out = {}
    for stage, definition in read(closure.ROOT / "dvc.yaml")["stages"].items():
        deps = (Path(d) for d in definition["deps"] if d.startswith("vad/"))
        out[stage] = {package for dep in deps if (package := package_of(dep))}
    return out


def purpose(package: str) -> str:
    """The first words of a package's docstring."""
    folder = closure.ROOT / "vad" / package
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = file.read_text("utf-8").split('"""')[1].split("\n\n")[0].replace("\n", " ")
    text = text.partition(". ")[0].strip(".")
    head, _, rest = text.partition(": ")
    text = rest if rest and len(head) < 14 else text
    return text if len(text) < 78 else text[:76].rpartition(" ")[0] + " …"


def _shown(package: str) -> str:
    """The name in the picture: `scoring` for a folder, `boxes.py` for a single file."""
    return package if (closure.ROOT / "vad" / package).is_dir() else f"{package}.py"


def draw() -> str:
    """The picture as SVG."""
    graph = {p: targets - set(BASE) for p, targets in imports().items()}
    arrows = reduce(graph)
    used = stages()
    dots = NAME + PURPOSE + 470
    right = dots + len(used) * COLUMN
    width, height = right + 290, TOP + ROW * len(ORDER) + 24
    middle = {package: TOP + ROW * i + ROW / 2 for i, package in enumerate(ORDER)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#3b6ea5"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(NAME, 40, "package", 13, "#666"),
        _text(NAME + PURPOSE, 40, "what it is for", 13, "#666"),
        _text(right + 24, 24, "arrow: imports the package above", 13, "#666"),
        _text(right + 24, 41, "(imports that follow from others, and", 13, "#666"),
        _text(right + 24, 58, "those of store and pipeline, left out)", 13, "#666"),
    ]
    for i, stage in enumerate(used):
        x = dots + COLUMN * i + COLUMN / 2
        parts.append(
            f'<text transform="translate({x + 4:g} {TOP - 10}) rotate(-60)" font-size="13" fill="#7a4a00">'
            f"{escape(stage)}</text>"
        )
    for i, package in enumerate(ORDER):
        y = middle[package]
        color = "#f4f7fb" if i % 2 else "#ffffff"
        parts.append(f'<rect x="0" y="{y - ROW / 2:g}" width="{right + 12}" height="{ROW}" fill="{color}"/>')
        parts.append(_text(NAME, y + 5, _shown(package), 15, "#16324a", bold=True))
        parts.append(_text(NAME + PURPOSE, y + 5, purpose(package), 12.5, "#333"))
        for n, packages in enumerate(used.values()):
            if package in packages:
                x = dots + COLUMN * n + COLUMN / 2
                parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="5.5" fill="#d98a1f"/>')
    for package, targets in arrows.items():
        for target in sorted(targets, key=ORDER.index):
            parts.append(_arc(right + 18, middle[package], middle[target]))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, size: float, color: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}"{weight} fill="{color}">{escape(text)}</text>'


def _arc(x: float, start: float, end: float) -> str:
    """An arrow from the importing package up to the imported package."""
    bulge = 16 + (start - end) * 0.42
    return (
        f'<path d="M{x:g} {start - 4:g} C{x + bulge:g} {start:g} {x + bulge:g} {end:g} {x:g} {end + 4:g}" '
        'fill="none" stroke="#3b6ea5" stroke-width="1.2" marker-end="url(#head)"/>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
    print(PICTURE.name)
