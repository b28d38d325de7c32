"""The base class of layouts, and the section `data` of params.yaml."""

from pathlib import Path
from typing import ClassVar

from vad import UserError
from vad.footage.params import SourceParams
from vad.footage.pictures import PICTURE_FPS
from vad.footage.source_clip import SourceClip
from vad.layouts.tree import listing, open_root
from vad.pipeline.params import Choice, Field, Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.manifest import SPLITS


class Layout(Plugin):
    """Lists the clips of a data set with their labels and masks.

    Args:
        params: the sub-section of `data` with the name of the layout.

    Attributes:
        picture_fps: frames per second of folders of pictures, unless data.fps says otherwise.
    """

    picture_fps: ClassVar[float] = PICTURE_FPS

    def __init__(self, params: Section):
        self.params = params

    def read(self, root: Path) -> list[SourceClip]:
        """Lists the clips without opening them; converts labels to [start, end) from 0.

        Args:
            root: data.root.

        Raises:
            UserError: if `root` does not have this layout, or labels cannot be read.
        """
        raise NotImplementedError

    @classmethod
    def advice(cls, root: Path) -> str | None:
        """The setting in params.yaml that chooses this layout, for messages; None if `root` does not fit."""
        return None

    def auxiliary_files(self) -> tuple[str, ...]:
        """Patterns of the files below data.root that belong to this layout, besides clips and masks."""
        return ()

    def mismatch(self, folder: Path, expected: str) -> UserError:
        """Makes the error for a folder that does not have this layout; it suggests a layout that fits.

        Args:
            folder: data.root or a folder below it.
            expected: the expected content of the folder.
        """
        others = (LAYOUTS.get(name).advice(folder) for name in LAYOUTS.names() if name != self.name)
        advice = next(filter(None, others), None)
        hint = f"; {advice} would fit" if advice else ""
        return UserError(
            f"{folder} does not match data.format = {self.name!r}: found {listing(folder)}; "
            f"expected {expected}{hint}"
        )

    def split_folders(self, root: Path, expected: str) -> dict[str, Path]:
        """Lists the folders of the splits.

        Args:
            root: data.root.
            expected: its expected content, for the message.

        Returns:
            Split -> folder, for train, test and, if it exists, val.

        Raises:
            UserError: if train or test is missing.
        """
        # listed instead of opened by name, since some file systems ignore case and would accept Train
        folders = {path.name: path for path in open_root(root) if path.is_dir()}
        if not {"train", "test"} <= folders.keys():
            raise self.mismatch(root, expected)
        return {split: folders[split] for split in SPLITS if split in folders}


LAYOUTS = Registry("vad.layouts", Layout)


class DataParams(SourceParams, Choice):
    """`data`: where the footage is, its layout, and a sub-section for each layout."""

    registry: ClassVar[Registry[Layout]] = LAYOUTS
    chooser: ClassVar[str] = "format"
    format: str = Field("folder", description="layout of the footage")
    val_fraction: float = Field(
        0.25,
        ge=0,
        le=0.9,
        description="share of the training clips held out for validation and calibration, if the footage has "
        "no val clips",
    )
    folds: int = Field(
        4,
        ge=1,
        le=16,
        description="parts of the training clips that take turns at being left out: each part is measured "
        "by models that learned from the others, so no clip is held out and `val_fraction` is not used; 1: "
        "one model, and validation clips (always so if the footage has val clips)",
    )
    allow_anomalous_train: bool = Field(False, description="accept training clips with labelled anomalies")
