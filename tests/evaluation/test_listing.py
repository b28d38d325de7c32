"""The plain text listing of scores."""

import re
import tracemalloc
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad.evaluation import listing

FEW = np.array([False, True, False])


def test_the_listing_of_a_clip_by_hand():
    got = listing.lines("hall fall", np.array([7, 56, 100]), np.array([-0.00001, 0.00718, -1.5]), FEW)
    assert got == [
        "Clip hall fall  frames 3  anomalies 1",
        "Frame 007  score 0.0000",
        "Frame 056  score 0.0072  anomaly",
        "Frame 100  score -1.5000",
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.floats(-1e3, 1e5, width=32), st.booleans()),
        unique_by=lambda row: row[0],
        max_size=30,
    )
)
@settings(max_examples=50, deadline=None)
def test_lines_hold_number_score_and_alarm_of_every_frame(rows):
    rows.sort()
    numbers, scores, alarms = ([row[i] for row in rows] for i in range(3))
    head, *body = listing.lines(
        "a", np.array(numbers, int), np.array(scores, np.float32), np.array(alarms, bool)
    )
    assert re.fullmatch(rf"Clip a  frames {len(rows)}  anomalies {alarms.count(True)}", head)
    matches = [re.fullmatch(r"Frame (\d{3,})  score (-?\d+\.\d{4})(  anomaly)?", line) for line in body]
    assert [int(m[1]) for m in matches] == numbers
    assert [float(m[2]) for m in matches] == pytest.approx(scores, abs=5.1e-5)
    assert [m[3] is not None for m in matches] == alarms
    assert {len(m[1]) for m in matches} <= {max(3, len(str(max(numbers, default=0))))}


def test_arrays_of_different_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        listing.lines("a", np.arange(3), np.zeros(2), FEW)


def test_the_file_holds_the_clips_one_after_the_other(tmp_path):
    clips = [("größer", np.arange(3), np.arange(3) / 2, FEW), ("b", np.arange(0), np.zeros(0), FEW[:0])]
    clips.append(("c", np.array([1200]), np.ones(1), np.ones(1, bool)))
    path = tmp_path / "new/frames.txt"
    listing.write_listing(path, clips)
    expected = "\n\n".join("\n".join(listing.lines(*clip)) for clip in clips) + "\n"
    assert path.read_bytes().decode() == expected
    listing.write_listing(path, iter(clips[:1]))
    assert path.read_text("utf-8").splitlines() == listing.lines(*clips[0])
    listing.write_listing(path, [])
    assert path.read_bytes() == b""


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    n = 100_000
    clip = ("long", np.arange(n), np.random.default_rng(0).random(n), np.arange(n) % 7 == 0)
    tracemalloc.start()
    listing.write_listing(tmp_path / "frames.txt", (clip for _ in range(2)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000  # the lines themselves are 2.7 MB a clip
    with open(tmp_path / "frames.txt") as file:
        assert next(islice(file, 1, None)).startswith("Frame 00000  score 0.")
        rest = sum(1 for _ in file)
    assert rest == (n - 1) + 1 + (1 + n)  # of the first clip, the empty line, the second with its heading
