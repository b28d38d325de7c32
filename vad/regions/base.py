"""What all modes of preprocessing have in common: where to look, as boxes in frames."""

from pathlib import Path
from typing import ClassVar

from vad.detection.foreground_params import ForegroundParams, ForegroundSettings
from vad.pipeline.params import Choice, Field, Section
from vad.pipeline.registry import Plugin, Registry
from vad.store.digests import digest


class RegionMode(Plugin):
    """A mode of preprocessing: says which boxes of every frame are regions.

    Attributes:
        uses_pixels: whether parameters are in pixels, so that all clips of a camera must have frames of one
            size.
        foreground: how the background is subtracted; None if it is not, so that `preprocess.foreground` has
            no effect.
    """

    uses_pixels: ClassVar[bool]
    foreground: ForegroundSettings | None

    def __init__(self, params: Section, foreground: ForegroundParams):
        """Modes that subtract the background resolve `foreground`, the others ignore it."""
        self.params = params
        self.foreground = None

    @property
    def reads_flow(self) -> bool:
        """Whether the clips' optical flow is read."""
        return False

    def prepare(self, cache: Path) -> list[str]:
        """Opens what the mode needs, such as weights, and remembers it; called once, before any clip.

        Args:
            cache: folder for what may be lost without harm.

        Returns:
            Hashes of all that decides the regions besides frames, flow and `params`.

        Raises:
            UserError: if something is missing or unusable.
        """
        return [digest(self.foreground.active())] if self.foreground else []

    def regions(self, stem: Path, frames: Path, flow: Path, *, threads: int) -> None:
        """Work function: writes the regions of one clip, as `vad.regions.table` describes them.

        Args:
            stem: of the files to be written.
            frames: stem of the clip's frames, uint8 [T, H, W] or [T, H, W, 3].
            flow: stem of the clip's flow; read only if `reads_flow`.
            threads: at most so many.
        """
        raise NotImplementedError


REGION_MODES = Registry("vad.regions", RegionMode)


class PreprocessParams(Choice):
    """`preprocess`: the mode, a sub-section for each, and the background subtraction that they share."""

    registry: ClassVar[Registry[RegionMode]] = REGION_MODES
    chooser: ClassVar[str] = "mode"
    mode: str = Field(
        "person_crop",
        description="where to look: the whole frame, the frame reduced to its foreground, or people and "
        "what moves",
    )
    foreground: ForegroundParams = Field(
        ForegroundParams(), description="background subtraction, for silhouettes and motion boxes"
    )
