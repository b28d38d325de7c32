"""Splits: refuses duplicate clip ids, and holds out training clips for validation."""

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
        UserError: naming both sources.
    """
    by_id: dict[str, SourceClip] = {}
    for clip in clips:
        # ignoring case, since ids become file names and some file systems ignore case
        if (other := by_id.setdefault(clip.id.casefold(), clip)) is not clip:
            raise UserError(
                f"two clips would both be called {clip.id!r}: {other.source} and {clip.source}; "
                "rename one of them"
            )


def cut_validation(clips: Sequence[SourceClip], fraction: float) -> list[SourceClip]:
    """Holds out about `fraction` of the training clips of each camera for validation.

    A clip is held out if the hash of its name, as a number in [0, 1), is below `fraction`. Other clips do not
    matter, so that adding a clip moves none of them. Two exceptions make sure that every camera has clips in
    both splits: of several training clips, at least the clip with the lowest number and at most all but the
    clip with the highest are held out; of a single training clip, the last `fraction` of its frames is.

    Args:
        clips: of all splits. If there are validation clips among them, nothing is held out.
        fraction: 0 (nothing is held out) to 1 (exclusive).

    Returns:
        All clips, with the split `val` for those held out.
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
            ranked = sorted(camera, key=rank)
            n = sum(rank(clip) < fraction for clip in camera)
            held_out.update(clip.id for clip in ranked[: min(max(n, 1), len(camera) - 1)])
    divided = []
    for clip in clips:
        if clip.id in held_out:
            divided.append(replace(clip, split="val"))
        elif clip.split == "train" and len(cameras[clip.camera]) == 1:
            divided.append(replace(clip, part=(0.0, 1 - fraction)))
            divided.append(replace(clip, split="val", part=(1 - fraction, 1.0)))
        else:
            divided.append(clip)
    return divided


def rank(clip: SourceClip) -> float:
    """Hash of the clip's name, as a number in [0, 1)."""
    name = unicodedata.normalize("NFC", clip.name)  # macOS may encode accents differently
    return int(hashlib.md5(name.encode()).hexdigest()[:8], 16) / 2**32
