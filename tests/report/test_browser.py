"""The page in a real browser, from the disk and served."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.report import made_contents
from tests.report.served_folder import ServedFolder
from vad.report import page as report_page
from vad.report.contents import Contents
from vad.report.wording import number

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
]
# gray levels at the centres of the bars of the frame that a video shows
BARS = f"""(video) => {{
  const canvas = document.createElement("canvas"), bits = {made_contents.BITS};
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  return Array.from({{length: bits}}, (_, i) =>
    context.getImageData((i + 0.5) * canvas.width / bits, canvas.height / 2, 1, 1).data[1]);
}}"""
SETTLED = """() => { const v = document.getElementById("video"); return v.readyState >= 2 && !v.seeking; }"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Contents]:
    """A page of six clips with videos and reconstructions; tests must not change it."""
    folder = tmp_path_factory.mktemp("page")
    contents = made_contents.make(folder, reconstruction=True)
    report_page.write(folder, contents)
    return folder, contents


@pytest.fixture(scope="module")
def served(made: tuple[Path, Contents]) -> Iterator[str]:
    with ServedFolder(made[0]) as address:
        yield address


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(20_000)
    tab.errors = []  # type: ignore[attr-defined]
    tab.on("console", lambda m: m.type in ("error", "warning") and tab.errors.append(m.text))  # type: ignore[attr-defined]
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))  # type: ignore[attr-defined]
    yield tab
    context.close()


def fragment(clip: str, seconds: float | None = None) -> str:
    return f"#clip={quote(clip, safe='')}" + ("" if seconds is None else f"&t={seconds}")


def opened(tab: Page, address: str, clip: str, seconds: float | None = None) -> None:
    """Opens a clip, and waits until its video shows the frame."""
    tab.goto(f"{address}/index.html{fragment(clip, seconds)}")
    tab.wait_for_selector("#plot svg")
    settle(tab)


def settle(tab: Page) -> None:
    tab.wait_for_function(SETTLED)
    tab.wait_for_timeout(150)  # the picture is on the screen shortly after that


def shown(tab: Page, video: str = "#video") -> int:
    """The number in the frame that the video shows."""
    return made_contents.number_in(tab.eval_on_selector(video, BARS))


def index(tab: Page) -> int:
    """The index of the frame that curve and text are about."""
    return int(tab.get_attribute("#plot", "data-index") or "-1")


def click(tab: Page, seconds: float, end: float) -> None:
    """Clicks in the curve at a moment of the video."""
    box = tab.locator("#plot").bounding_box()
    assert box
    left, right = 40, box["width"] - 10  # margins of the curve
    tab.mouse.click(box["x"] + left + (right - left) * seconds / end, box["y"] + box["height"] / 2)
    settle(tab)


@pytest.mark.parametrize("from_disk", [True, False])
def test_pages_open_without_errors(
    tab: Page, made: tuple[Path, Contents], served: str, from_disk: bool
) -> None:
    folder, contents = made
    address = folder.as_uri() if from_disk else served
    tab.goto(f"{address}/index.html")
    assert tab.is_hidden("#message")
    tab.click("#first .gallery a >> nth=0")
    settle(tab)
    moment = contents.anomalous[0]
    assert tab.inner_text("#viewer-title") == moment.name
    assert tab.inner_text("#now-frame") == f"source frame {moment.frame}"
    assert f"score {number(moment.score)}" in tab.inner_text("#now-score")
    assert "alarm, event" in tab.inner_text("#now-state")
    tab.go_back()
    tab.wait_for_selector("#viewer", state="hidden")
    assert tab.is_visible("#summary")
    assert tab.errors == []  # type: ignore[attr-defined]


def test_frames_are_reached_on_a_server_that_sends_no_parts(tab: Page, made: tuple[Path, Contents]) -> None:
    folder, contents = made
    clip = contents.clips[0]
    with ServedFolder(folder, parts=False) as address:
        opened(tab, address, clip.id, clip.events[0].peak)
        for key in ("", "ArrowRight", "End", "p"):
            if key:
                tab.keyboard.press(key)
                settle(tab)
            tab.wait_for_function("document.querySelector('#video').src.startsWith('blob:')")
            settle(tab)
            assert shown(tab) == shown(tab, "#reconstruction video") == index(tab)
        tab.keyboard.press("Escape")
        tab.wait_for_selector("#viewer", state="hidden")


@pytest.mark.parametrize("clip", [0, 1])  # the times of the second are uneven, and begin late
def test_a_click_at_a_moment_shows_that_frame(
    tab: Page, made: tuple[Path, Contents], served: str, clip: int
) -> None:
    _, contents = made
    opened(tab, served, contents.clips[clip].id)
    script = (made[0] / contents.clips[clip].data).read_text()
    times = json.loads(script[len("report.clip(") : -3])["times"]
    relative = [time - times[0] for time in times]
    end = relative[-1] + 1 / made_contents.FPS
    for wanted in (0, 20, 37, 61, 98, 99, 3):
        middle = (relative[wanted] + (*relative, end)[wanted + 1]) / 2
        click(tab, middle, end)
        assert (index(tab), shown(tab)) == (wanted, wanted)
        assert tab.inner_text("#now-frame") == f"source frame {3 * wanted}"
        assert shown(tab, "#reconstruction video") == wanted


def test_the_axis_has_the_times_of_the_clip(tab: Page, made: tuple[Path, Contents], served: str) -> None:
    opened(tab, served, made[1].clips[1].id)  # whose times begin late
    box = tab.locator("#plot svg > text", has_text="0:02").bounding_box()
    plot = tab.locator("#plot").bounding_box()
    assert box
    assert plot
    tab.mouse.click(box["x"] + box["width"] / 2, plot["y"] + 100)
    settle(tab)
    assert float(tab.inner_text("#now-time").removeprefix("0:")) == pytest.approx(2, abs=0.1)


def test_dragging_takes_the_video_along(tab: Page, made: tuple[Path, Contents], served: str) -> None:
    opened(tab, served, made[1].clips[0].id)
    box = tab.locator("#plot").bounding_box()
    assert box
    y = box["y"] + 100
    tab.mouse.move(box["x"] + 60, y)
    tab.mouse.down()
    for x in range(80, 500, 20):
        tab.mouse.move(box["x"] + x, y)
    before = index(tab)
    tab.mouse.up()
    settle(tab)
    assert index(tab) == before == shown(tab) > 50


def played(tab: Page, again: str) -> list[tuple[int, int]]:
    """Plays the opened clip; the numbers in the frames on the screen, and the indices that the page gives.

    Args:
        tab: with an opened clip.
        again: asks for a call of `sample` at the next frame.
    """
    samples = tab.evaluate(
        f"""() => new Promise((resolve) => {{
          const video = document.getElementById("video"), read = {BARS}, samples = [];
          const sample = () => {{
            samples.push([read(video), +document.getElementById("plot").dataset.index]);
            if (samples.length < 40 && !video.ended) {again};
            else {{ video.pause(); resolve(samples); }}
          }};
          {again};
          document.body.dispatchEvent(new KeyboardEvent("keydown", {{key: " ", bubbles: true}}));
        }})"""
    )
    settle(tab)
    pairs = [(made_contents.number_in(bars), at) for bars, at in samples]
    assert len(pairs) >= 30
    assert pairs[-1][0] - pairs[0][0] >= 25
    return pairs


def test_video_and_curve_stay_in_step_while_playing(
    tab: Page, made: tuple[Path, Contents], served: str
) -> None:
    opened(tab, served, made[1].clips[1].id)
    pairs = played(tab, "video.requestVideoFrameCallback(sample)")
    assert max(abs(video - curve) for video, curve in pairs) <= 1
    assert abs(shown(tab, "#reconstruction video") - shown(tab)) <= 1
    assert shown(tab) == index(tab)


def test_keys(tab: Page, made: tuple[Path, Contents], served: str) -> None:
    clip = made[1].clips[0]
    opened(tab, served, clip.id)

    def press(key: str) -> int:
        tab.keyboard.press(key)
        settle(tab)
        assert index(tab) == shown(tab)
        return index(tab)

    starts = [round(event.start * made_contents.FPS) for event in clip.events]
    assert press("n") == starts[0] == 20
    assert "event 1 of 2" in tab.inner_text("#now-state")
    assert press("n") == starts[1] == 60
    assert press("n") == 60  # there is no other
    assert press("ArrowRight") == 61
    assert press("ArrowLeft") == 60
    assert press("p") == 20
    assert press("Shift+ArrowRight") == 32  # 12.5 frames per second
    assert press("End") == 99
    assert press("ArrowRight") == 99
    assert press("Home") == 0
    tab.keyboard.press("Space")
    tab.wait_for_function("() => !document.getElementById('video').paused")
    tab.keyboard.press("Space")
    tab.wait_for_function("() => document.getElementById('video').paused")
    tab.focus("#play")
    at = press("Home")
    assert press("ArrowRight") == at + 1
    tab.keyboard.press("Space")  # presses the button: the key must not come on top
    tab.wait_for_timeout(100)
    assert tab.evaluate("!document.getElementById('video').paused")


def test_buttons(tab: Page, made: tuple[Path, Contents], served: str) -> None:
    opened(tab, served, made[1].clips[0].id)
    steps = {"event-after": 20, "frame-after": 21, "frame-before": 20, "event-before": 20}
    for button, frame in steps.items():
        tab.click(f"#{button}")
        settle(tab)
        assert shown(tab) == index(tab) == frame
    tab.select_option("#speed", "0.25")
    for video in ("#video", "#reconstruction video"):
        assert tab.eval_on_selector(video, "video => video.playbackRate") == 0.25
    tab.click("#video")
    tab.wait_for_function("() => document.getElementById('play').textContent.includes('pause')")
    tab.click("#play")
    tab.wait_for_function("() => document.getElementById('video').paused")
    tab.click("#full-screen")
    tab.wait_for_function("() => document.fullscreenElement === document.getElementById('screen')")
    assert tab.is_visible("#frame-after")
    tab.keyboard.press("f")
    tab.wait_for_function("() => document.fullscreenElement === null")


def test_the_moment_is_in_the_address(tab: Page, made: tuple[Path, Contents], served: str) -> None:
    clip, other = made[1].clips[0], made[1].clips[1]
    opened(tab, served, clip.id, 2.24)
    assert index(tab) == 28
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("() => location.hash.endsWith('&t=2.32')")
    tab.reload()
    tab.wait_for_selector("#plot svg")
    assert index(tab) == 29
    tab.click("#clip-after")
    tab.wait_for_function(
        f"() => document.getElementById('viewer-title').textContent === {json.dumps(other.name)}"
    )
    tab.go_back()
    tab.wait_for_function(
        f"() => document.getElementById('viewer-title').textContent === {json.dumps(clip.name)}"
    )
    tab.goto(f"{served}/index.html#clip=nothing")
    assert "has no clip “nothing”" in tab.inner_text("#message")


def test_addresses_open_their_frame_at_any_rate(tab: Page, tmp_path: Path) -> None:
    """Times that are no whole milliseconds are rounded in addresses, down or up; frames must not drift."""
    contents = made_contents.make(tmp_path, clips=1, videos=0)
    clip = contents.clips[0]
    script = tmp_path / clip.data
    data = json.loads(script.read_text()[len("report.clip(") : -3])
    times = [i / 9.0045 for i in range(clip.frames)]
    script.write_text(f"report.clip({json.dumps(data | {'times': [round(t, 4) for t in times]})});\n")
    report_page.write(tmp_path, contents)
    for wanted in (36, 37, 44):
        tab.goto("about:blank")
        tab.goto((tmp_path / "index.html").as_uri() + report_page.link(clip.id, times[wanted]))
        for _ in range(3):
            tab.wait_for_selector("#plot svg")
            assert index(tab) == wanted
            tab.wait_for_timeout(600)  # the address is written anew
            tab.reload()


def test_buttons_that_lead_nowhere_are_dimmed(tab: Page, made: tuple[Path, Contents], served: str) -> None:
    opened(tab, served, made[1].clips[0].id, 0)

    def dimmed() -> list[str]:
        buttons = ("event-before", "frame-before", "frame-after", "event-after")
        return [b for b in buttons if tab.get_attribute(f"#{b}", "aria-disabled") == "true"]

    assert dimmed() == ["event-before", "frame-before"]
    tab.keyboard.press("n")
    settle(tab)
    assert dimmed() == ["event-before"]
    tab.keyboard.press("End")
    settle(tab)
    assert dimmed() == ["frame-after", "event-after"]


def test_the_name_of_the_threshold_is_clear_of_the_curve(
    tab: Page, made: tuple[Path, Contents], served: str
) -> None:
    for width in (1400, 390):
        tab.set_viewport_size({"width": width, "height": 900})
        for clip in made[1].clips:
            tab.goto("about:blank")
            tab.goto(f"{served}/index.html{fragment(clip.id)}")
            tab.wait_for_selector("#plot svg")
            crossed = tab.evaluate(
                """() => {
                  const box = document.querySelector("#plot .level").getBBox();
                  const path = document.querySelector("#plot svg > g > .curve, #plot svg .curve");
                  for (let at = 0; at < path.getTotalLength(); at++) {
                    const p = path.getPointAtLength(at);
                    const [x, y] = [p.x - box.x, p.y - box.y];
                    if (x > 0 && x < box.width && y > 2 && y < box.height - 2) return true;
                  }
                  return false;
                }"""
            )
            assert not crossed, (width, clip.name)


def test_the_list_filters_and_sorts(tab: Page, made: tuple[Path, Contents], served: str) -> None:
    clips = made[1].clips
    tab.goto(f"{served}/index.html")
    rows = tab.locator("#clip-list tbody tr:visible th")
    assert rows.count() == 6
    tab.fill("#filter-text", "YARD ann")
    assert rows.all_inner_texts() == [c.name for c in clips if c.camera == "yard" and c.subject == "Ann"]
    assert tab.inner_text("#filter-count") == "1 of 6 clips"
    tab.keyboard.press("n")  # a letter, not a key of the viewer
    assert tab.input_value("#filter-text") == "YARD annn"
    tab.fill("#filter-text", "")
    tab.select_option("#filter-state", "missed")
    missed = [clip.name for clip in clips if report_page.row(clip, made_contents.THRESHOLD).missed]
    assert rows.all_inner_texts() == missed != []
    tab.select_option("#filter-state", "")
    head = tab.locator("#clip-list thead th", has_text="highest score")
    for order, sign in (("descending", -1), ("ascending", 1)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        assert rows.all_inner_texts() == [c.name for c in sorted(clips, key=lambda c: sign * c.highest)]
    auc = tab.locator("#clip-list thead th", has_text="AUC").locator("button")
    auc.click()
    auc.click()  # upwards, and clips without an AUC are last all the same
    assert rows.all_inner_texts()[-2:] == [clip.name for clip in clips if clip.auc is None]


def test_browsers_without_frame_callbacks_stay_in_step(
    tab: Page, made: tuple[Path, Contents], served: str
) -> None:
    tab.add_init_script(
        "window.callback = HTMLVideoElement.prototype.requestVideoFrameCallback;"
        "delete HTMLVideoElement.prototype.requestVideoFrameCallback;"
    )
    clip = made[1].clips[0]
    opened(tab, served, clip.id, clip.events[0].peak)
    assert shown(tab) == index(tab) == round(clip.events[0].peak * made_contents.FPS)
    pairs = played(tab, "window.callback.call(video, sample)")
    # the time of a video runs ahead of the frame on the screen
    assert max(abs(video - curve) for video, curve in pairs) <= 2
    assert shown(tab) == index(tab)


def test_a_long_curve_keeps_its_peaks_in_few_points(tab: Page, tmp_path: Path) -> None:
    contents = made_contents.make(tmp_path, clips=1, frames=50_000, videos=0)
    report_page.write(tmp_path, contents)
    clip = contents.clips[0]
    tab.goto((tmp_path / "index.html").as_uri() + fragment(clip.id, clip.peak))
    tab.wait_for_selector("#plot svg")
    path = tab.get_attribute("#plot svg .curve >> nth=0", "d") or ""
    rows = [float(point.split()[1]) for point in path[1:].split("L")]
    assert 1000 < len(rows) <= 2000
    assert min(rows) == float(tab.get_attribute("#plot circle", "cy") or "-1")  # that of the highest score


def test_zooming_keeps_the_moment(tab: Page, made: tuple[Path, Contents], served: str) -> None:
    opened(tab, served, made[1].clips[0].id, 4.84)
    assert tab.is_hidden("#plot-overview")
    for _ in range(3):
        tab.click("#zoom-in")
    assert tab.is_visible("#plot-overview")
    ticks = tab.locator("#plot svg > text").all_text_contents()
    assert "0:05.0" in ticks or "0:05" in ticks
    assert "0:00" not in ticks
    tab.keyboard.press("Home")  # the stretch follows
    settle(tab)
    assert "0:00.0" in tab.locator("#plot svg > text").all_text_contents()
    box = tab.locator("#plot-overview").bounding_box()
    assert box
    tab.mouse.click(box["x"] + box["width"] - 2, box["y"] + 10)
    assert "0:07.8" in tab.locator("#plot svg > text").all_text_contents()
    tab.click("#zoom-all")
    assert tab.is_hidden("#plot-overview")
    assert index(tab) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("kind", ["labelled", "unlabelled", "viewer", "without videos"])
def test_axe_finds_nothing_serious(
    browser: Browser, tmp_path: Path, kind: str, width: int, scheme: str
) -> None:
    videos = 0 if kind == "without videos" else 1
    contents = made_contents.make(tmp_path, labelled=kind != "unlabelled", videos=videos, clips=15)
    report_page.write(tmp_path, contents)
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    tab = context.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    if kind in ("viewer", "without videos"):
        tab.goto((tmp_path / "index.html").as_uri() + fragment(contents.clips[0].id, 2.24))
        tab.wait_for_selector("#plot svg")
    found = Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in serious] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_without_a_video_snapshots_stand_in(tab: Page, tmp_path: Path) -> None:
    contents = made_contents.make(tmp_path, videos=0)
    report_page.write(tmp_path, contents)
    clip = contents.clips[0]
    tab.goto((tmp_path / "index.html").as_uri() + fragment(clip.id, 0))
    tab.wait_for_selector("#plot svg")
    assert "report.videos" in tab.inner_text("#screen-text")
    assert tab.is_visible("#legend-boxes")
    assert tab.is_hidden("#keys-play")
    assert tab.is_hidden("#keys-screen")
    assert (tab.get_attribute("#snapshot", "src") or "") == clip.events[0].picture
    tab.keyboard.press("End")
    assert (tab.get_attribute("#snapshot", "src") or "") == clip.events[1].picture
    tab.keyboard.press("p")
    assert index(tab) == 60
    assert tab.errors == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("broken", [False, True])
def test_a_missing_video_is_told_and_the_rest_works(tab: Page, tmp_path: Path, broken: bool) -> None:
    contents = made_contents.make(tmp_path, videos=1)
    report_page.write(tmp_path, contents)
    video = tmp_path / (contents.clips[0].video or "")
    if broken:
        video.write_bytes(b"no video")
    else:
        video.unlink()
    tab.goto((tmp_path / "index.html").as_uri() + fragment(contents.clips[0].id))
    tab.wait_for_selector("#viewer-message")
    assert "media/clip0.mp4 is missing, broken" in tab.inner_text("#viewer-message")
    tab.keyboard.press("n")
    assert index(tab) == 20
    assert tab.get_attribute("#snapshot", "src") == contents.clips[0].events[0].picture
    tab.click("#clip-after")
    tab.wait_for_selector("#viewer-message", state="hidden")


@pytest.mark.parametrize("kind", ["missing", "broken", "of another run"])
def test_missing_scores_are_told_and_the_rest_works(tab: Page, tmp_path: Path, kind: str) -> None:
    contents = made_contents.make(tmp_path, videos=1)
    report_page.write(tmp_path, contents)
    script, clip = tmp_path / contents.clips[0].data, contents.clips[0]
    if kind == "missing":
        script.unlink()
    elif kind == "broken":
        script.write_text(script.read_text()[:500])
    else:
        made_contents.make(tmp_path, frames=95, videos=0)
    tab.goto((tmp_path / "index.html").as_uri() + fragment(clip.id))
    tab.wait_for_selector("#viewer-message")
    text = tab.inner_text("#viewer-message")
    assert ("of another run" if kind == "of another run" else "missing or broken") in text
    assert "dvc repro report" in text
    tab.keyboard.press("n")
    assert "event 1 of 2" in tab.inner_text("#now-state")


def test_a_page_of_mixed_runs_says_so(tab: Page, tmp_path: Path) -> None:
    contents = made_contents.make(tmp_path, videos=0)
    report_page.write(tmp_path, contents)
    old = (tmp_path / "data.js").read_bytes()
    report_page.write(tmp_path, replace(contents, threshold=3.0))
    (tmp_path / "data.js").write_bytes(old)
    tab.goto((tmp_path / "index.html").as_uri())
    tab.wait_for_selector("#message")
    assert "from different runs" in tab.inner_text("#message")
    for content in (None, "report.data({", ""):
        (tmp_path / "data.js").unlink()
        if content is not None:
            (tmp_path / "data.js").write_text(content)
        else:
            (tmp_path / "data.js").write_bytes(old)
            (tmp_path / "data.js").rename(tmp_path / "elsewhere.js")
        tab.goto("about:blank")
        tab.goto((tmp_path / "index.html").as_uri())
        tab.wait_for_selector("#message")
        assert "data.js is missing" in tab.inner_text("#message")
        assert tab.is_visible("#clip-list")
        (tmp_path / "data.js").touch()


def test_hostile_names_run_no_script(tab: Page, tmp_path: Path) -> None:
    contents = made_contents.make(tmp_path, videos=1, names=made_contents.HOSTILE)
    clips = [replace(clip, camera=clip.name, subject=clip.name) for clip in contents.clips]
    shares = dict.fromkeys(made_contents.HOSTILE, 0.2)
    events = [replace(event, where=made_contents.HOSTILE[0], shares=shares) for event in clips[0].events]
    clips[0] = replace(clips[0], events=events)
    report_page.write(tmp_path, replace(contents, clips=clips, branches=made_contents.HOSTILE))
    tab.set_viewport_size({"width": 390, "height": 800})
    for clip in clips[:5]:
        tab.goto((tmp_path / "index.html").as_uri() + fragment(clip.id))
        tab.wait_for_selector("#plot svg")
        assert tab.text_content("#viewer-title") == clip.name
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.keyboard.press("n")
        tab.goto("about:blank")
    tab.goto((tmp_path / "index.html").as_uri())
    for i in range(5):
        tab.locator("#clip-list tbody a").nth(i).click()
        tab.wait_for_selector("#plot svg")
        assert tab.text_content("#viewer-title") == clips[i].name
        assert tab.evaluate("window.hacked") is None
        tab.go_back()
        tab.wait_for_selector("#viewer", state="hidden")
        assert tab.evaluate("document.activeElement.textContent") == clips[i].name
    assert tab.errors == []  # type: ignore[attr-defined]


def test_numbers_are_written_alike_by_page_and_script(tab: Page, made: tuple[Path, Contents]) -> None:
    tab.goto((made[0] / "index.html").as_uri())
    values = [0, 0.01234, 0.1, 0.9996, 1, 4.1263, 9.996, 10, 99.96, 999.9, 1234.4, 12345678, 1e-7]
    assert tab.evaluate("(values) => values.map(wording.number)", values) == [number(v) for v in values]


def test_printing_shows_all_but_the_player(browser: Browser, tmp_path: Path) -> None:
    contents = made_contents.make(tmp_path, clips=30, videos=1)
    report_page.write(tmp_path, contents)
    context = browser.new_context(color_scheme="dark")
    tab = context.new_page()
    tab.goto((tmp_path / "index.html").as_uri() + fragment(contents.clips[0].id))
    tab.wait_for_selector("#plot svg")
    tab.emulate_media(media="print")
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.is_hidden("#viewer")
    assert tab.is_hidden("#filter")
    tables = ["#clip-list .spark >> nth=29", "#event-list tbody tr >> nth=39", "#trace code >> nth=1"]
    for selector in (*tables, ".parameters"):
        assert tab.is_visible(selector)
    assert tab.locator(".gallery li:visible").count() == tab.locator(".gallery li").count() > 30
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(26, 32, 39)"  # also in the dark
    assert len(tab.pdf()) > 50_000
    context.close()
