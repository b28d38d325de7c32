"""The normal footage that a model learned from, as its card names it."""

from collections.abc import Iterable
from pathlib import Path

from vad.live.deployed_model import CameraEntry
from vad.store.cards import read_card
from vad.store.manifest import Clip


def cameras(clips: Iterable[Clip], tensors: Path) -> list[CameraEntry]:
    """Sums up the training clips of each camera.

    Args:
        clips: of the manifest.
        tensors: folder of the training tensors, whose cards hold size and rate of the extracted frames.

    Returns:
        An entry per camera, by name.
    """
    of_cameras: dict[str, list[dict]] = {}
    for clip in clips:
        stem = tensors.parent / clip.clip
        if clip.split == tensors.name and Path(f"{stem}.json").is_file():
            of_cameras.setdefault(clip.camera, []).append(read_card(stem))
    return [
        CameraEntry(
            camera=camera,
            clips=len(cards),
            hours=round(sum(card["frames"] / card["fps"] for card in cards) / 3600, 6),
            sizes=sorted({(card["frame"][1], card["frame"][0]) for card in cards}),
            rates=sorted({round(card["fps"], 6) for card in cards}),
        )
        for camera, cards in sorted(of_cameras.items())
    ]
