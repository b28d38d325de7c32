"""What the summary says about the check without labels."""

from typing import Any


def validation_section(result: dict[str, Any]) -> list[str]:
    """The section on the check, in lines; empty if `result` has no figures of it.

    Args:
        result: the figures of metrics.json, with those of the stage `validate` as `validation`.
    """
    if not (check := result.get("validation")):
        return []
    lines = ["## Check without labels", ""]
    if "absent" in check:
        return [*lines, f"None: {check['absent']}.", ""]
    lines += [
        f"Normal footage that the model has not seen, altered in {check['stretches']} stretches of "
        f"{check['clips']} clips: AUC {check['auc']:.3f} (95 % confidence interval {check['low']:.3f} to "
        f"{check['high']:.3f}) against {check['normal_frames']} normal frames; the same stretches unaltered: "
        f"{check['unaltered']:.3f}. An AUC of 0.5 says that scores do not tell the alteration from normal.",
        "",
        "| altered | stretches | AUC | 95 % interval | unaltered | alarmed | AUC of the best branch |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, figures in check["kind"].items():
        alone = {name: auc for name, auc in figures["branch"].items() if name != "learned"}
        branch, best = max(alone.items(), key=lambda item: item[1])
        lines.append(
            f"| {kind.replace('_', ' ')} | {figures['stretches']} | {figures['auc']:.3f} | "
            f"{figures['low']:.3f} to {figures['high']:.3f} | {figures['unaltered']:.3f} | "
            f"{100 * figures['alarmed']:.0f} % | {best:.3f} ({branch}) |"
        )
    return [*lines, ""]
