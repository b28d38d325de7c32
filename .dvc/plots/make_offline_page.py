"""Builds offline.html, the frame into which `dvc plots` puts its charts, with Vega inlined.

    npm install vega@5 vega-lite@5 vega-embed@6
    python .dvc/plots/make_offline_page.py node_modules

DVC's own page loads Vega from the network; this one opens without. Needed again only for a newer Vega.
"""

import json
import sys
from pathlib import Path

STYLE = """
body { font-family: system-ui, sans-serif; margin: 1.5rem; color: #222 }
body > div { margin-bottom: 1.5rem }
table { border-spacing: 12px } img { max-width: 100% }
.vega-embed { vertical-align: top }
div:has(> img) { max-width: 48% }
"""


def script(package: Path) -> str:
    """One library as a script element, with its name, version and licence in front."""
    about = json.loads((package / "package.json").read_text("utf-8"))
    code = (package / "build" / f"{package.name}.min.js").read_text("utf-8")
    if "</script" in code or "{plot_divs}" in code:
        sys.exit(f"{package.name} {about['version']} cannot be inlined as it is")
    # the package vega is a bundle without a licence file of its own: that of its parts holds
    holder = package if (package / "LICENSE").exists() else package.with_name("vega-view")
    licence = (holder / "LICENSE").read_text("utf-8")
    return f"<script>\n/*! {about['name']} {about['version']}\n{licence}*/\n{code}\n</script>"


def main() -> None:
    modules = Path(sys.argv[1])
    libraries = "\n".join(script(modules / name) for name in ("vega", "vega-lite", "vega-embed"))
    page = (
        '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n{refresh_tag}\n'
        f"<title>DVC plots</title>\n<style>{STYLE}</style>\n{libraries}\n"
        "</head>\n<body>\n{plot_divs}\n</body>\n</html>\n"
    )
    (Path(__file__).parent / "offline.html").write_text(page, "utf-8")


if __name__ == "__main__":
    main()
