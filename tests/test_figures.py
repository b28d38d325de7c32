"""Figures for a thesis: what is drawn for which results, and in which files."""

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from tests.evaluation.reports import CLIPS, Report, write_inputs
from vad import UserError
from vad.figures import __main__ as command
from vad.figures import metrics, paper, results


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("frames"))


def project(folder: Path, inputs: Path, folds: int = 1, **changed) -> Report:
    """A project with the results of a run."""
    (folder / "reports").mkdir(parents=True)
    report = Report(inputs, folder / "reports/evaluation", **changed)
    (folder / "data").mkdir()
    report.scores.rename(folder / "data/scores")
    (folder / "reports/training").mkdir()
    rows = [(f, e, 0.1 / (e + 1), 0.2 / (e + 1), 0.001) for f in range(folds) for e in range(5)]
    history = pd.DataFrame(rows, columns=["fold", "epoch", "train_loss", "val_loss", "learning_rate"])
    history.to_csv(folder / "reports/training/history.csv", index=False)
    return report


@pytest.fixture(scope="module")
def labelled(inputs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    project(folder, inputs, folds=3)
    return folder


def texts(svg: Path) -> str:
    """What is written in a figure: letters are text, not outlines."""
    return "\n".join(re.findall(r"<text[^>]*>(.*?)</text>", svg.read_text("utf-8"), re.S))


def test_every_figure_has_its_files_and_width(labelled, monkeypatch, capsys):
    monkeypatch.chdir(labelled)
    command.main([])
    names = ["curves", "events", "roc", "precision_recall", "histogram", "losses"]
    assert capsys.readouterr().out.splitlines() == [f"reports/figures/{n}.{{pdf,svg,png}}" for n in names]
    for name in names:
        stem = labelled / "reports/figures" / name
        assert Image.open(stem.with_suffix(".png")).width == round(88 / 25.4 * 300), name
        assert b"/FontFile2" in stem.with_suffix(".pdf").read_bytes()  # TrueType, which stays text
        for suffix in (".pdf", ".svg", ".png"):
            assert matplotlib.__version__.encode() not in stem.with_suffix(suffix).read_bytes()
    written = texts(labelled / "reports/figures/curves.svg")
    for text in ("fall", "new|er", "time in seconds", "labelled anomalous", "event", "threshold"):
        assert text in written
    assert "each of 3 folds" in texts(labelled / "reports/figures/losses.svg")
    auc = results.read(labelled).figures["frame"]["auc_micro"]
    assert f"model: AUC {auc:.3f}" in texts(labelled / "reports/figures/roc.svg")


def test_the_same_results_give_the_same_bytes(labelled, monkeypatch):
    monkeypatch.chdir(labelled)

    def files() -> dict[str, bytes]:
        command.main(["--clip", "fall"])
        return {path.name: path.read_bytes() for path in (labelled / "reports/figures").iterdir()}

    first = files()
    assert files() == first
    assert "late" not in texts(labelled / "reports/figures/curves.svg")


def test_curves_are_scores_over_seconds_with_their_events(labelled):
    run = results.read(labelled)
    clips = {clip.name: clip for clip in run.clips}
    assert list(clips) == ["fall", "late", "walk", "new|er"]
    late = clips["late"]  # 240 frames at 10 per second, of which every second is extracted
    np.testing.assert_allclose(late.seconds, np.arange(120) / 5)
    assert late.step == pytest.approx(0.2)
    assert late.anomalous is not None
    assert late.anomalous.sum() == 5
    assert clips["new|er"].anomalous is None
    alarmed = late.scores > run.threshold
    inside = np.zeros(120, bool)
    for start, end, highest in late.events:
        frames = (late.seconds >= start - 1e-6) & (late.seconds < end - 1e-6)
        inside |= frames
        assert late.scores[frames].max() == pytest.approx(highest)
    assert (inside >= alarmed).all()
    assert alarmed.any()


def test_without_labels_nothing_says_labelled(tmp_path, inputs, monkeypatch, capsys):
    project(tmp_path, inputs, clips=[replace(clip, labelled=False) for clip in CLIPS], labels={})
    monkeypatch.chdir(tmp_path)
    command.main([])
    out = capsys.readouterr().out
    assert "roc" not in out
    assert "no ROC curve: " in out
    for path in (tmp_path / "reports/figures").glob("*.svg"):
        assert "label" not in texts(path)
        assert "normal" not in texts(path)
    assert "event" in texts(tmp_path / "reports/figures/events.svg")


def test_forty_clips_with_long_names_take_pages_and_lose_no_letter(labelled):
    run = results.read(labelled)
    name = "the_camera_above_the_door/2026-02-03_morning_of_the_second_day"
    clips = [replace(run.clips[i % 4], name=f"{name}_{i:02}") for i in range(40)]
    folder = labelled / "many"
    paths = list(command.draw(folder, replace(run, clips=clips), clips))
    pages = [path for path in paths if path.match("curves_*.svg")]
    assert len(pages) == 2
    written = "".join(re.sub(r"\s", "", texts(path)) for path in pages)
    assert all(f"{name}_{i:02}" in written for i in range(40))
    for path in paths:
        if path.suffix == ".png" and path.name.startswith(("curves", "events")):
            picture = np.array(Image.open(path).convert("L"))
            assert abs(picture.shape[1] - 180 / 25.4 * 300) <= 1
            assert picture.shape[0] < 250 / 25.4 * 300  # a page
            edge = np.concatenate([picture[:3].ravel(), picture[:, :3].ravel(), picture[:, -3:].ravel()])
            assert (edge > 250).all()  # nothing is cut off


def overlapping(drawn: Figure) -> list[str]:
    """Texts of a figure that lie over each other or reach beyond its edge."""
    drawn.draw_without_rendering()
    texts = {text: None for text in drawn.findobj(Text) if text.get_visible() and text.get_text().strip()}
    for axis in [axis for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high:  # not drawn
                texts.pop(tick.label1, None)
    boxes = [(text.get_text(), text.get_window_extent().padded(-0.5)) for text in texts]
    out = [
        text
        for text, box in boxes
        if box.x0 < 0 or box.y0 < 0 or box.x1 > drawn.bbox.x1 or box.y1 > drawn.bbox.y1
    ]
    pairs = combinations(boxes, 2)
    return out + [f"{text} / {other}" for (text, box), (other, at) in pairs if box.overlaps(at)]


@pytest.mark.parametrize(
    ("number", "name"), [(1, "12"), (3, "a camera with a name of some length/" * 4), (40, "y" * 50)]
)
def test_no_text_is_cut_off_or_lies_over_another(labelled, tmp_path, monkeypatch, number, name):
    run = results.read(labelled)
    clips = [replace(run.clips[i % 4], name=name if number == 1 else f"{name}{i}") for i in range(number)]
    if number > 1:  # an hour long
        clips[1] = replace(clips[1], seconds=clips[1].seconds * 3600 / clips[1].seconds[-1])
    seen = {}

    def look(drawn: Figure, folder: Path, file: str) -> list[Path]:
        seen[file] = overlapping(drawn)
        return []

    monkeypatch.setattr(paper, "save", look)
    list(command.draw(tmp_path, replace(run, clips=clips), clips))
    assert {"roc", "precision_recall", "histogram", "losses"} < set(seen)
    assert {file: texts for file, texts in seen.items() if texts} == {}


@pytest.mark.parametrize("folds", [1, 4, 12])
@pytest.mark.parametrize(
    "loss",
    [
        lambda epoch: 0.7 + 0.3 / epoch,
        lambda epoch: 9.0 / epoch**1.5,
        lambda epoch: 1e6 if epoch == 2 else 0.2,
        lambda epoch: 123456.0 + epoch,
    ],
    ids=["close", "two decades", "outlier", "huge"],
)
def test_no_text_of_losses_is_cut_off_or_lies_over_another(labelled, loss, folds):
    rows = [(f, e, loss(e + 1), loss(e + 1) * (1 + f)) for f in range(folds) for e in range(20)]
    history = pd.DataFrame(rows, columns=["fold", "epoch", "train_loss", "val_loss"])
    with paper.style():
        assert overlapping(metrics.losses(replace(results.read(labelled), history=history))) == []


def test_overlapping_texts_are_seen():
    with paper.style():
        drawn = paper.figure(88, 60)
        axes = drawn.subplots()
        axes.set_xticks([1, 1.01, 9], ["123", "456", "789"])
        assert overlapping(drawn) == ["123 / 456"]
        drawn.text(0.9, 0.5, "this is too long a text")
        assert overlapping(drawn)[0] == "this is too long a text"


def test_a_clip_with_a_number_as_its_name_is_called_a_clip(labelled):
    clip = results.read(labelled).clips[0]
    assert replace(clip, name="007").title == "clip 007"
    assert replace(clip, name="a7").title == "a7"


def test_a_bin_of_a_histogram_with_a_single_frame_can_be_seen(labelled):
    run = results.read(labelled)
    counts = run.plots["histogram"]["count"]
    assert (counts == 1).any()
    with paper.style():
        drawn = metrics.histogram(run)
    axes = drawn.axes[0]
    low, high = axes.get_ylim()
    assert 0 < low < 1 <= counts.max() <= high
    assert axes.get_xlim()[0] <= 0
    assert "log scale" in axes.get_ylabel()


def test_of_many_clips_those_with_the_highest_scores_are_drawn(labelled):
    run = results.read(labelled)
    clips = [replace(run.clips[0], name=str(i), scores=run.clips[0].scores * i) for i in range(50)]
    chosen, note = command.choose(replace(run, clips=clips), [], 42)
    assert [clip.name for clip in chosen] == [str(i) for i in range(8, 50)]
    assert note.startswith("42 of 50 clips")
    with pytest.raises(UserError, match=r"--clip x: there is no such test clip; there are 0, 1, 2, .*, …"):
        command.choose(replace(run, clips=clips), ["x"], 42)


def test_missing_results_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        command.main([])
    assert ended.value.code == 2
    assert "reports/evaluation is missing: `make repro` makes it" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a" * 200, "cam/yard_2026-02-03_walk of two", "x", ""])
def test_wrapped_lines_fit_and_lose_nothing(text):
    lines = paper.wrapped(text, 30.0).split("\n")
    assert "".join(lines) == text
    assert all(paper._width(line, paper.SIZE) <= 30.0 for line in lines)
