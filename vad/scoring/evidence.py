"""What a threshold rests on, in figures and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

# There is a warning if left-out footage has more alarms than TOO_MANY times what was asked for, or if the
# upper bound of false alarms is above TOO_VAGUE times that.
TOO_MANY, TOO_VAGUE = 2, 10
# A threshold by share needs ABOVE independent scores above it to hold within a factor of 2, as the 95 % bound
# of a count of 7 is 14. Scores that are INDEPENDENT seconds apart are taken to be independent.
ABOVE, INDEPENDENT = 7, 2.0
NONE_SEEN = 3.0  # the 95 % bound of a count of 0 (rule of three)
MOST_ALARMS = 100  # false alarms that are kept, for people to look at


@dataclass(frozen=True)
class LeftOutAlarm:
    """A false alarm: an event of normal footage, by a calibration that was fitted without this footage.

    Attributes:
        clip: id of the clip.
        start, end, peak: indices of extracted frames; `end` is exclusive.
        score: of the frame `peak`.
        threshold: with which the scores were compared.
    """

    clip: str
    start: int
    end: int
    peak: int
    score: float
    threshold: float


@dataclass(frozen=True)
class Evidence:
    """What a threshold rests on, and how it does on normal footage that it was not fitted to.

    For that, normal clips are left out one by one: scores and a threshold are fitted to the others, and
    applied to the clip. Of a single clip, stretches are left out.

    Attributes:
        clips: number of normal clips.
        hours: their duration.
        asked_share: share of frames that were asked to be alarmed; None unless the policy is `percentile`.
        asked_per_day: false alarms per day that were asked for; None unless the policy is `false_alarms`.
        left_out: number of clips or stretches that were left out; 0 if that is impossible, because the only
            clip is too short to be divided, or nothing can be fitted without the clip `worst`. The figures
            below are then 0.
        stretches: whether these are stretches of a single clip.
        mean_share, worst_share: share of their frames that was alarmed, from 0 to 1: the mean over clips or
            stretches, and the highest.
        worst: the clip with the highest share, or the stretch, as `<clip>, frames <start> to <end>`; empty if
            nothing was left out because the only clip is too short.
        left_out_hours: duration of the clips or stretches that were left out.
        left_out_events: number of events in them, all of which are false alarms.
        low_per_day, high_per_day: 95 % confidence interval of false alarms per day: the exact, two-sided one
            of a Poisson distribution; without an event one-sided, from 0 to 3 in that time.
        alarms: these false alarms, at most the MOST_ALARMS highest above their thresholds, the highest
            first.
    """

    clips: int
    hours: float
    asked_share: float | None
    asked_per_day: float | None
    left_out: int
    stretches: bool
    worst: str
    mean_share: float = 0.0
    worst_share: float = 0.0
    left_out_hours: float = 0.0
    left_out_events: int = 0
    low_per_day: float = 0.0
    high_per_day: float = 0.0
    alarms: tuple[LeftOutAlarm, ...] = ()

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Evidence":
        """Reads what `dataclasses.asdict` made of it.

        Raises:
            TypeError: if it has other fields.
        """
        return cls(**{**raw, "alarms": tuple(LeftOutAlarm(**alarm) for alarm in raw.get("alarms", ()))})

    @property
    def too_many(self) -> bool:
        """Whether left-out footage had more alarms than TOO_MANY times what was asked for."""
        if self.asked_share is not None:
            return not self.left_out or self.mean_share > TOO_MANY * self.asked_share
        if self.asked_per_day is not None and self.left_out:
            return self.left_out_events > TOO_MANY * self.asked_per_day * self.left_out_hours / 24
        return False

    @property
    def too_vague(self) -> bool:
        """Whether the upper bound of false alarms is above TOO_VAGUE times what was asked for."""
        if self.asked_per_day is None:
            return False
        return not self.left_out or self.high_per_day > TOO_VAGUE * self.asked_per_day


def sentences(evidence: Evidence | None) -> list[str]:
    """What the threshold rests on, in sentences.

    Args:
        evidence: of a threshold; None has no sentences.
    """
    if evidence is None:
        return []
    footage = f"{duration(evidence.hours)} of normal footage in {count_clips(evidence.clips)}"
    rests = f"The threshold rests on {footage}."
    kind = "stretches of the clip" if evidence.stretches else "clips"
    if not evidence.left_out:
        why = f"nothing can be fitted without {evidence.worst}" if evidence.worst else "the clip is too short"
        return [rests, f"How it does on other footage is not known: {why}."]
    asked = f" ({_percent(evidence.asked_share)} asked)" if evidence.asked_share is not None else ""
    share = (
        f"Normal {kind} that the threshold is fitted without are alarmed {_percent(evidence.mean_share)} "
        f"of the time on average{asked}, at worst {_percent(evidence.worst_share)} ({evidence.worst})."
    )
    events, hours = evidence.left_out_events, duration(evidence.left_out_hours)
    asked = f" ({evidence.asked_per_day:g} asked)" if evidence.asked_per_day is not None else ""
    high = f"{number(evidence.high_per_day)} per day{asked}"
    if not events:
        alarms = f"no false alarm in {hours}: at most {high}, the one-sided 95 % bound of 3 in that time."
    else:
        raised = "1 false alarm" if events == 1 else f"{events} false alarms"
        alarms = (
            f"{raised} in {hours}: {number(evidence.low_per_day)} to {high}, the exact 95 % interval of a "
            "Poisson distribution."
        )
    return [rests, share, f"They have {alarms}"]


def warning(evidence: Evidence | None) -> str | None:
    """The warning, in a sentence; None if the footage vouches for what was asked for.

    Args:
        evidence: of a threshold; None has no warning.
    """
    if evidence is None or not (evidence.too_many or evidence.too_vague):
        return None
    rests = f"the threshold rests on {duration(evidence.hours)} of {count_clips(evidence.clips)}"
    if evidence.asked_per_day == 0:
        return f"{rests}, and no footage vouches for 0 false alarms: raise calibrate.threshold.per_day"
    return (
        f"{rests}: expect frequent alarms on other footage; film at least {duration(_wanted(evidence))} of "
        "what is normal, at different times"
    )


def _wanted(evidence: Evidence) -> float:
    """Hours of normal footage to film, in whole minutes: twice as much as there is, or more."""
    if evidence.asked_per_day:
        needed = 24 * NONE_SEEN / TOO_VAGUE / evidence.asked_per_day
    else:
        assert evidence.asked_share is not None
        needed = ABOVE * INDEPENDENT / evidence.asked_share / 3600
    return ceil(60 * max(needed, 2 * evidence.hours)) / 60


def count_clips(number: int) -> str:
    """`one clip`, `2 clips`."""
    return "one clip" if number == 1 else f"{number} clips"


def duration(hours: float) -> str:
    """`12 seconds`, `2 minutes`, `7.5 hours`, from hours."""
    for unit, seconds in (("second", 1), ("minute", 60), ("hour", 3600)):
        amount = 3600 * hours / seconds
        if unit == "hour" or amount < 100:
            break
    text = number(amount)
    return f"{text} {unit}{'s' * (text != '1')}"


def _percent(share: float) -> str:
    return f"{number(100 * share)} %"


def number(value: float) -> str:
    """Three significant digits below 100, whole numbers above: `0.123`, `14400`."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
