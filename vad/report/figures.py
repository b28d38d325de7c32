"""The headline figures with what they mean, and the tables of scorers and of the check without labels."""

from collections.abc import Mapping
from typing import Any

from vad.report.contents import Figure, Table
from vad.report.wording import count, duration, number, share

MODEL = "model"


def figures(result: Mapping[str, Any], check: Mapping[str, Any], tested: bool) -> list[Figure]:
    """The figures of the summary, the most important first; those that are undefined are left out.

    Args:
        result: of metrics.json of the stage `evaluate`.
        check: the same of the stage `validate`.
        tested: whether any clip is labelled.
    """
    out = [*(_labelled(result) if tested else []), *_of_all(result)]
    if "auc" in check:
        out.append(
            Figure(
                "AUC of the check without labels",
                _decimals(check["auc"]),
                f"Normal footage was altered in {count(check['stretches'])} stretches: how well scores tell "
                "it from normal footage as it is. 0.5 would be no better than chance.",
                _interval(check["low"], check["high"]),
            )
        )
    return out


def _labelled(result: Mapping[str, Any]) -> list[Figure]:
    frame, event = result["frame"], result.get("event", {})
    out = []
    if "auc_micro" in frame:
        interval = result["interval"]["auc_micro"]
        out.append(
            Figure(
                "Frame AUC, micro",
                _decimals(frame["auc_micro"]),
                "The chance that an anomalous frame has a higher score than a normal one. 0.5 is guessing, 1 "
                "is perfect.",
                _interval(interval.get("low"), interval.get("high")),
            )
        )
        gain = result["gain"]["auc_micro"]
        if "difference" in gain:
            out.append(
                Figure(
                    "Gain over what learns nothing",
                    f"{gain['difference']:+.3f}",
                    f"The AUC less that of the best scorer that learns nothing ({result['gain']['over']}).",
                    f"{gain['low']:+.3f} to {gain['high']:+.3f}" if "low" in gain else "",
                )
            )
    if event.get("labelled"):
        out.append(
            Figure(
                "Labelled anomalies found",
                f"{event['found']} of {event['labelled']}",
                "An event overlaps them.",
            )
        )
    if "false_alarms" in event:
        rate, interval = "", ""
        if "false_alarms_per_hour" in event:
            mean, low, high = (number(event[f"false_alarms_per_hour{end}"]) for end in ("", "_low", "_high"))
            rate, interval = f": {mean} per hour", f"{low} to {high} per hour"
        out.append(
            Figure(
                "False alarms",
                count(event["false_alarms"]),
                f"Events outside of labels, in {duration(3600 * event['hours'])} of normal footage{rate}.",
                interval,
            )
        )
    if "delay_median" in event:
        out.append(
            Figure(
                "Delay",
                f"{event['delay_median']:.2f} s",
                f"From the start of a labelled anomaly to that of its event (median); "
                f"{event['delay_median_delivered']:.2f} s until it is known live.",
            )
        )
    if "f1" in frame:
        out.append(
            Figure(
                "F1 of frames",
                _decimals(frame["f1"]),
                f"At the threshold, {share(frame['precision'])} of the alarmed frames are anomalous, and "
                f"{share(frame['recall'])} of the anomalous frames are alarmed.",
            )
        )
    if "auc" in result.get("pixel", {}):
        out.append(
            Figure(
                "Pixel AUC",
                _decimals(result["pixel"]["auc"]),
                "The same as the frame AUC, for pixels: how well scores tell where in the picture it is.",
            )
        )
    return out


def _of_all(result: Mapping[str, Any]) -> list[Figure]:
    ahead = result["lookahead"]
    return [
        Figure(
            "Alarmed", share(result["anomaly_rate"]), "Share of the frames with a score above the threshold."
        ),
        Figure(
            "Threshold", number(result["threshold"]), "From normal footage alone; no label was used for it."
        ),
        Figure(
            "Delay of live scores",
            f"{ahead['seconds']:.2f} s",
            f"A score needs the next {count(ahead['frames'])} frames."
            if ahead["frames"]
            else "A score needs no later frames.",
        ),
    ]


def scorers(result: Mapping[str, Any]) -> Table | None:
    """The model beside its branches and the scorers that learn nothing; None without labels of both classes.

    Args:
        result: of metrics.json of the stage `evaluate`.
    """
    frame = result["frame"]
    if "auc_micro" not in frame:
        return None
    branches = result.get("branch", {})
    named = {
        "all learned branches" if n == "learned" else f"branch {n} alone": v for n, v in branches.items()
    }
    others = named if len(branches) > 1 else {}
    others |= {f"{name} (learns nothing)": aucs for name, aucs in result["baseline"].items()}
    rows = [(MODEL, frame), *others.items()]
    keys = ("auc_micro", "auc_macro", "average_precision", "eer")
    return Table(
        ("scorer", "micro AUC", "macro AUC", "average precision", "equal error rate"),
        [(name, *(_decimals(values.get(key)) for key in keys)) for name, values in rows],
        (1, 2, 3, 4),
    )


def check_table(check: Mapping[str, Any]) -> Table | None:
    """The check without labels, a row per alteration; None if it was not made.

    Args:
        check: metrics.json of the stage `validate`.
    """
    if "kind" not in check:
        return None
    rows = []
    for kind, values in check["kind"].items():
        alone = {name: auc for name, auc in values["branch"].items() if name != "learned"}
        branch, best = max(alone.items(), key=lambda item: item[1])
        rows.append(
            (
                kind.replace("_", " "),
                count(values["stretches"]),
                _decimals(values["auc"]),
                _interval(values["low"], values["high"]),
                _decimals(values["unaltered"]),
                share(values["alarmed"]),
                f"{best:.3f} ({branch})",
            )
        )
    head = ("altered", "stretches", "AUC", "95 % interval", "unaltered", "alarmed", "AUC of the best branch")
    return Table(head, rows, (1, 2, 3, 4, 5))


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
