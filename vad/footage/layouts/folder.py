"""Your own footage: a folder per split, a clip per video file or folder of pictures.

    root/
      train/                     normal footage only
        walk 01.mp4              a clip: a video file …
        walk_02/0001.png …       … or a folder of pictures
        hall/                    optionally one level between: a camera, or a subject
          day.mp4
      val/                       optional; else cut from train by data.val_fraction
      test/
        hall/fall.mp4
      labels.csv                 optional: clip,start,end (frames from 0, end exclusive)
                                 hall/fall,120,185
      masks/                     optional: the anomalous pixels of each frame
        test/hall/fall/0001.png … or fall.npz or fall.npy, [frames, height, width]

With labels.csv, test clips that it does not name are labelled normal. Without it, clips that have
masks are labelled by them and the others are unlabelled.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from vad import UserError
from vad.footage import csv_rows, decode, labels, layouts, source_clip
from vad.pipeline.params import Section
from vad.store import manifest

EXPECTED = "train/ and test/ (optionally val/) with video files or folders of pictures"
MASKS = {".npy", ".npz"}


class Params(Section):
    """`data.folder`"""

    level: Literal["camera", "subject"]  # what a folder between the split and its clips stands for


def read(root: Path, params: Params) -> list[source_clip.SourceClip]:
    """The clips below `root`. Raises UserError if it is not laid out as above."""
    found = []
    for split, folder in layouts.split_folders(root, "folder", EXPECTED).items():
        for name, source, level in layouts.items(folder, decode.VIDEOS):
            where = {params.level: level} if level else {}
            found.append(source_clip.SourceClip(split, name, source, **where))
    found = labels.label(found, root / "labels.csv")
    return _with_masks(found, root / "masks")


def _with_masks(found: list[source_clip.SourceClip], folder: Path) -> list[source_clip.SourceClip]:
    """Adds the masks; raises UserError for masks of a clip that is not there."""
    masks = {}
    for split in manifest.SPLITS:
        if (folder / split).is_dir():
            for name, path, _ in layouts.items(folder / split, MASKS):
                if (other := masks.setdefault((split, csv_rows.nfc(name)), path)) is not path:
                    raise UserError(f"{path}: masks of the clip also lie in {other}; remove one of them")
    found = [replace(clip, masks=masks.pop((clip.split, csv_rows.nfc(clip.name)), None)) for clip in found]
    for (split, name), path in masks.items():
        raise UserError(f"{path}: masks of an unknown clip; expected a clip {split}/{name} of the same name")
    return found
