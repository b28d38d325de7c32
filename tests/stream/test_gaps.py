"""Gaps in time, and the frames of a stored clip."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.clips import write_frames
from vad import UserError
from vad.footage.decode import Decoded, Resample
from vad.store import arrays, tables
from vad.stream import Frame, results
from vad.stream.gaps import Gaps, steps
from vad.stream.stored_frames import StoredFrames

PIXELS = np.zeros((2, 3), np.uint8)


def steps_of(times, fps: float) -> list[int]:
    """The steps that Gaps gives to frames at these times."""
    return [f.steps for f in results(Gaps(fps), (Frame(i, t, PIXELS) for i, t in enumerate(times)))]


@given(st.lists(st.floats(0.6, 1.4), max_size=50), st.sampled_from([5.0, 9.0, 29.97, 60.0]))
def test_jitter_is_no_gap(intervals, fps):
    """The time between neighbouring frames is up to 40 % off."""
    assert steps_of(np.r_[0, np.cumsum(intervals)] / fps, fps) == [1] * (len(intervals) + 1)


@given(st.lists(st.integers(1, 60), max_size=50), st.floats(0, 0.2), st.sampled_from([5.0, 9.0, 29.97, 60.0]))
def test_dropped_frames_are_counted(intervals, jitter, fps):
    """Time stamps are off by up to 20 % of an interval, so times between frames by up to 40 %."""
    ticks = np.r_[0, np.cumsum(intervals)]
    off = np.where(np.arange(len(ticks)) % 2, jitter, -jitter)
    assert steps_of((ticks + off) / fps, fps) == [1, *intervals]


def resampled_steps(times, fps: float) -> list[tuple[int, int]]:
    """(number, steps) of frames at these times after resampling."""
    decoded = (Decoded(i, t, None) for i, t in enumerate(times))
    chosen = results(Resample(fps), decoded)
    frames = (Frame(d.number, d.seconds, PIXELS) for d in chosen)
    return [(f.number, f.steps) for f in results(Gaps(fps), frames)]


def test_repeats_of_resampling_stand_for_the_intervals_of_a_gap():
    """15 of 25 frames per second are missing: the frame before is repeated for them."""
    times = [0, 0.04, 0.08, 0.72, 0.76]
    expected = [(0, 1), (1, 1), *[(2, 1)] * 16, (3, 1), (4, 1)]
    assert resampled_steps(times, 25.0) == expected


def test_repeats_of_a_higher_rate_are_no_gaps():
    steps_by_frame = resampled_steps(np.arange(6) * 0.08, 25.0)
    assert steps_by_frame == [(t // 2, 1) for t in range(11)]


def test_a_long_gap_is_not_filled_but_counted():
    assert resampled_steps([0, 0.1, 3600, 3600.1], 10.0) == [(0, 1), (1, 1), (2, 35999), (3, 1)]


def test_after_times_that_go_back_frames_are_chosen_anew():
    """As where the clock of a camera is set."""
    assert resampled_steps([50, 50.1, 20, 20.1], 10.0) == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_only_the_steps_change_and_frames_are_handed_on_at_once():
    gaps, pixels = Gaps(10.0), np.ones((4, 4), np.uint8)
    assert gaps.process(Frame(7, 0.7, pixels)) == [Frame(7, 0.7, pixels, 1)]
    (frame,) = gaps.process(Frame(10, 1.0, pixels))
    assert frame[:2] == (10, 1.0)
    assert frame.pixels is pixels
    assert frame.steps == 3
    assert gaps.finish() == []
    assert gaps.lookahead == 0


def test_a_repeated_frame_and_a_clock_that_runs_backwards_count_as_one_step():
    assert steps_of([0.0, 0.0, 0.1, 0.05], 10.0) == [1, 1, 1, 1]
    assert steps(-3.0, 10.0) == 1


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize(("source", "fps", "at_most"), [(20, 15, 2), (40, 30, 2), (10, 9, 2), (15, 10, 1)])
def test_steps_of_resampled_frames_do_not_depend_on_the_errors_of_their_times(source, fps, at_most, rounded):
    """Of frames chosen from more, some are further apart. Matroska rounds times to milliseconds."""
    times = np.arange(6 * source) / source
    times = times.round(3) if rounded else times
    decoded = [d.seconds for d in results(Resample(fps), (Decoded(i, t, None) for i, t in enumerate(times)))]
    apart = np.rint(np.diff(decoded) * source).astype(int)  # in frames of the source
    assert set(apart) == {1, 2}
    assert steps_of(decoded, fps) == [1, *np.minimum(apart, at_most)]


@pytest.mark.parametrize("shape", [(5, 8, 12), (5, 8, 12, 3)])
def test_stored_frames_are_those_of_the_files(tmp_path, shape):
    video = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    seconds = [1.0, 1.1, 1.4, 1.5, 1.52]
    write_frames(tmp_path / "clip", video, 10.0, seconds)
    stored = StoredFrames(tmp_path / "clip")
    assert (len(stored), stored.height, stored.width, stored.fps) == (5, 8, 12, 10.0)
    assert stored.card["shape"] == list(shape)
    for _ in range(2):
        got = list(stored)
        assert [f.number for f in got] == [0, 1, 2, 3, 4]
        assert [f.seconds for f in got] == seconds
        assert [f.steps for f in got] == [1, 1, 3, 1, 1]
        np.testing.assert_array_equal(np.stack([f.pixels for f in got]), video)
    # numbers are those of the source, as in the table
    tables.write_table(
        tmp_path / "clip",
        pd.DataFrame({"source_frame": np.array([3, 3, 4, 6, 9], np.int32), "seconds": seconds}),
    )
    assert [f.number for f in StoredFrames(tmp_path / "clip")] == [3, 3, 4, 6, 9]


def test_stored_frames_take_no_memory(tmp_path):
    """A clip of 60 MB, all of whose frames are kept."""
    with arrays.ArrayWriter(tmp_path / "clip", (200, 300), np.uint8, fps=10.0) as writer:
        for t in range(1000):
            writer.append(np.full((200, 300), t % 256, np.uint8))
    table = {"source_frame": np.arange(1000, dtype=np.int32), "seconds": np.arange(1000) / 10}
    tables.write_table(tmp_path / "clip", pd.DataFrame(table))
    stored = StoredFrames(tmp_path / "clip")
    tracemalloc.start()
    kept = list(stored)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6
    assert [int(f.pixels[7, 7]) for f in kept] == [t % 256 for t in range(1000)]


@pytest.mark.parametrize("suffix", ["npy", "json", "parquet"])
def test_missing_files_are_reported(tmp_path, suffix):
    write_frames(tmp_path / "clip", np.zeros((3, 4, 4), np.uint8))
    (tmp_path / f"clip.{suffix}").unlink()
    with pytest.raises(UserError, match=rf"clip\.{suffix}: .*`dvc repro` makes it"):
        StoredFrames(tmp_path / "clip")
