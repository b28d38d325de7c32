"""The options of `vad detect`."""

import math
from dataclasses import dataclass
from pathlib import Path

from vad import UserError
from vad.overlay.privacy import Privacy
from vad.regions import RegionMode


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        sources: pictures, videos, folders, cameras and addresses, as given.
        model: folder of the deployed model.
        camera: name of the camera in training: none, one for all sources, or one for each.
        csv: file for the score of every frame; None if not wanted, like those below.
        jsonl: file for events.
        video: file, or folder if there are several sources, for videos with overlays.
        snapshots: folder for pictures of events.
        privacy: what becomes of people in pictures that are written.
        overwrite: whether to replace files that exist.
        fps: frames per second that are scored at most; None for all.
        pictures: whether each picture of a folder is scored by itself.
        realtime: whether videos are played at their own pace, as cameras.
        seconds: after which a camera is left; None for never.
        open_timeout: seconds that a camera may take to answer.
        quiet: whether to print only events, pictures and errors.

    Raises:
        UserError: if a number is not above 0.
    """

    sources: list[str]
    model: Path
    camera: list[str]
    csv: Path | None = None
    jsonl: Path | None = None
    video: Path | None = None
    snapshots: Path | None = None
    privacy: Privacy = "none"
    overwrite: bool = False
    fps: float | None = None
    pictures: bool = False
    realtime: bool = False
    seconds: float | None = None
    open_timeout: float = 40.0
    quiet: bool = False

    def __post_init__(self) -> None:
        for name in ("fps", "seconds", "open_timeout"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UserError(f"--{name.replace('_', '-')} {value:g}: a number above 0 is expected")


def require_possible(privacy: Privacy, mode: RegionMode) -> None:
    """Refuses a privacy for which a model finds nothing to hide.

    Args:
        privacy: the privacy asked for.
        mode: the mode of preprocessing of the model.

    Raises:
        UserError: if silhouettes are asked for and regions do not depend on what frames show.
    """
    if privacy == "silhouette" and not mode.reads_frames:
        raise UserError(
            f"--privacy silhouette: the model scores whole frames (preprocess.mode: {mode.name}) and does "
            "not know where people are; use --privacy blur, which blurs the whole picture"
        )
