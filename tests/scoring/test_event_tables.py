"""Tables of events, for files and logs."""

import numpy as np
import pytest

from tests.scoring.test_events import PLAIN, digits
from vad.scoring import event_tables, events
from vad.scoring.times import clip_time
from vad.store.intervals import frame_labels


def test_the_table_of_events_counts_source_frames_like_labels():
    source, times = 100 + 5 * np.arange(20), 4 + np.arange(20) / 5  # every fifth of 25 frames per second
    scores = digits("00120000000000000003")
    happened = events.find(scores, 0.5, 5.0, PLAIN, {"look": scores * 0.25, "move": scores * 0.75})
    table = event_tables.table("fall 1", happened, 5.0, source, times)
    assert table.columns.tolist() == event_tables.COLUMNS
    assert table["clip"].tolist() == ["fall 1"] * 2
    assert table[["start", "end", "peak"]].to_numpy().tolist() == [[110, 116, 115], [195, 196, 195]]
    assert table["start_seconds"].tolist() == pytest.approx([4.4, 7.8])
    assert table["end_seconds"].tolist() == pytest.approx([4.8, 8.0])
    assert table[["from", "to"]].to_numpy().tolist() == [["0:04.4", "0:04.8"], ["0:07.8", "0:08.0"]]
    assert table["score"].tolist() == [2.0, 3.0]
    assert table["branches"].tolist() == ["move 75%, look 25%"] * 2
    intervals = list(zip(table["start"], table["end"], strict=True))
    assert frame_labels(intervals, source).tolist() == events.alarms(happened, 20).tolist()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (9, "0:09.0"), (59.96, "1:00.0"), (754.32, "12:34.3"), (3600, "1:00:00.0")],
)
def test_times_are_minutes_and_seconds(seconds, text):
    assert clip_time(seconds) == text


def test_a_log_lists_the_first_events_and_counts_the_rest():
    scores = np.zeros(100)
    scores[::4] = 2.0
    happened = events.find(scores, 0.5, 1.0, PLAIN, {"look": scores})
    table = event_tables.table("fall", happened, 1.0, np.arange(100), np.arange(100.0))
    lines = event_tables.event_lines(table)
    assert lines[0] == "fall: 0:00.0 to 0:01.0, score 2.00 (look 100%)"
    assert (len(lines), lines[-1]) == (21, "… and 5 more, in data/scores/events.csv")
    assert len(event_tables.event_lines(table.head(20))) == 20


def test_the_table_of_a_clip_without_events_has_only_columns():
    table = event_tables.table("a", [], 25.0, np.arange(5), np.arange(5) / 25)
    assert table.empty
    assert table.columns.tolist() == event_tables.COLUMNS
