"""The errors of a clip for calibration and scoring."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.branches.stored_errors import write_errors
from tests.scoring.boxes import boxed_clip, boxed_clips, nearest_with_windows
from tests.scoring.errors import params
from vad.scoring.clip_errors import read_errors
from vad.scoring.pooling import frame_errors
from vad.store import arrays

RNG = np.random.default_rng(0)


@given(boxed_clips())
@settings(max_examples=50, deadline=None)
def test_counts_are_of_the_regions_that_a_frame_s_error_is_made_from(clip):
    frames = clip.table["frame"].tolist()
    expected = [frames.count(nearest_with_windows(clip, t)) for t in range(clip.frames)]
    assert clip.counts().tolist() == expected


def test_which_regions_are_the_whole_frame():
    rows = [(0, 0, 0, 0, 16, 12, 1, 1), (0, 1, 0, 0, 15, 12, 1, 1), (1, 0, 0, 0, 16, 12, 1, 1)]
    clip = boxed_clip(rows, 2)
    assert clip.whole_frames().tolist() == [True, False, True]
    assert clip.select(clip.whole_frames()).table["frame"].tolist() == [0, 1]


def test_errors_are_read_with_their_maps(tmp_path):
    maps = RNG.random((12, 3, 4)).astype(np.float16)
    arrays.write_array(tmp_path / "test/a.map_speed", maps)
    write_errors(tmp_path / "test/a", [0.5, 0.25], [0, 6], maps=["speed"], learned=["look"], lookahead=4)
    (clip,) = read_errors(tmp_path, {"test/a": "hall"})
    assert clip.lookahead == 4
    assert (clip.clip, clip.camera, clip.fps, clip.cell) == ("test/a", "hall", 12.5, 4)
    assert (clip.frames, clip.stride, clip.size, clip.shape) == (12, 3, (12, 16), (3, 4))
    assert (clip.branches, clip.region_branches, clip.learned) == (["look", "speed"], ["look"], ("look",))
    np.testing.assert_array_equal(clip.maps["speed"], maps)
    assert isinstance(clip.maps["speed"], np.memmap)
    expected = [0.5, 0.5, *[0] * 3, *[0.25] * 3, *[0] * 4]
    assert frame_errors(clip, ["look"], params())["look"].tolist() == expected


@given(boxed_clips(), st.integers(0, 14), st.integers(0, 14))
@settings(max_examples=50, deadline=None)
def test_errors_come_frame_by_frame_with_the_regions_of_the_nearest_frame(clip, first, end):
    items = list(clip.each_frame(first, end))
    assert [item.index for item in items] == list(range(first, min(end, clip.frames)))
    for item in items:
        assert item.source == nearest_with_windows(clip, item.index)
        rows = clip.table[clip.table["frame"] == item.source]
        assert item.regions.boxes.tolist() == rows[["x0", "y0", "x1", "y1"]].to_numpy().tolist()
        assert item.regions.tracks.tolist() == rows["track"].tolist()
        for branch in ("look", "move"):
            assert item.errors[branch].tolist() == rows[f"error_{branch}"].tolist()
        assert item.maps["speed"].tolist() == clip.maps["speed"][item.index].tolist()
    assert len(list(clip.each_frame())) == clip.frames


@given(boxed_clips())
@settings(max_examples=50, deadline=None)
def test_the_highest_value_of_a_frame_is_that_of_its_regions(clip):
    values = clip.table["error_look"].to_numpy() - 1
    frames = clip.table["frame"].to_numpy()
    expected = [
        max(values[frames == nearest_with_windows(clip, t)].tolist(), default=0) for t in range(clip.frames)
    ]
    assert clip.frame_maximum(values).tolist() == expected
