"""What turns windows into errors: a torch module in the pipeline, an ONNX graph in a deployed model.

Both hold the autoencoder and the reduction of its residuals, with the normalisation of windows.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np

from vad import UserError
from vad.pipeline.params import Field, Section

Reduce = Literal["mean", "max", "top_k", "patch_max", "psnr", "mean_vector"]
OF_FLOW = ("flow", "translation")  # error branches whose target is flow


class ReductionParams(Section):
    """How the residuals of a window are reduced to its error."""

    reduce: Reduce = Field(
        "mean",
        description="reduction of the pixels' squared errors to the error of a window: `mean`; `max`; "
        "`top_k`, the mean of the `top_share` highest; `patch_max`, the highest mean over a patch; "
        "`psnr`, 100 dB minus the peak signal-to-noise ratio for a peak of 1; `mean_vector`, the length "
        "of the mean residual, a vector over planes, in which noise cancels",
    )
    reduce_flow: Reduce = Field("mean_vector", description="the reduction if the target is flow")
    top_share: float = Field(0.05, gt=0, le=1, description="top_k: share of the pixels that count")
    patch: int = Field(8, ge=1, le=1024, description="patch_max: side of a patch in pixels")

    def reduction(self, branch: str) -> Reduce:
        """The reduction for an error branch."""
        return self.reduce_flow if branch in OF_FLOW else self.reduce


class NetworkErrors(NamedTuple):
    """The errors of B windows.

    Attributes:
        errors: of the windows by error branch, float32 [B], 0 or more.
        pixels: of the pixels of each window's frame by error branch, float32 [folds, B, height, width]; empty
            unless asked for.
    """

    errors: Mapping[str, np.ndarray]
    pixels: Mapping[str, np.ndarray]


class Network(Protocol):
    """The autoencoder of a fold, or of all folds, whose errors are then the mean.

    Attributes:
        branches: names of the error branches.
        single_frame: those whose errors depend on a single frame (`Branch.single_frame`).
        planes: names of the planes of a window.
        shape: of a window: planes, frames, height, width.
    """

    @property
    def branches(self) -> Sequence[str]: ...
    @property
    def single_frame(self) -> Sequence[str]: ...
    @property
    def planes(self) -> Sequence[str]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...

    def measure(self, windows: np.ndarray, pixels: bool, judged: np.ndarray | None = None) -> NetworkErrors:
        """Measures windows.

        Args:
            windows: uint8 [B, planes, frames, height, width], B at least 1.
            pixels: whether the errors of pixels are wanted as well.
            judged: the pixels that count for the errors of the windows, bool [B, height, width]; None: all.
                The errors of pixels do not depend on it.

        Raises:
            UserError: if the windows have another shape than those of training.
        """
        ...

    def set_threads(self, threads: int) -> None:
        """Sets the maximum number of threads, where it is not fixed."""
        ...


def require_shape(network: Network, shape: tuple[int, ...]) -> None:
    """Refuses windows of another shape than those of training.

    Args:
        network: the network.
        shape: of a window: planes, frames, height, width.

    Raises:
        UserError: if the shape differs.
    """
    if tuple(shape) != tuple(network.shape):
        expected, given = ("x".join(map(str, sides)) for sides in (network.shape, shape))
        raise UserError(
            f"the autoencoder was made for windows of {expected} (planes, frames, height, width), these are "
            f"{given}; run `dvc repro train`"
        )
