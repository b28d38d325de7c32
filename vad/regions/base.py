"""The base class of region modes, and the section `preprocess` of params.yaml."""

from pathlib import Path
from typing import ClassVar

from vad.detection.foreground_params import ForegroundParams, ForegroundSettings
from vad.pipeline.params import Choice, Field, Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.digests import digest


class RegionMode(Plugin):
    """A mode of preprocessing: decides which boxes of every frame are regions.

    Args:
        params: the sub-section of `preprocess` with the name of the mode.
        foreground: `preprocess.foreground`, for modes that subtract the background.

    Attributes:
        uses_pixels: whether parameters are in pixels, which requires the same frame size for all clips of a
            camera.
        foreground: settings of background subtraction; None if the mode does not use it.
    """

    uses_pixels: ClassVar[bool]
    foreground: ForegroundSettings | None

    def __init__(self, params: Section, foreground: ForegroundParams):
        self.params = params
        self.foreground = None

    @property
    def reads_flow(self) -> bool:
        """Whether the mode reads the optical flow of the clips."""
        return False

    def prepare(self, cache: Path) -> list[str]:
        """Loads further inputs of the mode, for example weights; called once, before any clip.

        Args:
            cache: folder for downloads.

        Returns:
            Hashes of all inputs of `regions` other than frames, flow and `params`.

        Raises:
            UserError: if something is missing or unusable.
        """
        return [digest(self.foreground.active())] if self.foreground else []

    def regions(self, stem: Path, frames: Path, flow: Path, *, threads: int) -> None:
        """Work function: writes the regions of a clip in the form of `vad.regions.table`.

        Args:
            stem: path of the output files, without suffix.
            frames: stem of the clip's frames, uint8 [T, H, W] or [T, H, W, 3].
            flow: stem of the clip's flow; read only if `reads_flow`.
            threads: maximum number of threads.
        """
        raise NotImplementedError


REGION_MODES = Registry("vad.regions", RegionMode)


class PreprocessParams(Choice):
    """`preprocess`: the mode, a sub-section for each mode, and background subtraction, which modes share."""

    registry: ClassVar[Registry[RegionMode]] = REGION_MODES
    chooser: ClassVar[str] = "mode"
    mode: str = Field(
        "person_crop",
        description="regions: the whole frame (`none`), the whole frame reduced to its foreground "
        "(`silhouette`), or people and moving things (`person_crop`)",
    )
    foreground: ForegroundParams = Field(
        ForegroundParams(), description="background subtraction, for silhouettes and motion boxes"
    )
