"""The assignment of all frames to every n-th frame."""

from hypothesis import given
from hypothesis import strategies as st

from vad.windows.stride import nearest


@given(st.integers(1, 60), st.integers(1, 20))
def test_each_frame_takes_the_nearest_and_of_two_equally_near_the_earlier(frames, stride):
    grid = range(0, frames, stride)
    expected = [min(range(len(grid)), key=lambda k: (abs(grid[k] - t), k)) for t in range(frames)]
    assert nearest(frames, stride).tolist() == expected
