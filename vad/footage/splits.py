"""Which clips are held out for validation."""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from vad import UserError
from vad.footage.source_clip import SourceClip


def refuse_duplicates(clips: Iterable[SourceClip]) -> None:
    """Refuses two sources with the same clip id.

    Raises:
        UserError: that names both.
    """
    by_id: dict[str, SourceClip] = {}
    for clip in clips:
        # letters of either case: some file systems keep no two names that differ in nothing else
        if (other := by_id.setdefault(clip.id.casefold(), clip)) is not clip:
            raise UserError(
                f"two clips would both be called {clip.id!r}: {other.source} and {clip.source}; "
                "rename one of them"
            )


def cut_validation(clips: Sequence[SourceClip], fraction: float) -> list[SourceClip]:
    """Moves about `fraction` of the training clips to `val`, camera by camera.

    A clip goes to val if the hash of its name, as a number in [0, 1), is below `fraction`: its
    neighbours do not matter, so a new clip moves no other. Two exceptions keep both splits filled:
    a camera none of whose clips (or all of whose clips) would go gives the clip with the lowest number
    (keeps the clip with the highest); a camera with a single training clip gives its tail.

    Args:
        clips: of all splits. Nothing is cut if there are val clips among them.
        fraction: from 0 (nothing is cut) to below 1.
    """
    if fraction == 0 or any(clip.split == "val" for clip in clips):
        return list(clips)
    cameras = defaultdict(list)
    for clip in clips:
        if clip.split == "train":
            cameras[clip.camera].append(clip)
    held_out: set[str] = set()
    for camera in cameras.values():
        if len(camera) > 1:
            ranked = sorted(camera, key=_rank)
            n = sum(_rank(clip) < fraction for clip in camera)
            held_out.update(clip.id for clip in ranked[: min(max(n, 1), len(camera) - 1)])
    out = []
    for clip in clips:
        if clip.id in held_out:
            out.append(replace(clip, split="val"))
        elif clip.split == "train" and len(cameras[clip.camera]) == 1:
            out.append(replace(clip, part=(0.0, 1 - fraction)))
            out.append(replace(clip, split="val", part=(1 - fraction, 1.0)))
        else:
            out.append(clip)
    return out


def _rank(clip: SourceClip) -> float:
    """A number in [0, 1) that depends on nothing but the clip's name."""
    name = unicodedata.normalize("NFC", clip.name)  # macOS spells accents in another way
    return int(hashlib.md5(name.encode()).hexdigest()[:8], 16) / 2**32
