"""The pages of documentation, read as GitHub shows them: headings and their anchors, links, code."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    p.relative_to(ROOT).as_posix()
    for pattern in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "reports/experiments.md")
    for p in ROOT.glob(pattern)
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
CODE = re.compile(r"(`+)(.+?)\1")
# the target of a link or picture; the text of a link may hold a picture, so only what follows it is looked at
LINK = re.compile(r"\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")


def read(page: str) -> str:
    """The text of a page.

    Args:
        page: its path in the repository.
    """
    return (ROOT / page).read_text("utf-8")


def headings(text: str) -> list[str]:
    """The headings of a page, as shown: without markup."""
    lines = FENCE.sub("", text).splitlines()
    shown = [m[1] for line in lines if (m := re.match(r"#{1,6} (.*?)(?: #+)?$", line))]
    return [re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", h).replace("`", "").replace("*", "") for h in shown]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    made: dict[str, int] = {}
    result = set()
    for heading in headings(text):
        anchor = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        number = made.get(anchor, 0)
        made[anchor] = number + 1
        result.add(f"{anchor}-{number}" if number else anchor)
    return result


def links(text: str) -> list[str]:
    """The targets of all links and pictures of a page, outside code."""
    return LINK.findall(CODE.sub("", FENCE.sub("", text)))


def blocks(text: str, heading: str | None = None) -> list[str]:
    """The `sh` blocks of a page, or those between a heading and the next of its level or a higher one.

    Args:
        text: of the page.
        heading: as in the text, without its #.
    """
    if heading is not None:
        start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.M)
        assert start, f"no heading {heading!r}"
        rest = text[start.end() :]
        # comments in code begin with # too
        blank = FENCE.sub(lambda m: " " * len(m[0]), rest)
        end = re.search(rf"^#{{1,{len(start[1])}}} ", blank, re.M)
        text = rest[: end.start()] if end else rest
    return [code for language, code in FENCE.findall(text) if language == "sh"]


def code(text: str) -> Iterator[str]:
    """All code of a page: inline, and the lines of blocks without their comments, continued lines joined."""
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield re.sub(r"(^|\s)#.*", "", line).strip()
    for _, inline in CODE.findall(FENCE.sub("", text)):
        yield inline.strip()
