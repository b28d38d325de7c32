"""Thresholds: each policy from its definition, and the best that the labels would have allowed."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vad import UserError
from vad.evaluation.oracle import oracle
from vad.scoring import events
from vad.scoring.events import EventParams
from vad.scoring.thresholds import ThresholdParams

RNG = np.random.default_rng(0)
few = settings(max_examples=50, deadline=None)
EVENTS = EventParams(merge_gap=1.0, min_duration=0.2)


def params(policy="percentile", **changed) -> ThresholdParams:
    given = {"percentile": 90.0, "sigma": 2.0, "value": 1.5, "per_hour": 60.0} | changed
    return ThresholdParams(policy=policy, **given)


def normal(*lengths: int, fps: float = 10.0) -> list[tuple[np.ndarray, float]]:
    return [(RNG.gamma(2, 1, n), fps) for n in lengths]


def threshold(how: ThresholdParams, clips: list, said: list | None = None) -> float:
    return how.of(clips, EVENTS, (said if said is not None else []).append)


@given(st.floats(1, 99), st.lists(st.integers(50, 200), min_size=2, max_size=3))
@few
def test_the_percentile_leaves_so_many_frames_below(percentile, lengths):
    clips = normal(*lengths)
    scores = np.sort(np.concatenate([own for own, _ in clips]))
    found = threshold(params(percentile=percentile), clips)
    assert found == pytest.approx(np.interp(percentile / 100 * (len(scores) - 1), range(len(scores)), scores))
    assert (scores < found).mean() == pytest.approx(percentile / 100, abs=1 / len(scores))


@pytest.mark.parametrize(
    ("percentile", "needed"), [(50.0, 2), (90.0, 10), (99.0, 100), (99.9, 1000), (99.99, 10_000), (98.5, 67)]
)
def test_a_percentile_needs_that_one_frame_lies_above(percentile, needed):
    how = params(percentile=percentile)
    threshold(how, normal(1, needed - 1))
    with pytest.raises(UserError) as caught:
        threshold(how, normal(needed - 1))
    assert str(caught.value) == (
        f"{needed - 1} validation frames cannot tell calibrate.threshold.percentile = {percentile:g}, for "
        f"which {needed} are needed; lower it, or hold out more by data.val_fraction"
    )


@pytest.mark.parametrize("policy", ["sigma", "fixed", "false_alarms"])
def test_other_policies_need_no_number_of_frames(policy):
    threshold(params(policy, percentile=99.9), normal(3))


def test_sigma_is_so_many_deviations_above_the_mean_of_all_frames():
    clips = normal(30, 70)
    scores = np.concatenate([own for own, _ in clips]).tolist()
    mean = sum(scores) / 100
    deviation = (sum((s - mean) ** 2 for s in scores) / 100) ** 0.5
    for many in (0.0, 2.0, 3.5):
        assert threshold(params("sigma", sigma=many), clips) == pytest.approx(mean + many * deviation)


def test_fixed_is_what_was_given():
    assert threshold(params("fixed", value=-0.25), normal(5, 5)) == -0.25


@given(st.integers(0, 1000), st.sampled_from([0.0, 30.0, 60.0, 600.0]))
@few
def test_false_alarms_are_as_rare_as_asked_for(seed, per_hour):
    """And would not be at the next lower score; clips count by their own frame rate."""
    rng = np.random.default_rng(seed)
    clips = [(rng.integers(0, 30, n).astype(float), fps) for n, fps in ((200, 10.0), (300, 5.0))]
    said: list[str] = []
    found = threshold(params("false_alarms", per_hour=per_hour), clips, said)
    hours = (200 / 10 + 300 / 5) / 3600

    def rate(at: float) -> float:
        return sum(len(events.find(own, at, fps, EVENTS)) for own, fps in clips) / hours

    assert rate(found) <= per_hour * (1 + 1e-9)
    if found > 0:  # the lowest of all scores
        assert rate(found - 1) > per_hour
    assert found == events.threshold_for(clips, per_hour, EVENTS)
    # 80 seconds cannot show less than 45 an hour
    assert len(said) == (per_hour < 45)
    if said:
        assert said[0].startswith(f"0.0222 hours of validation footage cannot show {per_hour:g} false alarms")


def test_only_what_the_policy_needs_matters():
    """So that another policy's number runs nothing again; the percentile is that of locations too."""
    for policy, own in (("sigma", "sigma"), ("fixed", "value"), ("false_alarms", "per_hour")):
        assert set(params(policy).active()) == {"policy", "percentile", own}
    assert set(params().active()) == {"policy", "percentile"}


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels, some of them anomalous, and scores with many ties."""
    n = draw(st.integers(1, 30))
    y = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(y.any())
    return y, np.array(draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))) / 2


def f1_score(y: np.ndarray, alarmed: np.ndarray) -> float:
    return 2 * (y & alarmed).sum() / (y.sum() + alarmed.sum())


@given(labelled())
@few
def test_the_oracle_is_the_best_of_all_thresholds(case):
    """A frame is alarmed above the threshold, not at it."""
    y, scores = case
    f1, at = oracle(y, scores)
    cuts = [-10.0, *np.unique(scores)]
    assert f1 == pytest.approx(max(f1_score(y, scores > cut) for cut in cuts))
    assert f1_score(y, scores > at) == pytest.approx(f1)


def test_the_oracle_by_hand():
    f1, at = oracle(np.array([0, 0, 1, 0, 1, 1], bool), np.array([0.0, 1, 2, 3, 4, 5]))
    assert f1 == pytest.approx(6 / 7)  # four alarms, three of them right
    assert 1 <= at < 2
