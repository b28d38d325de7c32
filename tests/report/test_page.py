import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.report import made_contents
from vad.branches.base import BRANCHES
from vad.models.base import BRANCHES as OBJECTIVES
from vad.report import charts, page
from vad.report.branch_words import MEANINGS
from vad.report.contents import Camera, Contents, Curve
from vad.report.wording import duration, number, share

VOID = {"meta", "img", "input", "link", "br", "hr"}
SHAPES = {"path", "line", "rect", "circle", "polygon"}  # of SVG, closed by a slash


class Parsed(HTMLParser):
    """A page as a list of elements and its text; asserts that tags are balanced."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES | VOID
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def written(folder: Path, contents: Contents) -> tuple[Parsed, dict]:
    """The page of contents, parsed, and the value in its data.js."""
    page.write(folder, contents)
    script = (folder / "data.js").read_text("utf-8")
    found = re.fullmatch(r"report\.data\((.*)\);\n", script, re.DOTALL)
    assert found
    return Parsed((folder / "index.html").read_text("utf-8")), json.loads(found[1])


KINDS = {
    "several clips": {},
    "one clip": {"clips": 1},
    "unlabelled": {"labelled": False},
    "no events": {"events": False},
    "unlabelled without events": {"labelled": False, "events": False, "clips": 2},
    "hostile names": {"names": made_contents.HOSTILE},
    "very short clips": {"frames": 100, "clips": 2, "videos": 0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_pages_are_well_formed_and_can_be_navigated(tmp_path: Path, kind: str) -> None:
    contents = made_contents.make(tmp_path, **{"videos": 0, **KINDS[kind]})
    parsed, _ = written(tmp_path, contents)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in parsed.elements:
        for name in ("aria-labelledby", "for", "aria-describedby"):
            assert set(attributes.get(name, "").split()) <= set(ids)
        target = attributes.get("href", "") if tag == "a" else ""
        assert target.startswith("#clip=") or target.removeprefix("#") in {*ids, ""}
    levels = [level for level, _ in parsed.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    # the title of the viewer, a level below the first, stands before all others
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("alt" in attributes for attributes in parsed.all("img"))
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all("scope" in attributes for attributes in parsed.all("th"))
    assert [tag for tag, _ in parsed.elements if tag in ("main", "header", "h1")] == ["header", "h1", "main"]
    assert len(parsed.all("video")) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_pages_load_nothing_from_elsewhere(tmp_path: Path, kind: str) -> None:
    contents = made_contents.make(tmp_path, **{"videos": 0, **KINDS[kind]})
    parsed, _ = written(tmp_path, contents)
    for tag, attributes in parsed.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "media/", "data:,")), (tag, name, value)
        assert not [name for name in attributes if name.startswith("on")]
    html = (tmp_path / "index.html").read_text("utf-8")
    code = "".join(re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", html, re.DOTALL))
    assert set(re.findall(r"\w+://[^\"'\s]+", code)) == {"http://www.w3.org/2000/svg"}  # a namespace
    for word in ("innerHTML", "import ", "@import", "eval(", "document.write"):
        assert word not in code
    assert code.count("fetch(") == 1, "of a video from the same server, if that cannot send parts"


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    plain, _ = written(tmp_path, made_contents.make(tmp_path, videos=0))
    contents = made_contents.make(tmp_path, videos=0, names=made_contents.HOSTILE)
    contents = replace(
        contents,
        clips=[replace(c, camera=c.name, subject=c.name) for c in contents.clips],
        cameras=[replace(contents.cameras[0], name=made_contents.HOSTILE[0])],
        skipped=[(name, name) for name in made_contents.HOSTILE],
        summary=made_contents.HOSTILE,
        notes=made_contents.HOSTILE,
        branches=made_contents.HOSTILE[:3],
    )
    parsed, data = written(tmp_path, contents)
    assert len(parsed.all("script")) == len(plain.all("script")) == 1
    assert "onerror" not in [name for _, attributes in parsed.elements for name in attributes]
    for name in made_contents.HOSTILE:
        assert parsed.text.count(" ".join(name.split())) >= 6
    links = [a["href"] for a in parsed.all("a") if a.get("href", "").startswith("#clip=")]
    ids = {clip.id for clip in contents.clips}
    assert {parse_qs(link[1:])["clip"][0] for link in links} == ids
    script = (tmp_path / "data.js").read_text("utf-8")
    assert not set(script) & set("<>&\u2028\u2029")
    assert [clip["id"] for clip in data["clips"]] == [clip.id for clip in contents.clips]


def test_data_are_those_of_the_contents(tmp_path: Path) -> None:
    contents = made_contents.make(tmp_path, videos=2)
    clips = [replace(contents.clips[0], auc=float("nan")), *contents.clips[1:]]
    contents = replace(contents, clips=clips)
    parsed, data = written(tmp_path, contents)
    assert data["run"] == parsed.all("html")[0]["data-run"]
    assert data["threshold"] == contents.threshold
    assert data["clips"][0]["auc"] is None
    for clip, value in zip(contents.clips, data["clips"], strict=True):
        assert (clip.data, clip.video, list(clip.size)) == (value["data"], value["video"], value["size"])
        assert [event.peak for event in clip.events] == [event["peak"] for event in value["events"]]
        assert [list(label) for label in clip.labels or ()] == value["labels"]


def test_same_contents_same_bytes(tmp_path: Path) -> None:
    contents = made_contents.make(tmp_path, videos=0)
    files = [tmp_path / "index.html", tmp_path / "data.js"]
    page.write(tmp_path, contents)
    first = [file.read_bytes() for file in files]
    page.write(tmp_path, made_contents.make(tmp_path, videos=0))
    assert [file.read_bytes() for file in files] == first
    _, data = written(tmp_path, replace(contents, warning="another"))
    assert data["run"].encode() not in first[0]


def test_without_labels_nothing_speaks_of_labels(tmp_path: Path) -> None:
    parsed, data = written(tmp_path, made_contents.make(tmp_path, videos=0, labelled=False))
    text = parsed.text.lower().replace("check without labels", "")
    assert not re.search(r"label|mistake|recall|\broc\b", text)
    assert "8 events" in parsed.text
    assert {clip["labels"] for clip in data["clips"]} == {None}
    with_labels, _ = written(tmp_path, made_contents.make(tmp_path, videos=0))
    for text in ("Worst mistakes", "1 of 2 found, 1 false alarm", "ROC", "with a missed anomaly"):
        assert text in with_labels.text
        assert text not in parsed.text


def test_without_events_the_page_says_so(tmp_path: Path) -> None:
    parsed, _ = written(tmp_path, made_contents.make(tmp_path, videos=0, events=False))
    assert "No event: no score stayed above the threshold of 4.00 long enough." in parsed.text
    assert "event-list" not in [attributes.get("id") for _, attributes in parsed.elements]


def test_what_labels_say_of_a_clip(tmp_path: Path) -> None:
    clip = made_contents.make(tmp_path, videos=0).clips[1]
    assert page.row(clip, 4.0).state == "1 of 2 found, 1 false alarm"
    assert page.row(replace(clip, labels=[], events=[]), 4.0).state == "normal"
    assert page.row(replace(clip, labels=None, events=[]), 4.0).state == "not labelled"
    end = clip.events[0].end  # a label that only touches an event is missed
    touched = page.row(replace(clip, labels=[(end, end + 1)], events=clip.events[:1]), 4.0)
    assert (touched.missed, touched.state) == (1, "0 of 1 found")


def test_many_clips_fit(tmp_path: Path) -> None:
    contents = made_contents.make(tmp_path, clips=300, videos=0)
    parsed, data = written(tmp_path, contents)
    size = sum((tmp_path / name).stat().st_size for name in ("index.html", "data.js"))
    assert size < 3e6
    assert len(data["clips"]) == 300
    assert sum("data-text" in attributes for attributes in parsed.all("tr")) == 300
    assert all(attributes.get("loading") == "lazy" for attributes in parsed.all("img") if "src" in attributes)
    assert "400 events" in parsed.text


def test_of_many_events_the_highest_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_EVENTS", 3)
    contents = made_contents.make(tmp_path, videos=0)
    html = page.html(contents, "run")
    scores = sorted((event.score for clip in contents.clips for event in clip.events), reverse=True)
    rows = re.findall(r'data-value="[\d.]+">([\d.]+)</td>\s*<td>(?:lower right|upper centre)</td>', html)
    assert sorted(map(float, rows), reverse=True) == [float(f"{score:.3g}") for score in scores[:3]]
    assert "5 further events" in html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.9996, "1.00"),
        (4.1263, "4.13"),
        (9.996, "10.0"),
        (99.96, "100"),
        (1234.4, "1,234"),
        (12345678, "12,345,678"),
        (-0.5, "-0.500"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_shares_and_durations() -> None:
    assert [share(v) for v in (0.0, 0.3667, 1.0, None)] == ["0 %", "36.7 %", "100 %", "–"]
    assert [duration(v) for v in (8.0, 76.8, 25_920.0, 216_000.0)] == [
        *("8.00 s", "1.28 minutes", "7.20 hours", "2.50 days")
    ]


def points_of(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split() for pair in path[1:].split("L"))]


def test_curves_lie_where_their_axes_say() -> None:
    curve = Curve("model", [0.0, 0.2, 1.0], [0.0, 0.8, 1.0], True)
    chart = charts.roc([curve], (0.2, 0.8, 0.8, 0.9))
    x, y = ({float(text): at for at, text in axis.ticks} for axis in (chart.x, chart.y))
    assert points_of(chart.lines[0].path) == [(x[0.0], y[0.0]), (x[0.2], y[0.8]), (x[1.0], y[1.0])]
    assert chart.point is not None
    assert chart.point[:2] == (x[0.2], y[0.8])
    assert charts.precision_recall([curve], (0.2, 0.8, 0.4, 0.6)).point == (x[0.4], y[0.6], "threshold")


def test_axis_of_losses_that_fall_steeply_is_logarithmic() -> None:
    chart = charts.losses([Curve("training", [1, 2, 3], [100.0, 1.0, 0.01], True)])
    assert chart
    heights = [y for _, y in points_of(chart.lines[0].path)]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)
    assert [text for _, text in chart.y.ticks] == ["0.01", "0.1", "1", "10", "100"]
    flat = charts.losses([Curve("training", [1, 2, 3], [1.0, float("nan"), 0.5], True)])
    assert flat
    assert flat.y(0) == charts.HEIGHT - charts.BOTTOM
    assert [text for _, text in flat.x.ticks] == ["1", "2", "3"]
    assert len(points_of(flat.lines[0].path)) == 2
    assert charts.losses([]) is None


def test_histogram_counts_by_height() -> None:
    chart = charts.histogram(([0.0, 1.0, 2.0], [100, 0], [0, 10]), 1.5, True)
    ticks = {text: at for at, text in chart.y.ticks}
    assert f"V{ticks['100'] - 3:g}" in chart.normal
    assert f"V{ticks['10'] - 3:g}" in chart.anomalous
    assert chart.normal.count("M") == chart.anomalous.count("M") == 1
    assert chart.threshold == pytest.approx((chart.x(1) + chart.x(2)) / 2, abs=0.1)


def test_a_bin_of_one_frame_is_seen() -> None:
    chart = charts.histogram(([0.0, 1.0, 2.0], [10_000, 1], [0, 0]), 1.5, False)
    base = charts.HEIGHT - charts.BOTTOM
    assert f"V{base - charts.LEAST_BAR:g}H{chart.x(2):g}" in chart.normal


def test_branches_are_explained() -> None:
    """Those of all files, and the error branches of the autoencoders."""
    branches = {*BRANCHES.names(), *OBJECTIVES.values(), "appearance", "flow"}
    assert set(MEANINGS) == branches


def test_sparklines_share_a_scale(tmp_path: Path) -> None:
    clip = made_contents.make(tmp_path, videos=0).clips[0]
    line = charts.sparkline(replace(clip, curve=[0.0, 2.0, 4.0, 8.0, 500.0], seconds=10.0), 4.0)
    zero, half, threshold, double, high = (y for _, y in points_of(line.curve))
    assert threshold == line.threshold == pytest.approx((zero + 1) / 2, abs=0.1)
    assert half == pytest.approx((zero + threshold) / 2, abs=0.1)
    assert double == pytest.approx((threshold + 1) / 2, abs=0.1)  # half of what is left
    assert 1 <= high < 1.5
    line = charts.sparkline(replace(clip, labels=[(2.5, 5.0)], seconds=10.0), 4.0)
    assert line.labels == [(charts.SPARK_WIDTH / 4, charts.SPARK_WIDTH / 4)]
    charts.sparkline(replace(clip, curve=[], seconds=0.0, labels=None), 0.0)


def test_people_are_as_tall_as_their_row_says() -> None:
    camera = Camera(
        "hall", (200, 300), 20.0, 120.0, 50.0, "fit", [("ignore", "tv", [(0, 0), (0.5, 1)])], None
    )
    drawn = charts.people(camera)
    assert len(drawn.figures) > 3
    for _, y, _, height, _ in drawn.figures:
        assert height == pytest.approx(max(50.0, 20 + 100 * (y + height) / 200), abs=0.2)
        assert y >= 0
    assert drawn.zones == [("ignore", "tv", "0.0,0.0 150.0,200.0")]
