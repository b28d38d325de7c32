"""A run with everything that the report reads, made without training: clips of `made_footage`, evaluated."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from tests.detect.test_privacy import SIZE
from tests.evaluation.reports import SEVERAL
from tests.report.made_footage import FPS, FRAMES, sources, write_clip
from vad.evaluation.baselines import trivial_scorers
from vad.evaluation.evaluate import evaluate, write
from vad.evaluation.identity import Identity
from vad.evaluation.params import EvaluateParams
from vad.evaluation.scored_clip import read_clips
from vad.report.contents import Contents
from vad.report.footage import Footage, Sources, read_footage
from vad.report.gather import gather
from vad.report.media import draw_clip
from vad.report.params import ReportParams
from vad.report.plan import make_plan, picture_jobs
from vad.scoring.clip_errors import read_errors
from vad.scoring.evidence import Evidence, LeftOutAlarm
from vad.store import manifest
from vad.store.body_heights import BodyHeight, BodyHeights, write_body_heights
from vad.store.cards import write_json

EVALUATE = EvaluateParams(resamples=100)
HOSTILE = "<img src=x onerror=alert(1)>"
EVIDENCE = Evidence(
    **{
        "clips": 2,
        "hours": 0.5,
        "asked_share": None,
        "asked_per_day": 1.0,
        "left_out": 2,
        "stretches": False,
    },
    **{"worst": "train/a", "mean_share": 0.01, "worst_share": 0.02, "left_out_hours": 0.5},
    **{"left_out_events": 2, "low_per_day": 12.0, "high_per_day": 1234.5},
    alarms=(LeftOutAlarm("train/a", 4, 9, 6, 1.8, 0.7), LeftOutAlarm("train/a", 20, 25, 22, 2.5, 0.7)),
)


@dataclass(frozen=True)
class Made:
    """A test clip: its alarmed stretches, in frames, and its labels, in source frames, if it has any."""

    alarmed: Sequence[tuple[int, int]]
    labels: Sequence[tuple[int, int]] | None
    camera: str = "hall"
    subject: str = ""


# source frames are the frames of the clip plus 3
CLIPS: Mapping[str, Made] = {
    "test/fall": Made([(5, 12), (26, 32)], [(8, 18)], subject=HOSTILE),
    "test/lost": Made([], [(13, 23)], "yard"),
    "test/new": Made([(20, 30)], None, "yard"),
    "test/walk": Made([], []),
}


@dataclass(frozen=True)
class MadeRun:
    """The files of a run.

    Attributes:
        sources: its files.
        page: folder for the page.
    """

    sources: Sources
    page: Path
    made: Mapping[str, Made] = field(default_factory=lambda: CLIPS)

    def contents(self, footage: Footage | None = None, **params: object) -> Contents:
        """Draws all pictures and gathers the contents."""
        section = ReportParams(**{"videos": "none", **params})  # type: ignore[arg-type]
        footage = footage or read_footage(self.sources)
        plan = make_plan(footage, section)
        for job in picture_jobs(footage, plan):
            stem = self.page / "media" / job.name
            stem.parent.mkdir(parents=True, exist_ok=True)
            draw_clip(stem, *job.args)
        return gather(self.page, footage, plan, EVALUATE, section)


def make_run(
    folder: Path, clips: Mapping[str, Made] = CLIPS, evidence: Evidence | None = EVIDENCE
) -> MadeRun:
    """Writes all files of a run."""
    at = sources(folder)
    by = replace(SEVERAL, evidence=evidence)
    by.save(at.calibration)
    for clip, made in clips.items():
        write_clip(at, clip, alarmed=made.alarmed)
    write_clip(at, "train/a", alarmed=[(20, 25)])
    test = [_row(clip, made) for clip, made in clips.items()]
    manifest.write_manifest(at.manifest, [*test, replace(_row("train/a", Made([], None)), split="train")])
    labels = {clip: list(made.labels) for clip, made in clips.items() if made.labels}
    manifest.write_labels(at.labels, labels)
    manifest.write_skipped(at.skipped[0], {"test/broken": f"cannot be read: {HOSTILE}"})
    write_body_heights(at.body_heights, BodyHeights({"hall": BodyHeight(20, 60, 20, SIZE[0], "fit", 50)}))
    at.zones.write_text("hall: [{kind: ignore, name: clock, polygon: [[0, 0], [0.1, 0], [0, 0.1]]}]\n")
    errors = read_errors(at.errors, {row.clip: row.camera for row in test})
    scored = read_clips(test, labels, at.scores, errors, Identity({}, {}))
    trivial = trivial_scorers(scored, EVALUATE.seed)
    write(at.evaluation, scored, scored, trivial, by, evaluate(scored, trivial, by, EVALUATE))
    write_json(at.validation, {"absent": "validate.seconds is 0"})
    at.history.parent.mkdir(parents=True)
    epochs = pd.DataFrame({"fold": [0, 0, 1], "epoch": [0, 1, 0], "train_loss": [4.0, 2.0, 2.0]})
    epochs.assign(val_loss=[5.0, 3.0, 1.0], learning_rate=0.1).to_csv(at.history, index=False)
    for fold in ("0", "1"):
        write_json(at.autoencoder / fold / "card.json", {"name": "conv2d", "params": {"channels": [4, 8]}})
        (at.autoencoder / fold / "weights.safetensors").write_bytes(fold.encode())
    files = {"detector.onnx": {"bytes": 1, "sha256": "ab" * 32}}
    card = {"files": files, "weights": {"preprocess.person_crop.onnx.weights": "detector.onnx"}}
    write_json(at.deployed / "model.json", card)
    with open(at.deployed / "parameters.yaml", "w", encoding="utf-8") as out:
        YAML().dump({"extract": {"fps": None, "color": "gray"}, "model": {"name": "conv2d"}}, out)
    return MadeRun(at, folder / "page", clips)


def _row(clip: str, made: Made) -> manifest.Clip:
    return manifest.Clip(
        clip=clip,
        split="test",
        camera=made.camera,
        subject=made.subject,
        source=f"{clip}.mp4",
        first=0,
        end=FRAMES + 3,
        labelled=made.labels is not None,
        frames=FRAMES + 3,
        fps=FPS,
        width=SIZE[1],
        height=SIZE[0],
        hash="h",
    )


def md5sum(path: Path) -> str:
    """The MD5 of a file, by the program of that name."""
    done = subprocess.run(["md5sum", str(path)], check=True, capture_output=True, encoding="utf-8")
    return done.stdout.split()[0]


def labels_of(clip: Made) -> np.ndarray:
    """Whether each frame of a made clip is anomalous."""
    out = np.zeros(FRAMES, bool)
    for start, end in clip.labels or ():
        out[start - 3 : end - 3] = True
    return out
