"""Pictures of frames list the signs that they show, which the legend explains."""

import numpy as np
import pytest

from tests.drawing.test_contact_sheet import Stores, clip, plain
from vad.drawing.clip_pictures import FramePicture, draw_frame, full_colour_speed, open_clip
from vad.store.body_heights import BodyHeight, BodyHeights
from vad.store.tables import read_table


def drawn(stores: Stores, t: int = 0, people: bool = False, **arrays) -> FramePicture:
    """Frame t of a clip of 8 frames."""
    stores.add("test/a", plain(), **arrays)
    opened = open_clip(
        clip("test/a"),
        read_table(stores.regions / "test/a"),
        stores.frames,
        stores.flow,
        stores.regions,
        stores.heights,
        stores.zones,
    )
    return draw_frame(opened, t, people=people)


@pytest.fixture
def stores(tmp_path) -> Stores:
    return Stores(tmp_path)


def test_the_whole_frame_is_the_only_sign_of_a_frame_without_boxes(stores):
    picture = drawn(stores)
    assert (picture.caption, picture.signs, picture.sources) == ("the whole frame", {"whole"}, set())


def test_a_silhouette_is_a_sign_beside_the_whole_frame(stores):
    assert drawn(stores, silhouettes=np.ones((8, 120, 160), bool)).signs == {"whole", "silhouette"}


def test_a_frame_without_regions_has_no_signs(stores):
    picture = drawn(stores, rows=[])
    assert (picture.caption, picture.signs, picture.sources) == ("no regions", set(), set())


@pytest.mark.parametrize(
    ("t", "track", "confidence", "signs"),
    [
        (0, -1, 1.0, set()),
        (0, 2, 1.0, {"track"}),  # it has no past yet
        (4, 2, 1.0, {"track", "path"}),
        (4, -1, 0.5, {"confidence"}),
        (4, 2, 0.5, {"track", "path", "confidence"}),
    ],
)
def test_signs_are_those_of_the_regions(stores, t, track, confidence, signs):
    rows = [(i, track, 20 + i, 40, 60, 80, "detector", confidence) for i in range(8)]
    picture = drawn(stores, t, rows=rows)
    assert (picture.caption, picture.signs, picture.sources) == ("1 region", signs, {"detector"})


@pytest.mark.parametrize(("height", "signs"), [(2.0, {"whole"}), (20.0, {"whole", "people"})])
def test_people_are_a_sign_if_they_are_drawn(stores, height, signs):
    stores.heights = BodyHeights({"": BodyHeight.constant(height, 120)})
    assert drawn(stores, people=True).signs == signs
    stores.clips.clear()
    assert drawn(stores).signs == {"whole"}


def test_sources_are_those_of_the_frame_alone(stores):
    rows = [(0, -1, 20, 40, 60, 80, "motion", 1.0), (0, -1, 80, 40, 90, 80, "detector", 1.0)]
    rows.append((1, -1, 20, 40, 60, 80, "motion", 1.0))
    assert drawn(stores, 0, rows=rows).sources == {"motion", "detector"}
    assert drawn(stores, 1, rows=rows).sources == {"motion"}


@pytest.mark.parametrize(("speed", "full"), [(0.0, 0.5), (0.4, 0.5), (0.7, 1.0), (4.0, 5.0), (11.0, 20.0)])
def test_full_colour_is_a_round_speed_above_the_speed_of_moving_pixels(speed, full):
    field = np.zeros((6, 8, 2), np.float32)
    field[..., 0] = speed
    assert full_colour_speed([field]) == full
    assert full_colour_speed([]) == 0.5
