"""A folder of pictures per person, as small scikit-learn and Keras systems have it.

root/
  train/person1/*.jpg        one clip per person; subject = person, one camera
        person2/*.jpg
  val/person3/*.jpg          optional; else cut from train by data.val_fraction
  test/person1/*.jpg
  labels.csv                 optional: clip,start,end (frames from 0, end exclusive)
                             person1,30,55
"""

from pathlib import Path

from vad.footage import decode, labels, layouts, source_clip
from vad.pipeline.params import Section

EXPECTED = "train/ and test/ (optionally val/), in each a folder of pictures per person"


class Params(Section):
    """`data.persons`"""


def read(root: Path, params: Params) -> list[source_clip.SourceClip]:
    """The clips below `root`. Raises UserError if it is not laid out as above."""
    found = []
    for split, folder in layouts.split_folders(root, "persons", EXPECTED).items():
        people = [p for p in layouts.entries(folder) if p.is_dir()]
        if not people or any(layouts.entries(p) and not decode.is_picture_folder(p) for p in people):
            raise layouts.mismatch(
                folder, "persons", "a folder of pictures per person (data.format: folder takes more)"
            )
        found += [source_clip.SourceClip(split, p.name, p, subject=p.name) for p in people]
    return labels.label(found, root / "labels.csv")
