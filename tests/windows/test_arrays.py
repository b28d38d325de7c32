"""Windows as arrays: those of the cutter and those on disk."""

import numpy as np

from tests.windows.tensors import cut_clip, numbered, tensor_spec
from vad.resize.channels import Sources
from vad.resize.cutter import Cutter
from vad.stream import Frame, Observation, Regions, results
from vad.windows.arrays import stack
from vad.windows.dataset import Windows


def test_stacked_windows_are_those_that_training_reads(tmp_path):
    video, spec = numbered(6, 8, 10), tensor_spec(8, 10, 3, channels=["gray", "difference"])
    cut_clip(tmp_path, video, spec)
    boxes, one = np.array([[0, 0, 10, 8]], np.int32), np.zeros(1, np.int32)
    regions = Regions(boxes, one, np.array(["frame"]), np.ones(1, np.float32))
    clip = [Observation(Frame(t, t / 10, pixels), None, regions) for t, pixels in enumerate(video)]
    frames = list(results(Cutter(spec, Sources(8, 10)), clip))
    expected = Windows(tmp_path / "tensors")[np.arange(6)]
    got = stack([pictures for frame in frames for pictures in frame.pictures])
    assert (got.dtype, got.shape) == (np.uint8, (6, 2, 3, 8, 10))
    np.testing.assert_array_equal(got, expected)
    assert got.strides == expected.strides  # sums in another order would differ in their last digits
