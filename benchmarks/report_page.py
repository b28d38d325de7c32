"""Time that the report takes in a browser with many clips: to open, filter, sort, and open a clip.

    python -m benchmarks.report_page [--clips 300] [--frames 100] [--repeats 5]

Contents and media are those of the tests; the page is opened from the disk, by Debian's Chromium. Medians of
the repeats.

DOMContentLoaded     the document is read, and its scripts have run
first paint          something is on the screen
all loaded           data and the first pictures are there too
filter, sort         from the key or click until the browser has drawn the list anew
open a clip          from the click until its curve is drawn
clip with a video    from the click until the picture of its moment is on the screen
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.report import made_contents
from vad.report import page as report_page

# resolves when what a function changed is on the screen, with the milliseconds that this took
DRAWN = """(act) => new Promise((resolve) => {{
  const start = performance.now();
  ({act})();
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
}})"""
FILTER = """() => {
  const field = document.getElementById("filter-text");
  field.value = "yard 1";
  field.dispatchEvent(new Event("input"));
}"""
SORT = """() => document.querySelectorAll("#clip-list thead button")[5].click()"""
PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0].startTime"""
NAVIGATION = """() => {
  const entry = performance.getEntriesByType("navigation")[0];
  return [entry.domContentLoadedEventEnd, entry.loadEventEnd];
}"""


def drawn(tab: Page, act: str) -> float:
    """Milliseconds until what a function changes is on the screen."""
    return float(tab.evaluate(DRAWN.format(act=act)))


def until(tab: Page, act: Callable[[], None], condition: str) -> float:
    """Milliseconds from an act until a condition holds; a frame of the screen too much at most."""
    start = time.perf_counter()
    act()
    tab.wait_for_function(condition, polling="raf")
    return 1000 * (time.perf_counter() - start)


def measure(tab: Page, address: str) -> dict[str, float]:
    """Milliseconds of a visit."""
    tab.goto(f"{address}/index.html")
    tab.wait_for_timeout(1500)
    ready, loaded = tab.evaluate(NAVIGATION)
    times = {"DOMContentLoaded": ready, "first paint": tab.evaluate(PAINT), "all loaded": loaded}
    times["filter"] = drawn(tab, FILTER)
    times["sort"] = drawn(tab, SORT)
    tab.fill("#filter-text", "")
    link = tab.locator("#clip-list tbody a")
    plain, moving = link.nth(200 % link.count()), tab.locator("#clip-list tbody a", has_text="walk_000")
    curve = "() => document.querySelector('#plot svg .curve')"
    times["open a clip"] = until(tab, lambda: plain.evaluate("a => a.click()"), curve)
    tab.go_back()
    tab.wait_for_selector("#viewer", state="hidden")
    tab.evaluate("document.getElementById('plot').replaceChildren()")
    shows = "() => { const v = document.getElementById('video'); return v.readyState >= 2 && !v.seeking; }"
    times["clip with a video"] = until(tab, lambda: moving.evaluate("a => a.click()"), shows)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = made_contents.make(folder, clips=args.clips, frames=args.frames)
        start = time.perf_counter()
        report_page.write(folder, contents)
        print(f"written in {time.perf_counter() - start:.2f} s")
        for file in ("index.html", "data.js"):
            print(f"{file:<20}{(folder / file).stat().st_size / 1e6:8.2f} MB")
        times = defaultdict(list)
        with sync_playwright() as playwright:
            path = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            for _ in range(args.repeats):
                context = browser.new_context(viewport={"width": 1400, "height": 900})
                for what, milliseconds in measure(context.new_page(), folder.as_uri()).items():
                    times[what].append(milliseconds)
                context.close()
            browser.close()
        for what, values in times.items():
            print(f"{what:<20}{statistics.median(values):8.0f} ms")


if __name__ == "__main__":
    main()
