"""What the page is about: the test clips with their scores and labels, and what they were scored by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vad import UserError
from vad.overlay.privacy import Privacy
from vad.report.stored_clip import Stems, StoredClip
from vad.scoring.calibration import Calibration
from vad.scoring.scores import ClipScores, read_scores
from vad.store import manifest
from vad.store.body_heights import BodyHeights, read_body_heights
from vad.store.intervals import frame_labels, intervals_of
from vad.store.manifest import Clip
from vad.store.zones import Zones, read_zones


@dataclass(frozen=True)
class Sources:
    """The files and folders that the page is made from.

    Attributes:
        manifest, labels: of the stage `ingest`.
        frames, regions, errors, scores: folders of the stages `extract`, `preprocess`, `measure`, `score`.
        body_heights, zones: of the cameras.
        calibration: models/calibration.json.
        autoencoder: folder of the autoencoders, with a folder per fold.
        deployed: folder of the deployed model.
        tensors: folder of the windows of the test clips.
        evaluation: folder of the stage `evaluate`.
        validation: metrics.json of the stage `validate`.
        history: losses of the training, history.csv.
        skipped: lists of clips that were left out.
    """

    manifest: Path
    labels: Path
    frames: Path
    regions: Path
    errors: Path
    scores: Path
    body_heights: Path
    zones: Path
    calibration: Path
    autoencoder: Path
    deployed: Path
    tensors: Path
    evaluation: Path
    validation: Path
    history: Path
    skipped: Sequence[Path]

    def stems(self, clip: str) -> Stems:
        """The files of a clip.

        Args:
            clip: its id.
        """
        return Stems(self.frames / clip, self.regions / clip, self.errors / clip)


@dataclass(frozen=True, eq=False)
class TestedClip:
    """A test clip.

    Attributes:
        row: of the manifest.
        scores: of its frames, T of them.
        anomalous: labels of the frames, bool [T]; None if it is not labelled.
    """

    row: Clip
    scores: ClipScores
    anomalous: np.ndarray | None

    @property
    def id(self) -> str:
        """`<split>/<name>`."""
        return self.row.clip

    @property
    def name(self) -> str:
        """The id without the split."""
        return self.row.clip.partition("/")[2]

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.scores.seconds[-1] - self.scores.seconds[0] + 1 / self.scores.fps)

    @property
    def labels(self) -> list[tuple[int, int]]:
        """The labelled anomalies as (start, end) in frames."""
        return [] if self.anomalous is None else intervals_of(self.anomalous)

    def time(self, frame: int) -> float:
        """Seconds of a frame.

        Args:
            frame: its index.
        """
        return float(self.scores.seconds[frame])

    def end(self, frame: int) -> float:
        """Seconds at the end of the frame before an index, as in tables of events.

        Args:
            frame: the index, above 0.
        """
        return float(self.scores.seconds[frame - 1] + 1 / self.scores.fps)


@dataclass(frozen=True, eq=False)
class Footage:
    """All that galleries and clips are drawn from.

    Attributes:
        sources: the files.
        tested: test clips, in the order of their ids.
        normal: clips of training and validation that have errors.
        calibration: by which clips are scored.
        zones, body_heights: of the cameras.
    """

    sources: Sources
    tested: Sequence[TestedClip]
    normal: Mapping[str, Clip]
    calibration: Calibration
    zones: Zones
    body_heights: BodyHeights

    def open(self, clip: str) -> StoredClip:
        """Opens the frames of a clip.

        Args:
            clip: id of a tested or normal clip.

        Raises:
            UserError: if a file is missing or broken.
        """
        camera = self.camera(clip)
        return StoredClip(self.sources.stems(clip), clip, camera, self.calibration, self.zones.of(camera))

    def camera(self, clip: str) -> str:
        """The camera of a clip.

        Args:
            clip: id of a tested or normal clip.
        """
        if clip in self.normal:
            return self.normal[clip].camera
        return next(tested.row.camera for tested in self.tested if tested.id == clip)


def require_possible(footage: Footage, privacy: Privacy) -> None:
    """Refuses a privacy for which there is nothing to hide.

    Args:
        footage: the test clips.
        privacy: `report.privacy`.

    Raises:
        UserError: if silhouettes are asked for, and nothing tells where people are.
    """
    if privacy != "silhouette":
        return
    for clip in footage.tested:
        stored = footage.open(clip.id)
        if stored.whole_frames() and not stored.has_silhouettes:
            raise UserError(
                "report.privacy = silhouette: the model scores whole frames (preprocess.mode: none) and does "
                "not know where people are; use report.privacy: blur, which blurs the whole picture"
            )


def read_footage(sources: Sources) -> Footage:
    """Reads scores and labels of all test clips.

    Args:
        sources: the files.

    Raises:
        UserError: if a file is missing or broken.
    """
    labels = manifest.read_labels(sources.labels)
    tested = []
    for row in manifest.measured(sources.manifest, sources.errors, "test"):
        scores = read_scores(sources.scores / row.clip)
        anomalous = None
        if row.labelled:
            anomalous = frame_labels(labels.get(row.clip, []), scores.source_frames)
        tested.append(TestedClip(row, scores, anomalous))
    normal = manifest.measured(sources.manifest, sources.errors, "train", "val")
    return Footage(
        sources,
        tested,
        {row.clip: row for row in normal},
        Calibration.load(sources.calibration),
        read_zones(sources.zones),
        read_body_heights(sources.body_heights),
    )
