"""The errors of a clip for calibration and scoring."""

import numpy as np
from hypothesis import given, settings

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
    write_errors(tmp_path / "test/a", [0.5, 0.25], [0, 6], maps=["speed"], learned=["look"])
    (clip,) = read_errors(tmp_path, {"test/a": "hall"})
    assert (clip.clip, clip.camera, clip.fps, clip.cell) == ("test/a", "hall", 12.5, 4)
    assert (clip.frames, clip.stride, clip.size, clip.shape) == (12, 3, (12, 16), (3, 4))
    assert (clip.branches, clip.region_branches, clip.learned) == (["look", "speed"], ["look"], ("look",))
    np.testing.assert_array_equal(clip.maps["speed"], maps)
    assert isinstance(clip.maps["speed"], np.memmap)
    expected = [0.5, 0.5, *[0] * 3, *[0.25] * 3, *[0] * 4]
    assert frame_errors(clip, ["look"], params(), False)["look"].tolist() == expected
