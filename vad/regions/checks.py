"""Checks before and after preprocessing: sizes of frames, body heights, clips with doubtful regions."""

from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from vad import UserError
from vad.regions.base import AUTO, LEAST_BODY_HEIGHT, BodyHeightSetting
from vad.store.cards import read_card
from vad.store.manifest import Clip

UNSTEADY = 0.3  # share of pixels that differ from the temporal median; about 0.1 for a fixed camera
LISTED = 5  # maximum number of clips listed in a message


def check_sizes(clips: Sequence[Clip], frames: Path) -> None:
    """Refuses clips of the same camera with different frame sizes, since parameters are in pixels.

    Args:
        clips: all clips.
        frames: folder of the extracted frames.

    Raises:
        UserError: naming the camera, the sizes and a clip of each size.
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
                "are measured in pixels; convert the clips to the same size, or give them separate cameras"
            )


def check_body_height(setting: BodyHeightSetting, clips: Sequence[Clip], frames: Path) -> None:
    """Refuses a body height set by the user that no person can have in frames of this size.

    Args:
        setting: `preprocess.body_height`.
        clips: all clips; test clips are not checked.
        frames: folder of the stage extract; only cards are read.

    Raises:
        UserError: naming the value, a clip and the size of its frames.
    """
    if setting == AUTO:
        return
    near = setting[1] if isinstance(setting, list) else setting
    for clip in clips:
        height, width = read_card(frames / clip.clip)["shape"][1:3]
        if clip.split != "test" and not LEAST_BODY_HEIGHT <= near <= 2 * height:
            raise UserError(
                f"preprocess.body_height = {setting}: should be pixels of the extracted frame, at its lower "
                f"border from {LEAST_BODY_HEIGHT:g} to twice its height, which is {2 * height} "
                f"({clip.clip!r} of camera {clip.camera!r} has frames of {width}x{height}); set "
                "preprocess.body_height: auto to fit it"
            )


def review(clips: Sequence[Clip], regions: Path, log: Callable[[str], None]) -> None:
    """Warns of clips whose background is not steady, and of clips without regions.

    Args:
        clips: all clips.
        regions: folder of their tables.
        log: receives a line for the user.

    Raises:
        UserError: if none of the training clips, of the validation clips, or of the clips of a fold has a
            region.
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
                "`python -m stages.sheet` draws them in reports/preprocess; lower the thresholds of the "
                "mode, or set preprocess.mode: none"
            )
    _require_folds(clips, set(empty))
    if empty:
        more = f" and {len(empty) - LISTED} more" if len(empty) > LISTED else ""
        log(f"{len(empty)} of {len(clips)} clips have no region: {', '.join(empty[:LISTED])}{more}")


def _require_folds(clips: Sequence[Clip], empty: Container[str]) -> None:
    """Checks that every fold has a clip with regions: `train` would refuse it, but only later."""
    for fold in sorted({clip.fold for clip in clips} - {-1}):
        names = [clip.clip for clip in clips if clip.fold == fold]
        if all(name in empty for name in names):
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UserError(
                f"fold {fold} has no region: none in {names[0]}{more}; `python -m stages.sheet` draws them "
                "in reports/preprocess; lower data.folds, or add normal clips"
            )
