"""Where alarms come from: events with their areas, and areas by camera, compared with loops over frames."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.reports import calibration
from vad.evaluation.alarm_summary import ADVICE, ALL_LABELLED, causes
from vad.evaluation.alarm_tables import ALARMS, EVENTS, SAMPLES, alarm_tables
from vad.evaluation.scored_clip import ScoredClip
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.events import find
from vad.scoring.params import EventParams
from vad.store.zones import read_zones

BY = calibration("look", "speed")  # alarms above 0.75, no smoothing
WIDTH, HEIGHT, CELL = 36, 24, 4  # of frames; the source is twice as large
ROWS = ("upper left,upper centre,upper right", "left,centre,right", "lower left,lower centre,lower right")
NAMES = [row.split(",") for row in ROWS]


def scored(
    name: str,
    scores: list[float],
    boxes: list[list[tuple]],
    anomalous: list[bool] | None = None,
    maps: np.ndarray | None = None,
    fps: float = 10.0,
    camera: str = "a",
    stride: int = 1,
) -> ScoredClip:
    """A clip with events of its scores.

    Args:
        name: without split.
        scores: of the frames.
        boxes: of each frame that has windows: (x0, y0, x1, y1, score of the region).
        anomalous: labels of the frames.
        maps: errors of the branch speed, [T, rows, columns]; by default 0.
        fps, camera, stride: as of ClipErrors.
    """
    rows = [(k * stride, i, -1, *box) for k, regions in enumerate(boxes) for i, box in enumerate(regions)]
    columns = ["frame", "region", "track", "x0", "y0", "x1", "y1", "score"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[:-1], np.int32))
    table["error_look"] = np.float32(1)
    if maps is None:
        maps = np.zeros((len(scores), HEIGHT // CELL, WIDTH // CELL), np.float16)
    errors = ClipErrors(
        *(f"test/{name}", len(scores), stride, (HEIGHT, WIDTH), table), fps, CELL, {"speed": maps}, camera
    )
    values = np.array(scores, float)
    return ScoredClip(
        clip=f"test/{name}",
        camera=camera,
        subject="",
        scores=values,
        unsmoothed=values,
        branches={},
        errors={},
        seconds=np.arange(len(scores)) / fps,
        source_frames=np.arange(len(scores)) * 2,
        source_size=(2 * HEIGHT, 2 * WIDTH),
        fps=fps,
        anomalous=None if anomalous is None else np.array(anomalous, bool),
        events=find(values, BY.threshold, fps, EventParams(merge_gap=0.2, min_duration=0.15)),
        regions=errors,
    )


def name_of(x: float, y: float) -> str:
    return NAMES[int(y // (HEIGHT / 3))][int(x // (WIDTH / 3))]


@st.composite
def some_clips(draw: st.DrawFn) -> list[ScoredClip]:
    """Up to four clips of two cameras, of several rates, with and without labels, regions and maps."""
    clips = []
    for i in range(draw(st.integers(0, 4))):
        frames = draw(st.integers(1, 8))  # at most SAMPLES, so that every frame counts
        scores = draw(st.lists(st.sampled_from([0.0, 0.75, 1.0, 2.0]), min_size=frames, max_size=frames))
        stride = draw(st.integers(1, 3))
        boxes = []
        for _ in range(-(-frames // stride)):
            corners = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 18)), max_size=2))
            regions = [(x, y, x + 5, y + 5, draw(st.sampled_from([-0.01, 0.5, 3.0]))) for x, y in corners]
            boxes.append(regions + ([(0, 0, WIDTH, HEIGHT, 9.0)] if draw(st.booleans()) else []))
        # cells that all differ, or a map that is the same everywhere
        rng = np.random.default_rng(draw(st.integers(0, 9)))
        cells = rng.permuted(np.arange(frames * 54).reshape(frames, 54), axis=1).reshape(frames, 6, 9)
        maps = (1 + cells * draw(st.sampled_from([0, 1]))).astype(np.float16)
        labels = st.none() | st.lists(st.booleans(), min_size=frames, max_size=frames)
        rate, camera = draw(st.sampled_from([5.0, 10.0, 12.5])), draw(st.sampled_from(["a", "007"]))
        clips.append(scored(f"c{i}", scores, boxes, draw(labels), maps, rate, camera, stride))
    return clips


def by_hand(clip: ScoredClip) -> list[str | None]:
    """The area of each frame, None if it is not alarmed."""
    out: list[str | None] = []
    errors = clip.regions
    for t, score in enumerate(clip.scores):
        if score <= 0.75:
            out.append(None)
            continue
        with_windows = range(0, errors.frames, errors.stride)
        nearest = min(with_windows, key=lambda k: (abs(k - t), k))
        regions = [row for row in errors.table.itertuples() if row.frame == nearest and row.score > 0]
        regions = [row for row in regions if row.x1 - row.x0 < WIDTH]
        speed = errors.maps["speed"][t]
        if regions:
            best = max(regions, key=lambda row: (row.score, -row.region))
            out.append(name_of((best.x0 + best.x1) / 2, (best.y0 + best.y1) / 2))
        elif speed.min() == speed.max():
            out.append(unmoved(errors, nearest))
        else:
            row, column = divmod(int(speed.argmax()), speed.shape[1])
            out.append(name_of((column + 0.5) * CELL, (row + 0.5) * CELL))
    return out


def unmoved(errors: ClipErrors, frame: int) -> str:
    """The area of the cells under regions of error 1 where nothing moves: the others have error 0."""
    painted = np.zeros((HEIGHT // CELL, WIDTH // CELL), bool)
    for row in errors.table[errors.table["frame"] == frame].itertuples():
        painted[row.y0 // CELL : -(-row.y1 // CELL), row.x0 // CELL : -(-row.x1 // CELL)] = True
    if painted.all() or not painted.any():
        return ""
    y, x = np.argwhere(painted).mean(0) + 0.5
    return name_of(x * CELL, y * CELL)


@given(some_clips())
@settings(max_examples=200, deadline=None)
def test_tables_are_those_of_a_loop_over_frames(clips):
    events, alarms, _ = alarm_tables(clips, BY)
    assert (list(events), list(alarms)) == (EVENTS, ALARMS)
    seconds, outside = Counter(), Counter()
    rows = iter(events.to_dict("records"))
    for clip in clips:
        areas = by_hand(clip)
        unlabelled = np.zeros(len(areas), bool) if clip.anomalous is None else clip.anomalous
        for area, labelled in zip(areas, unlabelled, strict=True):
            if area is not None:
                seconds[clip.camera, area] += 1 / clip.fps
                outside[clip.camera, area] += (not labelled) / clip.fps
        for event in clip.events:
            row, span = next(rows), range(event.start, event.end)
            assert (row["clip"], row["camera"]) == (clip.name, clip.camera)
            assert (row["start"], row["end"]) == (2 * event.start, 2 * event.end - 1)
            assert row["seconds"] == pytest.approx(len(span) / clip.fps)
            free = sum(not unlabelled[t] for t in span)
            assert row["seconds_outside_labels"] == pytest.approx(free / clip.fps)
            counts = Counter(areas[t] for t in span if areas[t])
            assert counts[row["area"]] == max(counts.values(), default=0)
    assert next(rows, None) is None
    got = {(row.camera, row.area): row for row in alarms.itertuples()}
    assert len(got) == len(alarms)
    assert {key: row.seconds for key, row in got.items()} == pytest.approx(seconds)
    assert {key: row.seconds_outside_labels for key, row in got.items()} == pytest.approx(outside)
    for row in alarms.itertuples():
        box = (row.x0, row.y0, row.x1, row.y1)
        if row.area:
            assert name_of((row.x0 + row.x1) / 4, (row.y0 + row.y1) / 4) == row.area
            assert (row.x1 - row.x0, row.y1 - row.y0) == (2 * WIDTH / 3, 2 * HEIGHT / 3)
        else:
            assert box == (0, 0, 2 * WIDTH, 2 * HEIGHT)
    order = list(zip(-alarms["seconds_outside_labels"], -alarms["seconds"], strict=True))
    assert order == sorted(order)


def test_cells_of_a_long_alarm_are_scored_for_few_frames(monkeypatch):
    """An event over the whole clip, in whole frames: an eighth of its frames is on the left."""
    maps = np.zeros((800, 6, 9), np.float16)
    maps[:100, 2, 0] = maps[100:, 5, 8] = 5
    clip = scored("long", [1.0] * 800, [[]] * 800, None, maps)
    calls, whole = [], type(BY).cell_scores
    monkeypatch.setattr(type(BY), "cell_scores", lambda *given: calls.append(given) or whole(*given))
    events, alarms, _ = alarm_tables([clip], BY)
    assert len(calls) == SAMPLES == 8
    assert alarms[["area", "seconds"]].to_numpy().tolist() == [["lower right", 70.0], ["left", 10.0]]
    assert events[["seconds", "area"]].to_numpy().tolist() == [[80.0, "lower right"]]


# --- the section of the summary

LOW, HIGH = (24, 18, 29, 23, 1.0), (2, 1, 7, 6, 1.0)  # boxes at the lower right and at the upper left


def section(folder: Path, *clips: ScoredClip, labels: bool = True) -> list[str]:
    for name, table in zip(("events", "alarms", "hotspots"), alarm_tables(clips, BY), strict=True):
        table.to_csv(folder / f"{name}.csv", index=False)
    return [line for line in causes(folder, labels) if line]


def alarm(start: int, end: int, frames: int = 100) -> list[float]:
    return [float(start <= t < end) for t in range(frames)]


def test_the_longest_events_and_their_area_are_named_with_what_to_do(tmp_path):
    clips = [
        scored("007", alarm(10, 40), [[LOW]] * 100, camera="door"),
        scored("b", alarm(0, 100), [[HIGH]] * 100, fps=25.0),  # 4 s, from end to end
        scored("c", alarm(5, 7), [[HIGH]] * 100),
        scored("d", alarm(5, 8), [[HIGH]] * 100),
    ]
    lines = section(tmp_path, *clips, labels=False)
    assert [*lines[:3], lines[-1]] == [
        "## What raises most alarms",
        "- Longest events: `b` 0:00.0 to 0:04.0 (4.0 s, frames 0 to 198, upper left); `007` 0:01.0 to 0:04.0 "
        "(3.0 s, frames 20 to 78, lower right); `d` 0:00.5 to 0:00.8 (0.3 s, frames 10 to 14, upper left).",
        "- Area that is alarmed longest: upper left of the picture of camera `a` (x 0.00 to 0.33, y 0.00 to "
        "0.33 in shares of width and height), 60 % of all such time.",
        ADVICE,
    ]


def test_of_labelled_clips_what_lies_outside_labels_counts(tmp_path):
    anomaly = [t < 50 for t in range(100)]
    clips = [
        scored("found", alarm(0, 50), [[HIGH]] * 100, anomaly),  # all of it is labelled
        scored("stays", alarm(20, 90), [[LOW]] * 100, anomaly),  # 4 of 7 s are not
        scored("unlabelled", alarm(0, 10), [[HIGH]] * 100),
    ]
    lines = section(tmp_path, *clips)
    assert [*lines[1:3], lines[-1]] == [
        "- Longest events outside labelled anomalies: `stays` 0:02.0 to 0:09.0 (4.0 s, frames 40 to 178, "
        "lower right); `unlabelled` 0:00.0 to 0:01.0 (1.0 s, frames 0 to 18, upper left).",
        "- Area that is alarmed longest outside labelled anomalies: lower right of the picture of camera "
        "`a` (x 0.67 to 1.00, y 0.67 to 1.00 in shares of width and height), 80 % of all such time.",
        ADVICE,
    ]
    assert section(tmp_path, clips[0])[1:] == [ALL_LABELLED]


def test_an_event_that_ends_a_little_after_its_label_is_no_cause(tmp_path):
    anomaly = [t < 50 for t in range(100)]
    late = scored("late", alarm(0, 59), [[LOW]] * 100, anomaly)  # 0.9 s are not labelled
    assert section(tmp_path, late)[1:] == ["All alarms but 0.9 s are labelled anomalous."]
    later = scored("later", alarm(0, 60), [[LOW]] * 100, anomaly)
    assert section(tmp_path, later)[1].startswith("- Longest events outside labelled anomalies: `later` ")


def test_the_area_comes_with_a_zone_that_can_be_pasted(tmp_path):
    section(tmp_path, scored("a", alarm(0, 50), [[LOW]] * 100, camera="the hall"))
    text = "\n".join(causes(tmp_path, labels=False)).partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "zones.yaml").write_text(text, "utf-8")
    (zone,) = read_zones(tmp_path / "zones.yaml").of("the hall").zones
    assert zone.kind == "ignore"
    assert zone.polygon == ((0.67, 0.67), (1, 0.67), (1, 1), (0.67, 1))


def test_what_is_unknown_is_not_named(tmp_path):
    """Whole frames without maps have no area, alarms may be too short for an event, and none is none."""
    whole = scored("whole", alarm(0, 50), [[(0, 0, WIDTH, HEIGHT, 1.0)]] * 100)
    assert section(tmp_path, whole, labels=False)[1:] == [
        "- Longest events: `whole` 0:00.0 to 0:05.0 (5.0 s, frames 0 to 98).",
        ADVICE,
    ]
    short = section(tmp_path, scored("short", alarm(3, 4), [[LOW]] * 100), labels=False)
    assert [line.partition(":")[0] for line in short[1:2]] == ["- Area that is alarmed longest"]
    assert section(tmp_path, scored("calm", alarm(0, 0), [[LOW]] * 100)) == []


def test_every_report_has_the_section(frames_report, boxes_report):
    for report in (frames_report, boxes_report):
        assert report.csv("events.csv")["clip"].tolist() == report.events["clip"].tolist()
        assert report.markdown.count("## What raises most alarms\n") == 1
        assert ADVICE in report.markdown
    frames = frames_report.csv("frames.csv")
    rate = frames["clip"].map({clip.name: clip.fps for clip in frames_report.clips})
    alarms = frames_report.csv("alarms.csv")
    assert alarms["seconds"].sum() == pytest.approx((frames["alarm"] / rate).sum())
    free = frames["alarm"] * (frames["anomalous"] != 1)
    assert alarms["seconds_outside_labels"].sum() == pytest.approx((free / rate).sum())


def test_alarms_of_whole_frames_come_from_the_cells_that_raised_the_score():
    """A cell at the upper left has the highest error, in normal frames as well."""
    scores = [0.0, 0.0, 3.0, 3.0, 0.0]
    whole = [[(0, 0, WIDTH, HEIGHT, score)] for score in scores]
    clip = scored("w", scores, whole)
    normal = np.zeros((HEIGHT // CELL, WIDTH // CELL), np.float16)
    normal[0, 0] = 5
    look = np.repeat(normal[None], len(scores), axis=0)
    look[2:4, 5, 7] += 1
    maps = {"look": look, "speed": np.zeros_like(look)}
    alone = {"look": np.array(scores), "speed": np.zeros(len(scores))}
    clip = replace(clip, regions=replace(clip.regions, maps=maps), branches=alone)
    by = replace(BY, normal_cells={"a": {"look": normal.tolist()}})
    (event,) = alarm_tables([clip], by)[0].to_dict("records")
    assert event["area"] == "lower right"
