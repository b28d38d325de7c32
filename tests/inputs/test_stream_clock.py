"""The clock of a stream: steady, whatever the stamps and the arrivals do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad.inputs.stream_clock import StreamClock

seconds = st.floats(0, 1e6, allow_nan=False)


def run(stamps, arrivals, rate: float | None = 25.0) -> tuple[np.ndarray, list[int], StreamClock]:
    """(times, positions of jumps, the clock) of a connection."""
    clock = StreamClock()
    clock.restart(rate)
    timed = [clock.time(stamp, arrival) for stamp, arrival in zip(stamps, arrivals, strict=True)]
    return np.array([t for t, _ in timed]), [i for i, (_, jumped) in enumerate(timed) if jumped], clock


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), seconds), st.floats(0, 50), st.sampled_from([True] + 9 * [False])),
        min_size=1,
        max_size=60,
    )
)
def test_times_always_grow(frames):
    clock, arrival, before = StreamClock(), 0.0, -1.0
    for stamp, passed, reopened in frames:
        if reopened:
            clock.restart(None)
        arrival += passed
        time, _ = clock.time(stamp, arrival)
        assert before < time
        before = time
        assert clock.rate is None or clock.rate > 0


@given(seconds, st.integers(0, 2**32 - 1), st.sampled_from([2, 5, 12.5, 25, 60]))
def test_late_frames_are_not_slow(start, seed, fps):
    """Frames come in bursts and up to a second late, as over a busy network; the first three at once."""
    n = np.arange(200)
    late = np.random.default_rng(seed).exponential(0.3, 200).clip(0, 1)
    arrivals = np.maximum.accumulate(np.maximum(n - 3, 0) / fps + late)
    times, jumps, clock = run(start + n / fps, arrivals, fps)
    np.testing.assert_allclose(times, n / fps, atol=1e-6)
    assert jumps == []
    assert clock.rate == fps


@pytest.mark.parametrize("jump", [-1e5, -3.0, 3.0, 1e5])
def test_stamps_that_jump_pass_as_the_wall_clock_does(jump):
    n = np.arange(100)
    stamps, arrivals = n / 25.0, n / 25 + 100.0
    stamps[40:] += jump
    times, jumps, _ = run(stamps, arrivals)
    assert jumps == [40]
    np.testing.assert_allclose(times, n / 25, atol=1e-6)


@pytest.mark.parametrize("late", [0.0, 1.0])
def test_a_gap_is_as_long_as_it_was(late):
    """Frames 40 to 139 never came; those before the gap may have been held up and have come after it."""
    n = np.r_[:40, 140:200]
    arrivals = n / 25
    held = (n < 40) & (n >= 40 - 25 * late)
    arrivals[held] = 140 / 25
    times, jumps, clock = run(n / 25, arrivals)
    assert jumps == []
    np.testing.assert_allclose(times, n / 25, atol=1e-9)
    assert clock.rate == 25


def test_a_slow_camera_has_no_gaps():
    n = np.arange(40)
    times, jumps, clock = run(n * 4.0, n * 4.0 + 7, None)
    assert jumps == []
    np.testing.assert_allclose(times, n * 4.0)
    assert clock.rate == pytest.approx(0.25)


def test_stamps_that_are_missing_or_out_of_order_shift_no_other_frame():
    n = np.arange(60)
    stamps = [None if i in (0, 20, 21) else i / 25 for i in n]
    stamps[30] = 29.5 / 25 - 0.02
    times, jumps, _ = run(stamps, n / 25)
    assert jumps == []
    others = np.delete(n, 30)
    np.testing.assert_allclose(times[others], others / 25, atol=1e-9)


@pytest.mark.parametrize("stamps", ["none", "always 0"])
@pytest.mark.parametrize("fps", [5.0, 25.0])
def test_without_stamps_time_is_that_of_the_arrivals_but_steadier(stamps, fps):
    n = np.arange(1000)
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, 1000) / fps
    arrivals = n / fps + jitter
    times, jumps, clock = run([None if stamps == "none" else 0.0] * 1000, arrivals, None)
    assert jumps == []
    steps = np.diff(times)[20:] * fps
    assert steps.std() < np.diff(arrivals)[20:].std() * fps / 2
    assert np.abs(times - n / fps)[20:].max() < 0.6 / fps + 0.1
    assert clock.rate == pytest.approx(fps, rel=0.03)


def test_a_gap_without_stamps():
    n = np.r_[:100, 200:300]
    times, _, _ = run([None] * 200, n / 25)
    assert times[100] - times[99] == pytest.approx(101 / 25, abs=0.05)


def test_a_stream_that_is_reopened_goes_on_by_the_wall_clock():
    clock = StreamClock()
    clock.restart(25.0)
    for i in range(30):
        clock.time(1000 + i / 25, i / 25)
    clock.restart(10.0)
    again = [clock.time(i / 10, 60 + i / 10) for i in range(30)]
    assert again[0] == (pytest.approx(60), False)
    np.testing.assert_allclose([t for t, _ in again], 60 + np.arange(30) / 10)


@pytest.mark.parametrize("stated", [None, 25.0, 50.0])
def test_the_stated_rate_counts_unless_it_is_wrong(stated):
    n = np.arange(100)
    _, _, clock = run(n[:10] / 24.8, n[:10] / 24.8, stated)
    assert clock.rate == stated, "too few frames to measure"
    _, _, clock = run(n / 24.8, n / 24.8, stated)
    assert clock.rate == pytest.approx(25 if stated == 25 else 24.8)
