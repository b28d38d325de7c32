"""What the terminal shows after a run."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.evaluation.reports import CLIPS, RECONSTRUCTION, Report, write_inputs
from vad import outcome
from vad.scoring.evidence import Evidence
from vad.store.cards import write_json
from vad.store.tables import read_table, write_table

THIN = Evidence(
    clips=2,
    hours=0.01,
    asked_share=None,
    asked_per_day=1.0,
    left_out=2,
    stretches=False,
    worst="val/a",
    left_out_hours=0.01,
    left_out_events=2,
    low_per_day=500.0,
    high_per_day=15000.0,
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("frames"))


def run(folder: Path, inputs: Path, evidence: Evidence | None = None, **changed) -> Report:
    """A project with the results of a run."""
    (folder / "reports").mkdir(parents=True)
    report = Report(inputs, folder / "reports/evaluation", **changed)
    (folder / "data").mkdir()
    report.scores.rename(folder / "data/scores")
    stored = None if evidence is None else json.loads(json.dumps(evidence.__dict__))
    write_json(folder / "models/calibration.json", {"evidence": stored})
    return report


def test_headline_events_and_places_of_a_labelled_run(tmp_path, inputs):
    report = run(tmp_path, inputs, THIN)
    (tmp_path / "reports/page").mkdir()
    (tmp_path / "reports/page/index.html").write_text("")
    lines = outcome.lines(tmp_path, 80)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert " ".join(text.split()).startswith(
        "WARNING: the threshold rests on 36 seconds of 2 clips: expect freq"
    )
    event, frame = report.result["event"], report.result["frame"]
    assert f"Frame AUC {frame['auc_micro']:.3f} (95 %" in text
    assert f"{event['found']} of {event['labelled']} labelled events found" in " ".join(text.split())
    # 100 + 120 + 30 + 40 frames at 10, 5, 10 and 10 per second
    assert f"{len(report.events)} events in 41 seconds of footage, 4 clips, the highest scores" in text
    rows = [line for line in lines if "reconstruction 100%" in line]
    expected = report.events.sort_values("score", ascending=False, kind="stable")
    assert [row.split()[:4] for row in rows] == [
        [e["clip"], e["from"], e["to"], f"{e['score']:.2f}"]
        for _, e in expected.head(outcome.EVENTS).iterrows()
    ]
    assert (f"… and {len(expected) - outcome.EVENTS} more" in text) == (len(expected) > outcome.EVENTS)
    places = [line.split("  ")[1] for line in lines[lines.index("Look at") + 1 :]]
    assert places == ["reports/page/index.html", "data/scores/events.csv", "make plots", "make figures"]


def test_without_labels_events_are_what_counts(tmp_path, inputs):
    clips = [replace(clip, labelled=False) for clip in CLIPS]
    report = run(tmp_path, inputs, clips=clips, labels={})
    lines = outcome.lines(tmp_path, 100)
    assert lines[0].startswith(f"{len(report.events)} events in 41 seconds of footage, 4 clips")
    assert not any(word in line for line in lines for word in ("AUC", "label", "WARNING", "None", "nan"))


def test_footage_lasts_as_long_as_its_times_say(tmp_path, inputs):
    run(tmp_path, inputs)
    stem = tmp_path / "data/scores/test/fall"  # 100 frames, from 10 s to 8.02 s
    frames = read_table(stem)
    write_table(stem, frames.assign(seconds=frames["seconds"] * 0.8 + 3))
    assert "events in 39 seconds of footage" in "\n".join(outcome.lines(tmp_path, 100))


def test_without_events_it_says_so(tmp_path, inputs):
    high = replace(RECONSTRUCTION, threshold=99.0)
    run(tmp_path, inputs, by=high)
    lines = outcome.lines(tmp_path, 100)
    assert (
        "No event in 41 seconds of footage, 4 clips: no frame lies above the threshold for long enough."
        in lines
    )
    assert not any("where" in line for line in lines)


def test_three_hundred_clips_with_long_and_odd_names_take_no_more_room(tmp_path, inputs):
    few = run(tmp_path / "a", inputs)
    folder = tmp_path / "a"
    paths = ("reports/evaluation/clips.csv", "data/scores/events.csv", "reports/evaluation/events.csv")
    clips, events, areas = ((folder / path).read_text().splitlines() for path in paths)
    name = "camera_of_the_corridor_on_the_second_floor/2026-02-\x1b[31m03_"
    for rows in (clips, events, areas):
        rows += [f"{name}{i:03}," + rows[1].partition(",")[2] for i in range(300)]
    for path, rows in zip(paths, (clips, events, areas), strict=True):
        (folder / path).write_text("\n".join(rows) + "\n")
    for i in range(300):
        write_json(folder / f"data/scores/test/{name}{i:03}.json", {"fps": 10.0})
        write_table(folder / f"data/scores/test/{name}{i:03}", pd.DataFrame({"seconds": [0.0, 0.1]}))
    lines = outcome.lines(folder, 80)
    assert f"{len(few.events) + 300} events" in "\n".join(lines)
    assert "304 clips" in "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert len(lines) < 24
    assert "\x1b" not in "\n".join(lines)
    assert any("camera" in line and "…" in line for line in lines) or len(few.events) >= outcome.EVENTS


def test_without_results_it_says_which_are_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    outcome.main([])
    assert capsys.readouterr().out == (
        "no results to show: reports/evaluation/metrics.json: not found; `dvc repro` makes it\n"
    )
