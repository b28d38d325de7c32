"""Which clips are held out for validation."""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from vad import UserError
from vad.footage.source_clip import SourceClip


def refuse_duplicates(found: Iterable[SourceClip]) -> None:
    """Raises UserError if two sources would get the same clip id."""
    seen: dict[str, SourceClip] = {}
    for clip in found:
        if (other := seen.setdefault(clip.id.casefold(), clip)) is not clip:
            raise UserError(
                f"two clips would both be called {clip.id!r}: {other.source} and {clip.source}; "
                "rename one of them"
            )


def cut_validation(found: Sequence[SourceClip], fraction: float) -> list[SourceClip]:
    """Moves about `fraction` of the training clips to `val`, camera by camera.

    A clip goes to val if the hash of its name, as a number in [0, 1), is below `fraction`: its
    neighbours do not matter, so a new clip moves no other. Two exceptions keep both splits filled:
    a camera none of whose clips (or all of whose clips) would go gives the one with the lowest (keeps
    the one with the highest) number; a camera with a single training clip gives its tail.
    Nothing is cut where val clips exist already, or where `fraction` is 0.
    """
    if fraction == 0 or any(clip.split == "val" for clip in found):
        return list(found)
    cameras = defaultdict(list)
    for clip in found:
        if clip.split == "train":
            cameras[clip.camera].append(clip)
    chosen: set[str] = set()
    for camera in cameras.values():
        if len(camera) > 1:
            ranked = sorted(camera, key=_place)
            n = sum(_place(clip) < fraction for clip in camera)
            chosen.update(clip.id for clip in ranked[: min(max(n, 1), len(camera) - 1)])
    out = []
    for clip in found:
        if clip.id in chosen:
            out.append(replace(clip, split="val"))
        elif clip.split == "train" and len(cameras[clip.camera]) == 1:
            out.append(replace(clip, part=(0.0, 1 - fraction)))
            out.append(replace(clip, split="val", part=(1 - fraction, 1.0)))
        else:
            out.append(clip)
    return out


def _place(clip: SourceClip) -> float:
    name = unicodedata.normalize("NFC", clip.name)  # macOS spells accents in another way
    return int(hashlib.md5(name.encode()).hexdigest()[:8], 16) / 2**32
