"""The layout `folder`, for your footage: a folder per split, with video files and folders of pictures.

    root/
      train/                     normal footage only
        walk 01.mp4              a clip: a video file …
        walk_02/0001.png …       … or a folder of pictures
        hall/                    optional level: a folder per camera, or per subject
          day.mp4
      val/                       optional; takes the place of data.folds and data.val_fraction
      test/
        hall/fall.mp4
      labels.csv                 optional: clip,start,end (frames from 0, end exclusive)
                                 hall/fall,120,185
      masks/                     optional: the anomalous pixels of each frame
        test/hall/fall/0001.png … or fall.npz or fall.npy, [frames, height, width]

`vad.layouts.labels` says how labels.csv marks clips as normal or not labelled, and what a missing row means.
Clips with masks but no intervals are labelled by their masks.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from vad import UserError
from vad.footage.csv_rows import nfc
from vad.footage.source_clip import SourceClip
from vad.footage.video import VIDEOS
from vad.layouts.base import LAYOUTS, Layout
from vad.layouts.labels import label_clips
from vad.layouts.tree import entries, items
from vad.pipeline.params import Field, Section
from vad.store.manifest import SPLITS

EXPECTED = "train/ and test/ (optionally val/) with video files or folders of pictures"
MASKS = {".npy", ".npz"}


@LAYOUTS.register
class Folder(Layout):
    """A folder per split, with video files and folders of pictures."""

    class Params(Section):
        """`data.folder`"""

        level: Literal["camera", "subject"] = Field(
            "camera", description="meaning of the folders between a split and its clips"
        )

    params: Params

    def read(self, root: Path) -> list[SourceClip]:
        """Lists the clips, with labels.csv and masks/ if they exist."""
        clips = []
        for split, folder in self.split_folders(root, EXPECTED).items():
            for name, source, level in items(folder, VIDEOS):
                clip = SourceClip(split, name, source)
                if level and self.params.level == "camera":
                    clip = replace(clip, camera=level)
                elif level:
                    clip = replace(clip, subject=level)
                clips.append(clip)
        return label_clips(_with_masks(clips, root / "masks"), root / "labels.csv")

    def auxiliary_files(self) -> tuple[str, ...]:
        return ("labels.csv",)

    @classmethod
    def advice(cls, root: Path) -> str | None:
        names = {path.name for path in entries(root) if path.is_dir()}
        return "data.format: folder" if names >= {"train", "test"} else None


def _with_masks(clips: list[SourceClip], folder: Path) -> list[SourceClip]:
    """Adds the masks to the clips; raises UserError for duplicate masks and masks without a clip."""
    masks: dict[tuple[str, str], Path] = {}
    for split in SPLITS:
        if (folder / split).is_dir():
            for name, path, _ in items(folder / split, MASKS):
                if (other := masks.setdefault((split, nfc(name)), path)) is not path:
                    raise UserError(f"{path}: masks of the clip also lie in {other}; remove one of them")
    clips = [replace(clip, masks=masks.pop((clip.split, nfc(clip.name)), None)) for clip in clips]
    for (split, name), path in masks.items():  # what is left belongs to no clip
        raise UserError(f"{path}: masks of an unknown clip; expected a clip {split}/{name} of the same name")
    return clips
