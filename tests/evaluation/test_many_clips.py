"""Many test clips: which of them pictures show, and that time grows no more than their number."""

import re
import time
from dataclasses import fields, replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.evaluation.reports import PARAMS, Report, calibration, manifest_row, write_errors, write_times
from vad.drawing import strips
from vad.drawing.strips import COLUMNS, LENGTH, LINE, ROWS, Strip
from vad.evaluation import curves, summary
from vad.evaluation.scored_clip import ScoredClip
from vad.evaluation.selection import select
from vad.scoring.clip_errors import ClipErrors
from vad.store.arrays import write_array
from vad.store.manifest import Clip

BY = calibration("look")


def scored(name: str, scores, anomalous=None) -> ScoredClip:
    """A clip of which only scores and labels matter."""
    given = {"clip": f"test/{name}", "scores": np.array(scores, float)}
    given["source_frames"] = np.arange(len(scores))
    given["anomalous"] = None if anomalous is None else np.array(anomalous, bool)
    return ScoredClip(**{field.name: given.get(field.name) for field in fields(ScoredClip)})


def write_many(folder: Path, number: int, frames: int = 3) -> tuple[list[Clip], dict]:
    """Inputs of `evaluate` of many clips, every second of which is anomalous from its middle on."""
    rng = np.random.default_rng(0)
    clips, labels = [], {}
    for i in range(number):
        name = f"test/clip{i:04}"
        clips.append(manifest_row(name, frames, True, f"camera{i % 3}", ""))
        if i % 2:
            labels[name] = [(frames // 2, frames)]
        write_times(folder / "frames" / name, np.arange(frames))
        write_array(folder / "frames" / name, rng.integers(0, 255, (frames, 8, 8), np.uint8), fps=10.0)
        table = pd.DataFrame({"frame": np.arange(frames), "region": 0, "track": i % 5, "x0": 1, "y0": 0})
        errors = (rng.gamma(4, 0.25, frames) + (i % 2)).astype(np.float32)
        table = table.assign(x1=8, y1=8, error_look=errors)
        write_errors(
            folder / "errors" / name,
            ClipErrors(name, frames, 1, (8, 8), table, 10.0, 4, learned=("look",)),
        )
    return clips, labels


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Report:
    """A report of 120 clips with pictures of 5."""
    folder = tmp_path_factory.mktemp("many")
    clips, labels = write_many(folder / "inputs", 120)
    params = PARAMS.model_copy(update={"pictures": 5})
    return Report(folder / "inputs", folder / "report", BY, clips, labels, params=params)


def test_pictures_show_the_most_anomalous_clips_and_say_so(many):
    shown = select(many.clips, BY.threshold, 5)
    assert len(shown) == 5
    drawn = sorted(path.name for path in (many.folder / "heatmaps").iterdir())
    assert drawn == sorted(f"clip_{clip.name}.png" for clip in shown)
    assert many.csv("plots/curves.csv")["clip"].unique().tolist() == [clip.name for clip in shown]
    assert max(many.clips, key=lambda clip: clip.scores.max()) in shown
    assert "curves.png and heatmaps/ show 5 of 120 clips" in many.markdown
    assert many.csv("frames.csv")["clip"].nunique() == len(many.csv("clips.csv")) == 120
    height, width, _ = matplotlib.image.imread(many.folder / "strips.png").shape
    assert height > 120 / COLUMNS * LINE
    assert width < 2000


def test_tables_of_the_summary_show_the_rows_with_the_highest_scores(many):
    rows = many.cells("## Clips")[2:]
    table = many.csv("clips.csv")
    highest = set(table.sort_values("score_max", ascending=False)["clip"][: summary.MAX_ROWS])
    assert [row[0] for row in rows] == [name for name in table["clip"] if name in highest]
    assert "\n… and 20 more with lower scores, in reports/evaluation/clips.csv.\n" in many.markdown
    assert len(re.findall("more with lower scores", many.markdown)) == 1  # of cameras there are three


def test_few_clips_are_all_shown(frames_report):
    assert "strips.png" not in frames_report.files()
    assert "strips.png" not in frames_report.markdown


@st.composite
def several(draw: st.DrawFn) -> list[ScoredClip]:
    number = draw(st.integers(1, 12))
    length = draw(st.integers(1, 4))
    values = st.lists(st.integers(0, 6), min_size=length, max_size=length)
    labels = st.none() | st.lists(st.booleans(), min_size=length, max_size=length)
    return [scored(f"{i}", draw(values), draw(labels)) for i in range(number)]


@given(several(), st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_the_clips_are_taken_in_turn_from_three_lists(clips, number):
    """By hand: repeatedly the best of each list that is not taken yet, or is at the same place."""
    shown = select(clips, 3.0, number)
    names = [clip.name for clip in clips]
    assert [clip.name for clip in shown] == [name for name in names if name in {c.name for c in shown}]
    assert len(shown) == min(number, len(clips))
    if len(clips) <= number:
        return
    frames = [
        [(s, None if c.anomalous is None else c.anomalous[t]) for t, s in enumerate(c.scores)] for c in clips
    ]
    top = [max(s for s, _ in f) for f in frames]
    false = [max((s for s, y in f if y is not None and not y), default=-1) for f in frames]
    hit = [max((s for s, y in f if y is not None and y), default=99) for f in frames]
    lists = [
        sorted(range(len(clips)), key=lambda i: (-top[i], i)),
        sorted((i for i in range(len(clips)) if false[i] > 3), key=lambda i: (-false[i], i)),
        sorted((i for i in range(len(clips)) if hit[i] <= 3), key=lambda i: (hit[i], i)),
    ]
    expected: set[int] = set()
    for place in range(len(clips)):
        for ranked in lists:
            if place < len(ranked) and len(expected) < number:
                expected.add(ranked[place])
    assert {clip.name for clip in shown} == {names[i] for i in expected}


def test_curves_of_more_clips_than_a_page_holds_have_further_pages(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "PAGE", 4)
    clips = [scored(f"{i}", [0, i, 1], [0, 1, 0]) for i in range(9)]
    curves.draw(tmp_path / "new/curves.png", clips, 1.0, total=9)
    files = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in files] == ["curves.png", "curves_2.png", "curves_3.png"]
    pages = [matplotlib.image.imread(file) for file in files]
    assert pages[0].shape == pages[1].shape
    assert pages[2].shape[0] < pages[0].shape[0]


# --- strips


def below_legend(path: Path) -> np.ndarray:
    """The lines of a page, int [H, W, 3]."""
    return np.asarray(Image.open(path).convert("RGB")).astype(int)[60:]


def where(picture: np.ndarray, color) -> np.ndarray:
    return np.abs(picture - np.array(color)).max(axis=-1) <= 8


@pytest.mark.parametrize("length", [1, 3, LENGTH, 5 * LENGTH])
def test_a_strip_shows_scores_and_labels_over_time(tmp_path, length):
    anomalous = np.arange(length) >= length // 3 if length > 1 else np.ones(1, bool)
    clip = Strip("hall", np.where(anomalous, 5.0, 0.0), anomalous)
    strips.draw(tmp_path / "new/s.png", [clip], 2.0)
    picture = below_legend(tmp_path / "new/s.png")
    red, marked = where(picture, strips.COLORS[-1]), where(picture, strips.LABELLED)
    share = 1 - (length // 3) / length
    for signs in (red, marked):
        columns = np.flatnonzero(signs.any(0))
        assert abs(len(columns) - share * LENGTH) <= 1
        assert columns.tolist() == list(range(columns[0], columns[-1] + 1))
        assert columns[-1] == np.flatnonzero(red.any(0))[-1]  # to the end of the strip
    assert not (red & marked).any()
    strips.draw(tmp_path / "s.png", [replace(clip, anomalous=None)], 2.0)
    picture = below_legend(tmp_path / "s.png")
    assert not where(picture, strips.LABELLED).any()
    assert where(picture, strips.FAINT).any()  # its name


def test_a_single_high_frame_of_a_long_clip_is_seen(tmp_path):
    scores = np.zeros(100_000)
    scores[54_321] = 9
    strips.draw(tmp_path / "s.png", [Strip("hall", scores, None)], 2.0)
    picture = below_legend(tmp_path / "s.png")
    assert len(np.flatnonzero(where(picture, strips.COLORS[-1]).any(0))) == 1


def test_many_strips_have_pages_of_the_same_width(tmp_path):
    step = COLUMNS * ROWS
    clips = [
        Strip(f"a very long name of a clip, number {i}", np.array([0.0, i]), None) for i in range(step + 1)
    ]
    strips.draw(tmp_path / "s.png", clips, 2.0)
    sizes = [Image.open(tmp_path / name).size for name in ("s.png", "s_2.png")]
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] - sizes[1][1] == (ROWS - 1) * LINE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.png", "s_2.png"]


@pytest.mark.slow
def test_the_time_of_many_clips_is_in_proportion(tmp_path):
    """Time grows no faster than the number of clips."""
    seconds = []
    for number in (240, 720):
        clips, labels = write_many(tmp_path / f"inputs{number}", number)
        start = time.process_time()
        Report(tmp_path / f"inputs{number}", tmp_path / f"report{number}", BY, clips, labels)
        seconds.append(time.process_time() - start)
    assert seconds[0] < 25  # a loaded machine; 10 on a quiet one
    assert seconds[1] < 3 * seconds[0]
