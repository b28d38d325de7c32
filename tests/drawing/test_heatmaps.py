"""Heat maps: the choice of frames, and the contents of the pictures."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vad import UserError
from vad.drawing import heatmaps
from vad.drawing.heatmaps import LINE, MARGIN, SIDE, Panel

TOP, FALSE, MISSED = "most anomalous", "false alarm", "missed"
STEP, THRESHOLD = 8, 1.5
HEIGHT, WIDTH = 120, 160  # twice as large on paper
GRAY = 140


@given(
    st.lists(st.tuples(st.integers(-4, 9), st.booleans(), st.booleans()), min_size=1, max_size=12),
    st.integers(-2, 6),
)
@settings(max_examples=50, deadline=None)
def test_the_worst_mistake_is_furthest_on_the_wrong_side(frames, threshold):
    scores, labels, alarms = (np.array(column) for column in zip(*frames, strict=True))
    got = heatmaps.choose(scores.astype(float), labels, alarms, threshold)
    top = got.pop(TOP)
    assert top == min(t for t, frame in enumerate(frames) if frame[0] == max(scores))
    worst = {}  # kind -> (how far on the wrong side, frame)
    for t, (score, label, alarm) in enumerate(frames):
        if label != alarm:
            kind = FALSE if alarm else MISSED
            far = score - threshold if alarm else threshold - score
            if kind not in worst or far > worst[kind][0]:
                worst[kind] = (far, t)
    left = [(far, kind == FALSE, kind, t) for kind, (far, t) in worst.items() if t != top]
    assert got == ({max(left)[2]: max(left)[3]} if left else {})


LABELS = np.array([0, 0, 1, 1, 0, 1], bool)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0, 0, 8, 9, 0, 8], {TOP: 3}),  # no mistake
        ([0, 6, 8, 9, 0, 8], {TOP: 3, FALSE: 1}),
        ([0, 6, 8, 9, 0, 2], {TOP: 3, MISSED: 5}),  # 3 below the threshold of 5 is worse than 1 above
        ([0, 6, 8, 9, 0, 4], {TOP: 3, FALSE: 1}),  # as far: the false alarm
        ([0, 9, 8, 8, 6, 8], {TOP: 1}),  # the false alarm is the frame that is shown already
        ([0, 9, 8, 8, 6, 4], {TOP: 1, MISSED: 5}),
        ([0, 0, 0, 4, 0, 0], {TOP: 3, MISSED: 2}),  # nothing alarmed; 2 and 5 are as low
    ],
)
def test_frames_chosen_in_small_examples(scores, expected):
    scores = np.array(scores, float)
    assert heatmaps.choose(scores, LABELS, scores > 5, 5.0) == expected
    assert heatmaps.choose(scores, None, scores > 5, 5.0) == {TOP: expected[TOP]}


def panel(cells: np.ndarray | None = None, truth: np.ndarray | None = None, **other) -> Panel:
    """A gray frame of WIDTH x HEIGHT with a map of 20 x 15 cells; by default with a square of high scores."""
    if cells is None:
        cells = np.zeros((15, 20), np.float16)
        cells[4:8, 6:12] = 4.0
    frame = np.full((HEIGHT, WIDTH), GRAY, np.uint8)
    return replace(Panel(TOP, 56, 3.14159, True, frame, cells, truth), **other)


def test_a_title_says_kind_frame_score_threshold_and_label():
    assert heatmaps.title(panel(), 1.4) == (
        "most anomalous: frame 56, score 3.14 (threshold 1.40), labelled anomalous"
    )
    missed = panel(kind=MISSED, score=-0.001, anomalous=True)
    assert heatmaps.title(missed, 1.4) == "missed: frame 56, score 0.00 (threshold 1.40), labelled anomalous"
    assert heatmaps.title(panel(kind=FALSE, anomalous=False), 1).startswith(
        "false alarm: frame 56, score 3.14"
    )
    assert heatmaps.title(panel(anomalous=False), 1).endswith("(threshold 1.00), labelled normal")
    assert heatmaps.title(panel(anomalous=None), 1).endswith("(threshold 1.00), not labelled")


def draw(folder: Path, *panels: Panel, threshold: float = THRESHOLD, step: int = STEP) -> np.ndarray:
    """The sheet, int [height, width, 3]."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        heatmaps.draw(folder / "new/sheet.png", "hall_$x_1$", panels, threshold, step)
    return np.array(Image.open(folder / "new/sheet.png").convert("RGB")).astype(int)


def cut(sheet: np.ndarray, column: int, row: int = 0) -> np.ndarray:
    """A picture of a frame of WIDTH x HEIGHT on the sheet, twice as large: int [240, 320, 3]."""
    x = MARGIN + column * (SIDE + MARGIN)
    y = MARGIN + 2 * LINE + row * (LINE + 2 * HEIGHT + MARGIN)
    return sheet[y : y + 2 * HEIGHT, x : x + 2 * WIDTH]


def near(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """bool [height, width]"""
    return np.abs(picture - color).max(axis=-1) < 30


def test_the_frame_is_drawn_unchanged(tmp_path):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (15, 20, 3)).repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
    sheet = draw(tmp_path, panel(frame=frame))
    assert np.abs(cut(sheet, 0) - frame.repeat(2, 0).repeat(2, 1)).mean() < 10  # the palette is small
    gray = draw(tmp_path, panel())
    assert (np.abs(cut(gray, 0) - GRAY) <= 8).all()


def test_the_map_is_drawn_at_the_position_of_its_cells(tmp_path):
    picture = cut(draw(tmp_path, panel()), 1)
    red = picture[..., 0] - picture[..., 2] > 60
    expected = np.zeros_like(red)
    expected[4 * 16 : 8 * 16, 6 * 16 : 12 * 16] = True
    assert (red == expected).mean() > 0.99
    assert np.abs(picture[~expected] - GRAY).max() <= 8  # nothing at all where the map is 0


def test_colours_depend_only_on_the_threshold(tmp_path):
    hot = panel().map

    def heat(factor: float, threshold: float) -> np.ndarray:
        return cut(draw(tmp_path, panel(hot * np.float16(factor)), threshold=threshold), 1)

    at_threshold = heat(1, 4.0)
    np.testing.assert_array_equal(at_threshold, heat(0.5, 2.0))
    full = heat(2, 4.0)
    np.testing.assert_array_equal(full, heat(50, 4.0))  # twice the threshold is full colour
    np.testing.assert_array_equal(cut(draw(tmp_path, panel(-hot)), 1), cut(draw(tmp_path, panel(0 * hot)), 1))
    at = (6 * 16, 9 * 16)
    assert full[at][1] < at_threshold[at][1] < heat(0.1, 4.0)[at][1]  # ever less green: from yellow to red


def test_outlines_surround_alarmed_cells_and_labelled_pixels(tmp_path):
    cells = panel().map.copy()
    cells[12, 2] = THRESHOLD  # not above
    truth = np.zeros((2 * HEIGHT, 3 * WIDTH), bool)  # of a source that is larger, and wider
    truth[40:200, 300:480] = True  # to the right edge
    picture = cut(draw(tmp_path, panel(cells, truth)), 2)
    alarmed, true = near(picture, heatmaps.ALARMED), near(picture, heatmaps.LABELLED)
    for drawn, (top, bottom, left, right) in ((alarmed, (64, 128, 96, 192)), (true, (40, 200, 200, 320))):
        rows, columns = np.nonzero(drawn)
        assert np.abs(np.subtract((rows.min(), rows.max() + 1), (top, bottom))).max() <= 2
        assert np.abs(np.subtract((columns.min(), columns.max() + 1), (left, right))).max() <= 2
        assert not drawn[top + 5 : bottom - 5, left + 5 : right - 5].any()  # the inside is free
    assert alarmed[64, 120:180].all()
    assert true[60:180, -2:].any(axis=1).all()


def test_outlines_end_at_the_edge_of_the_frame(tmp_path):
    cells = np.full((18, 23), 4.0)  # of 7 pixels: 6 rows and a column more than there are in the frame
    sheet = draw(tmp_path, panel(cells), step=7)
    alarmed = near(sheet, heatmaps.ALARMED)
    picture = near(cut(sheet, 2), heatmaps.ALARMED)
    for edge in (picture[:2], picture[-2:], picture[:, :2].T, picture[:, -2:].T):
        assert edge.any(axis=0).all()
    bottom, right = MARGIN + 2 * LINE + 2 * HEIGHT, 3 * (SIDE + MARGIN)
    assert not alarmed[bottom + 3 : bottom + 12].any()
    assert not alarmed[:, right + 3 :].any()


def test_cells_that_extend_beyond_the_frame_do_not_shift_the_map(tmp_path):
    cells = np.zeros((18, 23))  # of 7 pixels
    cells[12:15, 10:20] = 4.0
    sheet = draw(tmp_path, panel(cells), step=7)
    red = cut(sheet, 1)[..., 0] - cut(sheet, 1)[..., 2] > 60
    for drawn in (red, near(cut(sheet, 2), heatmaps.ALARMED)):
        rows, columns = np.nonzero(drawn)
        assert np.abs(np.subtract((rows.min(), rows.max() + 1), (12 * 14, 15 * 14))).max() <= 2
        assert np.abs(np.subtract((columns.min(), columns.max() + 1), (10 * 14, 20 * 14))).max() <= 2


def test_each_frame_has_a_row_and_labelled_pixels_have_a_legend(tmp_path):
    second = panel(0 * panel().map, kind=MISSED)
    without_truth, with_truth = draw(tmp_path, panel()), draw(tmp_path, panel(truth=np.zeros((9, 9), bool)))
    two = draw(tmp_path, panel(), second)
    assert len(two) - len(with_truth) == LINE + 2 * HEIGHT + MARGIN
    assert not near(cut(two, 2, 1), heatmaps.ALARMED).any()
    assert (np.abs(cut(two, 1, 1) - GRAY) <= 8).all()
    assert near(with_truth, heatmaps.LABELLED).any()
    assert not near(without_truth, heatmaps.LABELLED).any()


@pytest.mark.parametrize(("height", "width"), [(5, 7), (700, 90), (1080, 1920)])
def test_frames_of_any_size_fit(tmp_path, height, width):
    frame = np.random.default_rng(0).integers(0, 256, (height // 5, width // 5 + 1, 3)).astype(np.uint8)
    frame = frame.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    frame = np.pad(frame, ((0, height - len(frame)), (0, 0), (0, 0)))
    cells = np.full((-(-height // 8), -(-width // 8)), 9.0, np.float32)  # the last reach beyond the frame
    truth = np.ones((height, width), bool)
    picture = draw(tmp_path, panel(cells, truth, frame=frame))
    assert picture.shape[1] <= 3 * SIDE + 4 * MARGIN + 1
    assert (tmp_path / "new/sheet.png").stat().st_size < 200_000
    assert near(picture, heatmaps.LABELLED).sum() > 300


def test_a_threshold_of_0_or_less_can_be_drawn(tmp_path):
    hot = panel().map
    half, full = (draw(tmp_path, panel(hot * np.float16(f)), threshold=-0.5) for f in (0.125, 0.25))
    assert cut(half, 1)[96, 144, 1] > cut(full, 1)[96, 144, 1]
    np.testing.assert_array_equal(cut(full, 1), cut(draw(tmp_path, panel(hot), threshold=0.0), 1))


def test_the_same_panels_give_the_same_bytes(tmp_path):
    truth = np.eye(30, dtype=bool)
    for name in "ab":
        panels = [panel(truth=truth), panel(kind=FALSE, anomalous=False)]
        heatmaps.draw(tmp_path / name, "hall", panels, THRESHOLD, STEP)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b"matplotlib" not in (tmp_path / "a").read_bytes()


def test_a_map_of_another_size_is_refused(tmp_path):
    with pytest.raises(
        UserError,
        match=r"clip 'hall': the map of frame 56 has 15 x 20 cells, but a frame of 120 x 160 pixels in cells "
        r"of 4 has 30 x 40 \(rows x columns\); run `dvc repro`",
    ):
        heatmaps.draw(tmp_path / "a.png", "hall", [panel()], THRESHOLD, 4)
    assert not list(tmp_path.iterdir())
