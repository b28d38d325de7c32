"""How numbers and times are written on the page."""

import math

MISSING = "–"


def number(value: float | None) -> str:
    """A number with three significant digits, or all digits before the point: `0.0123`, `4.13`, `12,345`.

    Args:
        value: None or no finite number gives MISSING.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    rounded = float(f"{value:.3g}")
    if rounded == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{decimals}f}"


def count(value: int | None) -> str:
    """A whole number with separators of thousands: `12,345`; None gives MISSING."""
    return MISSING if value is None else f"{value:,}"


def auc(value: float | None) -> str:
    """An AUC with three decimals: `0.985`; None gives MISSING."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.3f}"


def share(value: float | None) -> str:
    """A share from 0 to 1 in percent: `36.7 %`; None gives MISSING."""
    if value is None or not math.isfinite(value):
        return MISSING
    return "100 %" if value == 1 else f"{number(100 * value)} %"


def counted(value: int, noun: str) -> str:
    """A number of things, with the plural that most nouns have: `1 clip`, `1,200 clips`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def duration(seconds: float) -> str:
    """A duration in the unit that suits it: `38.4 s`, `12.3 minutes`, `7.20 hours`, `2.50 days`."""
    for unit, amount, until in (("s", 1, 60), ("minutes", 60, 3600), ("hours", 3600, 48 * 3600)):
        if seconds < until:
            return f"{number(seconds / amount)} {unit}"
    return f"{number(seconds / 86400)} days"
