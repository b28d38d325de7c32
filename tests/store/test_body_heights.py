"""Body heights: lines over rows, frames of other sizes, and their file."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad import UserError
from vad.store import body_heights
from vad.store.body_heights import BodyHeight, BodyHeights, read_body_heights, write_body_heights

HALL = BodyHeight(-20.0, 100.0, 12.0, 240, "fit", 500)


def test_heights_lie_on_a_line_and_are_never_below_the_least():
    np.testing.assert_allclose(HALL.at_feet([240, 120, 64, 0, -900]), [100, 40, 12, 12, 12])
    assert HALL.at_feet(120).shape == ()
    assert HALL.at_feet(np.full((2, 3), 120)).shape == (2, 3)
    assert (BodyHeight.constant(30, 240).at_feet([-5, 0, 240]) == 30).all()


@given(
    far=st.floats(-200, 60),
    slope=st.floats(0, 1.4),
    least=st.floats(1, 30),
    feet=st.floats(0, 240),
)
def test_the_height_at_the_centre_is_that_at_the_feet(far, slope, least, feet):
    height = BodyHeight(far, far + 240 * slope, least, 240)
    tall = height.at_feet(feet)
    np.testing.assert_allclose(height.at_centre(feet - tall / 2), tall, rtol=1e-9)


@given(rows=st.integers(1, 2000), feet=st.floats(0, 240))
def test_heights_grow_with_the_frame(rows, feet):
    factor = rows / 240
    np.testing.assert_allclose(HALL.scaled(rows).at_feet(feet * factor), factor * HALL.at_feet(feet))
    assert HALL.scaled(240) == HALL


def test_a_camera_without_an_entry_has_that_of_others():
    other = BodyHeight.constant(50, 480)
    heights = BodyHeights({"hall": HALL, "": other})
    assert heights.of("hall", 240) == HALL
    assert heights.of("hall", 480).near == 200
    assert heights.of("yard", 240).near == 25
    assert BodyHeights({}).of("yard", 240) == BodyHeight.default(240)


def test_the_file_keeps_everything(tmp_path):
    heights = BodyHeights({"hall": HALL, "": BodyHeight.default(240), "жук": BodyHeight.constant(7.5, 99)})
    write_body_heights(tmp_path / "data/body_height.json", heights)
    assert read_body_heights(tmp_path / "data/body_height.json") == heights
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["body_height.json"]


def test_a_failure_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "heights.json"
    write_body_heights(path, BodyHeights({"": HALL}))

    def full(path, value):
        path.write_text("{")
        raise OSError("disk full")

    monkeypatch.setattr(body_heights, "write_json", full)
    with pytest.raises(OSError, match="disk full"):
        write_body_heights(path, BodyHeights({}))
    assert read_body_heights(path) == BodyHeights({"": HALL})


ENTRY = {"far": 1.0, "near": 2.0, "least": 1.0, "rows": 240, "origin": "fit", "regions": 3}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"": 3}',
        json.dumps({"": ENTRY | {"least": 0}}),
        json.dumps({"": ENTRY | {"rows": 0}}),
        json.dumps({"": ENTRY | {"far": None}}),
        json.dumps({"": ENTRY | {"near": "2"}}),
        json.dumps({"": ENTRY | {"near": float("nan")}}),
        json.dumps({"": ENTRY | {"near": -2.0}}),
        json.dumps({"": ENTRY | {"least": float("inf")}}),
        json.dumps({"": ENTRY | {"colour": "red"}}),
        json.dumps({"": {"far": 1.0}}),
    ],
)
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "heights.json").write_text(content)
    with pytest.raises(UserError, match=r"heights\.json: .*`dvc repro"):
        read_body_heights(tmp_path / "heights.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.json"):
        read_body_heights(tmp_path / "gone.json")
