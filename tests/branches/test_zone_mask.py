"""What zones leave to be judged: boxes and cells, compared with counts of pixels; and what is measured."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.branches.measured import branches_of, measure, write_inputs
from vad.branches.zone_mask import ZoneMask
from vad.store.arrays import write_array
from vad.store.body_heights import BodyHeight
from vad.store.zones import CameraZones, Zone

HEIGHT, WIDTH = 32, 40
share = st.floats(0, 1)
polygons = st.lists(st.tuples(share, share), min_size=3, max_size=6).map(tuple)
zones_of_a_camera = st.lists(st.builds(Zone, st.sampled_from(["ignore", "only"]), polygons), max_size=3)
RIGHT = CameraZones((Zone("ignore", ((0.5, 0), (1, 0), (1, 1), (0.5, 1))),))


@given(zones_of_a_camera, st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_half_of_a_box_or_cell_is_enough(zones, seed, cell):
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, (WIDTH, HEIGHT), (50, 2))
    boxes = np.hstack([corners, np.minimum(corners + rng.integers(1, 30, (50, 2)), (WIDTH, HEIGHT))])
    boxes[0] = 0, 0, WIDTH, HEIGHT
    pixels = CameraZones(tuple(zones)).mask(HEIGHT, WIDTH)
    mask = ZoneMask(CameraZones(tuple(zones)), (HEIGHT, WIDTH), cell)
    expected = [pixels[y0:y1, x0:x1].mean() >= 0.5 for x0, y0, x1, y1 in boxes]
    expected[0] = True  # the whole frame
    assert mask.regions(boxes).tolist() == expected
    for (row, column), kept in np.ndenumerate(mask.cells):
        part = pixels[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        assert kept == (part.mean() >= 0.5)
    assert mask.regions(boxes[:0]).tolist() == []


def test_regions_that_are_not_judged_are_no_rows_and_the_others_are_as_before(tmp_path):
    """Regions of 8 x 8 pixels on the left, on the right, and with 5 or 3 columns on the left."""
    lefts = np.repeat([2, 30, 15, 17, 2, 30, 15], 2)  # every second frame has windows
    boxes = pd.DataFrame({"frame": np.arange(14), "x0": lefts, "y0": 4, "x1": lefts + 8, "y1": 12})
    stems = write_inputs(tmp_path, boxes=boxes)
    everything = measure(tmp_path, stems, branches_of(maps=True), "everything")
    part = measure(tmp_path, stems, branches_of(maps=True), "part", zones=RIGHT)
    kept = everything.table["x0"].isin([2, 15])
    assert 0 < kept.sum() < len(kept)
    pd.testing.assert_frame_equal(part.table, everything.table[kept].reset_index(drop=True))
    # calibration counts the frames that have regions
    assert (part.counts() > 0).sum() < (everything.counts() > 0).sum() == 14
    assert {*part.maps} == {*everything.maps} == {"reconstruction", "speed"}
    assert np.array_equal(part.maps["speed"][..., :5], everything.maps["speed"][..., :5])
    for maps in part.maps.values():
        assert maps[..., :5].any()
        assert not maps[..., 5:].any()


@pytest.mark.parametrize("batch", [1, 64])
def test_frames_may_lose_all_of_their_regions(tmp_path, batch):
    boxes = pd.DataFrame({"frame": np.arange(14), "x0": 30, "y0": 4, "x1": 38, "y1": 12})
    clip = measure(tmp_path, write_inputs(tmp_path, boxes=boxes), branches_of(batch_size=batch), zones=RIGHT)
    assert len(clip.table) == 0
    assert clip.maps["speed"].any()


def test_what_moves_where_nothing_is_judged_raises_no_speed_beside_it(tmp_path):
    stems = write_inputs(tmp_path)
    flow = np.zeros((14, 16, 20, 2), np.int8)
    flow[:, :, 10:] = 50  # the right half, to the edge
    write_array(stems[2], flow, method="dis", scale=0.5)
    body = BodyHeight.constant(20.0, HEIGHT)
    without = measure(tmp_path, stems, branches_of(), "without", body_height=body).maps["speed"]
    assert without[..., 4].any()
    assert not measure(tmp_path, stems, branches_of(), "a", body_height=body, zones=RIGHT).maps["speed"].any()
