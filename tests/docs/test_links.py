"""Links of the documentation, and what other files say of it."""

import re
import subprocess
from pathlib import PurePosixPath
from urllib.parse import unquote

import pytest

from tests.docs import pages
from tests.docs.pages import PAGES, ROOT

TEXT = (".py", ".md", ".yaml", ".toml", ".txt", ".cff", "Makefile", "run")


def tracked() -> list[str]:
    """The files of the repository, those that are not yet added included."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout
    return [name for name in files.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [  # as github.com shows them
        ("## What is read, noted and refused", "what-is-read-noted-and-refused"),
        ("## `vad detect` and `--fps`", "vad-detect-and---fps"),
        ("### [0.1.0] – unreleased", "010--unreleased"),
        ("# See [the page](https://host/a#b), *now*", "see-the-page-now"),
        ("## Größe", "größe"),
    ],
)
def test_anchors_are_those_of_github(heading, anchor):
    assert pages.anchors(heading) == {anchor}


def test_anchors_of_equal_headings_are_numbered():
    assert pages.anchors("## Speed\n\n```sh\n# Speed\n```\n### Speed\n") == {"speed", "speed-1"}


def test_links_are_found_with_pictures_in_their_text():
    text = "[![a](b.png)](c.md#d) and `[no](e.md)`\n```\n[no](f.md)\n```\n[g](https://host/h_(i))"
    assert pages.links(text) == ["b.png", "c.md#d", "https://host/h_(i)"]


def leads_somewhere(page: str, link: str) -> bool:
    """Whether a link of a page names a file of the repository, and a heading of that file."""
    path, _, anchor = unquote(link).partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    if not target.exists() or not target.resolve().is_relative_to(ROOT):
        return False
    return not anchor or (target.suffix == ".md" and anchor in pages.anchors(target.read_text("utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_has_a_target(page):
    links = [link for link in pages.links(pages.read(page)) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("link", ["no.md", "#no", "docs/live.md#no", "LICENSE#mit", ".."])
def test_a_link_without_a_target_is_noticed(link):
    assert not leads_somewhere("README.md", link)


def test_every_page_of_docs_is_in_the_list_of_the_readme():
    linked = {link.partition("#")[0] for link in pages.links(pages.read("README.md"))}
    assert {page for page in PAGES if page.startswith("docs/")} <= linked


def test_pages_that_code_names_exist():
    missing = []
    for name in tracked():
        if not name.endswith(TEXT) or name.startswith("tests/"):
            continue
        text = (ROOT / name).read_text("utf-8")
        named = re.findall(r"\bdocs/[\w/]+\.\w+", text)
        missing += [(name, page) for page in named if not (ROOT / page).exists()]
        # as in `README, "What training lacked"`; a comment may be broken in between
        text = text.replace("\n# ", " ")
        for page, heading in re.findall(r'\b(README|docs/\w+)(?:\.md)?, "([^"\n]+)"', text):
            if heading not in pages.headings(pages.read(f"{page}.md")):
                missing.append((name, f"{page}, {heading}"))
    assert missing == []


def test_pages_hold_no_path_of_a_machine():
    for page in PAGES:
        paths = re.findall(r"(?<![\w./-])/(?:home|work|tmp|root|Users)/[\w./-]+", pages.read(page))
        assert paths == [], page


def test_pictures_of_pages_are_small():
    for page in PAGES:
        for link in pages.links(pages.read(page)):
            picture = (ROOT / page).parent / link
            if PurePosixPath(link).suffix in (".png", ".svg") and picture.exists():
                assert picture.stat().st_size < 1_500_000, picture
