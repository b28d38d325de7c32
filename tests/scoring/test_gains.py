"""Gains of areas of the picture, compared with quantiles computed by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.scoring.errors import calibrated, clip_errors
from vad.scoring import gains
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.gains import GAIN_LIMITS, at_cells, at_regions, fit_gains

RNG = np.random.default_rng(0)
N, FRAMES = 900, 100
X0 = np.select([np.arange(N) < 400, np.arange(N) < 800], [0, 6], 3)  # left, right, and 100 in the middle
ERRORS = RNG.random(N).astype(np.float32) * np.where(X0 == 6, 2, 1).astype(np.float32)
AT = np.arange(N) // 9
MAPS = np.ones((FRAMES, 3, 4)) * [1, 1, 2, 2] * RNG.random((FRAMES, 1, 1))


def normal() -> ClipErrors:
    """On the right, errors are twice as high as on the left."""
    clip = clip_errors(ERRORS, FRAMES, AT, speed=MAPS)
    return replace(clip, table=clip.table.assign(x0=X0, x1=X0 + 2))


def test_an_area_has_the_quantile_of_its_errors_over_that_of_all(monkeypatch):
    """The middle has too few regions, and gain 1."""
    monkeypatch.setattr(gains, "MIN_ERRORS", 101)
    calibration = calibrated(normal(), grid=[1, 3], branches=["look"])
    overall = np.quantile(ERRORS, 0.95)
    left, right = np.quantile(ERRORS[:400], 0.95) / overall, np.quantile(ERRORS[400:800], 0.95) / overall
    np.testing.assert_allclose(calibration.gains["look"], [[left, 1, right]], rtol=1e-5)
    divided = ERRORS / np.select([X0 == 0, X0 == 6], [left, right], 1)
    highest = pd.Series(divided).groupby(AT).max().to_numpy()
    np.testing.assert_allclose(calibration.frame_errors(normal())["look"], highest, rtol=1e-5)


def test_a_hundred_errors_are_enough():
    assert (X0 == 3).sum() == gains.MIN_ERRORS
    assert not np.isclose(calibrated(normal(), grid=[1, 3], branches=["look"]).gains["look"][0][1], 1)


def test_gains_of_maps_are_those_of_the_cells():
    shares = np.quantile(np.float16(MAPS)[:, :, [0, 3]], 0.95, axis=(0, 1))
    expected = [shares / np.quantile(np.float16(MAPS), 0.95)]
    np.testing.assert_allclose(calibrated(normal(), grid=[1, 2]).gains["speed"], expected, rtol=2e-3)


@pytest.mark.parametrize("times", [0.001, 0.5, 2.0, 1000.0])
def test_gains_stay_within_a_factor_of_three(times):
    """On the right there are 100 of 2300 regions, less than 5 %."""
    right = np.arange(2300) >= 2200
    errors = np.where(right, times, 1) * (1 + 0.01 * RNG.random(2300))
    clip = clip_errors(errors.astype(np.float32))
    clip = replace(clip, table=clip.table.assign(x0=np.where(right, 6, 0), x1=np.where(right, 8, 2)))
    (fitted,) = fit_gains([clip], ["look"], [1, 2])["look"]
    np.testing.assert_allclose(fitted, [1, np.clip(times, *GAIN_LIMITS)], rtol=0.02)


def test_errors_of_0_do_not_count():
    """Their number depends on how often an area is empty, not on the errors in it."""
    left = np.arange(800) < 600
    errors = np.where(np.arange(800) < 400, 0, RNG.random(800)).astype(np.float32)  # of 600 on the left 200
    clip = clip_errors(errors)
    clip = replace(clip, table=clip.table.assign(x0=np.where(left, 0, 6), x1=np.where(left, 2, 8)))
    with_zeros, without = (fit_gains([c], ["look"], [1, 2])["look"] for c in (clip, clip.select(errors > 0)))
    np.testing.assert_array_equal(with_zeros, without)
    empty = fit_gains([clip_errors(np.zeros(300, np.float32))], ["look"], [2, 2])
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
    whole = fit_gains([clip_errors([], frames, speed=maps)], ["speed"], [1, 2])["speed"]
    thinned = fit_gains([clip_errors([], len(maps[::step]), speed=maps[::step])], ["speed"], [1, 2])["speed"]
    np.testing.assert_array_equal(whole, thinned)
