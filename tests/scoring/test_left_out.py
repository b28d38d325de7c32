"""What a threshold rests on: compared with calibrations of the other clips, one by one."""

import time
from dataclasses import astuple, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.boxes import boxed_clip
from tests.scoring.errors import calibrated, clip_errors, params
from vad import UserError
from vad.scoring import calibrate as calibrate_module
from vad.scoring import left_out
from vad.scoring.calibrate import calibrate
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.events import find
from vad.scoring.evidence import MOST_ALARMS, Evidence
from vad.scoring.left_out import gather_evidence
from vad.scoring.params import CalibrateParams
from vad.scoring.poisson import poisson_interval
from vad.scoring.standardisation import NormalErrors

RNG = np.random.default_rng(0)
CHOSEN = st.builds(
    lambda policy, median, **more: params(
        threshold={"policy": policy, "percentile": 80.0, "value": 0.5, "per_day": 20_000.0},
        smooth={"median": median, "gaussian": 0.05},
        **more,
    ),
    policy=st.sampled_from(["percentile", "sigma", "fixed", "false_alarms"]),
    median=st.sampled_from([0.0, 0.2, 0.4]),
    aggregate=st.sampled_from(["region", "cell", "track"]),
    error_sigma=st.sampled_from([0.0, 0.05]),
    normalisation=st.sampled_from(["tail", "quantile", "z_score"]),
    per_camera=st.booleans(),
    grid=st.sampled_from([[], [1, 2]]),
    border_gain=st.booleans(),
    fuse=st.sampled_from(["sum", "max"]),
    branches=st.sampled_from(["all", ["speed", "move"], ["look"]]),
    lookahead=st.sampled_from([None, 0.1]),
)


def clips_of(seed: int, number: int, cameras: int = 2) -> list[ClipErrors]:
    """Clips with two boxes on either side of most frames, the right one at the border, with maps of speed."""
    rng, out = np.random.default_rng(seed), []
    for i in range(number):
        frames, scale = int(rng.integers(55, 90)), rng.uniform(0.5, 2)
        rows = [
            (t, side, 8 * side + 2, 2, 8 * side + 8, 8, *(scale * (1 + side) * rng.gamma(2, 1, 2)))
            for t in range(frames)
            if rng.random() < 0.9
            for side in range(2)
        ]
        maps = {"speed": rng.random((frames, 3, 4)).astype(np.float16)}
        clip = boxed_clip(rows, frames, maps=maps)
        out.append(replace(clip, clip=f"val/{i}", camera=str(i % cameras), fps=[10.0, 5.0][i % 2]))
    return out


def expected(clips: list[ClipErrors], groups: list[list[int]], chosen: CalibrateParams) -> list[tuple]:
    """Share of alarmed frames of each clip, and its events, by a calibration of the other groups."""
    out = {}
    for group in groups:
        others = calibrate([clip for i, clip in enumerate(clips) if i not in group], chosen)
        for i in group:
            scores = others.frame_scores(clips[i])
            events = find(scores, others.threshold, clips[i].fps, chosen.events)
            name, _, frames = clips[i].clip.partition(", frames ")
            first = int(frames.split()[0]) if frames else 0
            alarms = [
                (name, first + e.start, first + e.end, first + e.peak, e.score, others.threshold)
                for e in events
            ]
            out[i] = (float((scores > others.threshold).mean()), alarms)
    return [out[i] for i in range(len(clips))]


def check(evidence: Evidence | None, clips: list[ClipErrors], results: list[tuple]) -> None:
    assert evidence is not None
    shares = [share for share, _ in results]
    assert evidence.left_out == len(clips)
    assert evidence.mean_share == pytest.approx(sum(shares) / len(shares))
    assert evidence.worst_share == max(shares)
    assert evidence.worst == clips[shares.index(max(shares))].clip
    alarms = sorted(alarm for _, alarms in results for alarm in alarms)
    assert evidence.left_out_events == len(alarms)
    highest = sorted((score - threshold for *_, score, threshold in alarms), reverse=True)[:MOST_ALARMS]
    assert [alarm.score - alarm.threshold for alarm in evidence.alarms] == pytest.approx(highest, abs=1e-9)
    if len(alarms) <= MOST_ALARMS:
        kept = sorted(astuple(alarm) for alarm in evidence.alarms)
        assert [alarm[:4] for alarm in kept] == [alarm[:4] for alarm in alarms]


@given(st.integers(0, 99), st.integers(2, 4), CHOSEN)
@settings(max_examples=20, deadline=None)
def test_each_clip_is_judged_by_a_calibration_of_the_others(seed, number, chosen):
    clips = clips_of(seed, number)
    evidence = calibrate(clips, chosen).evidence
    check(evidence, clips, expected(clips, [[i] for i in range(number)], chosen))
    hours = sum(clip.frames / clip.fps for clip in clips) / 3600
    assert (evidence.clips, evidence.stretches) == (number, False)
    assert evidence.hours == evidence.left_out_hours == pytest.approx(hours)
    interval = [24 * bound / hours for bound in poisson_interval(evidence.left_out_events)]
    assert [evidence.low_per_day, evidence.high_per_day] == pytest.approx(interval)
    asked = {"percentile": (pytest.approx(0.2), None), "false_alarms": (None, 20_000.0)}
    policy = chosen.threshold.policy
    assert (evidence.asked_share, evidence.asked_per_day) == asked.get(policy, (None, None))


@pytest.mark.parametrize("grid", [[], [1, 2]])
def test_of_many_clips_several_are_left_out_at_once(grid, monkeypatch):
    monkeypatch.setattr(left_out, "MAX_FITS", 3 if not grid else 100)
    monkeypatch.setattr(left_out, "POOLED_FRAMES", 3 * sum(clip.frames for clip in clips_of(0, 7)))
    clips, chosen = clips_of(0, 7), params(grid=grid)
    groups = [[0, 3, 6], [1, 4], [2, 5]]
    check(calibrate(clips, chosen).evidence, clips, expected(clips, groups, chosen))


def test_of_long_footage_gains_of_the_border_are_left_as_they_are(monkeypatch):
    """Where it takes only seconds, they are fitted without the left-out clip."""
    clips, chosen = clips_of(0, 3), params(border_gain=True)
    table = clips[0].table
    times = np.where(table["x1"] == 16, np.float32(20), np.float32(1))
    clips[0] = replace(clips[0], table=table.assign(error_look=table["error_look"] * times))
    frames = sum(clip.frames for clip in clips)
    whole = calibrate(clips, chosen)
    monkeypatch.setattr(left_out, "POOLED_FRAMES", 3 * frames)
    short = calibrate(clips, chosen).evidence
    check(short, clips, expected(clips, [[0], [1], [2]], chosen))
    monkeypatch.setattr(left_out, "POOLED_FRAMES", 3 * frames - 1)
    monkeypatch.setattr(calibrate_module, "fit_gains", lambda *_: whole.all_gains)
    long = calibrate(clips, chosen).evidence
    check(long, clips, expected(clips, [[0], [1], [2]], chosen))
    assert long != short


def test_scores_are_held_in_parts(monkeypatch):
    clips = clips_of(0, 5)
    whole = calibrated(*clips).evidence
    for scores in (1, 700):
        monkeypatch.setattr(left_out, "SCORES", scores)
        assert calibrated(*clips).evidence == whole


def quarter(clip: ClipErrors, start: int, end: int) -> ClipErrors:
    """The frames of a clip as a clip of their own."""
    table = clip.table[clip.table["frame"].between(start, end - 1)]
    table = table.assign(frame=table["frame"] - start)
    return replace(clip, clip=f"{clip.clip}, frames {start} to {end}", table=table, frames=end - start)


@pytest.mark.parametrize("grid", [[], [1, 2]])
@pytest.mark.parametrize(("lookahead", "borders"), [(0, [0, 50, 100, 150, 200]), (8, [0, 52, 104, 156, 208])])
def test_of_a_single_clip_quarters_are_left_out_with_gaps_between_them(grid, lookahead, borders):
    """No error of a quarter depends on another quarter."""
    rows = [(t, 0, 8 * (t % 2), 0, 8 * (t % 2) + 6, 8, *RNG.gamma(2, 1, 2)) for t in range(200)]
    clip = replace(boxed_clip(rows, 200), lookahead=lookahead)
    chosen = params(grid=grid, threshold={"percentile": 90.0})
    stretches = [quarter(clip, a, b - lookahead) for a, b in pairwise(borders)]
    evidence = calibrate([clip], chosen).evidence
    check(evidence, stretches, expected(stretches, [[0], [1], [2], [3]], chosen))
    assert (evidence.clips, evidence.stretches) == (1, True)
    assert evidence.left_out_hours == pytest.approx((200 - 3 * lookahead) / 10 / 3600)


@pytest.mark.parametrize(("frames", "number"), [(28, 4), (27, 3), (20, 3), (19, 2), (12, 2), (11, 0), (2, 0)])
def test_a_stretch_is_no_shorter_than_the_gap_after_it(frames, number):
    clip = replace(clip_errors(RNG.random(frames)), lookahead=2)
    evidence = calibrated(clip, error_sigma=0.08).evidence  # the gaussian reaches two frames
    assert evidence.left_out == number


def test_nothing_is_known_where_nothing_can_be_fitted_without_a_clip():
    full, empty = clip_errors(RNG.random(40), clip="val/a"), clip_errors([], 40, clip="val/b")
    for clips in ([full, empty], [empty, full]):
        evidence = calibrated(*clips).evidence
        assert (evidence.left_out, evidence.worst, evidence.high_per_day) == (0, "val/a", 0.0)
    still = replace(full, clip="val/b", table=full.table.assign(error_look=np.float32(1)))
    assert calibrated(full, still).evidence.worst == "val/a"


def test_a_branch_that_varies_in_a_single_clip_does_not_count_without_it():
    """The calibration of the others leaves it out."""
    others = [clip_errors(RNG.random(40), clip=f"val/{i}", move=np.ones(40)) for i in range(2)]
    clips = [*others, clip_errors(RNG.random(40), clip="val/2", move=1 + RNG.random(40))]
    for fuse in ("sum", "max"):
        chosen = params(fuse=fuse)
        assert calibrate(clips, chosen).branches == ["look", "move"]
        check(calibrate(clips, chosen).evidence, clips, expected(clips, [[0], [1], [2]], chosen))


def test_few_frames_are_left_without_a_clip():
    """The percentile is of all frames; it needs no number of frames without the clip."""
    clips = [clip_errors(RNG.random(50), clip=f"val/{i}") for i in range(2)]
    evidence = calibrated(*clips, threshold={"percentile": 99.0}).evidence
    assert evidence.left_out == 2
    with pytest.raises(UserError, match="50 normal frames are too few"):
        calibrated(clips[0], threshold={"percentile": 99.0})


@pytest.mark.parametrize("policy", ["percentile", "false_alarms"])
def test_a_hundred_clips_are_left_out_quickly(policy):
    """Their errors are pooled once; here they are given."""
    clips = [clip_errors(RNG.random(500), clip=f"val/{i}", move=RNG.random(500)) for i in range(100)]
    normal = [NormalErrors(c, 0, 500, {b: c.errors(b) for b in ("look", "move")}) for c in clips]
    smooth = {"median": 1.4, "gaussian": 0.2}
    calibration = calibrated(*clips[:2], smooth=smooth, threshold={"policy": policy})
    start = time.process_time()
    assert gather_evidence(normal, calibration).left_out == 100
    assert time.process_time() - start < 8
