"""The layout `persons`: a folder of pictures per person, common in small scikit-learn and Keras projects.

root/
  train/person1/*.jpg        a clip per person, who becomes its subject; all clips have the same camera
        person2/*.jpg
  val/person3/*.jpg          optional; takes the place of data.folds and data.val_fraction
  test/person1/*.jpg
  labels.csv                 optional: clip,start,end (frames from 0, end exclusive)
                             person1,30,55
"""

from pathlib import Path

from vad.footage.pictures import is_picture_folder
from vad.footage.source_clip import SourceClip
from vad.layouts.base import LAYOUTS, Layout
from vad.layouts.labels import label_clips
from vad.layouts.tree import entries
from vad.pipeline.params import Section

EXPECTED = "train/ and test/ (optionally val/), in each a folder of pictures per person"


@LAYOUTS.register
class Persons(Layout):
    """A folder of pictures per person in each split."""

    class Params(Section):
        """`data.persons`: no parameters."""

    def read(self, root: Path) -> list[SourceClip]:
        """Lists a clip per person and split, with labels.csv if it exists."""
        clips = []
        for split, folder in self.split_folders(root, EXPECTED).items():
            people = [path for path in entries(folder) if path.is_dir()]
            if not people or any(entries(path) and not is_picture_folder(path) for path in people):
                raise self.mismatch(
                    folder, "a folder of pictures per person (data.format: folder takes more)"
                )
            clips += [SourceClip(split, path.name, path, subject=path.name) for path in people]
        return label_clips(clips, root / "labels.csv")

    def auxiliary_files(self) -> tuple[str, ...]:
        return ("labels.csv",)
