"""What all layouts have in common, and the section `data` that chooses one."""

from pathlib import Path
from typing import ClassVar

from vad import UserError
from vad.footage.params import SourceParams
from vad.footage.source_clip import SourceClip
from vad.layouts.tree import listing, open_root
from vad.pipeline.params import Choice, Field, Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.manifest import SPLITS


class Layout(Plugin):
    """How a data set lies on disk: which clips there are, with their labels and masks.

    Args:
        params: the sub-section of `data` with the layout's name.
    """

    def __init__(self, params: Section):
        self.params = params

    def read(self, root: Path) -> list[SourceClip]:
        """The clips below `root`, without opening any; labels are converted to [start, end) from 0.

        Raises:
            UserError: if `root` is not laid out in this way, or labels cannot be read.
        """
        raise NotImplementedError

    @classmethod
    def advice(cls, root: Path) -> str | None:
        """What to set in params.yaml to choose this layout, if the entries of `root` look like it."""
        return None

    def mismatch(self, folder: Path, expected: str) -> UserError:
        """The error for a folder that is not laid out in this way; suggests a layout that fits.

        Args:
            folder: data.root or a folder below it.
            expected: what should lie in it.
        """
        others = (LAYOUTS.get(name).advice(folder) for name in LAYOUTS.names() if name != self.name)
        advice = next(filter(None, others), None)
        hint = f"; {advice} would fit" if advice else ""
        return UserError(
            f"{folder} does not match data.format = {self.name!r}: found {listing(folder)}; "
            f"expected {expected}{hint}"
        )

    def split_folders(self, root: Path, expected: str) -> dict[str, Path]:
        """train, test and, where it is there, val below the root; raises `mismatch` if one is missing."""
        # by listing, since a file system may take Train for train
        folders = {path.name: path for path in open_root(root) if path.is_dir()}
        if not {"train", "test"} <= folders.keys():
            raise self.mismatch(root, expected)
        return {split: folders[split] for split in SPLITS if split in folders}


LAYOUTS = Registry("vad.layouts", Layout)


class DataParams(SourceParams, Choice):
    """`data`: where the footage lies, how it is laid out, and a sub-section for each layout."""

    registry: ClassVar[Registry[Layout]] = LAYOUTS
    chooser: ClassVar[str] = "format"
    format: str = Field("folder", description="layout of the footage")
    val_fraction: float = Field(
        0.25,
        ge=0,
        le=0.9,
        description="share of the training clips held out for validation and calibration, where there is no "
        "val folder",
    )
    allow_anomalous_train: bool = Field(False, description="accept training clips with labelled anomalies")
