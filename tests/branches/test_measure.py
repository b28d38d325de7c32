"""Measuring a clip with all branches."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.branches.measured import STATISTICS, branches_of, measure, write_inputs
from tests.scoring.errors import calibrated, params, squeezed
from vad import UserError
from vad.branches.classes import novelty_of
from vad.branches.params import MeasureParams
from vad.scoring.calibrate import calibrate
from vad.scoring.pooling import frame_errors
from vad.store import arrays


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_errors_do_not_depend_on_the_batch(tmp_path, batch_size, maps):
    stems = write_inputs(tmp_path)
    clip = measure(tmp_path, stems, branches_of(batch_size=batch_size, maps=maps))
    planes = (arrays.open_array(stems[0])[0] / 255 / 2) ** 2
    expected = np.array([planes[i : i + 2].mean() for i in range(7)])
    np.testing.assert_allclose(clip.table["error_reconstruction"], expected, rtol=1e-5)
    assert clip.table["frame"].tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert clip.boxes.tolist() == [[0, 0, 40, 32]] * 7
    assert (clip.frames, clip.stride, clip.size, clip.fps, clip.cell) == (14, 2, (32, 40), 10.0, 4)
    assert clip.whole_frames().all()
    assert (clip.branches, clip.learned) == (["reconstruction", "speed"], ("reconstruction",))
    assert list(clip.maps) == (["reconstruction", "speed"] if maps else ["speed"])
    assert Path(f"{tmp_path}/errors/a.map_reconstruction.npy").exists() == maps
    if not maps:  # else a frame's error is that of its cells
        values = frame_errors(clip, ["reconstruction"], params(), False)["reconstruction"]
        np.testing.assert_allclose(values, np.repeat(expected, 2), rtol=1e-5)


def test_each_branch_has_a_column_or_maps(tmp_path):
    """Windows of detections have class novelty; every frame has speed."""
    stems = write_inputs(tmp_path)
    clip = measure(tmp_path, stems, branches_of(statistics=STATISTICS))
    classes = arrays.open_array(Path(f"{stems[1]}.classes"))[0]
    motion = np.arange(1, 14, 2) % 5 == 1
    expected = np.where(motion, 0, novelty_of(classes[1::2], STATISTICS))
    np.testing.assert_allclose(clip.table["error_classes"], expected)
    assert motion.tolist() == [True, False, False, False, False, True, False]
    assert set(clip.table.dtypes.astype(str)) == {"int32", "float32"}
    assert clip.branches == ["reconstruction", "classes", "speed"]
    assert clip.learned == ("reconstruction", "classes")
    assert clip.maps["speed"].shape == (14, 8, 10)
    length = 0.5 * np.hypot(*np.moveaxis(arrays.open_array(stems[2])[0].astype(float), 3, 0))
    # boxes of 2 x 3 pixels of the flow around the middle of a cell, which is 2 x 2 of these
    expected = length[:, 4:7, 6:8].mean((1, 2))
    np.testing.assert_allclose(clip.maps["speed"][:, 2, 3], expected, rtol=2e-3)
    assert calibrate([clip], params(aggregate="cell")).branches == clip.branches
    stems = write_inputs(tmp_path, flow=False)
    assert measure(tmp_path, stems, branches_of()).branches == ["reconstruction"]


def test_measure_cell_is_an_active_parameter():
    """Otherwise a change of it would not recompute the clips."""
    assert MeasureParams(cell=4).active() != MeasureParams(cell=8).active()


def test_tensors_of_other_regions_are_refused(tmp_path):
    for boxes in ({"frame": [0, 0, 2]}, {"frame": np.arange(14)}):
        stems = write_inputs(tmp_path, boxes=pd.DataFrame(boxes).assign(x0=0, y0=0, x1=40, y1=32))
        with pytest.raises(UserError, match=r"tensors/a was not made from .*regions/a.*dvc repro resize"):
            measure(tmp_path, stems, branches_of())


def test_a_clip_without_regions_is_measured_and_calibrated(tmp_path):
    """Its frames have the lowest score."""
    full, empty = (
        measure(
            tmp_path, write_inputs(tmp_path, windows, name=name), branches_of(statistics=STATISTICS), name
        )
        for name, windows in (("val/full", 7), ("val/empty", 0))
    )
    assert len(empty.table) == 0
    assert empty.table.dtypes.to_dict() == full.table.dtypes.to_dict()
    assert empty.maps["speed"].any()
    chosen = {"branches": ["reconstruction", "classes"]}
    both, alone = calibrated(full, empty, **chosen), calibrated(full, **chosen)
    assert both.frames == 28
    norms = [both.standardisation[""][branch] for branch in both.branches]
    assert norms == [alone.standardisation[""][branch] for branch in both.branches]
    lowest = sum(squeezed(-norm["centre"] / norm["spread"]) for norm in norms)
    scores = both.frame_scores(full)
    np.testing.assert_allclose(both.frame_scores(empty), [lowest] * 14)
    assert lowest < scores.min()
    assert both.threshold == pytest.approx(np.percentile([*scores, *[lowest] * 14], 50))
    assert both.region_scores(empty).shape == (0,)
    stems = write_inputs(tmp_path, 0, name="val/empty")
    mapped = measure(tmp_path, stems, branches_of(maps=True), "val/empty")
    assert mapped.maps["reconstruction"].shape == (14, 8, 10)
    assert not mapped.maps["reconstruction"].any()
