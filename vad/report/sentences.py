"""What the page says in words: the summary, what to look at first, and what to do about alarms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vad.evaluation.alarm_summary import causes
from vad.overlay.wording import clip_time, share_texts
from vad.report.footage import Footage, TestedClip
from vad.report.wording import count, counted, duration, number, share
from vad.scoring import evidence as evidence_words
from vad.scoring.evidence import Evidence

DAY = 86400.0  # seconds
ZONES = (
    "If an alarm lasts or returns because of something that does not matter, such as a clock in the picture, "
    "a TV or a tree, leave its place out by a zone in data/zones.yaml; docs/preprocessing.md shows how."
)


def summary(footage: Footage, result: Mapping[str, Any]) -> list[str]:
    """The sentences at the top of the page.

    Args:
        footage: the test clips.
        result: of metrics.json of the stage `evaluate`.
    """
    clips = footage.tested
    events = sum(len(clip.scores.events) for clip in clips)
    cameras = len({clip.row.camera for clip in clips})
    seconds = sum(clip.duration for clip in clips)
    found = counted(events, "event") if events else "No event"
    from_where = f"{counted(len(clips), 'clip')} from {counted(cameras, 'camera')}"
    first = f"{found} in {duration(seconds)} of footage, {from_where}."
    return [first, *_labels(clips, result), *_expected(footage.calibration.evidence)]


def _labels(clips: Sequence[TestedClip], result: Mapping[str, Any]) -> list[str]:
    """How events compare with labels; without labels, how much is alarmed."""
    event = result.get("event")
    if not event:
        return [
            f"{share(result['anomaly_rate'])} of the time is alarmed. No clip is labelled: with labels of "
            "some anomalies in labels.csv (docs/footage.md), this page would say how many of them are found."
        ]
    alarms, hours = event["false_alarms"], event["hours"]
    raised = counted(alarms, "false alarm") if alarms else "no false alarm"
    normal = f"{raised} in {duration(3600 * hours)} of normal footage"
    if not event["labelled"]:
        sentence = f"Nothing is labelled anomalous; there {'was' if alarms == 1 else 'were'} {normal}."
        sentence = sentence.replace("were no", "was no")
    else:
        verb = "was" if event["labelled"] == 1 else "were"
        what = counted(event["labelled"], "labelled anomaly").replace("anomalys", "anomalies")
        sentence = f"{count(event['found'])} of {what} {verb} found, with {normal}."
    without = sum(clip.anomalous is None for clip in clips)
    if without:
        verb = "does" if without == 1 else "do"
        of_clips = f"{counted(without, 'clip')} of {count(len(clips))}"
        sentence += f" {of_clips}, without labels, {verb} not count in this."
    return [sentence]


def _expected(evidence: Evidence | None) -> list[str]:
    """What the threshold rests on, and how many false alarms are to be expected."""
    if evidence is None:
        return []
    rests, *others = evidence_words.sentences(evidence)
    if not evidence.left_out:
        return [" ".join([rests, *others])]
    asked = "" if evidence.asked_per_day is None else f" ({evidence.asked_per_day:g} per day asked for)"
    seen = evidence.left_out_events
    had = counted(seen, "false alarm") if seen else "no false alarm"
    high = _whole(evidence.high_per_day)
    rate = f"{_whole(evidence.low_per_day)} to {high}" if seen else f"at most {high}"
    return [
        f"{rests} Expect {rate} false alarms per day{asked}, {_apart(evidence)}: normal footage that the "
        f"threshold was fitted without had {had} in {duration(3600 * evidence.left_out_hours)}."
    ]


def _apart(evidence: Evidence) -> str:
    """The time between false alarms that are to be expected, in words."""
    least = duration(DAY / evidence.high_per_day)
    if not evidence.left_out_events:
        return f"that is one in {least} or more"
    return f"that is one every {least} to {duration(DAY / evidence.low_per_day)}"


def warning(evidence: Evidence | None) -> str:
    """The warning of a thin threshold; "" without one.

    Args:
        evidence: what the threshold rests on, if that is known.
    """
    text = evidence_words.warning(evidence)
    return "" if text is None else f"{text[0].upper()}{text[1:]}."


def advice(footage: Footage, evaluation: Path) -> tuple[list[str], list[str]]:
    """What to look at first and what to do about alarms, and notes with what to paste.

    Args:
        footage: the test clips.
        evaluation: folder of the stage `evaluate`, with its tables.
    """
    labelled = any(clip.anomalous is not None for clip in footage.tested)
    told: list[str] = []  # plain sentences
    proposals: list[str] = []  # sentences with lines to paste
    block: list[str] | None = None  # of which the end is still to come
    for line in causes(evaluation, labelled):
        if line.startswith("```"):
            if block is None:
                block = [told.pop()]
            else:
                proposals.append("\n".join(block))
                block = None
        elif block is not None:
            block.append(line)
        elif line and not line.startswith("#"):
            told.append(line.removeprefix("- ").replace("`", ""))
    if proposals:
        told.append("The notes below have a zone to paste, for the place that most alarms come from.")
    elif told:
        told.append(ZONES)
    return [_first(footage), *told], proposals + _left_out(footage.calibration.evidence)


def _first(footage: Footage) -> str:
    """What to look at first."""
    threshold = footage.calibration.threshold
    events = [(clip, event) for clip in footage.tested for event in clip.scores.events]
    if not events:
        clip = max(footage.tested, key=lambda clip: float(clip.scores.scores.max()))
        peak = int(clip.scores.scores.argmax())
        highest = number(float(clip.scores.scores[peak]))
        return (
            f"No event. The highest score, {highest} at a threshold of {number(threshold)}, is that of "
            f"{clip.name} at {clip_time(clip.time(peak))}."
        )
    clip, event = max(events, key=lambda item: item[1].score)
    why = ", ".join(share_texts(event.shares)[:2])
    start, end = clip_time(clip.time(event.start)), clip_time(clip.end(event.end))
    return (
        f"Look first at clip {clip.name}, {start} to {end}: its score is the highest, {number(event.score)} "
        f"at a threshold of {number(threshold)}" + (f", mainly by {why}." if why else ".")
    )


def _left_out(evidence: Evidence | None) -> list[str]:
    """How much of normal footage is alarmed by a threshold that was fitted without it."""
    texts = evidence_words.sentences(evidence)
    return texts[1:2] if evidence is not None and evidence.left_out else []


def _whole(value: float) -> str:
    """A rate as text: whole from 10 on, with separators of thousands."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
