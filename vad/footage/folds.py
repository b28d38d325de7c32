"""Folds: training clips are dealt out to parts that take turns at being left out of training."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vad import UserError
from vad.footage.info import Info
from vad.footage.source_clip import SourceClip
from vad.footage.splits import rank

# Seconds between two stretches of a clip. Windows are shorter, and smoothing reaches about a second each way,
# so no score of a stretch depends on frames of another.
GUARD = 2.0


def assign_folds(
    clips: Sequence[SourceClip], folds: int, info: Mapping[Path, Info], log: Callable[[str], None]
) -> list[SourceClip]:
    """Deals the training clips of each camera out to folds evenly, in the order of the hash of their names.

    If a camera has fewer clips than folds, its longest clips are cut into stretches, so that each fold has
    one clip or stretch.

    Args:
        clips: of all splits, none of them `val`.
        folds: number of folds, at least 2.
        info: of each source.
        log: writes a line of text.

    Returns:
        All clips; training clips have a `fold`, and stretches have names like `<clip> 1of3`.

    Raises:
        UserError: if stretches would be shorter than GUARD.
    """
    cameras: defaultdict[str, list[SourceClip]] = defaultdict(list)
    for clip in clips:
        if clip.split == "train":
            cameras[clip.camera].append(clip)
    assigned = [clip for clip in clips if clip.split != "train"]
    dealt = 0  # counted over all cameras, or the first folds would get the remainder of every camera
    for camera, whole in sorted(cameras.items()):
        ranked = sorted(whole, key=lambda clip: (rank(clip), clip.id))
        parts = ranked if len(ranked) >= folds else _cut(ranked, folds, info)
        if len(parts) > len(ranked):
            log(
                f"camera {camera!r} has {_clips(len(ranked))}, fewer than data.folds = {folds}: "
                f"{len(parts)} stretches are made of them, {GUARD:g} s apart"
            )
        for part in parts:
            assigned.append(replace(part, fold=dealt % folds))
            dealt += 1
    return assigned


def _cut(clips: Sequence[SourceClip], folds: int, info: Mapping[Path, Info]) -> list[SourceClip]:
    """Cuts the clips of a camera into as many stretches as there are folds."""
    seconds = {clip.id: _frames(clip, info) / info[clip.source].fps for clip in clips}
    numbers = dict.fromkeys(seconds, 1)  # of stretches by clip

    def length(clip: str, number: int) -> float:
        return (seconds[clip] + GUARD) / number - GUARD

    while sum(numbers.values()) < folds:
        longest = max(numbers, key=lambda clip: length(clip, numbers[clip] + 1))
        numbers[longest] += 1
        if length(longest, numbers[longest]) < GUARD:
            raise UserError(
                f"camera {clips[0].camera!r} has {_clips(len(clips))} of normal footage with "
                f"{sum(seconds.values()):.1f} s, too short for data.folds = {folds}: a stretch would have "
                f"less than {GUARD:g} s; lower data.folds to {sum(numbers.values()) - 1}, or add normal clips"
            )
    return [part for clip in clips for part in _stretches(clip, numbers[clip.id], info)]


def _stretches(clip: SourceClip, number: int, info: Mapping[Path, Info]) -> list[SourceClip]:
    """Cuts a clip into stretches of about the same length, with GUARD between them."""
    if number == 1:
        return [clip]
    frames, guard = _frames(clip, info), math.ceil(GUARD * info[clip.source].fps)
    borders = [round(i * (frames + guard) / number) for i in range(number + 1)]
    return [
        replace(
            clip,
            name=f"{clip.name} {i + 1}of{number}",
            part=(borders[i] / frames, (borders[i + 1] - guard) / frames),
        )
        for i in range(number)
    ]


def _frames(clip: SourceClip, info: Mapping[Path, Info]) -> int:
    first, end = clip.span(info[clip.source].frames)
    return end - first


def _clips(number: int) -> str:
    return "1 clip" if number == 1 else f"{number} clips"
