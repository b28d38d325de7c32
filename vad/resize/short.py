"""Clips that are shorter than a window."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from vad import UserError
from vad.store.cards import read_card
from vad.store.manifest import Clip, needed_splits
from vad.windows.spec import WindowParams


def skip_short(
    clips: Sequence[Clip], frames: Path, window: WindowParams, key: str, on_error: Literal["fail", "skip"]
) -> tuple[list[Clip], dict[str, str]]:
    """Divides clips into those that are at least as long as a window and those that are skipped.

    Args:
        clips: all clips that were extracted.
        frames: folder of their frames.
        window: of the autoencoder.
        key: the key of `window` in params.yaml, for messages.
        on_error: "skip" skips the shorter clips.

    Returns:
        (the clips that are long enough, clip id -> reason of the others).

    Raises:
        UserError: for the first short clip with `on_error` "fail", and if a split has no clip left.
    """
    lengths = {clip.clip: read_card(frames / clip.clip)["shape"][0] for clip in clips}
    short = {
        clip: f"has {_frames(length)}, fewer than the {window.frames} of a window ({key}.frames)"
        for clip, length in lengths.items()
        if length < window.frames
    }
    if short and on_error == "fail":
        (clip, reason), *others = short.items()
        more = f"; so have {len(others)} more" if others else ""
        raise UserError(
            f"clip {clip!r}: {reason}{more}; lower that key, or skip such clips by data.on_error: skip"
        )
    enough = [clip for clip in clips if clip.clip not in short]
    for split in needed_splits(clips):
        if not any(clip.split == split for clip in enough):
            _refuse(split, {clip: reason for clip, reason in short.items() if clip.startswith(f"{split}/")})
    return enough, short


def _refuse(split: str, short: dict[str, str]) -> None:
    """Refuses a split without clips.

    Args:
        split: the split.
        short: its clips that are too short, clip id -> reason.

    Raises:
        UserError: always.
    """
    if not short:
        raise UserError(f"no {split} clips are left; see data/frames/skipped.csv for what was skipped")
    clip, reason = next(iter(short.items()))
    raise UserError(
        f"no {split} clips are left, since all {len(short)} are too short; for example {clip!r} {reason}; "
        "lower that key or add longer clips"
    )


def _frames(number: int) -> str:
    return f"{number} frame{'s' * (number != 1)}"
