"""How times and shares of branches are written for people."""

from collections.abc import Mapping

from vad.scoring.times import clip_time

__all__ = ["LEAST_SHARE", "clip_time", "share_texts"]

LEAST_SHARE = 0.01  # which is worth a word


def share_texts(shares: Mapping[str, float]) -> list[str]:
    """The shares of branches as texts, such as `motion 62 %`; without those below LEAST_SHARE.

    Args:
        shares: share by branch, 0 to 1, the largest first.
    """
    return [f"{name} {100 * share:.0f} %" for name, share in shares.items() if share >= LEAST_SHARE]
