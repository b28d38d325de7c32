"""Measuring a clip with all branches."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.branches.measured import BODY, STATISTICS, branches_of, measure, write_inputs
from tests.scoring.errors import calibrated, params, squeezed
from vad import UserError
from vad.branches.base import Branch, BranchErrors, BranchProcessor, ClipFormat, TensorShape
from vad.branches.classes import novelty_of
from vad.branches.error_files import read_error_files
from vad.branches.measurement import Measurement
from vad.branches.params import MeasureParams
from vad.branches.speed import Speed
from vad.scoring.calibrate import calibrate
from vad.scoring.pooling import frame_errors
from vad.store import arrays, cards
from vad.store.body_heights import BodyHeight


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
        values = frame_errors(clip, ["reconstruction"], params())["reconstruction"]
        np.testing.assert_allclose(values, np.repeat(expected, 2), rtol=1e-5)


def test_each_branch_has_a_column_or_maps(tmp_path):
    """Windows of detections have class novelty; every frame has speed."""
    stems = write_inputs(tmp_path)
    clip = measure(tmp_path, stems, branches_of(statistics=STATISTICS))
    classes = arrays.open_array(Path(f"{stems[1]}.classes"))[0]
    motion = np.arange(0, 14, 2) % 3 == 1
    expected = np.where(motion, 0, novelty_of(classes[::2], STATISTICS))
    np.testing.assert_allclose(clip.table["error_classes"], expected)
    assert motion.tolist() == [False, False, True, False, False, True, False]
    assert set(clip.table.dtypes.astype(str)) == {"int32", "float32"}
    assert clip.branches == ["reconstruction", "classes", "speed"]
    assert clip.learned == ("reconstruction", "classes")
    assert clip.maps["speed"].shape == (14, 8, 10)
    # 0.5 pixels per count, 10 frames per second, people of 5 pixels
    length = np.hypot(*np.moveaxis(arrays.open_array(stems[2])[0].astype(float), 3, 0)) * 0.5 * 10 / 5
    # boxes of 2 x 3 pixels of the flow around the middle of a cell, which is 2 x 2 of these
    expected = length[:, 4:7, 6:8].mean((1, 2))
    np.testing.assert_allclose(clip.maps["speed"][:, 2, 3], expected, rtol=2e-3)
    assert calibrate([clip], params(aggregate="cell")).branches == clip.branches
    stems = write_inputs(tmp_path, flow=False)
    assert measure(tmp_path, stems, branches_of()).branches == ["reconstruction"]


def test_twice_the_body_height_is_half_the_speed(tmp_path):
    """If the box is as large in pixels."""
    stems, speeds = write_inputs(tmp_path), []
    for factor in (1, 2):
        body = BodyHeight.constant(5.0 * factor, 32)
        speed = Speed(Speed.Params(width=0.8 / factor, height=1.2 / factor))
        speeds.append(measure(tmp_path, stems, [speed], body_height=body).maps["speed"].astype(float))
    np.testing.assert_allclose(speeds[1], speeds[0] / 2, rtol=2e-3)


def test_measure_cell_is_an_active_parameter():
    """Otherwise a change of it would not recompute the clips."""
    assert MeasureParams(cell=4).active() != MeasureParams(cell=8).active()


def test_tensors_of_other_regions_are_refused(tmp_path):
    for boxes in ({"frame": [0, 0, 2]}, {"frame": np.arange(1, 15)}, {"frame": np.arange(16)}):
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
    lowest = sum(squeezed(-norm.centre / norm.spread) for norm in norms)
    scores = both.frame_scores(full)
    np.testing.assert_allclose(both.frame_scores(empty), [lowest] * 14)
    assert lowest < scores.min()
    assert both.threshold == pytest.approx(np.percentile([*scores, *[lowest] * 14], 50))
    assert {len(both.region_scores(item, empty.size)) for item in empty.each_frame()} == {0}
    stems = write_inputs(tmp_path, 0, name="val/empty")
    mapped = measure(tmp_path, stems, branches_of(maps=True), "val/empty")
    assert mapped.maps["reconstruction"].shape == (14, 8, 10)
    assert not mapped.maps["reconstruction"].any()


@pytest.mark.parametrize(("of_regions", "expected"), [(0, 1), (1, 1), (5, 5)])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_the_card_has_the_number_of_frames_ahead(tmp_path, of_regions, expected, stride):
    """Windows of two frames reach one ahead, regions as far as their card says."""
    stems = write_inputs(tmp_path, 0, regions={"lookahead": of_regions})
    card = cards.read_card(stems[0])
    cards.write_json(Path(f"{stems[0]}.json"), card | {"stride": stride})
    measure(tmp_path, stems, branches_of())
    in_card = cards.read_card(tmp_path / "errors/a")["lookahead"]
    assert in_card == expected + max(s - t for s, t in nearest_grid(stride))


def nearest_grid(stride: int) -> list[tuple[int, int]]:
    """(frame with windows, frame that takes them), far from the ends of a clip."""
    return [
        (min(range(0, 99, stride), key=lambda s, t=t: (abs(s - t), s)), t) for t in range(40, 40 + stride)
    ]


class Late(Branch):
    """Gives the index of each frame, two frames later."""

    name = "late"
    learned = False

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor:
        return LateProcessor()


class LateProcessor(BranchProcessor):
    lookahead = 2
    columns = ("late",)
    maps = ("late",)

    def __init__(self):
        self.waiting = []

    def process(self, item):
        self.waiting += item
        return [self.errors() for _ in range(max(0, len(self.waiting) - 2))]

    def finish(self):
        return [self.errors() for _ in range(len(self.waiting))]

    def errors(self) -> BranchErrors:
        frame = self.waiting.pop(0)
        errors = np.full(len(frame.regions), frame.index, np.float32)
        return BranchErrors({"late": errors}, {"late": np.full((8, 10), frame.index, np.float16)})


def test_branches_that_look_ahead_stay_in_step(tmp_path):
    stems = write_inputs(tmp_path)
    late = Late(MeasureParams())
    for name, branches in (("a", [*branches_of(batch_size=3), late]), ("b", branches_of())):
        measure(tmp_path, stems, branches, name)
    (table, maps, card), (other, other_maps, _) = (read_error_files(tmp_path / "errors" / n) for n in "ab")
    assert table["error_late"].tolist() == table["frame"].tolist()
    np.testing.assert_array_equal(np.asarray(maps["late"][:, 3, 4]), np.arange(14))
    np.testing.assert_array_equal(table["error_reconstruction"], other["error_reconstruction"])
    np.testing.assert_array_equal(maps["speed"], other_maps["speed"])
    assert card["learned"] == ["reconstruction"]
    assert card["lookahead"] == 1 + 2


class Recorder(Late):
    """Keeps the format of the clip."""

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor:
        self.clip = clip
        return super().processor(clip, threads)


def test_branches_get_rate_camera_and_body_height(tmp_path):
    branch = Recorder(MeasureParams())
    measure(tmp_path, write_inputs(tmp_path), [branch])
    assert (branch.clip.fps, branch.clip.camera, branch.clip.body_height) == (10.0, "hall", BODY)


class Namesake(Late):
    name = "namesake"


def test_two_branches_with_errors_of_the_same_name_are_refused():
    form = ClipFormat((32, 40), 4, TensorShape(8, 8, "stretch"), fps=10.0, body_height=BODY)
    with pytest.raises(ValueError, match="two branches are called late"):
        Measurement([Late(MeasureParams()), Namesake(MeasureParams())], form)
