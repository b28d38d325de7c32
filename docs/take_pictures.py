"""Takes the pictures of README and docs/results.md from the results of the sample.

    python -m docs.take_pictures

Run it after `make repro` with the parameters in git, when heat maps or the report look different. It needs
Chromium, as the tests of the report do.
"""

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
EVALUATION = ROOT / "reports/evaluation"
PAGE = ROOT / "reports/page/index.html"
MOMENT = "#clip=test/hall_fall&t=2.9"
WIDTH, HEIGHT = 1180, 780  # pixels
COLORS = 128  # a third of the size of all colours


def main() -> None:
    shutil.copyfile(EVALUATION / "heatmaps/clip_yard_dog.png", ROOT / "docs/heatmap.png")
    shutil.copyfile(EVALUATION / "curves.png", ROOT / "docs/curves.png")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(PAGE.as_uri() + MOMENT)
        page.wait_for_function("document.querySelector('video').readyState >= 2")
        page.wait_for_timeout(1000)  # until the frame is painted
        shot = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    shot.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(ROOT / "docs/page.png", optimize=True)


if __name__ == "__main__":
    main()
