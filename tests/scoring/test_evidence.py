"""What a threshold rests on, in words; and when there is a warning."""

from dataclasses import replace

import numpy as np
import pytest

from tests.scoring.errors import calibrated, clip_errors
from vad.scoring.evidence import Evidence, sentences, warning

RNG = np.random.default_rng(0)
BY_SHARE = Evidence(
    clips=6,
    hours=96 / 3600,
    asked_share=0.01,
    asked_per_day=None,
    left_out=6,
    stretches=False,
    worst="val/b",
    mean_share=0.02,
    worst_share=0.3925,
    left_out_hours=96 / 3600,
    left_out_events=4,
    low_per_day=981.12,
    high_per_day=9217.4,
)
BY_DAY = replace(
    BY_SHARE,
    hours=24.0,
    left_out_hours=24.0,
    asked_share=None,
    asked_per_day=2.0,
    left_out_events=4,
    low_per_day=1.09,
    high_per_day=10.24,
)
SINGLE = replace(BY_SHARE, clips=1, hours=12 / 3600, stretches=True, worst="val/a, frames 40 to 80")
EXPECT = ": expect frequent alarms on other footage; film at least "
NORMAL = " of what is normal, at different times"


def test_the_footage_the_share_and_the_interval_in_words():
    assert sentences(BY_SHARE) == [
        "The threshold rests on 96 seconds of normal footage in 6 clips.",
        "Normal clips that the threshold is fitted without are alarmed 2 % of the time on average (1 % "
        "asked), at worst 39.2 % (val/b).",
        "They have 4 false alarms in 96 seconds: 981 to 9217 per day, the exact 95 % interval of a Poisson "
        "distribution.",
    ]
    assert sentences(replace(BY_DAY, left_out_events=1, hours=0.05))[0::2] == [
        "The threshold rests on 3 minutes of normal footage in 6 clips.",
        "They have 1 false alarm in 24 hours: 1.09 to 10.2 per day (2 asked), the exact 95 % interval of a "
        "Poisson distribution.",
    ]
    none = replace(BY_DAY, left_out_events=0, low_per_day=0.0, high_per_day=2.996)
    assert sentences(none)[2] == (
        "They have no false alarm in 24 hours: at most 3 per day (2 asked), the one-sided 95 % bound of 3 in "
        "that time."
    )
    assert sentences(SINGLE)[:2] == [
        "The threshold rests on 12 seconds of normal footage in one clip.",
        "Normal stretches of the clip that the threshold is fitted without are alarmed 2 % of the time on "
        "average (1 % asked), at worst 39.2 % (val/a, frames 40 to 80).",
    ]
    assert (sentences(None), warning(None)) == ([], None)


def test_what_is_not_known_is_said():
    text = "How it does on other footage is not known: "
    unknown = replace(SINGLE, left_out=0, worst="")
    assert sentences(unknown)[1:] == [text + "the clip is too short."]
    assert sentences(replace(BY_SHARE, left_out=0))[1:] == [text + "nothing can be fitted without val/b."]
    assert warning(unknown) == f"the threshold rests on 12 seconds of one clip{EXPECT}24 minutes{NORMAL}"
    assert warning(replace(BY_DAY, left_out=0)) is not None


@pytest.mark.parametrize(("share", "warned"), [(0.0, False), (0.02, False), (0.0201, True), (1.0, True)])
def test_by_share_the_warning_appears_beyond_twice_what_was_asked(share, warned):
    """And the bound of false alarms does not count."""
    text = warning(replace(BY_SHARE, mean_share=share, high_per_day=1e9))
    expected = f"the threshold rests on 96 seconds of 6 clips{EXPECT}24 minutes{NORMAL}"
    assert text == (expected if warned else None)


@pytest.mark.parametrize(
    ("events", "high", "warned"),
    [(4, 20.0, False), (0, 20.0, False), (5, 20.0, True), (0, 20.1, True), (5, 20.1, True)],
)
def test_by_day_it_appears_beyond_twice_what_was_asked_or_above_a_bound_of_ten_times(events, high, warned):
    """Two a day are asked, in 24 hours."""
    text = warning(replace(BY_DAY, left_out_events=events, high_per_day=high, mean_share=1.0))
    expected = f"the threshold rests on 24 hours of 6 clips{EXPECT}48 hours{NORMAL}"
    assert text == (expected if warned else None)


def test_it_asks_for_the_footage_that_vouches_for_false_alarms():
    """Without a false alarm in 7.2 hours, at most ten a day are possible."""
    short = replace(BY_DAY, asked_per_day=1.0, hours=0.1, left_out_hours=0.1, high_per_day=720.0)
    assert warning(short).endswith(f"film at least 7.2 hours{NORMAL}")
    enough = replace(short, left_out_events=0, left_out_hours=7.2, high_per_day=24 / 7.2 * 2.996)
    assert warning(enough) is None


def test_no_footage_vouches_for_no_false_alarm():
    none = replace(BY_DAY, asked_per_day=0.0, left_out_events=0, high_per_day=0.01)
    assert warning(none) == (
        "the threshold rests on 24 hours of 6 clips, and no footage vouches for 0 false alarms: raise "
        "calibrate.threshold.per_day"
    )


@pytest.mark.parametrize("policy", ["sigma", "fixed"])
def test_where_no_rate_is_asked_for_there_is_no_warning(policy):
    clips = [clip_errors(times * RNG.random(40), clip=f"val/{times}") for times in (1, 100)]
    for some in (clips, clips[:1]):
        evidence = calibrated(*some, threshold={"policy": policy}).evidence
        assert sentences(evidence)[0].startswith("The threshold rests on ")
        assert warning(evidence) is None


def test_clips_that_are_alike_need_no_warning_and_clips_that_differ_do():
    rng = np.random.default_rng(0)
    alike = [clip_errors(rng.random(400), clip=f"val/{i}") for i in range(4)]
    quiet = calibrated(*alike, threshold={"percentile": 90.0}).evidence
    assert 0.05 < quiet.mean_share < 0.15
    assert warning(quiet) is None
    loud = clip_errors(3 + rng.random(400), clip="val/loud")
    evidence = calibrated(*alike, loud, threshold={"percentile": 95.0}).evidence
    assert (evidence.worst, evidence.worst_share) == ("val/loud", 1.0)
    assert warning(evidence).startswith("the threshold rests on 3.33 minutes of 5 clips: expect")
