"""Checks of what a mode gets and what it makes: the sizes of frames, and clips whose regions look wrong."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from vad import UserError
from vad.store.cards import read_card
from vad.store.manifest import Clip

UNSTEADY = 0.3  # share of pixels that differ from the temporal median; about 0.1 with a fixed camera
LISTED = 5  # clips named in a message, at most


def check_sizes(clips: Sequence[Clip], frames: Path) -> None:
    """Refuses frames of different sizes of one camera: parameters in pixels would mean two things.

    Args:
        clips: all clips.
        frames: folder of the extracted frames.

    Raises:
        UserError: naming the camera, the sizes and a clip of each.
    """
    sizes: dict[str, dict[tuple[int, int], str]] = defaultdict(dict)  # camera -> size -> first clip
    for clip in clips:
        height, width = read_card(frames / clip.clip)["shape"][1:3]
        sizes[clip.camera].setdefault((width, height), clip.clip)
    for camera, clip_of_size in sizes.items():
        if len(clip_of_size) > 1:
            listed = ", ".join(f"{w}x{h} ({clip!r})" for (w, h), clip in sorted(clip_of_size.items()))
            raise UserError(
                f"camera {camera!r}: its clips have frames of different sizes, {listed}, but boxes and blobs "
                "are judged in pixels; convert the clips to one size, or give them cameras of their own"
            )


def review(clips: Sequence[Clip], regions: Path, log: Callable[[str], None]) -> None:
    """Names the clips with hardly any background, and those without any region.

    Args:
        clips: all clips.
        regions: folder of their tables.
        log: takes a line for people.

    Raises:
        UserError: if no training clip has a region, or no validation clip.
    """
    cards = {clip.clip: read_card(regions / clip.clip) for clip in clips}
    for name, card in cards.items():
        if card.get("changing", 0) > UNSTEADY:
            log(
                f"clip {name!r}: {card['changing']:.0%} of its pixels differ from its median picture; does "
                "the camera move, or the light change? Boxes and silhouettes then mean little"
            )
    empty = [name for name, card in cards.items() if not card["regions"]]
    for split, adjective, purpose in (
        ("train", "training", "learn from"),
        ("val", "validation", "calibrate with"),
    ):
        names = [clip.clip for clip in clips if clip.split == split]
        if names and set(names) <= set(empty):
            raise UserError(
                f"none of the {len(names)} {adjective} clips has a region, so there is nothing to {purpose}; "
                "see reports/preprocess, lower the thresholds of the mode, or set preprocess.mode: none"
            )
    if empty:
        more = f" and {len(empty) - LISTED} more" if len(empty) > LISTED else ""
        log(f"{len(empty)} of {len(clips)} clips have no region: {', '.join(empty[:LISTED])}{more}")
