"""Hints at zones: hotspots, small parts of a camera's picture from which most of its alarms come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.test_alarm_tables import CELL, HEIGHT, WIDTH, alarm, scored, section
from vad.evaluation.alarm_hotspots import HOTSPOTS, Alarms, alarm_hotspots
from vad.store.zones import read_zones

CLOCK = (0.7, 0.02, 0.85, 0.1)


def alarms(boxes, events=None, camera="hall", clip="a", fps=10.0) -> Alarms:
    boxes = np.array(boxes, float).reshape(-1, 4)
    numbers = np.arange(len(boxes)) // 10 if events is None else np.array(events)
    return Alarms(camera, clip, fps, boxes, numbers)


def elsewhere(n: int, seed: int = 0) -> np.ndarray:
    """Boxes of people in the lower half of the picture."""
    corner = np.random.default_rng(seed).uniform((0, 0.5), (0.9, 0.6), (n, 2))
    return np.hstack([corner, np.add(corner, (0.1, 0.4))])


@given(st.integers(0, 120), st.integers(0, 2**32 - 1))
def test_a_clock_is_found_wherever_the_other_alarms_are(others, seed):
    """Of 100 alarms from a clock whose box flickers, and some from people, in any order."""
    rng = np.random.default_rng(seed)
    clock = np.array(CLOCK) + rng.uniform(-0.01, 0.01, (100, 4))
    boxes = rng.permutation(np.concatenate([clock, elsewhere(others, seed)]))
    found = alarm_hotspots([alarms(boxes)])
    share = 100 / (100 + others)
    if share < 0.6:
        assert not len(found)
        return
    (row,) = found.to_dict("records")
    assert row["time_share"] == pytest.approx(share)
    assert row["seconds"] == pytest.approx(10)
    # the box holds the clock, and little more
    assert (np.array([row[key] for key in ("x0", "y0")]) <= np.array(CLOCK[:2])).all()
    assert (np.array([row[key] for key in ("x1", "y1")]) >= np.array(CLOCK[2:])).all()
    assert (row["x1"] - row["x0"]) * (row["y1"] - row["y0"]) < 0.03


def test_time_counts_not_frames():
    """Thirty alarms of a slow camera's clock are longer than forty of people in a clip of twice the rate."""
    clock, people = alarms([CLOCK] * 30, fps=5.0), alarms(elsewhere(40), clip="b", fps=10.0)
    (row,) = alarm_hotspots([clock, people]).to_dict("records")
    assert (row["time_share"], row["events"], row["clips"]) == (pytest.approx(0.6), 3, 1)


@pytest.mark.parametrize(
    ("boxes", "events"),
    [
        ([CLOCK] * 20, [0] * 20),  # a single event may be what is looked for
        ([CLOCK] * 20, [-1] * 20),  # too short for events
        (elsewhere(50), None),  # all over the place
        ([(0.2, 0.2, 0.5, 0.5)] * 20, None),  # a large part of the picture
        (np.full((20, 4), np.nan), None),  # unknown, as of whole frames without maps
        ([CLOCK] * 10 + [(np.nan,) * 4] * 10, None),  # half of the time
        ([(0.1, 0.1, 0.2, 0.2)] * 10 + [(0.8, 0.8, 0.9, 0.9)] * 10, None),  # two hotspots
        ([], None),
    ],
)
def test_there_is_no_hint_without_a_small_place_that_raises_most_alarms(boxes, events):
    found = alarm_hotspots([alarms(boxes, events)])
    assert (list(found), len(found)) == (HOTSPOTS, 0)


def test_every_camera_has_its_own_hotspot():
    other = (0.1, 0.8, 0.2, 0.9)
    parts = [alarms([CLOCK] * 20), alarms(elsewhere(20), camera="door"), alarms([other] * 20, camera="yard")]
    found = alarm_hotspots(parts)
    assert found["camera"].tolist() == ["hall", "yard"]
    assert (found.loc[1, ["x0", "y0"]] <= other[:2]).all()


@pytest.mark.parametrize("camera", ["hall", "007", 'a "quoted" name', "Tür: hinten", "null"])
@pytest.mark.parametrize("cells", [False, True], ids=["regions", "cells"])
def test_what_the_summary_says_can_be_pasted(tmp_path, camera, cells):
    """Two events from the upper left corner, in regions or in cells; the zone covers it."""
    maps = np.ones((100, HEIGHT // CELL, WIDTH // CELL), np.float16)
    maps[:, 0, 0] = 5
    boxes = [[] if cells else [(0, 0, 4, 4, 1.0)]] * 100
    clip = scored("long", np.maximum(alarm(0, 40), alarm(60, 80)).tolist(), boxes, maps=maps, camera=camera)
    text = "\n".join(section(tmp_path, clip, labels=False))
    assert f"100 % of the alarmed time of camera `{camera}` comes from the same" in text
    assert "in 2 events" in text
    (tmp_path / "zones.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0], "utf-8")
    zones = read_zones(tmp_path / "zones.yaml")
    zones.require([camera], tmp_path / "zones.yaml")
    judged = zones.of(camera).mask(HEIGHT, WIDTH)
    assert not judged[:4, :4].any()
    assert judged[:, 7:].all()
    assert judged[7:].all()


def test_alarms_that_labels_call_right_are_no_hint(tmp_path):
    """The same clip with labels: all alarms are right, or none is."""
    scores, boxes = np.maximum(alarm(0, 40), alarm(60, 80)), [[(0, 0, 4, 4, 1.0)]] * 100
    right = scored("a", scores.tolist(), boxes, (scores > 0).tolist())
    assert not any("zones.yaml" in line for line in section(tmp_path, right))
    wrong = scored("a", scores.tolist(), boxes, [False] * 100)
    assert any("zones.yaml" in line for line in section(tmp_path, wrong))


def test_a_place_at_the_border_stays_in_the_picture():
    (row,) = alarm_hotspots([alarms([(0.9, 0.0, 1.0, 0.05)] * 20)]).to_dict("records")
    assert (row["y0"], row["x1"]) == (0, 1)
