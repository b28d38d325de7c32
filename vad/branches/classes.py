"""Class novelty: how far the detector's class probabilities of a region are from those of normal regions.

PCA is fitted to the standardised log class probabilities of normal regions. The error of a region is the
squared norm of its residual after projection onto the components (the Q statistic or SPE of Jackson &
Mudholkar, Technometrics 1979). So no class needs to be declared anomalous.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vad import UserError
from vad.branches.base import (
    BRANCHES,
    Branch,
    BranchErrors,
    BranchProcessor,
    ClipFormat,
    Log,
    NormalClip,
    Statistics,
    WindowProcessor,
)
from vad.pipeline.params import Field, Section
from vad.store.arrays import open_array
from vad.stream import WindowsOfFrame

FLOOR = 1e-4  # added to probabilities, avoids log(0)
MIN_STD = 0.1  # of a log probability, so that a class that hardly varies does not dominate
MAX_REGIONS = 200_000  # that PCA is fitted to, spread evenly over the clips
DETECTOR = "detector"  # the source whose regions count; the classes of motion boxes are arbitrary


@BRANCHES.register
class Classes(Branch):
    """A column with the errors of regions from the detector, 0 for all others."""

    class Params(Section):
        """`branches.classes`"""

        components: int = Field(
            32,
            ge=1,
            le=1000,
            description="principal components of the detector's class probabilities that are kept",
        )

    params: Params

    def fit(self, clips: Sequence[NormalClip], log: Log) -> Statistics | None:
        """Fits PCA to the class probabilities of detections in normal clips.

        Args:
            clips: all clips to learn from.
            log: writes a line of text.

        Returns:
            `mean` and `std` of log probabilities, float32 [C], and the components `basis`, float32 [k, C];
            None if no detector was used.

        Raises:
            UserError: if there are fewer detections than components.
        """
        # take a second to import, and processors do without
        from sklearn.decomposition import PCA

        from vad.store.tables import read_table

        stems = [clip.regions for clip in clips if Path(f"{clip.regions}.classes.json").is_file()]
        if not stems:
            log("no detector, so no class novelty")
            return None
        rows = [np.flatnonzero(read_table(stem)["source"] == DETECTOR) for stem in stems]
        step = max(1, -(-sum(map(len, rows)) // MAX_REGIONS))  # every step-th region of each clip
        x = _log(np.concatenate([_probabilities(s)[r[::step]] for s, r in zip(stems, rows, strict=True)]))
        components = min(self.params.components, x.shape[1] - 1)  # with all C of them, no residual is left
        if len(x) <= components:
            raise UserError(
                f"there are {len(x)} detections in training clips, too few for "
                f"branches.classes.components = {self.params.components}; lower it, or "
                "preprocess.person_crop.onnx.confidence"
            )
        # in float64: float32 sums over so many values lose digits, and constant classes would seem to vary
        mean, std = (part(0, dtype=np.float64).astype(np.float32) for part in (x.mean, x.std))
        std = np.maximum(std, np.float32(MIN_STD))
        # the full solver is deterministic
        basis = PCA(components, svd_solver="full").fit((x - mean) / std).components_
        log(f"{len(basis)} components of {len(x)} detections")
        return {"mean": mean, "std": std, "basis": basis.astype(np.float32)}

    @property
    def single_frame(self) -> list[str]:
        return [self.name]

    def processor(self, clip: ClipFormat, threads: int | None = None) -> BranchProcessor | None:
        if self.statistics is None or clip.classes is None:
            return None
        _require_classes(clip.classes, self.statistics)
        return _Novelty(self.name, self.statistics, clip.classes)


class _Novelty(WindowProcessor):
    """Gives the errors of regions of the detector, 0 for others."""

    def __init__(self, name: str, statistics: Statistics, classes: int):
        super().__init__()
        self.columns, self._statistics, self._classes = (name,), statistics, classes

    def measure(self, frames: list[WindowsOfFrame]) -> list[BranchErrors]:
        scores = [np.empty((0, self._classes), np.float16)]
        scores += [f.regions.class_scores for f in frames if f.regions.class_scores is not None]
        novelty = novelty_of(np.concatenate(scores), self._statistics)
        sources = np.concatenate([frame.regions.sources for frame in frames])
        errors = np.where(sources == DETECTOR, novelty, np.float32(0))
        ends = np.cumsum([len(frame.regions) for frame in frames])
        return [BranchErrors({self.columns[0]: part}) for part in np.split(errors, ends[:-1])]


def novelty_of(probabilities: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Squared norm of the residual after projection onto the components.

    Args:
        probabilities: class probabilities, float [N, C] in [0, 1].
        statistics: the result of `Classes.fit`.

    Returns:
        float32 [N], 0 or more.

    Raises:
        UserError: if the statistics have another number of classes.
    """
    _require_classes(probabilities.shape[1], statistics)
    mean, std, basis = (statistics[name] for name in ("mean", "std", "basis"))
    z = (_log(probabilities) - mean) / std
    return np.square(z - z @ basis.T @ basis).sum(1).astype(np.float32)


def _require_classes(classes: int, statistics: Statistics) -> None:
    if classes != len(statistics["mean"]):
        raise UserError(
            f"class novelty was fitted to {len(statistics['mean'])} classes, these regions have {classes}; "
            "run `dvc repro statistics`"
        )


def _probabilities(regions: Path) -> np.ndarray:
    return open_array(Path(f"{regions}.classes"))[0]


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(probabilities.astype(np.float32) + np.float32(FLOOR))
