"""Zones: polygons compared with those of matplotlib; files that are refused, and why."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon

from tests.project import ROOT
from vad import UserError
from vad.store.zones import CameraZones, Zone, Zones, read_zones

SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
RIGHT = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
share = st.floats(0, 1)


def written(folder: Path, text: str) -> Path:
    path = folder / "zones.yaml"
    path.write_text(text, "utf-8")
    return path


@given(st.tuples(*[st.tuples(share, share)] * 3), st.integers(1, 40), st.integers(1, 40))
def test_a_triangle_has_the_pixels_whose_centres_lie_inside(triangle, height, width):
    (x0, y0), (x1, y1), (x2, y2) = triangle
    assume(
        abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) > 1e-6
    )  # of a line, either radius grows both sides
    got = Zone("ignore", triangle).inside(height, width)
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    centres = np.stack([x, y], -1).reshape(-1, 2)
    outline = Polygon([*triangle, triangle[0]])
    # whatever the direction of the corners, a positive radius grows one of the two, a negative the other
    a, b = (outline.contains_points(centres, radius=r).reshape(height, width) for r in (1e-9, -1e-9))
    assert got[a & b].all()
    assert not got[~a & ~b].any()


@given(st.lists(st.tuples(share, share), min_size=3, max_size=9), st.data())
def test_corners_may_begin_anywhere_and_go_either_way(corners, data):
    first = data.draw(st.integers(0, len(corners) - 1))
    turned = tuple((corners[first:] + corners[:first])[:: data.draw(st.sampled_from([1, -1]))])
    areas = [Zone("only", polygon).inside(9, 11) for polygon in (tuple(corners), turned)]
    # but for centres on an edge
    assert np.count_nonzero(areas[0] != areas[1]) <= len(corners)


def test_halves_touch_without_overlap():
    left, right = (Zone("ignore", polygon).inside(7, 9) for polygon in (LEFT, RIGHT))
    assert (left ^ right).all()


def test_a_zone_is_at_the_same_part_of_a_picture_of_any_size():
    for height, width in ((8, 8), (480, 640)):
        inside = Zone("ignore", SQUARE).inside(height, width)
        expected = np.zeros((height, width), bool)
        expected[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
        assert np.array_equal(inside, expected)


def test_what_is_judged():
    square, left, right = (Zone("only", corners) for corners in (SQUARE, LEFT, RIGHT))
    inside, half = square.inside(8, 8), left.inside(8, 8)
    hole = Zone("ignore", SQUARE)
    assert CameraZones().mask(8, 8).all()
    assert np.array_equal(CameraZones((hole,)).mask(8, 8), ~inside)
    assert np.array_equal(CameraZones((square,)).mask(8, 8), inside)
    assert CameraZones((left, right)).mask(8, 8).all(), "either will do"
    assert np.array_equal(CameraZones((hole, left)).mask(8, 8), half & ~inside), "in any order"


def test_a_file_has_zones_by_camera_and_for_all(tmp_path):
    path = written(
        tmp_path,
        """
        all:
          - {kind: ignore, polygon: [[0, 0], [1, 0], [1, 0.1], [0, 0.1]], name: date}
        hall:
          - name: door
            kind: only
            polygon: [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
        yard:
        """,
    )
    zones = read_zones(path)
    date = Zone("ignore", ((0.0, 0.0), (1.0, 0.0), (1.0, 0.1), (0.0, 0.1)), "date")
    assert zones.of("hall").zones == (date, Zone("only", LEFT, "door"))
    assert zones.of("yard").zones == zones.of("").zones == zones.of("all").zones == (date,)
    zones.require(["hall", "yard"], path)
    with pytest.raises(
        UserError, match=r"zones.yaml: no clip has the camera 'yard'; .* attic, hall, and `all`"
    ):
        zones.require(["hall", "attic"], path)


def test_the_file_of_this_project_is_empty_and_its_example_valid(tmp_path):
    path = ROOT / "data/zones.yaml"
    assert read_zones(path) == Zones()
    lines = path.read_text("utf-8").splitlines()
    example = "\n".join(line[2:] for line in lines[lines.index("#") + 1 :])
    (zone,) = read_zones(written(tmp_path, example)).of("hall").zones
    assert (zone.name, zone.kind) == ("clock", "ignore")


def test_hashes_are_of_what_has_an_effect(tmp_path):
    square, left = Zone("ignore", SQUARE), Zone("ignore", LEFT)
    zones = Zones({"hall": (square, left), "yard": ()})
    same = Zones({"hall": (left, Zone("ignore", SQUARE, "clock"))})
    assert (zones.hash, zones.of("hall").hash) == (same.hash, same.of("hall").hash)
    assert read_zones(written(tmp_path, "# a remark\nhall:\n")).hash == Zones().hash
    others = [
        Zones(),
        Zones({"hall": (square,)}),
        Zones({"all": (square, left)}),
        Zones({"hall": (square, Zone("only", LEFT))}),
        Zones({"hall": (square, Zone("ignore", RIGHT))}),
    ]
    assert len({z.hash for z in [zones, *others]}) == 1 + len(others)
    assert len({z.of("hall").hash for z in [zones, *others]}) == len(others), "all and hall have the same"
    assert Zones({"yard": (left,)}).of("hall").hash == CameraZones().hash


AREA = "polygon: [[0, 0], [1, 0], [1, 0.5]]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- hall", "names of cameras with their zones are expected, found \\['hall'\\]"),
        ("hall: 3", "camera 'hall': a list of zones is expected"),
        ("hall: {kind: ignore}", "camera 'hall': a list of zones is expected"),
        ("007: []", "the camera 7 is read as a number; put it in quotes"),
        ("hall: [clock]", "camera 'hall', zone 1: the keys name, kind, polygon are expected, found 'clock'"),
        (f"hall: [{{kind: ignore, {AREA}, colour: red}}]", "zone 1: unknown key 'colour'; the keys are"),
        (
            f"hall: [{{{AREA}, name: clock}}]",
            r"zone 1 \(clock\): kind is missing; the kinds are ignore, only",
        ),
        (f"hall: [{{{AREA}, kind: exclude}}]", "zone 1: kind = 'exclude' is unknown; the kinds are"),
        (f"hall: [{{{AREA}, kind: [a]}}]", "zone 1: kind = .* is unknown"),
        (f"hall: [{{{AREA}, kind: ignore, name: 3}}]", "zone 1: name = 3: a text is expected"),
        ("hall: [{kind: ignore}]", "zone 1: polygon = None: three or more points"),
        ("hall: [{kind: ignore, polygon: [[0, 0], [1, 1]]}]", "three or more points"),
        ("hall: [{kind: ignore, polygon: [0, 0, 1, 1]}]", "zone 1: 0 is no point; two numbers"),
        ("hall: [{kind: ignore, polygon: [[0, 0], [1, 0], [true, 1]]}]", r"\[True, 1\] is no point"),
        (
            "hall: [{kind: ignore, polygon: [[0, 0], [320, 0], [9, 9]]}]",
            r"\[320, 0\] lies .* these are pixels",
        ),
        ("hall: [{kind: ignore, polygon: [[0, 0], [1.01, 0], [1, 1]]}]", "outside the picture.*the border"),
        ("hall: [{kind: ignore, polygon: [[0, 0], [-0.1, 0], [1, 1]]}]", "outside the picture.*the border"),
        ("hall: [{kind: ignore, polygon: [[0, 0], [.nan, 0], [1, 1]]}]", "outside the picture"),
        ("hall: [{kind: ignore, polygon: [[0, 0], [.inf, 0], [1, 1]]}]", "outside the picture"),
        ("hall: [\nyard: 3", "line 2: not valid YAML"),
        ("hall:\nhall:\n", "line 2: not valid YAML: .*duplicate"),
        (
            "hall: [{kind: ignore, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}]",
            "'hall': its zones leave nothing",
        ),
        ("hall: [{kind: only, polygon: [[0, 0], [1, 0], [0.5, 0]]}]", "'hall': its zones leave nothing"),
    ],
)
def test_a_file_that_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as refused:
        read_zones(written(tmp_path, text))
    assert str(refused.value).startswith(f"{tmp_path / 'zones.yaml'}: ")
    assert "\n" not in str(refused.value)


def test_zones_for_all_may_leave_nothing_of_one_camera(tmp_path):
    text = f"all: [{{kind: ignore, polygon: {[*map(list, LEFT)]}}}]\n"
    text += f"hall: [{{kind: ignore, polygon: {[*map(list, RIGHT)]}}}]"
    with pytest.raises(UserError, match="camera 'hall': its zones leave nothing"):
        read_zones(written(tmp_path, text))


def test_a_file_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(UserError, match="not found; a file without entries means no zones"):
        read_zones(tmp_path / "zones.yaml")
    (tmp_path / "zones.yaml").write_bytes(b"hall: \xff")
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_zones(tmp_path / "zones.yaml")
