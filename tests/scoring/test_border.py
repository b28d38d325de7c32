"""Gains of the border of the frame, compared with numpy on the table of regions."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.boxes import boxed_clip, boxed_clips
from tests.scoring.errors import PLAIN, calibrated, params
from vad import UserError
from vad.scoring.calibrate import calibrate
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.gains import BORDER_LIMITS, at_border, fit_border, fit_gains
from vad.scoring.norms import Line
from vad.scoring.params import CalibrateParams
from vad.scoring.scorer import Scorer
from vad.stream import results

RNG = np.random.default_rng(0)
BRANCHES = ["look", "move", "speed"]
INNER, CUT = (5, 4, 9, 8), (0, 4, 4, 8)  # boxes in a frame of 16 x 12 pixels


def clip_of(frames: int, times=(2.0, 1.0), seed=0, size=(12, 16)) -> ClipErrors:
    """An inner region and one at the border in each frame, the latter with errors `times` as high.

    Frames are wider or narrower than 16 pixels on the right of the inner region.
    """
    rng, rows = np.random.default_rng(seed), []
    for t in range(frames):
        rows += [(t, 0, *INNER, *rng.gamma(2, 1, 2)), (t, 1, *CUT, *(times * rng.gamma(2, 1, 2)))]
    maps = {"speed": rng.random((frames, -(-size[0] // 4), -(-size[1] // 4))).astype(np.float16)}
    return boxed_clip(rows, frames, size=size, maps=maps)


def reference(clips: list[ClipErrors], branch: str, areas: np.ndarray | None = None) -> float | None:
    """The gain of the border from one table of all regions; `areas` are two gains, left and right."""
    tables = []
    for i, clip in enumerate(clips):
        (height, width), t = clip.size, clip.table
        near = pd.concat([t.x0, t.y0, width - t.x1, height - t.y1], axis=1).min(axis=1) < 2
        whole = (t.x1 - t.x0 == width) & (t.y1 - t.y0 == height)
        stretch = [f"{i} {int(frame / clip.fps / 2)}" for frame in t.frame]
        right = (t.x0 + t.x1) / 2 >= width / 2
        error = t[f"error_{branch}"] / (1 if areas is None else np.where(right, *areas[::-1]))
        tables.append(pd.DataFrame({"error": error, "border": near & ~whole, "stretch": stretch}))
    table = pd.concat(tables)
    table = table[table.error > 0]
    cut, others = table[table.border], table[~table.border]
    if not len(cut) or not len(others):
        return None
    n = min(cut.stretch.nunique(), others.stretch.nunique())
    ratio = np.percentile(cut.error.astype(float), 95) / np.percentile(others.error.astype(float), 95)
    return float(min(max(np.exp(np.log(ratio) * n / (n + 20)), 1), 3))


def check(fitted: dict, clips: list[ClipErrors], areas: dict | None = None) -> None:
    for branch in ("look", "move"):
        expected = reference(clips, branch, None if areas is None else areas[branch])
        assert (branch in fitted) == (expected is not None)
        if expected is not None:
            assert fitted[branch] == pytest.approx(expected, rel=1e-5)
            assert fitted[branch] == np.float32(fitted[branch])
    assert "speed" not in fitted  # it has maps only


@given(st.lists(boxed_clips(), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_gains_are_those_of_the_definition(clips):
    """Clips of any sizes, also without regions, with boxes of a single pixel and whole frames."""
    fitted = fit_border(clips, BRANCHES, {})
    check(fitted, clips)
    assert all(BORDER_LIMITS[0] <= gain <= BORDER_LIMITS[1] for gain in fitted.values())


@pytest.mark.parametrize("times", [0.01, 0.5, 1.0, 2.0, 2.9, 50.0])
@pytest.mark.parametrize("frames", [10, 200, 4000])
def test_the_more_footage_the_nearer_to_the_ratio_from_1_to_3(times, frames):
    clip = clip_of(frames, (times, 1))
    fitted = fit_border([clip], BRANCHES, {})
    check(fitted, [clip])
    n = np.ceil(frames / 20)
    expected = np.clip(times ** (n / (n + 20)), 1, 3)
    assert fitted["look"] == pytest.approx(expected, rel=0.35 if frames == 10 else 0.15)


def test_an_uncertain_ratio_to_few_other_regions_is_nearly_1():
    """All but one of the regions are at the border."""
    clip = clip_of(2000)
    alone = clip.select((clip.table["x0"] == 0) | (np.arange(4000) == 0))
    assert fit_border([clip], ["look"], {})["look"] > 1.5
    fitted = fit_border([alone], BRANCHES, {})
    check(fitted, [alone])
    assert fitted["look"] < 1.25


def test_without_regions_on_either_side_there_is_no_gain():
    """Whole frames are not at the border, and errors of 0 do not count."""
    clip = clip_of(100)
    at = clip.table["x0"] == 0
    whole = replace(clip, table=clip.table[~at].assign(x0=0, y0=0, x1=16, y1=12))
    zero = replace(clip, table=clip.table.assign(error_look=clip.table["error_look"] * ~at))
    empty = clip.select(np.zeros(200, bool))
    for clips in ([clip.select(at)], [clip.select(~at)], [whole], [empty], [empty, whole]):
        assert fit_border(clips, BRANCHES, {}) == {}
    assert sorted(fit_border([zero], BRANCHES, {})) == ["move"]
    # these do not change what others say
    assert fit_border([empty, clip, empty], BRANCHES, {}) == fit_border([clip], BRANCHES, {})


def test_each_camera_has_the_border_of_its_own_frames():
    """The inner box would be at the right border of the small frames."""
    small, large = clip_of(300, seed=1, size=(12, 10)), clip_of(300, seed=2)
    assert at_border(np.array([INNER, CUT]), (12, 10)).tolist() == [True, True]
    assert at_border(np.array([INNER, CUT]), (12, 16)).tolist() == [False, True]
    fitted = fit_border([small, large], BRANCHES, {})
    check(fitted, [small, large])
    assert fitted != fit_border([large, large], BRANCHES, {})


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 3), (5, 5)])
def test_boxes_of_a_single_pixel(size):
    height, width = size
    boxes = np.array([(x, y, x + 1, y + 1) for y in range(height) for x in range(width)], np.int32)
    inner = [2 <= x < width - 2 and 2 <= y < height - 2 for x, y, *_ in boxes]
    expected = [False] if size == (1, 1) else [not i for i in inner]  # in the smallest, it is the whole frame
    assert at_border(boxes, size).tolist() == expected
    assert at_border(boxes[:0], size).tolist() == []


def test_with_areas_neither_gain_holds_what_the_other_accounts_for():
    """On the right, errors are twice as high; at the border, on the left, three times as high as inside."""
    rows = []
    for t in range(20_000):
        # left and right, away from the border and at it
        for times, box in ((1, (3, 3, 6, 6)), (2, (10, 3, 13, 6)), (3, (0, 3, 6, 6)), (3, (1, 5, 7, 9))):
            rows.append((t, 0, *box, *(times * RNG.gamma(2, 1, 2))))
    clip = boxed_clip(rows, 20_000)
    gains = fit_gains([clip], BRANCHES[:2], params(grid=[1, 2], border_gain=True))
    inner = clip.select(~at_border(clip.boxes, clip.size))
    alone = fit_gains([inner], BRANCHES[:2], params(grid=[1, 2], border_gain=False))
    for branch in ("look", "move"):
        np.testing.assert_array_equal(gains.areas[branch], alone.areas[branch])
        left, right = gains.areas[branch][0]
        assert right / left == pytest.approx(2, rel=0.05)
        # three times what is left of the inner errors, with 1000 stretches
        assert gains.border[branch] == pytest.approx(3 ** (1000 / 1020), rel=0.05)
    check(gains.border, [clip], {branch: grid[0] for branch, grid in gains.areas.items()})


def test_areas_without_a_gain_of_the_border_are_fitted_to_all_regions():
    clip = clip_of(500)
    gains = fit_gains([clip], BRANCHES, params(grid=[1, 3], border_gain=False))
    assert gains.border == {}
    left, middle, _ = gains.areas["look"][0]
    assert left > middle  # where no other regions are
    assert fit_gains([clip], BRANCHES, params(grid=[], border_gain=False)).areas == {}


@given(boxed_clips(), st.floats(1, 3), st.sampled_from(["region", "cell", "track"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_scores_at_the_border_never_rise_and_others_stay(clip, gain, aggregate, grid):
    """Scores of other regions stay the same, and scores of frames never rise either."""
    norms = {branch: Line(0.3, 0.5) for branch in BRANCHES}
    areas = {"look": [[0.5, 2.0]]} if grid else {}
    without = Calibration(
        params(aggregate=aggregate), {"": norms}, norms, areas, 0.4, 0.5, 1, 1.0, 0.0, 0, 0.0
    )
    gains = {"look": float(np.float32(gain)), "move": 1.0}
    with_gains = replace(without, border_gains=gains)
    for item in clip.each_frame():
        before, after = (c.region_scores(item, clip.size) for c in (without, with_gains))
        border = at_border(item.regions.boxes, clip.size)
        assert (after <= before).all()
        assert after[~border].tolist() == before[~border].tolist()
    errors, divided = (c.frame_errors(clip) for c in (without, with_gains))
    assert (divided["look"] <= errors["look"] * (1 + 1e-6)).all()
    for branch in ("move", "speed"):
        assert divided[branch].tolist() == errors[branch].tolist()
    assert (with_gains.frame_scores(clip) <= without.frame_scores(clip) + 1e-6).all()


@pytest.mark.parametrize("aggregate", ["region", "cell", "track"])
def test_live_scores_are_those_of_the_clip_by_a_fitted_calibration(aggregate, tmp_path):
    """After a round trip through the file."""
    normal = [replace(clip_of(300, seed=seed, size=(12, 16 - seed)), clip=f"val/{seed}") for seed in (0, 1)]
    chosen = params(aggregate=aggregate, border_gain=True, error_sigma=0.1, smooth={"median": 0.4})
    calibration = calibrate(normal, chosen)
    assert calibration.border_gains["look"] == pytest.approx(reference(normal, "look"))
    calibration.save(tmp_path / "calibration.json")
    back, clip = Calibration.load(tmp_path / "calibration.json"), clip_of(80, seed=5)
    assert back == calibration
    frames = list(results(Scorer(back, clip.size, clip.cell, 10.0, cells=True), clip.each_frame()))
    np.testing.assert_allclose([f.score for f in frames], calibration.frame_scores(clip), rtol=1e-6)
    cells = np.concatenate([maps for _, maps in calibration.cell_scores(clip)])
    np.testing.assert_allclose([f.cells for f in frames], cells, rtol=1e-5, atol=1e-6)
    for frame, item in zip(frames, clip.each_frame(), strict=True):
        assert frame.region_scores.tolist() == calibration.region_scores(item, clip.size).tolist()
        errors = np.stack([item.errors[branch] for branch in ("look", "move")])
        errors[:, 1] /= np.float32([calibration.border_gains[branch] for branch in ("look", "move")])
        fused = calibration.fuse(dict(zip(("look", "move"), errors, strict=True)), branches=["look", "move"])
        assert frame.region_scores.tolist() == fused.tolist()


def test_standardisation_and_threshold_are_those_of_divided_errors():
    """The calibration is that of clips whose errors were divided beforehand."""
    clips = [replace(clip_of(300, seed=seed), clip=f"val/{seed}") for seed in (0, 1, 2)]
    calibration = calibrated(*clips, border_gain=True)
    divided = []
    for clip in clips:
        border, table = at_border(clip.boxes, clip.size), clip.table.copy()
        for branch, gain in calibration.border_gains.items():
            table.loc[border, f"error_{branch}"] /= np.float32(gain)
        divided.append(replace(clip, table=table))
    expected = calibrated(*divided, border_gain=False)
    for attribute in ("standardisation", "cell_standardisation", "threshold", "cell_threshold"):
        assert getattr(calibration, attribute) == getattr(expected, attribute)
    assert expected.border_gains == {}


def test_whole_frames_are_calibrated_as_without_the_gain():
    rows = [(t, 0, 0, 0, 16, 12, *RNG.random(2)) for t in range(60)]
    clip = boxed_clip(rows, 60)
    with_gain, without = (calibrated(clip, border_gain=on) for on in (True, False))
    assert replace(with_gain, params=without.params) == without


def test_a_calibration_without_gains_of_the_border_is_read(tmp_path):
    """The file of a calibration from before they were introduced."""
    calibration = calibrated(clip_of(60), border_gain=False)
    calibration.save(tmp_path / "calibration.json")
    text = (tmp_path / "calibration.json").read_text()
    assert '"border_gains": {}' in text
    (tmp_path / "calibration.json").write_text(text.replace('"border_gains"', '"borders"'))
    with pytest.raises(UserError, match="not a calibration"):
        Calibration.load(tmp_path / "calibration.json")


def test_the_gain_is_on_by_default():
    assert CalibrateParams().border_gain
    assert CalibrateParams(**PLAIN).border_gain is False
