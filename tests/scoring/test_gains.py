"""Gains of areas of the picture, compared with quantiles computed by hand and with a reference in loops."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from tests.scoring.boxes import FPS, boxed_clip, boxed_clips, nearest_with_windows
from tests.scoring.errors import calibrated, clip_errors
from vad.scoring import gains
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.gains import GAIN_LIMITS, PRIOR, STRETCH, at_cells, at_regions, fit_areas

RNG = np.random.default_rng(0)
N, FRAMES = 1600, 800
X0 = np.where(np.arange(N) % 2, 6, 0)  # a region on either side of each frame
ERRORS = RNG.random(N).astype(np.float32) * np.where(X0 == 6, 2, 1).astype(np.float32)
AT = np.arange(N) // 2


def boxes_at(clip: ClipErrors, x0: np.ndarray) -> ClipErrors:
    return replace(clip, table=clip.table.assign(x0=x0, x1=x0 + 2))


def shrunk(gain: float, frames: int) -> float:
    """The gain of an area with errors in all frames."""
    n = np.ceil(frames / FPS / STRETCH)
    return gain ** (n / (n + PRIOR))


def test_an_area_has_the_quantile_of_its_errors_over_that_of_all():
    """On the right, errors are twice as high; nothing is in the middle, which has gain 1."""
    normal = boxes_at(clip_errors(ERRORS, FRAMES, AT), X0)
    calibration = calibrated(normal, grid=[1, 3], branches=["look"])
    overall = np.quantile(ERRORS, 0.95)
    left, right = (
        shrunk(np.quantile(ERRORS[side::2].astype(float), 0.95) / overall, FRAMES) for side in (0, 1)
    )
    np.testing.assert_allclose(calibration.gains["look"], [[left, 1, right]], rtol=1e-5)
    divided = ERRORS / np.where(X0 == 0, left, right)
    highest = pd.Series(divided).groupby(AT).max().to_numpy()
    np.testing.assert_allclose(calibration.frame_errors(normal)["look"], highest, rtol=1e-5)


def test_an_area_with_little_footage_is_like_the_whole():
    """The same errors, twice as high on the right: the longer they last, the nearer the gain is to 2."""
    fitted = []
    for frames in (2, 40, 380):  # too few to change the quantile of all
        on_the_right = np.arange(8000) >= 8000 - frames
        errors = np.where(on_the_right, 2.0, 1.0).astype(np.float32)
        clip = boxes_at(clip_errors(errors), np.where(on_the_right, 6, 0))
        fitted.append(fit_areas([clip], ["look"], [1, 2])["look"][0, 1])
    np.testing.assert_allclose(fitted, [shrunk(2, frames) for frames in (2, 40, 380)])
    assert fitted[0] < 1.04


def test_noise_in_a_map_is_not_amplified():
    """Regions are on the right, where the map is high; on the left there is noise, a hundredth of it."""
    maps = RNG.random((400, 3, 4)) * [0.01, 0.01, 1, 1]
    normal = boxed_clip([(t, 0, 8, 0, 16, 12, 1, 1) for t in range(400)], 400, maps={"speed": maps})
    fitted = fit_areas([normal], ["speed"], [1, 2])["speed"]
    assert fitted[0, 0] == 1
    assert fitted[0, 1] == pytest.approx(1)


@given(boxed_clips())
@settings(max_examples=50, deadline=None)
def test_gains_are_those_of_the_definition(clip):
    """Only cells under a region count, also in frames without windows."""
    grid, cells = (2, 3), [[] for _ in range(6)]
    stretches = [set() for _ in range(6)]
    regions = [[] for _ in range(6)]
    rows, columns = clip.shape
    for t in range(clip.frames):
        boxes = clip.table[clip.table["frame"] == nearest_with_windows(clip, t)]
        for i, j in np.ndindex(rows, columns):
            y, x = (range(k * clip.cell, (k + 1) * clip.cell) for k in (i, j))
            here = boxes.itertuples()
            under = any({*range(b.y0, b.y1)} & {*y} and {*range(b.x0, b.x1)} & {*x} for b in here)
            value = float(clip.maps["speed"][t, i, j])
            if under and value > 0:
                area = 3 * ((2 * i + 1) * 2 // (2 * rows)) + (2 * j + 1) * 3 // (2 * columns)
                cells[area].append(value)
                stretches[area].add(int(t / FPS / STRETCH))
    for row in clip.table.itertuples():
        if row.error_look > 0:
            y = min((row.y0 + row.y1) * 2 // (2 * clip.size[0]), 1)
            x = min((row.x0 + row.x1) * 3 // (2 * clip.size[1]), 2)
            regions[3 * y + x].append(row.error_look)
    for branch, errors in (("speed", cells), ("look", regions)):
        fitted = fit_areas([clip], [branch], grid)[branch].ravel()
        everything = [e for area in errors for e in area]
        for area in range(6):
            expected = 1.0
            if errors[area]:
                high, overall = (np.quantile(np.float32(e), 0.95) for e in (errors[area], everything))
                n = len(stretches[area]) if branch == "speed" else 1  # a clip has at most 14 frames
                expected = np.clip((high / overall) ** (n / (n + PRIOR)), *GAIN_LIMITS)
            assert fitted[area] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("times", [0.001, 0.5, 2.0, 1000.0])
def test_gains_stay_within_a_factor_of_three(times):
    """On the right there are 600 of 60,000 regions, too few to change the quantile of all."""
    right = np.arange(60_000) >= 59_400
    errors = np.where(right, times, 1).astype(np.float32)
    (fitted,) = fit_areas([boxes_at(clip_errors(errors), np.where(right, 6, 0))], ["look"], [1, 2])["look"]
    np.testing.assert_allclose(fitted, [1, np.clip(shrunk(times, 600), *GAIN_LIMITS)], rtol=1e-5)


def test_errors_of_0_do_not_count():
    """Their number depends on how often an area is empty, not on the errors in it."""
    left = np.arange(800) < 600
    errors = np.where(np.arange(800) < 400, 0, RNG.random(800)).astype(np.float32)  # of 600 on the left 200
    clip = boxes_at(clip_errors(errors), np.where(left, 0, 6))
    with_zeros, without = (fit_areas([c], ["look"], [1, 2])["look"] for c in (clip, clip.select(errors > 0)))
    np.testing.assert_array_equal(with_zeros, without)
    empty = fit_areas([clip_errors(np.zeros(300, np.float32))], ["look"], [2, 2])
    assert empty["look"].tolist() == [[1, 1], [1, 1]]


def test_a_grid_is_read_at_the_middle_of_regions_and_cells():
    grid = np.arange(6.0).reshape(2, 3)
    clip = clip_errors([1.0, 1.0, 1.0])
    boxes = {"x0": [0, 6, 3], "x1": [2, 8, 5], "y0": [0, 4, 0], "y1": [2, 6, 6]}
    clip = replace(clip, table=clip.table.assign(**boxes))
    assert at_regions(clip.boxes, clip.size, grid).tolist() == [
        0,
        5,
        4,
    ]  # of 6 x 8 pixels; the middle belongs to the right
    assert at_cells(grid, (4, 3)).tolist() == [[0, 1, 2]] * 2 + [[3, 4, 5]] * 2


@pytest.mark.parametrize("frames", [100, 5000])
def test_of_long_footage_every_nth_map_is_read(frames, monkeypatch):
    monkeypatch.setattr(gains, "MAX_FRAMES", 1000)
    maps = RNG.random((frames, 3, 4)).astype(np.float16)
    step = max(1, frames // 1000)
    whole = clip_errors(np.ones(frames), speed=maps)
    fitted = fit_areas([whole], ["speed"], [1, 2])["speed"]
    others = maps.copy()
    others[np.arange(frames) % step > 0] = 5
    np.testing.assert_array_equal(
        fitted, fit_areas([clip_errors(np.ones(frames), speed=others)], ["speed"], [1, 2])["speed"]
    )
