"""Compares the scores of the test clips with their labels: metrics, tables, pictures and plot data.

In: data/manifest.csv, data/labels.csv, data/masks/, data/frames/ (pictures), data/errors/, data/scores/,
models/calibration.json (thresholds), the file set as evaluate.identity. Out: reports/evaluation/.
"""

import shutil
from pathlib import Path

from vad.evaluation.baselines import trivial_scorers
from vad.evaluation.evaluate import evaluate, headline, without_labels, write
from vad.evaluation.identity import read_identity
from vad.evaluation.localisation import draw, locate
from vad.evaluation.params import EvaluateParams
from vad.evaluation.scored_clip import read_clips
from vad.evaluation.selection import select
from vad.pipeline import stage
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import read_errors
from vad.store import manifest

MANIFEST, LABELS, MASKS = Path("data/manifest.csv"), Path("data/labels.csv"), Path("data/masks")
FRAMES, ERRORS, SCORES = Path("data/frames"), Path("data/errors"), Path("data/scores")
CALIBRATION, EVALUATION = Path("models/calibration.json"), Path("reports/evaluation")


def main(run: stage.Run) -> None:
    params = run.params("evaluate", EvaluateParams)
    calibration = Calibration.load(CALIBRATION)
    test = manifest.measured(MANIFEST, ERRORS, "test")
    errors = read_errors(ERRORS, {clip.clip: clip.camera for clip in test})
    tracks = {clip.clip: set(clip.table["track"].tolist()) for clip in errors}
    identity = read_identity(run.reads(Path(params.identity)), manifest.read_manifest(MANIFEST), tracks)
    clips = read_clips(test, manifest.read_labels(LABELS), SCORES, errors, identity)
    trivial = trivial_scorers(clips, params.seed)
    result = evaluate(clips, trivial, calibration, params)
    result |= locate(clips, calibration, MASKS, params)
    shown = select(clips, calibration.threshold, params.pictures)
    # everything is computed before the earlier report is removed, so that an error leaves it whole
    shutil.rmtree(EVALUATION, ignore_errors=True)
    write(EVALUATION, clips, shown, trivial, calibration, result)
    draw(EVALUATION / "heatmaps", shown, calibration, FRAMES, MASKS)
    run.log(headline(result))
    if line := without_labels(clips):
        run.log(line)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, LABELS, MASKS, FRAMES, ERRORS, SCORES, CALIBRATION])
