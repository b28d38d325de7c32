"""How times and shares of branches are written for people."""

from collections.abc import Mapping

LEAST_SHARE = 0.01  # which is worth a word


def clip_time(seconds: float) -> str:
    """A time within a clip: `1:02.5`, or `1:01:02.5` from an hour on.

    Args:
        seconds: since its start, 0 or more; rounded to tenths.
    """
    whole, tenth = divmod(round(10 * seconds), 10)
    hours, rest = divmod(whole, 3600)
    begin = f"{hours}:{rest // 60:02d}" if hours else f"{rest // 60}"
    return f"{begin}:{rest % 60:02d}.{tenth}"


def share_texts(shares: Mapping[str, float]) -> list[str]:
    """The shares of branches as texts, such as `motion 62 %`; without those below LEAST_SHARE.

    Args:
        shares: share by branch, 0 to 1, the largest first.
    """
    return [f"{name} {100 * share:.0f} %" for name, share in shares.items() if share >= LEAST_SHARE]
